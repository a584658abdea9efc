"""The half that lives in the user's process. It knows no LangGraph and no telemetry."""
