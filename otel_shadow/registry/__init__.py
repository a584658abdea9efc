"""Registry of the telemetry: each span, metric and event with its attributes, in OpenTelemetry's own format.

The YAML files beside this one are for its tool (``weaver registry check``, ``live-check``, ``generate``). They are made
of the definitions here and of ``semconv``, and so are the tables in ``docs/telemetry.md``.
"""
