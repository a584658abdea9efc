"""Providers of the OpenTelemetry SDK for the commands; without an endpoint in the environment nothing leaves.

The variables are the specification's (``OTEL_EXPORTER_OTLP_*``), a signal's own before the general one. Where the SDK
or an exporter is not installed, ``MissingExtraError`` is raised.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from otel_shadow._report.credentials import keep_credentials_from_logs
from otel_shadow.errors import require

_EXTRA = "otlp"
_EXPORTERS = {
    "TRACES": ("trace_exporter", "OTLPSpanExporter"),
    "METRICS": ("metric_exporter", "OTLPMetricExporter"),
    "LOGS": ("_log_exporter", "OTLPLogExporter"),
}
_NAMED = {"otlp_proto_http": "http/protobuf", "otlp_proto_grpc": "grpc"}


@dataclass(frozen=True)
class Providers:
    """Tracer, meter and logger provider of a run; ``exporting`` says whether any signal has an endpoint."""

    tracer: Any
    meter: Any
    logger: Any
    exporting: bool

    def shutdown(self) -> None:
        for provider in (self.tracer, self.meter, self.logger):
            provider.shutdown()


def _setting(signal: str, name: str) -> str | None:
    return os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_{name}") or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}")


def endpoint(signal: str) -> str | None:
    """Return the OTLP endpoint of ``TRACES``, ``METRICS`` or ``LOGS``; None where the environment names none."""
    return _setting(signal, "ENDPOINT")


def protocol(signal: str) -> str:
    """Return the OTLP protocol of a signal: ``grpc`` unless the environment names another, or its exporter."""
    names = os.environ.get(f"OTEL_{signal}_EXPORTER", "")
    named = next((told for name, told in _NAMED.items() if name in names), None)
    return named or (_setting(signal, "PROTOCOL") or "grpc").strip()


def exporter(signal: str, **settings: Any) -> Any:
    keep_credentials_from_logs()
    package = "http" if protocol(signal).startswith("http") else "grpc"
    module, name = _EXPORTERS[signal]
    return getattr(require(f"opentelemetry.exporter.otlp.proto.{package}.{module}", _EXTRA), name)(**settings)


def meter_provider(resource: Any = None) -> Any:
    sdk = require("opentelemetry.sdk.metrics", _EXTRA)
    export = require("opentelemetry.sdk.metrics.export", _EXTRA)
    readers = [export.PeriodicExportingMetricReader(exporter("METRICS"))] if endpoint("METRICS") else []
    return sdk.MeterProvider(metric_readers=readers, resource=resource)


def make_providers(service: str, span_exporter: Any = None) -> Providers:
    """Return all three providers, with a resource from ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES``.

    Arguments:
        service: its name where the environment has none.
        span_exporter: gets every span as soon as it ends.
    """
    trace_export = require("opentelemetry.sdk.trace.export", _EXTRA)
    logs_export = require("opentelemetry.sdk._logs.export", _EXTRA)
    name = os.environ.get("OTEL_SERVICE_NAME", service)
    resource = require("opentelemetry.sdk.resources", _EXTRA).Resource.create({"service.name": name})
    tracer = require("opentelemetry.sdk.trace", _EXTRA).TracerProvider(resource=resource)
    if span_exporter is not None:
        tracer.add_span_processor(trace_export.SimpleSpanProcessor(span_exporter))
    if endpoint("TRACES"):
        tracer.add_span_processor(trace_export.BatchSpanProcessor(exporter("TRACES")))
    logger = require("opentelemetry.sdk._logs", _EXTRA).LoggerProvider(resource=resource)
    if endpoint("LOGS"):
        logger.add_log_record_processor(logs_export.BatchLogRecordProcessor(exporter("LOGS")))
    return Providers(tracer, meter_provider(resource), logger, any(map(endpoint, _EXPORTERS)))
