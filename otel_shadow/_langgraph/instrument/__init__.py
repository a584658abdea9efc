"""How a graph's nodes come to have a shadow: the import hook, the compile hook and the node wrapper."""
