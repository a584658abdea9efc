"""An execution from its start to its record, in the user's process. Imports neither LangGraph nor OpenTelemetry."""
