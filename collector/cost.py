"""What a million pairs cost, measured: the demo exports to a counting receiver, and the rest is division.

python collector/cost.py            # the table of docs/scale-out.md
"""

# ruff: noqa: T201 - a script: printing is what it does
from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

MILLION = 1_000_000
raw: Counter[str] = Counter()
"""Bytes of OTLP by signal."""
packed: Counter[str] = Counter()
"""The same, as they travel: gzip."""
spans: Counter[str] = Counter()
series: dict[str, set[str]] = {}
"""Distinct attribute sets by metric; a native histogram is one series."""
records: Counter[str] = Counter()


class Counting(BaseHTTPRequestHandler):
    """Takes OTLP over HTTP and counts."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signal = self.path.rpartition("/")[2]
        packed[signal] += len(body)
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        raw[signal] += len(body)
        {"traces": _traces, "metrics": _metrics, "logs": _logs}[signal](body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _traces(body: bytes) -> None:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            spans.update(span.name for span in scope.spans)


def _metrics(body: bytes) -> None:
    for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                points = getattr(metric, metric.WhichOneof("data")).data_points
                found = {str(sorted((pair.key, str(pair.value)) for pair in point.attributes)) for point in points}
                series.setdefault(metric.name, set()).update(found)


def _logs(body: bytes) -> None:
    for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
        for scope in resource.scope_logs:
            records.update(record.event_name for record in scope.log_records)


def _run(endpoint: str, out: Path) -> None:
    env = os.environ | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram",
    }  # fmt: skip
    command = [str(Path(sys.executable).parent / "otel-shadow"), "demo", "--out", str(out)]
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder, ThreadingHTTPServer(("127.0.0.1", 0), Counting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _run(f"http://127.0.0.1:{server.server_port}", Path(folder))
        server.shutdown()
        lines = (Path(folder) / "app.log").read_bytes().splitlines()
    events = Counter(json.loads(line)["event"] for line in lines)
    pairs = events["SHADOW_V2"]
    log_bytes = sum(len(line) + 1 for line in lines)
    print(f"{pairs} pairs, {events['SHADOW_BASELINE']} executions without a shadow\n")
    print("| per million pairs | number | raw | as sent (gzip) |\n|---|---|---|---|")
    for name, number, size, sent in (
        ("spans", spans.total(), raw["traces"], packed["traces"]),
        ("log events over OTLP", records.total(), raw["logs"], packed["logs"]),
        ("log lines in a file", len(lines), log_bytes, len(gzip.compress(b"\n".join(lines)))),
    ):
        scale = MILLION / pairs
        print(f"| {name} | {number * scale / 1e6:.1f} M | {size * scale / 1e9:.2f} GB | {sent * scale / 1e9:.2f} GB |")
    total = sum(len(found) for found in series.values())
    print(f"\nSeries per process, whatever the traffic: {total} (four nodes)")
    for name, found in sorted(series.items(), key=lambda item: -len(item[1])):
        print(f"  {name}: {len(found)}")


if __name__ == "__main__":
    main()
