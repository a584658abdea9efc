"""From LangGraph nodes to the servers' own answers: two processes at the same time, one over gRPC and one over HTTP."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from application import Application
from real_servers import Collector, Jaeger, Prometheus
from waiting import until

from otel_shadow import semconv
from otel_shadow._dashboards.series_names import label, series

pytestmark = pytest.mark.servers

SERVICE = "assistant"
PLAN = ("match=40", "mismatch=6", "error=4", "slow=3", "held=9")
KINDS: dict[str, type] = {
    semconv.DECISION_MATCH: bool, semconv.STEPS_MATCH: bool, semconv.V1_SERVED: bool, semconv.V1_LATENCY_MS: float,
    semconv.V2_LATENCY_MS: float, semconv.LATENCY_DELTA_MS: float, semconv.DIFF_FIELDS: list,
}  # fmt: skip
"""Attributes that are not strings."""
ALWAYS = {
    semconv.GRAPH, semconv.NODE, semconv.MODE, semconv.ARM, semconv.VERSION, semconv.V2_BUILD, semconv.PAIR_ID,
    semconv.SESSION_ID, semconv.GEN_AI_AGENT_NAME, semconv.GEN_AI_CONVERSATION_ID,
}  # fmt: skip
OF_A_PAIR = {
    semconv.STATUS, semconv.COMPARISON, semconv.ORIGINAL_TARGET, semconv.SHADOW_TARGET, semconv.DECISION_MATCH,
    semconv.STEPS_MATCH, semconv.V1_LATENCY_MS, semconv.V2_LATENCY_MS, semconv.LATENCY_DELTA_MS, semconv.DIFF_FIELDS,
    semconv.USER_MESSAGE_HASH, semconv.V1_SERVED, semconv.CONFIG_DIGEST,
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """Two processes that ran, and the servers that hold what they sent."""

    applications: tuple[Application, Application]
    prometheus: Prometheus
    jaeger: Jaeger

    def lines(self, event: str) -> list[dict[str, Any]]:
        return [line for application in self.applications for line in application.lines(event)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, collector: Collector, prometheus: Prometheus, jaeger: Jaeger) -> Run:
    folder = tmp_path_factory.mktemp("applications")
    applications = (
        Application(folder / "one", SERVICE, collector.grpc, PLAN, env={"ASSISTANT_FIRST_SESSION": "1000"}),
        Application(
            folder / "two", SERVICE, collector.http, PLAN, "http/protobuf", {"ASSISTANT_FIRST_SESSION": "2000"}
        ),
    )
    try:
        for application in applications:
            application.start()
        for application in applications:
            application.finish()
    finally:
        for application in applications:
            application.end()
    done = Run(applications, prometheus, jaeger)
    eligible = f'sum({series(semconv.ELIGIBLE)}{{job="{SERVICE}"}})'
    total = len(done.lines(semconv.EVENT_V2)) + len(done.lines(semconv.EVENT_BASELINE))
    until(lambda: prometheus.value(eligible) == total)
    return done


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    """The attributes of an OTLP JSON span as Python values; Jaeger's own remarks are left out."""
    found = {item["key"]: value(item["value"]) for item in span.get("attributes", ())}
    return {key: item for key, item in found.items() if not key.startswith("@jaeger")}


def value(wire: dict[str, Any]) -> Any:
    (kind, content), *_ = wire.items()
    if kind == "arrayValue":
        return [value(item) for item in content.get("values", ())]
    return {"doubleValue": float, "intValue": int}.get(kind, lambda item: item)(content)


def whole_trace(run: Run, trace_id: str) -> dict[str, dict[str, Any]]:
    """The spans of a request by their names, once all five are there."""
    spans = until(lambda: (found := run.jaeger.spans(trace_id)) and len(found) == 5 and found)
    return {span["name"]: span for span in spans}


