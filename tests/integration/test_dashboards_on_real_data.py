"""Every query of every panel against the real Prometheus that holds what real processes sent.

The rules are the committed ones, evaluated every second; ranges and windows stay as long as they are. What the
processes exported is sent on by ``over_a_minute`` before there is any rule, and every question is asked of one fixed
moment: no answer depends on how busy the machine is.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from application import Application
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from otlp_http import serving
from otlp_receiver import Receiver, over_a_minute, send
from real_servers import ROOT, Collector, Prometheus
from waiting import until

from otel_shadow import evidence, semconv
from otel_shadow._dashboards import panel_queries, queries
from otel_shadow._dashboards.series_names import label
from otel_shadow._report.verdict_gauges import VerdictGauges
from otel_shadow.policy import Policy
from otel_shadow.record import Arm
from otel_shadow.verdict import Verdict, evaluate

pytestmark = pytest.mark.servers

PLAN = ("match=220", "mismatch=20", "error=12", "slow=4", "held=50")
LIVE_PLAN = ("match=15", "error=5")
FAST = {"ASSISTANT_PAUSE_S": "0.06", "ASSISTANT_SLOW_S": "0.2"}
LIVE = {"ROUTER_V2_ENABLED": "true", "ROUTER_V2_PERCENTAGE": "100"}
VARIABLES = {
    "$service": ".*", "$graph": ".*", "$node": ".*", "$window": "24h", "$__rate_interval": "5m", "$__range": "1h",
}  # fmt: skip
EMPTY = dict.fromkeys(
    [expr for name, expr in panel_queries.PIPELINE.items() if not name.startswith("receiver")],
    "the Collector could deliver everything",
) | {panel_queries.WHY["Proven so far"]: "nothing is proven before a whole cycle of traffic has ended"}
"""Queries that rightly return nothing here, and why."""
OF_THE_COLLECTOR = [expr for expr in panel_queries.PIPELINE.values() if expr not in EMPTY] + [
    panel_queries.COLLECTOR_QUEUE
]
"""Queries that are answered by what the Collector says of itself, every 15 seconds."""


@dataclass(frozen=True)
class Data:
    """A Prometheus with data, the moment at which it is asked (seconds since 1970), and log and verdict of that run."""

    prometheus: Prometheus
    at: float
    lines: list[dict[str, Any]]
    verdict: Verdict

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    def query(self, expression: str) -> list[dict[str, Any]]:
        return self.prometheus.query(filled(expression), self.at)

    def one(self, expression: str) -> float:
        value = self.prometheus.value(filled(expression), self.at)
        assert value is not None, expression
        return value


def filled(expression: str) -> str:
    """The query with values for Grafana's variables."""
    for name, value in sorted(VARIABLES.items(), key=lambda item: -len(item[0])):
        expression = expression.replace(name, value)
    return expression


def without_rules(folder: Path) -> Path:
    """Prometheus' configuration; the folder of its rules is empty."""
    (folder / "rules").mkdir(parents=True)
    shutil.copy(ROOT / "collector" / "prometheus.yml", folder)
    return folder / "prometheus.yml"


def evaluate_rules(prometheus: Prometheus, folder: Path) -> None:
    """Load the committed rules, to be evaluated every second, and wait until each group has seen the increases."""
    for name in ("recording.yaml", "alerts.yaml"):
        text = (ROOT / "dashboards" / "rules" / name).read_text()
        (folder / name).write_text(re.sub(r"interval: \d+m", "interval: 1s", text))
    prometheus.reload()
    until(lambda: prometheus.query(queries.recorded(semconv.COMPARISONS)))
    loaded = datetime.now(UTC)
    until(lambda: all(datetime.fromisoformat(group["lastEvaluation"]) > loaded for group in prometheus.groups()))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Data]:
    folder = tmp_path_factory.mktemp("boards")
    prometheus = Prometheus(folder / "prometheus", without_rules(folder / "config"))
    prometheus.start()
    collector = Collector(folder / "collector", prometheus.otlp, "127.0.0.1:9", {})
    collector.start()
    try:
        measured = {
            name: played(folder / name, plan, collector, FAST | env)
            for name, plan, env in (("shadow", PLAN, {}), ("live", LIVE_PLAN, LIVE))
        }
        log = folder / "shadow" / "app.log"
        verdict = evaluate(evidence.read([str(log)]), Policy(), datetime.now(UTC) + timedelta(hours=1))
        for name, exported in measured.items():
            pass_on(name, exported, collector, prometheus)
        with_gauges(verdict, collector)
        until(lambda: prometheus.query(filled(panel_queries.VERDICT)))
        until(lambda: all(prometheus.query(filled(expression)) for expression in OF_THE_COLLECTOR))
        evaluate_rules(prometheus, folder / "config" / "rules")
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        yield Data(prometheus, time.time(), lines, verdict)
    finally:
        collector.stop()
        prometheus.stop()


