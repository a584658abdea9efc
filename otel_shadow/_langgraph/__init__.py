"""The only place that knows LangGraph: capture, isolation, decision, wrapping."""
