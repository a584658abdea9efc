"""How users switch shadowing on: decorator, middleware, instrumentor and manager."""
