"""Names, units and help texts of our metrics, as the real Collector hands them on and as Prometheus translates them."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from otlp_http import serving
from otlp_receiver import Receiver
from real_servers import Collector, Prometheus
from waiting import until

from otel_shadow import semconv
from otel_shadow._dashboards.series_names import label, series

pytestmark = pytest.mark.servers


def facts(receiver: Receiver) -> dict[str, tuple[str, str, str]]:
    """Return kind, unit and help text of every metric of ours that the Collector handed on.

    (Prometheus' own metadata API tells of scraped targets only, not of what came in over OTLP.)
    """
    return {
        metric.name: (str(metric.WhichOneof("data")), metric.unit, metric.description)
        for request in receiver.metrics
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        if scope.scope.name == semconv.SCOPE
        for metric in scope.metrics
    }


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


def test_every_metric_passes_the_collector_with_unit_and_help(tmp_path: Path) -> None:
    """Kind, unit and help text of each metric leave the Collector as they are in semconv."""
    kinds = {"counter": "sum", "histogram": "histogram", "gauge": "gauge"}
    wanted = {metric.name: (kinds[metric.kind], metric.unit, metric.description) for metric in semconv.METRICS}
    with serving(Receiver()) as receiver:
        collector = Collector(tmp_path / "collector", receiver.url, "127.0.0.1:9", {})
        collector.start()
        try:
            send_each(collector.http, "facts")
            assert until(lambda: facts(receiver).keys() >= wanted.keys() and facts(receiver)) == wanted
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
