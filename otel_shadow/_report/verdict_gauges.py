"""The verdict as metrics: what dashboards and alerts show of it. Uses the OpenTelemetry API only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from otel_shadow import semconv
from otel_shadow.verdict import CriterionResult, Decision, Verdict

_SAYS: Mapping[Decision, int] = {Decision.GO: 1, Decision.WAIT: 0, Decision.NO_GO: -1}
Series = tuple[dict[str, str], Decision, CriterionResult | None]


class VerdictGauges:
    """Gauges of the newest verdict: decision, estimate, proven limit and band of each criterion, by node and over all.

    The series over all have no node attribute; the overall decision's criterion is ``overall``. A quantity without
    evidence has no series. The default ``provider`` is the global one.
    """

    def __init__(self, provider: MeterProvider | None = None) -> None:
        self.verdict: Verdict | None = None
        meter = metrics.get_meter(semconv.SCOPE, semconv.scope_version(), provider, semconv.SCHEMA_URL)
        for metric, value in (
            (semconv.VERDICT, lambda one: _SAYS[one[1]]),
            (semconv.VERDICT_ESTIMATE, lambda one: one[2] and one[2].estimate),
            (semconv.VERDICT_PROVEN, lambda one: one[2] and one[2].proven),
            (semconv.VERDICT_LOWER, lambda one: one[2] and one[2].lower),
            (semconv.VERDICT_UPPER, lambda one: one[2] and one[2].upper),
        ):
            observe = partial(self._observe, value)
            meter.create_observable_gauge(metric.name, [observe], metric.unit, metric.description)

    def _observe(self, value: Callable[[Series], float | None], _: CallbackOptions) -> Iterable[Observation]:
        found = _series(self.verdict) if self.verdict else ()
        return [Observation(number, one[0]) for one in found if (number := value(one)) is not None]


def _series(verdict: Verdict) -> Iterator[Series]:
    graphs = dict.fromkeys(node.graph for node in verdict.nodes)
    places: list[tuple[dict[str, str], Decision, tuple[CriterionResult, ...]]] = [
        *(({semconv.GRAPH: graph}, verdict.decision, verdict.criteria) for graph in graphs),
        *(({semconv.GRAPH: one.graph, semconv.NODE: one.node}, one.decision, one.criteria) for one in verdict.nodes),
    ]
    for place, decision, criteria in places:
        yield place | {semconv.CRITERION: semconv.CRITERION_OVERALL}, decision, None
        for one in criteria:
            yield place | {semconv.CRITERION: one.criterion}, one.decision, one
