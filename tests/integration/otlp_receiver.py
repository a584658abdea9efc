"""An OTLP/HTTP endpoint in the test's process: keeps the metrics that it was sent, to look at or to send on."""

from __future__ import annotations

import gzip
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

_SECOND = 1_000_000_000


class Receiver(ThreadingHTTPServer):
    """Takes every signal, and keeps the requests of metrics in order of arrival."""

    def __init__(self) -> None:
        self.metrics: list[ExportMetricsServiceRequest] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path.endswith("/v1/metrics"):
            self.server.metrics.append(ExportMetricsServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Serve until the end of the block."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


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
