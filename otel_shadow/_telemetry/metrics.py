"""The metrics: one sink that turns records into instruments' values, in the context of the pair's span (exemplars)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from otel_shadow import semconv
from otel_shadow._runtime.sinks import Sink
from otel_shadow._telemetry.instruments import Attributes, Instruments, Series, checked, instruments_of
from otel_shadow.record import Arm, Mode, Outcome, ShadowRecord, Status
from otel_shadow.semconv import Metric

if TYPE_CHECKING:
    from otel_shadow._runtime.engine import Engine

_OF_NO_ARM = ("sampled_out", "retry")
_NO_SHADOW_DUE = (*_OF_NO_ARM, "resumed_inside")
"""Reasons of baselines that should have no shadow: a share that was left out, another attempt of the same execution, a
V1 that went on inside."""


class MetricsSink(Sink):
    """A sink that counts and times records, with no attributes but those that ``semconv`` lists for the metric.

    The default ``provider`` is the global one, also where that is set later.
    """

    name = "metrics"

    def __init__(self, provider: MeterProvider | None = None) -> None:
        self._provider = provider
        self._instruments = instruments_of(provider)
        self._engine: ref[Engine] | None = None

    def bind(self, engine: Engine) -> None:
        """Export the state of the engine's parts: queue, shadow runs, limiters, bounds, swallowed errors."""
        self._engine = ref(engine)
        self._instruments.bind(engine)

    def open(self, graph: str, node: str) -> None:
        """Start a node's known series at zero: Prometheus never sees the increase of a series that begins at one."""
        self._current().start((graph, node), partial(self._zeros, graph, node), has_run=False)

    def _current(self) -> Instruments:
        """Return the instruments of the provider as it is now, with all that was known to the former ones."""
        found, former = instruments_of(self._provider), self._instruments
        if found is not former:
            self._instruments = found
            engine = self._engine() if self._engine is not None else None
            if engine is not None:
                found.bind(engine)
            for graph, node in former.started:
                found.start((graph, node), partial(self._zeros, graph, node), has_run=True)
        return found

    def _zeros(self, graph: str, node: str) -> list[Series]:
        place: dict[str, str | bool] = {semconv.GRAPH: graph, semconv.NODE: node}
        statuses = [status for status in Status if status is not Status.NOT_RUN]
        shadow = {**place, semconv.MODE: str(Mode.V2_SHADOW)}
        return [
            *((semconv.ELIGIBLE, {**place, semconv.ARM: str(arm)}) for arm in Arm),
            *((semconv.EXECUTIONS, {**place, semconv.STATUS: str(status)}) for status in statuses),
            *((semconv.FALLBACKS, {**place, semconv.REASON: reason}) for reason in semconv.FALLBACK_REASONS),
            *((semconv.TOKENS, {**place, semconv.TOKEN_TYPE: kind}) for kind in semconv.TOKEN_TYPES),
            *((semconv.COMPARISONS, {**shadow, **compared}) for compared in self._outcomes(graph, node)),
        ]

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
        zeros = partial(self._zeros, record.graph, record.node)
        self._current().start((record.graph, record.node), zeros, has_run=True)
        arm = str(record.arm)
        context = span_context(record, record.v1.span_id)
        due = record.mode is not Mode.V2_LIVE and record.reason not in _NO_SHADOW_DUE
        if due and not record.caused_by_shadow:
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
            self._instruments.duration.record(record.v1.latency_s, checked(duration, labels), context)
            self._instruments.overhead.record(record.overhead_s, checked(semconv.OVERHEAD, place), context)
        if record.v2 is not None and record.v2.latency_s is not None:
            labels = {**timed, semconv.VERSION: semconv.VERSION_V2, semconv.STATUS: str(record.v2.status)}
            beside = span_context(record, record.v2.span_id)
            self._instruments.duration.record(record.v2.latency_s, checked(duration, labels), beside)

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

    def _add(self, metric: Metric, amount: int, attributes: Attributes, context: Context) -> None:
        self._instruments.add(metric, amount, attributes, context)


def _compared(outcome: Outcome, decision: bool | None, step: bool | None) -> dict[str, str | bool]:
    labels: dict[str, str | bool] = {semconv.COMPARISON: str(outcome)}
    if decision is not None:
        labels[semconv.DECISION_MATCH] = decision
    if step is not None:
        labels[semconv.STEPS_MATCH] = step
    return labels


def span_context(record: ShadowRecord, span_id: str | None) -> Context:
    """Return a context whose current span is the pair's, so that the SDK can keep an exemplar of it."""
    if record.trace_id is None or span_id is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if record.trace_sampled else TraceFlags.DEFAULT)
    span = SpanContext(int(record.trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags)
    return trace.set_span_in_context(NonRecordingSpan(span), Context())
