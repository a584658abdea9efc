"""Installation of shadows in a graph's nodes: mark, import hook, compile hook, search for nodes, node wrapper."""
