"""Every query of every panel against the real Prometheus that holds what real processes sent.

The rules are the committed ones in time lapse: five minutes are five seconds, the windows stay as long as they are.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from application import Application
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from real_servers import ROOT, Collector, Prometheus
from waiting import until

from otel_shadow import evidence, semconv
from otel_shadow._dashboards import panel_queries, queries
from otel_shadow._dashboards.series_names import label
from otel_shadow._report.verdict_gauges import VerdictGauges
from otel_shadow.policy import Policy
from otel_shadow.verdict import Verdict, evaluate

pytestmark = pytest.mark.servers

PLAN = ("match=220", "mismatch=20", "error=12", "slow=4")
LIVE_PLAN = ("match=15", "error=5")
FAST = {"OTEL_METRIC_EXPORT_INTERVAL": "200", "ASSISTANT_PAUSE_S": "0.06", "ASSISTANT_SLOW_S": "0.2"}
LIVE = {"ROUTER_V2_ENABLED": "true", "ROUTER_V2_PERCENTAGE": "100"}
VARIABLES = {
    "$service": ".*", "$graph": ".*", "$node": ".*", "$window": "24h", "$__rate_interval": "1m", "$__range": "1h",
}  # fmt: skip
EMPTY = dict.fromkeys(
    [expr for name, expr in panel_queries.PIPELINE.items() if not name.startswith("receiver")],
    "the Collector could deliver everything",
)
"""Queries that rightly return nothing here, and why."""


@dataclass(frozen=True)
class Data:
    """A Prometheus with data, and the log and verdict of the same run."""

    prometheus: Prometheus
    lines: list[dict[str, Any]]
    verdict: Verdict

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    def one(self, expression: str) -> float:
        value = self.prometheus.value(filled(expression))
        assert value is not None, expression
        return value


def filled(expression: str) -> str:
    """The query with values for Grafana's variables."""
    for name, value in sorted(VARIABLES.items(), key=lambda item: -len(item[0])):
        expression = expression.replace(name, value)
    return expression


def time_lapse(folder: Path) -> Path:
    """Prometheus' configuration with the committed rules, sixty times as fast."""
    (folder / "rules").mkdir(parents=True)
    for name in ("recording.yaml", "alerts.yaml"):
        text = (ROOT / "dashboards" / "rules" / name).read_text()
        fast = re.sub(r"\[5m\]|interval: 5m", lambda found: found[0].replace("5m", "5s"), text)
        (folder / "rules" / name).write_text(fast.replace("interval: 1m", "interval: 1s"))
    config = (ROOT / "collector" / "prometheus.yml").read_text()
    (folder / "prometheus.yml").write_text(config.replace("evaluation_interval: 30s", "evaluation_interval: 1s"))
    return folder / "prometheus.yml"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Data]:
    folder = tmp_path_factory.mktemp("boards")
    prometheus = Prometheus(folder / "prometheus", time_lapse(folder / "rules"))
    prometheus.start()
    collector = Collector(folder / "collector", prometheus.otlp, "127.0.0.1:9", {})
    collector.start()
    shadow = Application(folder / "shadow", "assistant", collector.grpc, PLAN, env=FAST)
    live = Application(folder / "live", "assistant", collector.grpc, LIVE_PLAN, env=FAST | LIVE)
    try:
        shadow.start()
        live.run()
        shadow.finish()
        summary = evidence.read([str(shadow.folder / "app.log")])
        verdict = evaluate(summary, Policy(), datetime.now(UTC) + timedelta(hours=1))
        with_gauges(verdict, collector)
        lines = [json.loads(line) for line in (shadow.folder / "app.log").read_text().splitlines()]
        pairs = sum(line["event"] == semconv.EVENT_V2 for line in lines)
        counted = filled(f"sum({panel_queries.EVIDENCE})")
        until(lambda: (prometheus.value(counted) or 0) > 0.9 * pairs)
        until(lambda: prometheus.query(filled(panel_queries.VERDICT)))
        yield Data(prometheus, lines, verdict)
    finally:
        shadow.end()
        live.end()
        collector.stop()
        prometheus.stop()


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
    found = data.prometheus.query(filled(expression))
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
        assert data.prometheus.query(f"count by ({found[2]}) ({filled(found[1])})"), query


def test_raw_decisions_are_the_logs(data: Data) -> None:
    """The confusion matrix holds the log's pairs, cell by cell."""
    rows = data.prometheus.query(filled(panel_queries.CONFUSION))
    shadow = label(semconv.SHADOW_TARGET)
    found = {row["metric"][shadow]: float(row["value"][1]) for row in rows}
    compared = [line for line in data.of(semconv.EVENT_V2) if line["comparison"] != "none"]
    logged = Counter(line["decision_comparison"]["shadow_target"] for line in compared)
    assert found.keys() == logged.keys()
    for target, count in logged.items():
        assert found[target] == pytest.approx(count, rel=0.05, abs=1.5)


def test_sla_panels_say_what_the_verdict_says(data: Data) -> None:
    """Parity, handoff and coverage of the window are the verdict's estimates, within 4 points.

    Increases extrapolate, and here the rules run sixty times too fast on a busy machine.
    """
    for criterion in (semconv.CRITERION_PARITY, semconv.CRITERION_HANDOFF, semconv.CRITERION_COVERAGE):
        wanted = data.verdict.criterion(criterion).estimate
        assert wanted is not None
        assert data.one(panel_queries.trend(criterion)) == pytest.approx(wanted, abs=0.04), criterion
        assert data.one(panel_queries.trend(criterion, "graph")) == pytest.approx(wanted, abs=0.04), criterion


def test_latency_panels_say_what_the_verdict_says(data: Data) -> None:
    """The ratios of p95 are the verdict's, within the width of both histograms' buckets and the sample's own gaps."""
    for criterion in (semconv.CRITERION_LATENCY_NOW, semconv.CRITERION_LATENCY_AFTER):
        wanted = data.verdict.criterion(criterion).estimate
        assert wanted is not None
        assert data.one(panel_queries.trend(criterion)) == pytest.approx(wanted, rel=0.12), criterion


def test_the_verdict_panel_shows_the_verdict(data: Data) -> None:
    """The first panel's number is the decision; the table's rows are the criteria with their estimates."""
    assert data.one(panel_queries.VERDICT) == {"GO": 1, "WAIT": 0, "NO-GO": -1}[data.verdict.decision]
    rows = data.prometheus.query(filled(panel_queries.WHY["Estimate"]))
    found = {row["metric"][panel_queries.CRITERION]: float(row["value"][1]) for row in rows}
    wanted = {one.criterion: one.estimate for one in data.verdict.criteria if one.estimate is not None}
    assert found == pytest.approx(wanted)


def test_alerts_are_evaluated_without_error(data: Data) -> None:
    """Prometheus evaluates every rule group on real data; fallbacks of the live process raise their alert."""
    from real_servers import get

    groups = get(f"{data.prometheus.url}/api/v1/rules")["data"]["groups"]
    assert len(groups) == 2 + len(queries.WINDOWS)
    assert [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")] == []
    firing = {row["metric"]["alertname"] for row in data.prometheus.query('ALERTS{alertstate="firing"}')}
    assert "ShadowFallbacks" in firing
