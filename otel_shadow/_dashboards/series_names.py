"""How our names look in Prometheus, after its OTLP receiver's translation ``UnderscoreEscapingWithSuffixes``.

The rules are those of the OpenTelemetry specification (Compatibility: Prometheus and OpenMetrics, "OTLP Metric
points to Prometheus") and are held against a real Prometheus by the integration tests.
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
    """The label of an attribute: ``shadow.node.name`` becomes ``shadow_node_name``."""
    return re.sub(r"[^A-Za-z0-9_]", "_", attribute)


def series(metric: Metric) -> str:
    """The name of a metric's series: words by underscores, then its unit, then ``_total`` for counters."""
    name = label(metric.name)
    if metric.unit in _UNITS:
        name = f"{name}_{_UNITS[metric.unit]}"
    elif metric.unit == "1" and metric.kind == "gauge":
        name = f"{name}_ratio"
    return f"{name}_total" if metric.kind == "counter" else name
