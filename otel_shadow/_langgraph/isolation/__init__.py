"""The private world V2 runs in: its configuration, context, stores, checkpoints, tasks and tools."""
