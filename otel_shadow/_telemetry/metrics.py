"""The metrics: one sink that turns records into instruments' values, in the context of the pair's span (exemplars)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from otel_shadow import semconv
from otel_shadow._runtime.sinks import Sink
from otel_shadow.record import Arm, Mode, Outcome, ShadowRecord, Status
from otel_shadow.semconv import Metric

if TYPE_CHECKING:
    from otel_shadow._runtime.engine import Engine

Attributes = Mapping[str, str | bool]

_OF_NO_ARM = ("sampled_out", "retry")
_NO_SHADOW_DUE = (*_OF_NO_ARM, "resumed_inside")
"""Reasons of baselines that should have no shadow: a share that was left out, another attempt of the same execution, a
V1 that went on inside."""


class MetricsSink(Sink):
    """A sink that counts and times records, with no attributes but those that ``semconv`` lists for the metric.

    The default ``provider`` is the global one, also where that is set later.
    """

    def __init__(self, provider: MeterProvider | None = None) -> None:
        self._meter = metrics.get_meter(semconv.SCOPE, meter_provider=provider)
        self._engine: ref[Engine] | None = None
        self._duration = self._histogram(semconv.NODE_DURATION, semconv.DURATION_BUCKETS_S)
        self._overhead = self._histogram(semconv.OVERHEAD, semconv.OVERHEAD_BUCKETS_S)
        self._counters = {
            metric.name: self._meter.create_counter(metric.name, metric.unit, metric.description)
            for metric in semconv.METRICS
            if metric.kind == "counter" and metric is not semconv.SWALLOWED
        }

    def bind(self, engine: Engine) -> None:
        """Export the state of the engine's parts: queue, shadow runs, limiters, bounds, swallowed errors."""
        self._engine = weakly = ref(engine)
        gauge, counter = self._meter.create_observable_gauge, self._meter.create_observable_counter
        for create, metric, values in (
            (gauge, semconv.QUEUE_DEPTH, lambda known: [Observation(known.dispatcher.depth)]),
            (gauge, semconv.INFLIGHT, lambda known: [Observation(known.dispatcher.inflight)]),
            (gauge, semconv.SLA_OBJECTIVE, _objectives),
            (gauge, semconv.LIMITER_STATE, _limiters),
            (counter, semconv.SWALLOWED, _swallowed),
        ):
            create(metric.name, [partial(_observed, weakly, values)], metric.unit, metric.description)

    def open(self, graph: str, node: str) -> None:
        """Start a node's known series at zero: Prometheus never sees the increase of a series that begins at one."""
        place: dict[str, str | bool] = {semconv.GRAPH: graph, semconv.NODE: node}
        for arm in Arm:
            self._add(semconv.ELIGIBLE, 0, {**place, semconv.ARM: str(arm)})
        for status in (one for one in Status if one is not Status.NOT_RUN):
            self._add(semconv.EXECUTIONS, 0, {**place, semconv.STATUS: str(status)})
        for reason in semconv.FALLBACK_REASONS:
            self._add(semconv.FALLBACKS, 0, {**place, semconv.REASON: reason})
        for kind in semconv.TOKEN_TYPES:
            self._add(semconv.TOKENS, 0, {**place, semconv.TOKEN_TYPE: kind})
        for compared in self._outcomes(graph, node):
            self._add(semconv.COMPARISONS, 0, {**place, semconv.MODE: str(Mode.V2_SHADOW), **compared})

    def _outcomes(self, graph: str, node: str) -> list[dict[str, str | bool]]:
        """Return how pairs of a node can compare, as far as its configuration tells."""
        engine = self._engine() if self._engine is not None else None
        known = engine.nodes.get((graph, node)) if engine is not None else None
        steps = (True, False, None) if known is None or known.observer.has_step else (None,)
        mismatches = [_compared(Outcome.MISMATCH, decision, step) for decision in (True, False) for step in steps]
        matches = [_compared(Outcome.MATCH, True, step) for step in steps if step is not False]
        return [*matches, *mismatches, _compared(Outcome.ERROR, None, None)]

    def emit(self, record: ShadowRecord) -> None:
        place: dict[str, str | bool] = {semconv.GRAPH: record.graph, semconv.NODE: record.node}
        arm = str(record.arm)
        context = span_context(record, record.v1.span_id)
        if record.mode is not Mode.V2_LIVE and record.reason not in _NO_SHADOW_DUE:
            self._add(semconv.ELIGIBLE, 1, {**place, semconv.ARM: arm}, context)
        self._time(record, place, arm, context)
        v2 = record.v2
        if v2 is not None and record.mode is not Mode.V2_LIVE:
            self._add(semconv.EXECUTIONS, 1, {**place, semconv.STATUS: str(v2.status)}, context)
        if record.fallback_reason:
            self._add(semconv.FALLBACKS, 1, {**place, semconv.REASON: record.fallback_reason}, context)
        if record.is_pair and record.mode is not Mode.V2_LIVE:
            self._compare(record, place)
        for kind, tokens in record.tokens.items():
            self._add(semconv.TOKENS, tokens, {**place, semconv.TOKEN_TYPE: kind}, context)

    def _time(self, record: ShadowRecord, place: Attributes, arm: str, context: Context) -> None:
        duration = semconv.NODE_DURATION
        if record.mode is Mode.V2_LIVE or record.reason in _OF_NO_ARM:
            arm = semconv.ARM_NONE  # as in the verdict: V1's time here says nothing of what a shadow costs
        timed = {**place, semconv.MODE: str(record.mode), semconv.ARM: arm}
        if record.v1.latency_s is not None:
            labels = {**timed, semconv.VERSION: semconv.VERSION_V1, semconv.STATUS: str(record.v1.status)}
            self._duration.record(record.v1.latency_s, _checked(duration, labels), context)
            self._overhead.record(record.overhead_s, _checked(semconv.OVERHEAD, place), context)
        if record.v2 is not None and record.v2.latency_s is not None:
            labels = {**timed, semconv.VERSION: semconv.VERSION_V2, semconv.STATUS: str(record.v2.status)}
            beside = span_context(record, record.v2.span_id)
            self._duration.record(record.v2.latency_s, _checked(duration, labels), beside)

    def _compare(self, record: ShadowRecord, place: Attributes) -> None:
        v2, comparison = record.v2, record.comparison
        if v2 is None or comparison.outcome is Outcome.NONE:
            return
        context = span_context(record, v2.span_id)
        compared = _compared(comparison.outcome, comparison.decisions_match, comparison.steps_match)
        self._add(semconv.COMPARISONS, 1, {**place, semconv.MODE: str(record.mode), **compared}, context)
        targets = {
            semconv.ORIGINAL_TARGET: record.v1.target or semconv.OTHER,
            semconv.SHADOW_TARGET: v2.target or semconv.OTHER,
        }
        self._add(semconv.DECISIONS, 1, {**place, **targets}, context)

    def _add(self, metric: Metric, amount: int, attributes: Attributes, context: Context | None = None) -> None:
        self._counters[metric.name].add(amount, _checked(metric, attributes), context)

    def _histogram(self, metric: Metric, buckets: tuple[float, ...]) -> metrics.Histogram:
        return self._meter.create_histogram(
            metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=buckets
        )