@pytest.mark.parametrize("which", [0, 1], ids=["grpc", "http"])
def test_a_pair_is_one_trace_with_its_link_and_its_children(run: Run, which: int) -> None:
    """Both spans are siblings below the request, V2's is linked to V1's, and each has its own work below it."""
    for line in run.applications[which].lines(semconv.EVENT_V2)[:3]:
        spans = whole_trace(run, line["trace_id"])
        v1, v2 = spans[semconv.SPAN_V1_NODE], spans[semconv.SPAN_V2_SHADOW]
        assert v1["parentSpanId"] == v2["parentSpanId"] == spans["request"]["spanId"]
        assert [(link["traceId"], link["spanId"]) for link in v2["links"]] == [(line["trace_id"], v1["spanId"])]
        assert spans["v1.work"]["parentSpanId"] == v1["spanId"] == line["v1_span_id"]
        assert spans["v2.work"]["parentSpanId"] == v2["spanId"] == line["v2_span_id"]
        assert attributes(spans["v2.work"])[semconv.MODE] == "v2_shadow"
        assert semconv.MODE not in attributes(spans["v1.work"])


def test_every_attribute_arrives_with_its_type(run: Run) -> None:
    """`v1.node` and `v2.shadow` carry the attributes of the contract, and nothing else."""
    line = next(line for line in run.lines(semconv.EVENT_V2) if line["comparison"] == "mismatch")
    spans = whole_trace(run, line["trace_id"])
    v1, v2 = attributes(spans[semconv.SPAN_V1_NODE]), attributes(spans[semconv.SPAN_V2_SHADOW])
    assert v1.keys() == ALWAYS
    assert v2.keys() == ALWAYS | OF_A_PAIR
    for name, found in (v1 | v2).items():
        assert isinstance(found, KINDS.get(name, str)), name
    assert v2[semconv.DECISION_MATCH] is False
    assert v2[semconv.V2_LATENCY_MS] == pytest.approx(line["shadow_latency_ms"], abs=0.001)


def test_an_error_leaves_its_type_and_nothing_more(run: Run) -> None:
    """A failing V2 is an error span with the exception's type; its message is in no span."""
    line = next(line for line in run.lines(semconv.EVENT_V2) if line["shadow_status"] == "error")
    spans = whole_trace(run, line["trace_id"])
    shadow = spans[semconv.SPAN_V2_SHADOW]
    assert shadow["status"]["code"] == 2
    assert attributes(shadow)[semconv.ERROR_TYPE] == "ValueError"
    assert not shadow["status"].get("message")
    assert not shadow.get("events")
    assert "status" not in spans[semconv.SPAN_V1_NODE] or spans[semconv.SPAN_V1_NODE]["status"] == {}


def test_raw_counts_equal_the_log_exactly(run: Run) -> None:
    """Cumulative counts in Prometheus are the counts of log lines, per process, to the last one."""
    for application in run.applications:
        pairs, baselines = application.lines(semconv.EVENT_V2), application.lines(semconv.EVENT_BASELINE)
        mine = f'{{instance="{application.instance}"}}'

        def counted(metric: semconv.Metric, attribute: str, mine: str = mine) -> Counter[str]:
            rows = run.prometheus.query(f"sum by ({label(attribute)}) ({series(metric)}{mine}) > 0")
            return Counter({row["metric"].get(label(attribute), ""): int(row["value"][1]) for row in rows})

        assert counted(semconv.EXECUTIONS, semconv.STATUS) == Counter(line["shadow_status"] for line in pairs)
        assert counted(semconv.ELIGIBLE, semconv.ARM) == Counter(line["arm"] for line in pairs + baselines)
        compared = Counter(line["comparison"] for line in pairs if line["comparison"] != "none")
        assert counted(semconv.COMPARISONS, semconv.COMPARISON) == compared
        targets = Counter(
            line["decision_comparison"]["shadow_target"] for line in pairs if line["comparison"] != "none"
        )
        assert counted(semconv.DECISIONS, semconv.SHADOW_TARGET) == targets
        assert sum(compared.values()) > 30


