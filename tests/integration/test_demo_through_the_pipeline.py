"""`otel-shadow demo` with an endpoint in the environment: its log and the servers tell the same story, node by node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from real_servers import ROOT, Collector, Jaeger, Prometheus
from waiting import until

from otel_shadow import semconv
from otel_shadow._dashboards.series_names import label, series

pytestmark = pytest.mark.servers
SERVICE = "enrolment"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory, collector: Collector, prometheus: Prometheus) -> list[dict[str, Any]]:
    out = tmp_path_factory.mktemp("demo")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "ROUTER_", "V2_"))}
    env |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc, "OTEL_SERVICE_NAME": SERVICE, "PYTHONPATH": str(ROOT),
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram",
    }  # fmt: skip
    command = [sys.executable, "-m", "otel_shadow.cli", "demo", "--out", str(out)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in (Path(out) / "app.log").read_text().splitlines()]
    executions = sum(line["event"] in (semconv.EVENT_V2, semconv.EVENT_BASELINE) for line in lines)
    until(lambda: prometheus.value(f'sum({series(semconv.ELIGIBLE)}{{job="{SERVICE}"}})') == executions)
    return lines


def counted(prometheus: Prometheus, metric: semconv.Metric, *attributes: str) -> Counter[tuple[str, ...]]:
    names = [label(attribute) for attribute in attributes]
    rows = prometheus.query(f'sum by ({", ".join(names)}) ({series(metric)}{{job="{SERVICE}"}}) > 0')
    return Counter({tuple(row["metric"].get(name, "") for name in names): int(row["value"][1]) for row in rows})


def test_counts_of_every_node_are_the_logs(log: list[dict[str, Any]], prometheus: Prometheus) -> None:
    """Shadows by status, comparisons by outcome and the confusion matrix of four nodes: exactly the log's."""
    pairs = [line for line in log if line["event"] == semconv.EVENT_V2]
    assert len({line["node"] for line in pairs}) == 4
    statuses = Counter((line["node"], line["shadow_status"]) for line in pairs)
    assert counted(prometheus, semconv.EXECUTIONS, semconv.NODE, semconv.STATUS) == statuses
    compared = [line for line in pairs if line["comparison"] != "none"]
    outcomes = Counter((line["node"], line["comparison"]) for line in compared)
    assert counted(prometheus, semconv.COMPARISONS, semconv.NODE, semconv.COMPARISON) == outcomes
    routes = Counter(
        (line["node"], line["decision_comparison"]["original_target"], line["decision_comparison"]["shadow_target"])
        for line in compared
    )
    found = counted(prometheus, semconv.DECISIONS, semconv.NODE, semconv.ORIGINAL_TARGET, semconv.SHADOW_TARGET)
    assert found == routes


def test_a_mismatch_opens_in_jaeger(log: list[dict[str, Any]], jaeger: Jaeger) -> None:
    """The trace id of a log line leads to the pair, with the decision that differs."""
    differs = [line for line in log if line["event"] == semconv.EVENT_V2 and line["comparison"] == "mismatch"]
    assert differs
    spans = until(lambda: jaeger.spans(differs[0]["trace_id"]))
    assert {semconv.SPAN_V1_NODE, semconv.SPAN_V2_SHADOW} <= {span["name"] for span in spans}


def test_nothing_a_parent_said_is_in_the_servers(
    log: list[dict[str, Any]], collector: Collector, jaeger: Jaeger
) -> None:
    """No text of a conversation is in a log event or a span: names, targets and numbers only."""
    source = ROOT / "otel_shadow" / "_demo" / "conversations.jsonl"
    said = {
        turn["text"] if isinstance(turn, dict) else turn
        for conversation in map(json.loads, source.read_text().splitlines())
        for turn in next(value for value in conversation.values() if isinstance(value, list))
    }
    long = [text for text in said if isinstance(text, str) and len(text) > 12]
    assert len(long) > 50
    traces = [line["trace_id"] for line in log if line["event"] == semconv.EVENT_V2][:20]
    everything = collector.evidence.read_text() + json.dumps([jaeger.spans(one) for one in traces], ensure_ascii=False)
    assert [text for text in long if text in everything] == []
