"""Names, units and help texts of our metrics, as the real Collector hands them on and as Prometheus translates them."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from real_servers import Collector, Prometheus
from waiting import until

from otel_shadow import semconv
from otel_shadow._dashboards.series_names import label, series

pytestmark = pytest.mark.servers


class Receiver(ThreadingHTTPServer):
    """Where the Collector believes Prometheus is: keeps unit, help text and kind of every metric of ours.

    (Prometheus' own metadata API tells of scraped targets only, not of what came in over OTLP.)
    """

    def __init__(self) -> None:
        self.facts: dict[str, tuple[str, str, str]] = {}
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api/v1/otlp"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportMetricsServiceRequest.FromString(body)
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics if scope.scope.name == semconv.SCOPE else ():
                    kind = str(metric.WhichOneof("data"))
                    self.server.facts[metric.name] = (kind, metric.unit, metric.description)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def send_each(endpoint: str, service: str) -> None:
    """Send one value of every metric of the contract, by the OpenTelemetry SDK."""
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics"))
    provider = MeterProvider([reader], Resource.create({"service.name": service}), shutdown_on_exit=False)
    meter = provider.get_meter(semconv.SCOPE)
    for metric in semconv.METRICS:
        known = dict.fromkeys(metric.attributes, "x")
        if metric.kind == "counter":
            meter.create_counter(metric.name, metric.unit, metric.description).add(1, known)
        elif metric.kind == "histogram":
            meter.create_histogram(metric.name, metric.unit, metric.description).record(0.5, known)
        else:
            meter.create_gauge(metric.name, metric.unit, metric.description).set(0.5, known)
    provider.shutdown()


def test_every_metric_passes_the_collector_with_unit_and_help(tmp_path: Path, receiver: Receiver) -> None:
    """Kind, unit and help text of each metric leave the Collector as they are in semconv."""
    collector = Collector(tmp_path / "collector", receiver.url, "127.0.0.1:9", {})
    collector.start()
    try:
        send_each(collector.http, "facts")
        kinds = {"counter": "sum", "histogram": "histogram", "gauge": "gauge"}
        wanted = {metric.name: (kinds[metric.kind], metric.unit, metric.description) for metric in semconv.METRICS}
        assert until(lambda: receiver.facts.keys() >= wanted.keys() and receiver.facts) == wanted
    finally:
        collector.stop()


def test_prometheus_translates_names_as_the_dashboards_expect(collector: Collector, prometheus: Prometheus) -> None:
    """`names.series` and `names.label` say what the real Prometheus makes of every metric and attribute."""
    send_each(collector.http, "names")
    wanted = {series(metric): {label(name) for name in metric.attributes} for metric in semconv.METRICS}

    def found() -> dict[str, set[str]]:
        rows = prometheus.query('{__name__=~"shadow_.*",job="names"}')
        return {row["metric"]["__name__"]: row["metric"].keys() - {"__name__", "job", "instance"} for row in rows}

    assert until(lambda: found().keys() >= wanted.keys() and found()) == wanted


def test_own_numbers_of_the_collector_arrive(collector: Collector, prometheus: Prometheus) -> None:
    """What the Collector accepted and refused is in Prometheus too, under the names the dashboard asks for."""
    send_each(collector.http, "own")
    accepted = "sum(otelcol_receiver_accepted_metric_points_total)"
    until(lambda: prometheus.value(accepted), within=60)
    assert prometheus.value("sum(otelcol_receiver_refused_metric_points_total)") == 0
    assert prometheus.query("otelcol_exporter_queue_size / otelcol_exporter_queue_capacity")
