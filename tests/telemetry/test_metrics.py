"""The metrics: names, units, attributes; series that start at zero; exemplars that lead to the trace."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from frozen import frozen
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from opentelemetry.context import Context
from small_graphs import State, call, left, small_graph
from waiting import until

from otel_shadow import FeatureFlags, ShadowConfig, semconv
from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow._telemetry.metrics import MetricsSink
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Callable[..., ShadowCapture]
SETTINGS: dict[str, Any] = {"session": {"steps": ["one", "two"]}}
NOT_OURS_TO_EXPORT = ("shadow.verdict",)
"""Exported by the verdict's own command, from evidence."""


def exported(capture: ShadowCapture) -> list[Any]:
    capture.settle()
    return capture._signals.metrics()


def v2(state: State) -> dict[str, Any]:
    return {"trail": ["left"], "current_step": "two", "next_node": "__end__"}


def spending(state: State) -> dict[str, Any]:
    """A V2 that asks a model."""
    usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    GenericFakeChatModel(messages=iter([AIMessage("hi", usage_metadata=usage)])).invoke("hello")
    return v2(state)


def test_the_metrics_are_a_contract(make_shadow_capture: MakeCapture) -> None:
    """Name, kind, unit, temporality, attributes and buckets, as the SDK exports them: frozen."""
    capture = make_shadow_capture(SETTINGS)
    call(capture.attach(small_graph(), {"left": spending}))
    seen = {
        metric.name: {
            "unit": metric.unit,
            "description": metric.description,
            "kind": type(metric.data).__name__,
            "monotonic": getattr(metric.data, "is_monotonic", None),
            "attributes": sorted({key for point in metric.data.data_points for key in point.attributes}),
            "bounds": list(getattr(metric.data.data_points[0], "explicit_bounds", [])),
        }
        for metric in sorted(exported(capture), key=lambda metric: metric.name)
    }
    assert seen == frozen("metrics.json", json.loads(json.dumps(seen)))


def test_every_metric_of_ours_is_exported(make_shadow_capture: MakeCapture) -> None:
    """What ``semconv`` names is there after one pair, with its unit, and nothing else is."""
    capture = make_shadow_capture(SETTINGS)
    call(capture.attach(small_graph(), {"left": spending}))
    wanted = {m.name: m.unit for m in semconv.METRICS if not m.name.startswith(NOT_OURS_TO_EXPORT)}
    assert {metric.name: metric.unit for metric in exported(capture)} == wanted


def test_counters_start_at_zero(shadow_capture: ShadowCapture) -> None:
    """Attaching a node starts its series: a counter's first increase is seen, so the first fallback can alert."""
    shadow_capture.attach(small_graph(), {"left": v2})
    seen = shadow_capture.metrics()
    for metric, attribute, values in (
        (semconv.ELIGIBLE, semconv.ARM, {"shadowed", "holdout"}),
        (semconv.FALLBACKS, semconv.REASON, set(semconv.FALLBACK_REASONS)),
        (semconv.SWALLOWED, semconv.OPERATION, set(semconv.OPERATIONS)),
        (semconv.TOKENS, semconv.TOKEN_TYPE, {"input", "output"}),
        (
            semconv.EXECUTIONS,
            semconv.STATUS,
            {"success", "error", "timeout", "interrupt", "cancelled", "not_implemented", "shed", "breaker_open",
             "over_budget"},
        ),
        (semconv.COMPARISONS, semconv.COMPARISON, {"match", "mismatch", "error"}),
    ):  # fmt: skip
        series = seen[metric.name]
        assert set(series.values()) == {0}, metric.name
        assert {dict(key)[attribute] for key in series} == values, metric.name


@pytest.mark.parametrize("step", ["current_step", None])
def test_the_series_that_count_are_those_that_began_at_zero(make_shadow_capture: MakeCapture, step: str | None) -> None:
    """A match, a mismatch of each kind: none begins a series of its own."""
    capture = make_shadow_capture({"session": {"step": step} if step else {"step": None}})
    graph = capture.attach(small_graph(), {"left": lambda state: answers[state["text"]]})
    before = set(capture.metrics()[semconv.COMPARISONS.name])
    answers = {
        "match": left({}),
        "decision": {**left({}), "next_node": "__end__"},
        "step": {**left({}), "current_step": "two"},
        "both": v2({}),
    }
    for text in answers:
        call(graph, {"text": text})
    after = capture.metrics()[semconv.COMPARISONS.name]
    assert set(after) == before
    assert sum(after.values()) == 4


