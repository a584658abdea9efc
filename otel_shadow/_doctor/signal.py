"""A test signal: one span to the OTLP endpoint that the environment names."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from otel_shadow._report.sdk_providers import endpoint, exporter, protocol
from otel_shadow.errors import MissingExtraError, require

Told = tuple[str, str, str, str]

_TIMEOUT_S = 4


def check_collector() -> Iterator[Told]:
    """Whether the collector takes a span."""
    named, spoken = endpoint("TRACES"), protocol("TRACES")
    if not named:
        yield (
            "note",
            "collector",
            "no OTLP endpoint is named: spans and metrics stay here",
            "set OTEL_EXPORTER_OTLP_ENDPOINT",
        )
        return
    try:
        taken = _send()
    except MissingExtraError as error:
        yield "problem", "collector", "the exporter is not installed", str(error)
        return
    except Exception as error:  # noqa: BLE001 - an exporter raises anything for a malformed endpoint
        yield "problem", "collector", f"{named}: {type(error).__name__}", "expected such as http://localhost:4317"
        return
    if taken:
        yield "ok", "collector", f"{named} ({spoken}) took a test span", ""
    else:
        yield (
            "problem",
            "collector",
            f"{named} ({spoken}) did not take a test span",
            "start it, or mend the endpoint",
        )


def _send() -> bool:
    sdk = require("opentelemetry.sdk.trace", "otlp")
    export = require("opentelemetry.sdk.trace.export", "otlp")
    sender = exporter("TRACES", timeout=_TIMEOUT_S)
    spans: list[object] = []

    class Keep(export.SpanExporter):  # type: ignore[misc, name-defined]
        def export(self, batch: list[object]) -> object:
            spans.extend(batch)
            return export.SpanExportResult.SUCCESS

    provider = sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(export.SimpleSpanProcessor(Keep()))
    provider.get_tracer("otel_shadow").start_span("otel-shadow doctor").end()
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    taken = sender.export(spans) is export.SpanExportResult.SUCCESS
    sender.shutdown()
    return bool(taken)