def test_native_histograms_agree_with_the_log(run: Run) -> None:
    """Counts of durations equal the log's, and p95 lies where the log's lies (within a bucket's width)."""
    for application in run.applications:
        logged = {
            ("v1", "shadowed"): [line["v1_latency_ms"] for line in application.lines(semconv.EVENT_V2)],
            ("v2", "shadowed"): [line["shadow_latency_ms"] for line in application.lines(semconv.EVENT_V2)],
            ("v1", "holdout"): [line["v1_latency_ms"] for line in application.lines(semconv.EVENT_BASELINE)],
        }
        for (version, arm), latencies in logged.items():
            mine = (
                f'instance="{application.instance}",{label(semconv.VERSION)}="{version}",{label(semconv.ARM)}="{arm}"'
            )
            total = f"sum({series(semconv.NODE_DURATION)}{{{mine}}})"
            assert run.prometheus.value(f"histogram_count({total})") == len(latencies)
            p95_ms = (run.prometheus.value(f"histogram_quantile(0.95, {total})") or math.nan) * 1000
            ordered, rank = sorted(latencies), math.ceil(0.95 * len(latencies)) - 1
            above = ordered[min(rank + 1, len(ordered) - 1)]
            assert ordered[max(rank - 1, 0)] * 0.98 <= p95_ms <= above * 1.02, (version, arm)


def test_an_exemplar_leads_to_its_trace(run: Run) -> None:
    """Exemplars of the duration name traces that Jaeger holds, with the very span they were recorded in."""
    selector = f'{series(semconv.NODE_DURATION)}{{job="{SERVICE}",{label(semconv.VERSION)}="v2"}}'
    found = until(lambda: run.prometheus.exemplars(selector))
    for exemplar in found[:5]:
        spans = until(lambda trace=exemplar["labels"]["trace_id"]: run.jaeger.spans(trace))
        named = {span["spanId"]: span["name"] for span in spans}
        assert named[exemplar["labels"]["span_id"]] == semconv.SPAN_V2_SHADOW


def test_the_first_increase_of_every_counter_is_visible(run: Run) -> None:
    """A series that appears with its first count has increased, for Prometheus too (it saw the zero before)."""
    names = [series(metric) for metric in semconv.METRICS if metric.kind == "counter"]
    everything = f'{{__name__=~"{"|".join(names)}",job="{SERVICE}"}}'
    grown = run.prometheus.query(f"{everything} > 0")
    assert {row["metric"]["__name__"] for row in grown} >= {series(semconv.DECISIONS), series(semconv.EXECUTIONS)}
    for row in grown:
        exact = ",".join(f'{name}="{text}"' for name, text in row["metric"].items() if name != "__name__")
        increase = run.prometheus.value(f"increase({row['metric']['__name__']}{{{exact}}}[10m])")
        assert increase is not None, row
        assert increase >= float(row["value"][1]) * 0.99, row


def test_bounds_are_series(run: Run) -> None:
    """The SLA's bounds are exported by each process, as the dashboards and alerts expect them."""
    rows = run.prometheus.query(f'{series(semconv.SLA_OBJECTIVE)}{{instance="one"}}')
    found = {row["metric"][label(semconv.CRITERION)]: float(row["value"][1]) for row in rows}
    assert found == {
        semconv.CRITERION_PARITY: 0.95, semconv.CRITERION_HANDOFF: 0.03, semconv.CRITERION_LATENCY_NOW: 1.15,
        semconv.CRITERION_LATENCY_AFTER: 1.15, semconv.CRITERION_V1_SERVED: 1.0, semconv.CRITERION_COVERAGE: 0.9,
    }  # fmt: skip


def test_the_collectors_file_is_the_log(run: Run, collector: Collector) -> None:
    """Each log event in the Collector's file carries the very line of the application's log."""
    import json

    def bodies() -> set[str]:
        batches = [json.loads(line) for line in collector.evidence.read_text().splitlines()]
        return {
            record["body"]["stringValue"]
            for batch in batches
            for resource in batch["resourceLogs"]
            for scope in resource["scopeLogs"]
            for record in scope["logRecords"]
        }

    logged = {
        line for application in run.applications for line in (application.folder / "app.log").read_text().splitlines()
    }
    until(lambda: logged <= bodies())
