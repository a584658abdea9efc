"""The records of an execution, made off V1's path: baseline, shed, pair, bare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from otel_shadow._runtime.assignment import LIVE, Assignment
from otel_shadow._runtime.compare import COMPARABLE
from otel_shadow._runtime.execution_result import ExecutionResult
from otel_shadow._runtime.node import ShadowedNode
from otel_shadow._runtime.redact import error_type
from otel_shadow._runtime.sinks import ExecutionLabels, NoSpan, SpanIdentity, V1Span
from otel_shadow.cached import cached
from otel_shadow.errors import SideEffectBlockedError
from otel_shadow.record import NOT_COMPARED, Comparison, Observation, Outcome, ShadowRecord, Status

_ADAPTIVE = 1.0
"""Probability with which a shadow of the sample starts under load: all do, or are shed at a limit."""
_SHED_STATUS = {"breaker": Status.BREAKER_OPEN, "budget": Status.OVER_BUDGET}


class ExecutionData:
    """Data of one execution, for its records and spans.

    What most executions never change has its value on the class, so that it costs V1's path no assignment.
    The execution began at ``entered_s`` of the monotonic clock and ``epoch_s`` of the wall clock, in seconds.
    """

    latency_s = 0.0
    overhead_s = 0.0
    span: V1Span = NoSpan()
    served = "v1"
    fallback_reason: str | None = None
    v2: Observation | None = None
    """Observation of a V2 that did not run in shadow: served live, shed, or not implemented."""
    delivered: bool | None = None
    """Whether the caller got just what V1 produced."""
    status = Status.NOT_RUN
    error_type: str | None = None
    first_part_s: float | None = None
    """Seconds until the first chunk of a V1 that streams."""
    rate_limited = False
    """Whether V1 failed because a service answered 429."""

    def __init__(
        self,
        node: ShadowedNode,
        assignment: Assignment,
        configurable: Mapping[str, Any],
        entered_s: float,
        epoch_s: float,
    ) -> None:
        self.node = node
        self.assignment = assignment
        self.entered_s = entered_s
        self.configurable = node.observer.keys_of(configurable)
        self.pair_id = node.services.new_id()
        self.epoch_s = epoch_s

    @property
    def shadowed(self) -> bool:
        return self.assignment.reason is None

    @property
    def live(self) -> bool:
        return self.assignment.reason == LIVE

    @property
    def span_identity(self) -> SpanIdentity:
        node, assignment = self.node, self.assignment
        return SpanIdentity(node.graph, node.name, assignment.mode, assignment.arm)

    @cached
    def labels(self) -> ExecutionLabels:
        """What every span of this execution carries."""
        services, assignment = self.node.services, self.assignment
        identifier = services.redactor.identifier
        thread = self.configurable.get("thread_id")
        return ExecutionLabels(
            graph=self.node.graph,
            node=self.node.name,
            mode=assignment.mode,
            arm=assignment.arm,
            v2_build=services.v2_build,
            pair_id=self.pair_id,
            session_id=identifier(assignment.session),
            thread_id=identifier(str(thread)) if thread is not None else None,
        )

    def observation(self) -> Observation:
        """Make the observation of V1, without what the state says of it."""
        latency = None if self.status is Status.NOT_RUN else self.latency_s
        return Observation(
            self.status,
            latency,
            error_type=self.error_type,
            span_id=self.span.span_id,
            rate_limited=self.rate_limited,
        )

    def end_span(self) -> None:
        """End the span of the version that was served, as of the moment at which it was left."""
        served = self.observation() if self.served == "v1" or self.v2 is None else self.v2
        self.span.close(served, self.labels)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What was measured of a shadow run, besides V2's result."""

    latency_s: float | None
    """V2's own time in seconds; None if it never began."""
    queue_s: float
    executor: str
    """Name of the executor that V2 ran in."""
    span_id: str | None
    tokens: Mapping[str, int]
    blocked_tools: tuple[str, ...]
    """Names of tools that V2 tried and may not use; ``_other`` for names that are not declared."""
    location: str | None = None
    """Where in the code V2 failed."""
    rate_limited: bool = False
    """Whether it failed because a service answered 429."""


def baseline(execution: ExecutionData, reason: str, v2: Observation | None = None) -> ShadowRecord:
    """Make the record of an execution that no shadow ran beside, because of ``reason``."""
    return replace(_record(execution, execution.observation()), reason=reason, v2=v2)


