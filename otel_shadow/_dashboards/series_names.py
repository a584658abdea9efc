"""Names of the metrics and attributes in Prometheus, which translates them, or whose scraped exporter has.

Its translation ``UnderscoreEscapingWithSuffixes`` follows the OpenTelemetry specification (Compatibility: Prometheus
and OpenMetrics, "OTLP Metric points to Prometheus"); the integration tests hold it against a real Prometheus. Units in
braces add nothing to a name.
"""

from __future__ import annotations

import re
from typing import Final

from otel_shadow.semconv import Metric

_UNITS: Final = {"s": "seconds", "By": "bytes", "ms": "milliseconds"}
SERVICE: Final = "job"
"""The label that ``service.name`` becomes."""
INSTANCE: Final = "instance"
"""The label that ``service.instance.id`` becomes."""
WINDOW: Final = "window"
"""Label of recorded series: the window they cover, such as ``24h``."""


def label(attribute: str) -> str:
    """Return the label of an attribute: ``shadow.node.name`` becomes ``shadow_node_name``."""
    return re.sub(r"[^A-Za-z0-9_]", "_", attribute)


def series(metric: Metric) -> str:
    """Return the name of a metric's series: words by underscores, then its unit, then ``_total`` for counters."""
    return label(metric.name) + suffix(metric)


def suffix(metric: Metric) -> str:
    """Return what a metric's unit and kind add to its name, such as ``_seconds`` or ``_total``."""
    unit = f"_{_UNITS[metric.unit]}" if metric.unit in _UNITS else ""
    return f"{unit}_total" if metric.kind == "counter" else unit