def played(
    folder: Path, plan: tuple[str, ...], collector: Collector, env: dict[str, str]
) -> ExportMetricsServiceRequest:
    """Run the assistant: traces and events go to the Collector; return the metrics that it exported last."""
    with serving(Receiver()) as receiver:
        env = env | {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{receiver.url}/v1/metrics"}
        Application(folder, "assistant", collector.http, plan, "http/protobuf", env).run()
        return receiver.metrics[-1]


def pass_on(name: str, exported: ExportMetricsServiceRequest, collector: Collector, prometheus: Prometheus) -> None:
    """Send metrics on as those of the last minute, and wait until Prometheus has all of them."""
    moved, number = over_a_minute(exported, time.time())
    send(moved, collector.http)
    until(lambda: prometheus.value(f'count({{instance="{name}",__name__!="target_info"}})') == number)


def with_gauges(verdict: Verdict, collector: Collector) -> None:
    """Export the verdict as whoever watches the log does."""
    exporter = OTLPMetricExporter(endpoint=collector.grpc, insecure=True)
    provider = MeterProvider([PeriodicExportingMetricReader(exporter)], shutdown_on_exit=False)
    VerdictGauges(provider).verdict = verdict
    provider.shutdown()


def panels() -> list[Any]:
    found = []
    for file in sorted((ROOT / "dashboards" / "grafana").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", ()):
                if target["datasource"]["type"] == "prometheus":
                    found.append(pytest.param(target["expr"], id=f"{file.stem}: {panel['title']} {target['refId']}"))
    return found


@pytest.mark.parametrize("expression", panels())
def test_every_panels_query_returns_data(data: Data, expression: str) -> None:
    """It returns numbers, or it is listed as rightly empty with the reason."""
    found = data.query(expression)
    if expression in EMPTY:
        assert found == [], f"no longer empty ({EMPTY[expression]}): take it off the list"
        return
    assert found
    values = [row["value"][1] for row in found]
    assert any(math.isfinite(float(value)) for value in values), values


def test_what_is_listed_as_empty_is_asked_for() -> None:
    """No forgotten entry in the list of rightly empty queries."""
    asked = {parameter.values[0] for parameter in panels()}
    assert set(EMPTY) <= asked


def test_variables_find_the_service(data: Data) -> None:
    """The queries behind the dashboards' variables name series and labels that are there."""
    for query in panel_queries.VARIABLES.values():
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
        assert found is not None
        assert data.query(f"count by ({found[2]}) ({found[1]})"), query


def test_raw_decisions_are_the_logs(data: Data) -> None:
    """The confusion matrix holds the log's pairs, cell by cell."""
    rows = data.query(panel_queries.CONFUSION)
    shadow = label(semconv.SHADOW_TARGET)
    found = {row["metric"][shadow]: float(row["value"][1]) for row in rows}
    compared = [line for line in data.of(semconv.EVENT_V2) if line["comparison"] != "none"]
    logged = Counter(line["decision_comparison"]["shadow_target"] for line in compared)
    assert found.keys() == logged.keys()
    for target, count in logged.items():
        assert found[target] == pytest.approx(count, rel=0.02)  # half a second is extrapolated, of a minute


def test_sla_panels_say_what_the_verdict_says(data: Data) -> None:
    """Parity, handoff and coverage of the window are the verdict's estimates."""
    for criterion in (semconv.CRITERION_PARITY, semconv.CRITERION_HANDOFF, semconv.CRITERION_COVERAGE):
        wanted = data.verdict.criterion(criterion).estimate
        assert wanted is not None
        assert data.one(panel_queries.trend(criterion)) == pytest.approx(wanted, rel=1e-9), criterion
        assert data.one(panel_queries.trend(criterion, "graph")) == pytest.approx(wanted, rel=1e-9), criterion


def test_latency_panels_say_what_the_verdict_says(data: Data) -> None:
    """The ratios of p95 and the verdict's lie between the ratios of the log's own 93rd and 97th percentiles.

    Both interpolate in buckets of their own, the histogram's about 1 % wide.
    """
    v1 = [line["v1_latency_ms"] for line in data.of(semconv.EVENT_V2)]
    holdout = [line["v1_latency_ms"] for line in data.of(semconv.EVENT_BASELINE) if line["arm"] == Arm.HOLDOUT]
    v2 = [line["v2_latency_ms"] for line in data.of(semconv.EVENT_COMPARISON) if line["v2_status"] in queries.FINISHED]
    for criterion, above, below in (
        (semconv.CRITERION_LATENCY_NOW, v1, holdout),
        (semconv.CRITERION_LATENCY_AFTER, v2, v1),
    ):
        low = np.quantile(above, 0.93, method="lower") / np.quantile(below, 0.97, method="higher")
        high = np.quantile(above, 0.97, method="higher") / np.quantile(below, 0.93, method="lower")
        estimate = data.verdict.criterion(criterion).estimate
        assert estimate is not None
        for found in (estimate, data.one(panel_queries.trend(criterion))):
            assert low / 1.02 <= found <= high * 1.02, criterion


def test_the_verdict_panel_shows_the_verdict(data: Data) -> None:
    """The first panel's number is the decision; the table's rows are the criteria with their estimates."""
    assert data.one(panel_queries.VERDICT) == {"GO": 1, "WAIT": 0, "NO-GO": -1}[data.verdict.decision]
    rows = data.query(panel_queries.WHY["Estimate"])
    found = {row["metric"][panel_queries.CRITERION]: float(row["value"][1]) for row in rows}
    wanted = {one.criterion: one.estimate for one in data.verdict.criteria if one.estimate is not None}
    assert found == pytest.approx(wanted)


def test_alerts_are_evaluated_without_error(data: Data) -> None:
    """Prometheus evaluates every rule group on real data; fallbacks of the live process raise their alert."""
    groups = data.prometheus.groups()
    assert len(groups) == 2 + len(queries.WINDOWS)
    assert [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")] == []
    firing = {row["metric"]["alertname"] for row in data.query('ALERTS{alertstate="firing"}')}
    assert "ShadowFallbacks" in firing