def shed(execution: ExecutionData, reason: str) -> ShadowRecord:
    """Make the record of an execution whose shadow run was refused for ``reason``, and tell the node's limiter."""
    execution.node.limiter.refused(reason)
    return baseline(execution, f"shed:{reason}", Observation(_SHED_STATUS.get(reason, Status.SHED)))


def pair(
    execution: ExecutionData,
    state: Any,
    v1: ExecutionResult,
    v2: ExecutionResult,
    circumstances: Circumstances,
    comparison: Comparison | None = None,
    again: ExecutionResult | None = None,
) -> ShadowRecord:
    """Make the record of an execution beside which V2 ran; reading a state may raise whatever its classes raise.

    Arguments:
        state: a copy of the input.
        comparison: None: compare ``v1`` and ``v2`` here.
        again: what V1 did when it ran a second time, for the noise floor.
    """
    node, observer, configurable = execution.node, execution.node.observer, execution.configurable
    views = [observer.view(state, side.writes, configurable) for side in (v1, v2)]
    if comparison is None:
        comparison = node.comparator(v1, v2, (views[0].step, views[1].step) if observer.has_step else None)
    if again is not None and _ran(again):
        step = observer.view(state, again.writes, configurable).step
        floor = node.comparator(v1, again, (views[0].step, step) if observer.has_step else None)
        comparison = replace(comparison, self_match=floor.outcome is Outcome.MATCH)
    own = observer.observation(v1, views[0], execution.latency_s, execution.span.span_id)
    return replace(
        _record(execution, replace(own, rate_limited=execution.rate_limited)),
        v2=replace(
            observer.observation(v2, views[1], circumstances.latency_s, circumstances.span_id),
            location=circumstances.location,
            rate_limited=circumstances.rate_limited,
        ),
        comparison=comparison,
        user_message_hash=node.services.redactor.message(observer.user_message(state, configurable)),
        intent=observer.intent(views[0]) or observer.intent(views[1]),
        **_measured(circumstances),
    )


def _ran(again: ExecutionResult) -> bool:
    """Return whether V1 could run a second time: not where it was cancelled, or called what a shadow may not."""
    return again.status is not Status.CANCELLED and not isinstance(again.error, SideEffectBlockedError)


def bare(
    execution: ExecutionData, v2: ExecutionResult, circumstances: Circumstances, broken: type[BaseException]
) -> ShadowRecord:
    """Make the record of a pair whose state can't be read (it raised ``broken``): no code of the user's runs for it."""
    kind = error_type(v2.error) if v2.status is not Status.INTERRUPT else None
    failed = Comparison(Outcome.ERROR, error_type=error_type(broken))
    return replace(
        _record(execution, execution.observation()),
        v2=Observation(
            v2.status,
            circumstances.latency_s,
            error_type=kind,
            span_id=circumstances.span_id,
            location=circumstances.location,
            rate_limited=circumstances.rate_limited,
        ),
        comparison=failed if v2.status in COMPARABLE else NOT_COMPARED,
        **_measured(circumstances),
    )


def _record(execution: ExecutionData, v1: Observation) -> ShadowRecord:
    services, labels, flags = execution.node.services, execution.labels, execution.assignment.flags
    holdout = flags.holdout(services.config.arms)
    return ShadowRecord(
        pair_id=labels.pair_id,
        graph=labels.graph,
        node=labels.node,
        mode=labels.mode,
        arm=labels.arm,
        session_id=labels.session_id,
        has_session_id=execution.assignment.has_id,
        timestamp=datetime.fromtimestamp(execution.epoch_s, UTC),
        v1=v1,
        v1_served=None if execution.live else execution.delivered,
        served=execution.served,
        fallback_reason=execution.fallback_reason,
        v2_build=labels.v2_build,
        config_digest=services.config_digest,
        key_id=services.redactor.key_id,
        trace_id=execution.span.trace_id,
        trace_sampled=execution.span.sampled,
        overhead_s=execution.overhead_s,
        clock=services.clock_name,
        service=services.holdout.service,
        probability=execution.node.table.sample * _ADAPTIVE * (1.0 - holdout),
        sample=execution.node.table.sample,
        holdout=holdout,
        slot_seconds=services.config.arms.slot_seconds,
        percentage=flags.router_v2_percentage,
        first_part_s=execution.first_part_s,
        caused_by_shadow=execution.span.caused_by_shadow,
    )


def _measured(circumstances: Circumstances) -> dict[str, Any]:
    return {
        "queue_s": circumstances.queue_s,
        "executor": circumstances.executor,
        "tokens": circumstances.tokens,
        "blocked_tools": circumstances.blocked_tools,
    }