def test_counts_are_exact(make_shadow_capture: MakeCapture) -> None:
    """Ten matches and five mismatches: what each counter holds adds up."""
    capture = make_shadow_capture(SETTINGS)
    graph = capture.attach(small_graph(), {"left": lambda state: left(state) if state["text"] == "same" else v2(state)})
    for number in range(15):
        call(graph, {"text": "same" if number < 10 else "other"}, session=f"session_{number}")
    assert capture.value(semconv.ELIGIBLE, shadow__arm="shadowed") == 15
    assert capture.value(semconv.EXECUTIONS, shadow__status="success") == 15
    assert capture.value(semconv.COMPARISONS, shadow__comparison="match") == 10
    assert capture.value(semconv.COMPARISONS, shadow__comparison="mismatch", shadow__decision__match=False) == 5
    assert capture.value(semconv.DECISIONS, shadow__decision__shadow_target="right") == 10
    assert capture.value(semconv.DECISIONS, shadow__decision__shadow_target="__end__") == 5
    assert capture.value(semconv.NODE_DURATION, shadow__version="v1") == 15
    assert capture.value(semconv.NODE_DURATION, shadow__version="v2") == 15
    assert capture.value(semconv.OVERHEAD) == 15


def test_sessions_make_no_series(make_shadow_capture: MakeCapture) -> None:
    """However many sessions and messages, the number of series stays."""
    capture = make_shadow_capture(SETTINGS)
    graph = capture.attach(small_graph(), {"left": v2})
    sizes = []
    for first in (0, 20):
        for number in range(first, first + 20):
            call(graph, {"text": f"message {number}"}, session=f"somebody {number}")
        sizes.append({name: len(series) for name, series in capture.metrics().items()})
    assert sizes[0] == sizes[1]


def test_an_attribute_that_is_not_declared_is_refused() -> None:
    """A session id can't become a label by accident."""
    with pytest.raises(ValueError, match=r"shadow.eligible has no attribute \['session.id'\]"):
        MetricsSink()._add(semconv.ELIGIBLE, 1, {semconv.SESSION_ID: "maria"}, Context())


def test_exemplars_lead_to_the_trace(make_shadow_capture: MakeCapture) -> None:
    """V1's durations carry the span of ``v1.node``, V2's that of ``v2.shadow``."""
    capture = make_shadow_capture(SETTINGS)
    call(capture.attach(small_graph(), {"left": v2}))
    spans = {span.name: (int(span.trace_id, 16), int(span.span_id, 16)) for span in capture.spans()}
    (duration,) = (metric for metric in exported(capture) if metric.name == semconv.NODE_DURATION.name)
    seen = {
        point.attributes[semconv.VERSION]: (point.exemplars[0].trace_id, point.exemplars[0].span_id)
        for point in duration.data.data_points
    }
    assert seen == {"v1": spans["v1.node"], "v2": spans["v2.shadow"]}


def test_durations_are_seconds(make_shadow_capture: MakeCapture) -> None:
    """A V1 that waits for a tenth of a second has a sum of at least that, in seconds."""
    capture = make_shadow_capture(SETTINGS)

    def v1(state: State) -> dict[str, Any]:
        threading.Event().wait(0.1)
        return left(state)

    call(capture.attach(small_graph(v1), {"left": v2}))
    (duration,) = (metric for metric in exported(capture) if metric.name == semconv.NODE_DURATION.name)
    sums = {point.attributes[semconv.VERSION]: point.sum for point in duration.data.data_points}
    assert 0.1 <= sums["v1"] < 30
    (record,) = capture.records
    assert record.v2 is not None
    assert sums["v2"] == pytest.approx(record.v2.latency_s)


def test_bounds_are_exported_from_the_policy(make_shadow_capture: MakeCapture) -> None:
    """Dashboards and rules draw ``shadow.sla.objective``: it is what ``[sla]`` says."""
    capture = make_shadow_capture({"sla": {"parity": 0.9, "handoff": 0.05, "latency_margin": 0.2}})
    series = {
        dict(key)[semconv.CRITERION]: value for key, value in capture.metrics()[semconv.SLA_OBJECTIVE.name].items()
    }
    assert series == {
        "parity": 0.9, "handoff": 0.05, "latency_now": 1.2, "latency_after": 1.2, "v1_served": 1.0, "coverage": 0.9,
    }  # fmt: skip