def _observed(
    engine: ref[Engine], values: Callable[[Engine], list[Observation]], _: CallbackOptions
) -> Iterable[Observation]:
    """Observe the engine if it is still there: a meter keeps its callbacks for ever, and they hold it weakly."""
    known = engine()
    return values(known) if known is not None else []


def _objectives(engine: Engine) -> list[Observation]:
    return [Observation(bound, {semconv.CRITERION: name}) for name, bound in engine.config.sla.objectives().items()]


def _limiters(engine: Engine) -> list[Observation]:
    return [
        Observation(
            int(known.limiter.reason == reason),
            {semconv.GRAPH: graph, semconv.NODE: node, semconv.REASON: reason},
        )
        for (graph, node), known in dict(engine.nodes).items()
        for reason in semconv.LIMITER_REASONS
    ]


def _swallowed(engine: Engine) -> list[Observation]:
    counts = dict.fromkeys(semconv.OPERATIONS, 0) | dict(engine.fault_barrier.counts)
    return [Observation(count, {semconv.OPERATION: name}) for name, count in counts.items()]


def _compared(outcome: Outcome, decision: bool | None, step: bool | None) -> dict[str, str | bool]:
    labels: dict[str, str | bool] = {semconv.COMPARISON: str(outcome)}
    if decision is not None:
        labels[semconv.DECISION_MATCH] = decision
    if step is not None:
        labels[semconv.STEPS_MATCH] = step
    return labels


def _checked(metric: Metric, attributes: Attributes) -> Attributes:
    unknown = attributes.keys() - set(metric.attributes)
    if unknown:
        raise ValueError(f"{metric.name} has no attribute {sorted(unknown)}")
    return attributes


def span_context(record: ShadowRecord, span_id: str | None) -> Context:
    """Return a context whose current span is the pair's, so that the SDK can keep an exemplar of it."""
    if record.trace_id is None or span_id is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if record.trace_sampled else TraceFlags.DEFAULT)
    span = SpanContext(int(record.trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags)
    return trace.set_span_in_context(NonRecordingSpan(span), Context())
