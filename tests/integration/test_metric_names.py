"""Dashboards and rules in each form of names, against real Prometheus servers that have the metrics in that form.

Prometheus' own parser says which metrics and labels a query names. None may be named that is not there: a query of a
name that does not exist is silently empty.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIServer

import pytest
import yaml
from every_metric import COUNTED, TIMED, EveryMetric
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from otlp_http import serving
from otlp_receiver import Receiver, send
from real_servers import ROOT, Collector, Prometheus, free_port, get
from waiting import until

from otel_shadow import semconv
from otel_shadow._dashboards import panel_queries, queries, write_dashboards
from otel_shadow._dashboards.name_forms import NameForm, form_of
from otel_shadow._report import prometheus_counts
from otel_shadow.policy import Policy

pytestmark = pytest.mark.servers

SERVICE = "names"
Exported = list[ExportMetricsServiceRequest]
PUSHED = ("otlp", "otlp-without-suffixes", "utf8", "utf8-with-suffixes")
SCRAPED = "prometheus"
WAYS = [*((word, "native") for word in PUSHED), ("otlp", "classic"), ("utf8", "classic"), (SCRAPED, None)]
"""Forms and the kinds of their histograms."""
FILLED = {"$service": ".*", "$graph": ".*", "$node": ".*", "$window": "1h", "$__rate_interval": "5m", "$__range": "1h"}
NOTHING_LOST = tuple(metric for metric in panel_queries.COLLECTOR_METRICS if "exporter_" in metric.name)[:6]
"""Counters that a Collector has only once it could not deliver something."""


@dataclass(frozen=True)
class There:
    """A Prometheus that has the metrics in one form, and what was written for that form."""

    prometheus: Prometheus
    form: NameForm
    written: Path

    def expressions(self) -> Iterator[str]:
        """Every query of a panel and of a rule."""
        for board in self.written.glob("grafana/*.json"):
            yield from _values(json.loads(board.read_text()), "expr")
        for rules in self.written.glob("rules/*.yaml"):
            yield from _values(yaml.safe_load(rules.read_text()), "expr")

    def variables(self) -> dict[str, dict[str, Any]]:
        board = json.loads((self.written / "grafana" / "otel-shadow-sla.json").read_text())
        return {one["name"]: one for one in board["templating"]["list"] if one["name"] in panel_queries.VARIABLES}

    def labels(self, name: str) -> set[str]:
        """The labels of the series of a name; none where there is no such series."""
        found = get(f"{self.prometheus.url}/api/v1/series", **{"match[]": f'{{__name__="{name}"}}'})["data"]
        return {label for one in found for label in one}

    def parsed(self, expression: str) -> dict[str, Any]:
        return dict(get(f"{self.prometheus.url}/api/v1/parse_query", query=filled(expression))["data"])


def filled(expression: str) -> str:
    for name, value in sorted(FILLED.items(), key=lambda item: -len(item[0])):
        expression = expression.replace(name, value)
    return expression


def _values(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from [item] if name == key else _values(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, key)


# --- the ways that metrics come ---------------------------------------------------------------------------------------
def _post(url: str, signal: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(
        f"{url}/v1/{signal}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def _told(requests: list[ExportMetricsServiceRequest]) -> set[str]:
    scopes = [scope for one in requests for resource in one.resource_metrics for scope in resource.scope_metrics]
    return {metric.name for scope in scopes for metric in scope.metrics}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """What the real Collector sends to Prometheus: the application's metrics, twice, and its own."""
    with serving(Receiver()) as receiver:
        collector = Collector(tmp_path_factory.mktemp("names") / "collector", receiver.url, "127.0.0.1:9", {})
        collector.start()
        try:
            span = {"traceId": "1" * 32, "spanId": "1" * 16, "name": "one"}
            _post(collector.http, "traces", {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
            record = {"body": {"stringValue": "one"}}
            _post(collector.http, "logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})
            reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{collector.http}/v1/metrics"))
            provider = MeterProvider([reader], Resource.create({"service.name": SERVICE}), shutdown_on_exit=False)
            every = EveryMetric(provider.get_meter(semconv.SCOPE))
            every.begin()
            provider.force_flush()
            every.go_on()
            provider.shutdown()
            own = {metric.name for metric in panel_queries.COLLECTOR_METRICS if metric not in NOTHING_LOST}
            until(lambda: _told(receiver.metrics) >= {metric.name for metric in semconv.METRICS} | own)
        finally:
            collector.stop()
        return list(receiver.metrics)


@contextmanager
def scrapable() -> Iterator[tuple[EveryMetric, int]]:
    """The SDK's Prometheus exporter in this process, and its port."""
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from prometheus_client import start_http_server

    reader = PrometheusMetricReader()
    provider = MeterProvider([reader], Resource.create({"service.name": SERVICE}), shutdown_on_exit=False)
    port = free_port()
    serving: tuple[WSGIServer, Any] = start_http_server(port, "127.0.0.1")
    try:
        yield EveryMetric(provider.get_meter(semconv.SCOPE)), port
    finally:
        serving[0].shutdown()
        serving[0].server_close()
        serving[1].join()
        provider.shutdown()


def _configured(folder: Path, changed: dict[str, Any]) -> Path:
    """Prometheus' configuration with ``changed``; the folder of its rules is empty."""
    (folder / "rules").mkdir(parents=True)
    settings = yaml.safe_load((ROOT / "collector" / "prometheus.yml").read_text())
    settings["otlp"] |= changed.pop("otlp", {})
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings | changed))
    return folder / "prometheus.yml"


def _scraped(every: EveryMetric, prometheus: Prometheus) -> None:
    counted = COUNTED[semconv.ELIGIBLE]
    every.begin()
    until(lambda: len(prometheus.query("shadow_eligible_total == 0")) == len(counted))
    every.go_on()
    until(lambda: len(prometheus.query("shadow_eligible_total == 10")) == len(counted))
    until(
        lambda: len(prometheus.query("shadow_node_duration_seconds_count == 11")) == len(TIMED[semconv.NODE_DURATION])
    )


def _evaluated(there: There, folder: Path) -> None:
    """Have the rules evaluated every second, and wait until each group has seen the increases."""
    for rules in there.written.glob("rules/*.yaml"):
        (folder / rules.name).write_text(re.sub(r"interval: \d+m", "interval: 1s", rules.read_text()))
    there.prometheus.reload()
    until(lambda: all(there.prometheus.query(name) for name in queries.increases()))
    seen = datetime.now(UTC)
    until(lambda: all(datetime.fromisoformat(one["lastEvaluation"]) > seen for one in there.prometheus.groups()))


@pytest.fixture(scope="module", params=WAYS, ids=["-".join(filter(None, way)) for way in WAYS])
def there(
    request: pytest.FixtureRequest,
    exported: list[ExportMetricsServiceRequest],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[There]:
    word, histograms = request.param
    form = form_of(word, histograms)
    folder = tmp_path_factory.mktemp("way")
    with ExitStack() as stack:
        changed: dict[str, Any] = {"otlp": {"translation_strategy": form.strategy}}
        changed["otlp"]["convert_histograms_to_nhcb"] = not form.classic
        if form.scraped:
            every, port = stack.enter_context(scrapable())
            target = {"targets": [f"127.0.0.1:{port}"]}
            scrape = {"job_name": SERVICE, "scrape_interval": "1s", "static_configs": [target]}
            changed["scrape_configs"] = [scrape]
        prometheus = Prometheus(folder / "prometheus", _configured(folder / "config", changed))
        prometheus.start()
        stack.callback(prometheus.stop)
        if form.scraped:
            _scraped(every, prometheus)
        else:
            for one in exported:
                send(one, prometheus.otlp)
        found = There(prometheus, form, folder / "written")
        write_dashboards(found.written, word, histograms)
        _evaluated(found, folder / "config" / "rules")
        yield found


# --- what is asked ----------------------------------------------------------------------------------------------------
def _named(tree: Any) -> Iterator[tuple[str, set[str]]]:
    """Yield the metrics of a parsed query with the labels that it asks of each: matched, grouped by or joined on."""
    if isinstance(tree, list):
        for part in tree:
            yield from _named(part)
    if not isinstance(tree, dict):
        return
    if tree.get("type") in ("vectorSelector", "matrixSelector"):
        matched = {one["name"]: one["value"] for one in tree["matchers"]}
        yield matched.pop("__name__"), set(matched)
        return
    wanted = set(tree.get("grouping") or ()) | set((tree.get("matching") or {}).get("labels") or ())
    for part in tree.values():
        for name, labels in _named(part):
            yield name, labels | wanted


def test_no_query_names_what_is_not_there(there: There) -> None:
    """Every metric and label of every panel and rule is there, by the judgement of Prometheus' own parser."""
    known = cache(there.labels)
    absent = {there.form.series(metric) for metric in NOTHING_LOST}
    missing = {
        f"{name}: {sorted(labels - known(name))} in {expression}"
        for expression in there.expressions()
        for name, labels in _named(there.parsed(expression))
        if name not in absent and (not known(name) or labels - known(name))
    }
    assert missing == set()


def test_every_panel_has_data(there: There) -> None:
    """No panel is empty; but counters of the Collector's, which began at zero and had no time to count."""
    empty = {
        expression
        for board in there.written.glob("grafana/*.json")
        for expression in _values(json.loads(board.read_text()), "expr")
        if not there.prometheus.query(filled(expression))
    }
    own = {there.form.expression(expression) for expression in panel_queries.PIPELINE.values()}
    assert empty - own == set()


def test_a_clear_breach_raises_its_alert(there: There) -> None:
    """The alerts that this data must raise are pending or firing, and their texts name node and graph."""
    wanted = {"ShadowVerdictNoGo", "ShadowBreakerOpen", "ShadowFallbacks", "ShadowErrorsSwallowed"}
    until(lambda: {row["metric"]["alertname"] for row in there.prometheus.query("ALERTS")} >= wanted)
    alerts = get(f"{there.prometheus.url}/api/v1/alerts")["data"]["alerts"]
    told = {one["labels"]["alertname"]: one["annotations"]["summary"] for one in alerts}
    assert told["ShadowFallbacks"].startswith("triage of assistant: live V2 failed ")
    assert told["ShadowVerdictNoGo"] == "The verdict on V2 of assistant is NO-GO."


def test_variables_list_what_is_there(there: There) -> None:
    """The queries behind the dashboards' variables give service, graph and node, as Grafana reads the answers."""
    found = {}
    for name, variable in there.variables().items():
        if listed := re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]):
            rows = there.prometheus.query(filled(listed[1]))
            found[name] = {row["metric"][listed[2]] for row in rows}
            continue
        asked = re.fullmatch(r"query_result\((.+)\)", variable["query"])
        assert asked is not None
        texts = [
            ",".join(f'{k}="{v}"' for k, v in row["metric"].items()) for row in there.prometheus.query(filled(asked[1]))
        ]
        pattern = variable["regex"].strip("/")
        found[name] = {match[1] for text in texts if (match := re.search(pattern, "{" + text + "}"))}
    assert found == {"service": {SERVICE}, "graph": {"assistant"}, "node": {"triage"}}


def test_verdict_finds_the_form_by_itself(there: There) -> None:
    """`otel-shadow verdict --prometheus` has a row of every criterion that counts can tell, for the node."""
    rows = list(prometheus_counts._rows(there.prometheus.url, Policy()))
    assert [place for place, _ in rows] == [(SERVICE, "assistant", "triage")] * 5


def test_one_metric_has_one_name(there: There) -> None:
    """Nothing of ours is there under a name that the form does not give."""
    names = get(f"{there.prometheus.url}/api/v1/label/__name__/values")["data"]
    ours = {name for name in names if name.startswith(("shadow_", "shadow."))}
    wanted = {there.form.series(metric) for metric in semconv.METRICS}
    parts = {f"{there.form.series(one)}_{part}" for one in TIMED for part in ("bucket", "count", "sum", "created")}
    assert wanted - ours <= ({there.form.series(one) for one in TIMED} if there.form.classic else set())
    assert ours - wanted <= (parts if there.form.classic else set())
