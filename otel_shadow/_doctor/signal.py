"""Check of the collector: one test span goes to the OTLP endpoint that the environment names."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

from otel_shadow.errors import MissingExtraError

Told = tuple[str, str, str, str]

_TIMEOUT_S = 4


def check_collector() -> Iterator[Told]:
    """Yield a finding on whether the collector takes a span."""
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if not endpoint:
        yield (
            "note",
            "collector",
            "no OTLP endpoint is named: spans and metrics are exported nowhere",
            "set OTEL_EXPORTER_OTLP_ENDPOINT",
        )
        return
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    try:
        taken = _send(protocol)
    except MissingExtraError as error:
        yield "problem", "collector", "the exporter is not installed", str(error)
        return
    except Exception as error:  # noqa: BLE001 - an exporter raises anything for a malformed endpoint
        yield (
            "problem",
            "collector",
            f"{endpoint}: {type(error).__name__}",
            "expected a URL such as http://localhost:4317",
        )
        return
    if taken:
        yield "ok", "collector", f"{endpoint} ({protocol}) took a test span", ""
    else:
        yield (
            "problem",
            "collector",
            f"{endpoint} ({protocol}) did not take a test span",
            "start the collector, or correct the endpoint",
        )


def _send(protocol: str) -> bool:
    from otel_shadow._demo.providers import otlp_package
    from otel_shadow.errors import require

    sdk = require("opentelemetry.sdk.trace", "otlp")
    export = require("opentelemetry.sdk.trace.export", "otlp")
    exporter = require(f"{otlp_package(protocol)}.trace_exporter", "otlp").OTLPSpanExporter(timeout=_TIMEOUT_S)
    spans: list[object] = []

    class Keep(export.SpanExporter):  # type: ignore[misc, name-defined]
        def export(self, batch: list[object]) -> object:
            spans.extend(batch)
            return export.SpanExportResult.SUCCESS

    provider = sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(export.SimpleSpanProcessor(Keep()))
    provider.get_tracer("otel_shadow").start_span("otel-shadow doctor").end()
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    taken = exporter.export(spans) is export.SpanExportResult.SUCCESS
    exporter.shutdown()
    return bool(taken)
