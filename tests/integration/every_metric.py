"""One value of every metric of the contract, with every attribute that it may carry, by OpenTelemetry's own SDK."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from otel_shadow import semconv
from otel_shadow.policy import Policy
from otel_shadow.record import Status
from otel_shadow.semconv import Metric

GRAPH = {semconv.GRAPH: "assistant"}
PLACE = {**GRAPH, semconv.NODE: "triage"}
_TIMED = (
    ("v2_shadow", "v1", "shadowed", "success"), ("v2_shadow", "v1", "holdout", "success"),
    ("v2_shadow", "v2", "shadowed", "success"), ("v2_live", "v2", "none", "success"),
    ("v2_live", "v1", "none", "success"),
)  # fmt: skip
COUNTED: dict[Metric, list[dict[str, Any]]] = {
    semconv.ELIGIBLE: [{**PLACE, semconv.ARM: arm} for arm in ("shadowed", "holdout")],
    semconv.EXECUTIONS: [{**PLACE, semconv.STATUS: str(status)} for status in Status],
    semconv.COMPARISONS: [
        {**PLACE, semconv.MODE: "v2_shadow", semconv.COMPARISON: outcome, semconv.DECISION_MATCH: matches,
         semconv.STEPS_MATCH: True}
        for outcome, matches in (("match", True), ("mismatch", False))
    ],
    semconv.DECISIONS: [
        {**PLACE, semconv.ORIGINAL_TARGET: "answer", semconv.SHADOW_TARGET: target} for target in ("answer", "__end__")
    ],
    semconv.FALLBACKS: [{**PLACE, semconv.REASON: reason} for reason in semconv.FALLBACK_REASONS],
    semconv.TOKENS: [{**PLACE, semconv.TOKEN_TYPE: kind} for kind in semconv.TOKEN_TYPES],
    semconv.SWALLOWED: [{semconv.OPERATION: "compare"}],
}  # fmt: skip
TIMED: dict[Metric, list[dict[str, Any]]] = {
    semconv.NODE_DURATION: [
        {**PLACE, semconv.MODE: mode, semconv.VERSION: version, semconv.ARM: arm, semconv.STATUS: status}
        for mode, version, arm, status in _TIMED
    ],
    semconv.OVERHEAD: [PLACE],
}


def _states() -> Iterator[tuple[Metric, float, dict[str, Any]]]:
    yield semconv.QUEUE_DEPTH, 0, {}
    yield semconv.INFLIGHT, 1, {}
    for criterion, bound in Policy().objectives().items():
        yield semconv.SLA_OBJECTIVE, bound, {semconv.CRITERION: criterion}
    for reason in semconv.LIMITER_REASONS:
        yield semconv.LIMITER_STATE, int(reason == "breaker"), {**PLACE, semconv.REASON: reason}
    for place in (GRAPH, PLACE):
        yield semconv.VERDICT, -1, {**place, semconv.CRITERION: semconv.CRITERION_OVERALL}
        for criterion in semconv.CRITERIA:
            yield semconv.VERDICT, 0, {**place, semconv.CRITERION: criterion}
            for metric in (
                semconv.VERDICT_ESTIMATE, semconv.VERDICT_PROVEN, semconv.VERDICT_LOWER, semconv.VERDICT_UPPER,
            ):  # fmt: skip
                yield metric, 0.9, {**place, semconv.CRITERION: criterion}


def _observed(metric: Metric, _: CallbackOptions) -> list[Observation]:
    return [Observation(value, attributes) for one, value, attributes in _states() if one is metric]


class EveryMetric:
    """The instruments of a meter, made as the product makes them."""

    def __init__(self, meter: Meter) -> None:
        self._counters = {one: meter.create_counter(one.name, one.unit, one.description) for one in COUNTED}
        self._histograms = {one: meter.create_histogram(one.name, one.unit, one.description) for one in TIMED}
        for one in dict.fromkeys(metric for metric, _, _ in _states()):
            meter.create_observable_gauge(one.name, [partial(_observed, one)], one.unit, one.description)

    def begin(self) -> None:
        """Counters start at zero, histograms at one; gauges have their value from the start."""
        self._add(0, 1)

    def go_on(self) -> None:
        """Everything that counts has counted ten more."""
        self._add(10, 10)

    def _add(self, number: int, times: int) -> None:
        for metric, attributes in ((metric, one) for metric, every in COUNTED.items() for one in every):
            self._counters[metric].add(number, attributes)
        for metric, attributes in ((metric, one) for metric, every in TIMED.items() for one in every):
            for _ in range(times):
                self._histograms[metric].record(0.02, attributes)
