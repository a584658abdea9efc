"""An OTLP/HTTP backend in the test's process: what it was sent, by which path and with which headers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from otlp_http import OtlpServer


class Backend(OtlpServer):
    """Takes every signal.

    Attributes:
        spans: names of spans, each with how many came.
        events: names of log events, likewise.
        points: what a metric of a service and instance counts; the newest of each.
        temporalities: those of counters.
        kinds: of each metric, such as ``sum``.
    """

    def __init__(self) -> None:
        self.spans: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.points: dict[tuple[str, str, str], int] = {}
        self.temporalities: set[str] = set()
        self.kinds: dict[str, str] = {}
        super().__init__()

    def counts(self, metric: str, key: str = "instance") -> dict[str, int]:
        """The last count of ``metric`` by ``instance`` or ``service``."""
        found: Counter[str] = Counter()
        for (name, service, instance), count in self.points.items():
            if name == metric:
                found[instance if key == "instance" else service] += count
        return dict(found)

    def take(self, path: str, body: bytes) -> None:
        if path.endswith("/v1/traces"):
            traces = ExportTraceServiceRequest.FromString(body).resource_spans
            self.spans.update(span.name for part in traces for scope in part.scope_spans for span in scope.spans)
        elif path.endswith("/v1/logs"):
            logs = ExportLogsServiceRequest.FromString(body).resource_logs
            self.events.update(
                one.event_name for part in logs for scope in part.scope_logs for one in scope.log_records
            )
        elif path.endswith("/v1/metrics"):
            for part in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                who = {item.key: item.value.string_value for item in part.resource.attributes}
                for metric in (one for scope in part.scope_metrics for one in scope.metrics):
                    self._count(metric, who.get("service.name", ""), who.get("service.instance.id", ""))

    def _count(self, metric: Any, service: str, instance: str) -> None:
        kind = self.kinds[metric.name] = metric.WhichOneof("data")
        points = getattr(metric, kind).data_points
        if kind == "sum":
            self.temporalities.add(AggregationTemporality.Name(metric.sum.aggregation_temporality))
        of_one = [point.as_int if kind == "sum" else point.count for point in points if kind != "gauge"]
        self.points[metric.name, service, instance] = sum(of_one)
