"""OpenTelemetry for a local run: the OTLP exporters that ``OTEL_*`` variables name, else nothing leaves the machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from otel_shadow.errors import require

_EXTRA = "demo"
_ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
)
_SPANS_KEPT = 400


@dataclass(frozen=True)
class Providers:
    """Tracer, meter and logger provider of a run, and the spans of its beginning."""

    tracer: Any
    meter: Any
    logger: Any
    first_spans: Any
    exporting: bool

    def shutdown(self) -> None:
        """Export what is buffered, and end."""
        for provider in (self.tracer, self.meter, self.logger):
            provider.shutdown()


def exporting() -> bool:
    """Whether an OTLP endpoint is named in the environment."""
    return any(os.environ.get(name) for name in _ENDPOINTS)


def make_providers() -> Providers:
    """Providers with a resource from ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES``.

    Raises:
        MissingExtraError: the SDK or the exporters are not installed.
    """
    trace_sdk = require("opentelemetry.sdk.trace", _EXTRA)
    export = require("opentelemetry.sdk.trace.export", _EXTRA)
    metrics_sdk = require("opentelemetry.sdk.metrics", _EXTRA)
    logs_sdk = require("opentelemetry.sdk._logs", _EXTRA)
    resource = _resource()
    tracer = trace_sdk.TracerProvider(resource=resource)
    kept = _KeepFirst()
    tracer.add_span_processor(export.SimpleSpanProcessor(kept))
    readers: list[Any] = []
    logger = logs_sdk.LoggerProvider(resource=resource)
    if exporting():
        otlp = otlp_package(os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"))
        tracer.add_span_processor(
            export.BatchSpanProcessor(require(f"{otlp}.trace_exporter", _EXTRA).OTLPSpanExporter())
        )
        metric_exporter = require(f"{otlp}.metric_exporter", _EXTRA).OTLPMetricExporter()
        readers.append(
            require("opentelemetry.sdk.metrics.export", _EXTRA).PeriodicExportingMetricReader(metric_exporter)
        )
        log_exporter = require(f"{otlp}._log_exporter", _EXTRA).OTLPLogExporter()
        logs_export = require("opentelemetry.sdk._logs.export", _EXTRA)
        logger.add_log_record_processor(logs_export.BatchLogRecordProcessor(log_exporter))
    meter = metrics_sdk.MeterProvider(metric_readers=readers, resource=resource)
    return Providers(tracer, meter, logger, kept, exporting())


def _resource() -> Any:
    resources = require("opentelemetry.sdk.resources", _EXTRA)
    name = os.environ.get("OTEL_SERVICE_NAME", "otel-shadow-demo")
    return resources.Resource.create({"service.name": name})


def otlp_package(protocol: str) -> str:
    """The exporters' package for ``grpc`` or ``http/protobuf``."""
    return "opentelemetry.exporter.otlp.proto." + ("http" if protocol.startswith("http") else "grpc")


class _KeepFirst:
    """A span exporter that keeps the first few spans, to draw one pair's tree."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def export(self, spans: Any) -> Any:
        """Keep ``spans`` while there is room."""
        if len(self.spans) < _SPANS_KEPT:
            self.spans.extend(spans)
        return require("opentelemetry.sdk.trace.export", _EXTRA).SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to do."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is buffered."""
        return True