def test_queue_and_running_shadows_are_seen(make_shadow_capture: MakeCapture) -> None:
    """While one shadow runs and two wait, the gauges say so."""
    gate, began = threading.Event(), threading.Event()

    def slow(state: State) -> dict[str, Any]:
        began.set()
        gate.wait(60)
        return left(state)

    capture = make_shadow_capture({"limits": {"concurrency": 1}})
    graph = capture.attach(small_graph(), {"left": slow})
    for _ in range(3):
        call(graph)
    assert began.wait(30)

    def gauges() -> dict[str, Any]:
        return {
            metric.name: metric.data.data_points[0].value
            for part in capture._signals._reader.get_metrics_data().resource_metrics
            for scope in part.scope_metrics
            for metric in scope.metrics
            if metric.name in (semconv.QUEUE_DEPTH.name, semconv.INFLIGHT.name)
        }

    until(lambda: gauges() == {"shadow.queue.depth": 2, "shadow.inflight": 1})
    gate.set()
    capture.settle()
    assert (capture.value(semconv.QUEUE_DEPTH), capture.value(semconv.EXECUTIONS, shadow__status="success")) == (0, 3)


def test_a_full_queue_sheds_and_counts(make_shadow_capture: MakeCapture) -> None:
    """Expected against executed: what was shed is eligible, and is counted as shed."""
    gate, began = threading.Event(), threading.Event()

    def slow(state: State) -> dict[str, Any]:
        began.set()
        gate.wait(60)
        return left(state)

    capture = make_shadow_capture({"limits": {"concurrency": 1, "queue": 1}})
    graph = capture.attach(small_graph(), {"left": slow})
    call(graph)
    assert began.wait(30)
    for _ in range(4):
        assert call(graph)["trail"] == ["left", "right"]
    gate.set()
    assert capture.value(semconv.ELIGIBLE) == 5
    assert capture.value(semconv.EXECUTIONS, shadow__status="shed") == 3
    assert capture.value(semconv.EXECUTIONS, shadow__status="success") == 2


def test_live_executions_are_no_shadows(make_shadow_capture: MakeCapture) -> None:
    """Live sessions are timed, by version and mode, and are neither eligible nor executed shadows."""
    capture = make_shadow_capture(SETTINGS, FeatureFlags(router_v2_enabled=True, router_v2_percentage=100))
    call(capture.attach(small_graph(), {"left": v2}))
    assert (capture.value(semconv.ELIGIBLE), capture.value(semconv.EXECUTIONS)) == (0, 0)
    assert capture.value(semconv.NODE_DURATION, shadow__version="v2", shadow__mode="v2_live") == 1
    assert capture.value(semconv.NODE_DURATION, shadow__version="v1") == 0
    assert capture.value(semconv.FALLBACKS) == 0


def test_a_duration_that_belongs_to_neither_arm(make_shadow_capture: MakeCapture) -> None:
    """A live session and a sampled-out node say nothing of what a shadow costs V1: the verdict leaves them out too."""
    sampled = make_shadow_capture({"nodes": {"left": {"sample": 0.0}}, "arms": {"holdout": 0.0}})
    call(sampled.attach(small_graph(), {"left": v2}))
    assert sampled.value(semconv.NODE_DURATION, shadow__arm="none") == 1
    live = make_shadow_capture(SETTINGS, FeatureFlags(router_v2_enabled=True, router_v2_percentage=100))
    call(live.attach(small_graph(), {"left": v2}))
    assert live.value(semconv.NODE_DURATION, shadow__arm="none") == 1
    shadowed = make_shadow_capture({"nodes": {"left": {}}, "arms": {"holdout": 0.0}})
    call(shadowed.attach(small_graph(), {"left": v2}))
    assert shadowed.value(semconv.NODE_DURATION, shadow__arm="shadowed") == 2
    assert shadowed.value(semconv.NODE_DURATION, shadow__arm="none") == 0


def test_tokens_of_v2s_models_are_counted(make_shadow_capture: MakeCapture) -> None:
    """What the shadow spends, by type; V1's models are not counted."""
    capture = make_shadow_capture(SETTINGS)
    call(capture.attach(small_graph(spending), {"left": spending}))
    assert capture.value(semconv.TOKENS, gen_ai__token__type="input") == 7
    assert capture.value(semconv.TOKENS, gen_ai__token__type="output") == 3


def test_a_manager_that_is_gone_is_not_kept_by_its_gauges() -> None:
    """A meter keeps its callbacks for ever; they hold the manager weakly."""
    import gc
    import weakref

    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    made = ShadowTrafficManager(ShadowConfig(), meter_provider=provider, log_file="/dev/null")
    gone = weakref.ref(made)
    assert reader.get_metrics_data() is not None
    made.shutdown(1)
    del made
    gc.collect()
    assert gone() is None
    assert reader.get_metrics_data() is None
    provider.shutdown()
