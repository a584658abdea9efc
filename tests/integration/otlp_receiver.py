"""An OTLP/HTTP endpoint in the test's process: keeps the metrics that it was sent, to look at or to send on."""

from __future__ import annotations

import urllib.request

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from otlp_http import OtlpServer

_SECOND = 1_000_000_000


class Receiver(OtlpServer):
    """Keeps the requests of metrics in order of arrival."""

    def __init__(self) -> None:
        self.metrics: list[ExportMetricsServiceRequest] = []
        super().__init__()

    def take(self, path: str, body: bytes) -> None:
        if path.endswith("/v1/metrics"):
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))


def over_a_minute(last: ExportMetricsServiceRequest, end_s: float) -> tuple[ExportMetricsServiceRequest, int]:
    """Return what a process exported last as if its counters began a minute before ``end_s`` and came every second.

    All series have their samples at the same moments, so that Prometheus extrapolates all of them by the same factor
    and each ratio of increases is exact, whenever a rule is evaluated.

    Returns:
        the request, and how many series it makes.
    """
    end = int(end_s) * _SECOND
    moved = ExportMetricsServiceRequest.FromString(last.SerializeToString())
    metrics = [
        metric for resource in moved.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
    ]
    return moved, sum(_repeat(metric, end) for metric in metrics)


def _repeat(metric: Metric, end: int) -> int:
    kind = metric.WhichOneof("data")
    assert kind is not None
    points = getattr(metric, kind).data_points
    last = list(points)
    del points[:]
    for second in reversed(range(60)):
        for point in last:
            copy = points.add()
            copy.CopyFrom(point)
            copy.start_time_unix_nano = end - 60 * _SECOND
            copy.time_unix_nano = end - second * _SECOND
            del copy.exemplars[:]
    return len(last)


def send(request: ExportMetricsServiceRequest, endpoint: str) -> None:
    """Send metrics to an OTLP/HTTP endpoint."""
    where = urllib.request.Request(
        f"{endpoint}/v1/metrics", request.SerializeToString(), {"Content-Type": "application/x-protobuf"}
    )
    with urllib.request.urlopen(where, timeout=30) as answer:
        assert answer.status == 200
