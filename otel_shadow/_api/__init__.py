"""Ways to switch shadowing on: decorator, middleware, instrumentor and manager."""
