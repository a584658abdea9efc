"""The verdict as metrics: what dashboards and alerts show of it. Uses the OpenTelemetry API only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from otel_shadow import semconv
from otel_shadow.verdict import CriterionResult, Decision, Verdict

_SAYS: Mapping[Decision, int] = {Decision.GO: 1, Decision.WAIT: 0, Decision.NO_GO: -1}
Series = tuple[dict[str, str], Decision, CriterionResult | None]


class VerdictGauges:
    """Exports the newest verdict: decision, estimate and band of every criterion, per node and over all.

    The series over all have no node attribute; the overall decision's criterion is ``overall``. A quantity without
    evidence has no series.

    Arguments:
        provider: default: the global meter provider.
    """

    def __init__(self, provider: MeterProvider | None = None) -> None:
        self.verdict: Verdict | None = None
        meter = metrics.get_meter(semconv.SCOPE, meter_provider=provider)
        for metric, read in (
            (semconv.VERDICT, _decision),
            (semconv.VERDICT_ESTIMATE, lambda one: one[2] and one[2].estimate),
            (semconv.VERDICT_LOWER, lambda one: one[2] and one[2].lower),
            (semconv.VERDICT_UPPER, lambda one: one[2] and one[2].upper),
        ):
            meter.create_observable_gauge(metric.name, [self._callback(read)], metric.unit, metric.description)

    def _callback(self, read: Callable[[Series], float | None]) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            found = _series(self.verdict) if self.verdict else ()
            return [Observation(value, one[0]) for one in found if (value := read(one)) is not None]

        return observe


def _decision(one: Series) -> float:
    return _SAYS[one[1]]


def _series(verdict: Verdict) -> Iterator[Series]:
    for graph in dict.fromkeys(node.graph for node in verdict.nodes):
        place = {semconv.GRAPH: graph}
        yield place | {semconv.CRITERION: semconv.CRITERION_OVERALL}, verdict.decision, None
        yield from _criteria(place, verdict.criteria)
    for node in verdict.nodes:
        place = {semconv.GRAPH: node.graph, semconv.NODE: node.node}
        yield place | {semconv.CRITERION: semconv.CRITERION_OVERALL}, node.decision, None
        yield from _criteria(place, node.criteria)


def _criteria(place: dict[str, str], criteria: Iterable[CriterionResult]) -> Iterator[Series]:
    for one in criteria:
        yield place | {semconv.CRITERION: one.criterion}, one.decision, one
