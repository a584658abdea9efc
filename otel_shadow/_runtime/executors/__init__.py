"""Where shadow runs are executed: threads, an event loop, worker processes."""
