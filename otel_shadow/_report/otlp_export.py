"""A meter provider for the command line, where the environment names an OTLP endpoint."""

from __future__ import annotations

import os
from typing import Any

from otel_shadow.errors import require

_EXTRA = "otlp"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def meter_provider() -> Any | None:
    """A provider that exports by ``OTEL_EXPORTER_OTLP_*``; None where no endpoint is set.

    Raises:
        MissingExtraError: an endpoint is set, and the SDK or the exporter is not installed.
    """
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return None
    sdk = require("opentelemetry.sdk.metrics", _EXTRA)
    export = require("opentelemetry.sdk.metrics.export", _EXTRA)
    protocol = next((os.environ[name] for name in _PROTOCOLS if os.environ.get(name)), "grpc")
    package = "http" if protocol.startswith("http") else "grpc"
    exporter = require(f"opentelemetry.exporter.otlp.proto.{package}.metric_exporter", _EXTRA).OTLPMetricExporter()
    return sdk.MeterProvider(metric_readers=[export.PeriodicExportingMetricReader(exporter)])
