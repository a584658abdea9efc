"""The three signals: spans, metrics and log lines. Uses the OpenTelemetry API only; the SDK is the user's choice."""
