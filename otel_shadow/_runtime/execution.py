"""One execution of a configured node, as it passes through us on the user's path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

from otel_shadow._runtime.execution_result import Work
from otel_shadow._runtime.fault_barrier import passes
from otel_shadow._runtime.node import ShadowedNode
from otel_shadow._runtime.redact import error_type
from otel_shadow._runtime.shadow_run import ShadowRun, wall
from otel_shadow._runtime.sinks import NoSpan, V1Span, V2Span
from otel_shadow.record import Arm, Mode, Observation, ShadowRecord, Status

if TYPE_CHECKING:
    from otel_shadow._runtime.manager import ShadowTrafficManager

NOTHING: Any = object()
"""What a caller gets that gets nothing: a stream without a chunk."""


LIVE = "live"
"""The reason of an execution that V2 is to serve: it has no shadow."""
T = TypeVar("T")
P = ParamSpec("P")
Classify = Callable[[BaseException], Status]


def classify(error: BaseException) -> Status:
    """The status of a plain function's exception."""
    cancelled = isinstance(error, asyncio.CancelledError | GeneratorExit)
    return Status.CANCELLED if cancelled else Status.ERROR


class Assignment(NamedTuple):
    """What flags, arms and sampling say of one execution.

    ``reason`` says why there is no shadow (``live``, ``holdout``, ``sampled_out``); None is a shadow.
    """

    session: str | None
    mode: Mode
    arm: Arm
    reason: str | None
    noise: bool
    timeout_s: float


class Execution:
    """An execution between our wrapper's entry and exit.

    ``through`` runs V1 and hands on what it produced; ``close`` is the last thing before the caller gets it, and
    compares by identity what was produced with what the caller is about to get: the evidence of "V1 always served".

    Arguments:
        manager: the engine.
        site: the node.
        assignment: mode, arm and time limit of this execution.
        configurable: the run's configurable keys.
        entered: monotonic seconds at which our wrapper was entered.
        classify: the status that an exception of V1 stands for.
    """

    latency_s = 0.0
    span: V1Span = NoSpan()
    served = "v1"
    fallback_reason: str | None = None
    v2: Observation | None = None
    _overhead_s = 0.0
    _status = Status.NOT_RUN
    _error: BaseException | None = None
    _error_type: str | None = None
    _produced: Any = NOTHING
    _delivered: bool | None = None
    _shed_for: str | None = None

    def __init__(
        self,
        manager: ShadowTrafficManager,
        site: ShadowedNode,
        assignment: Assignment,
        configurable: Mapping[str, Any],
        entered: float,
        classify: Classify,
    ) -> None:
        self.manager = manager
        self.site = site
        self.assignment = assignment
        self.configurable = site.keys_of(configurable)
        self.pair_id = manager.new_id()
        self._classify = classify
        self._entered = entered
        self._epoch_s = manager.clock()

    @property
    def shadowed(self) -> bool:
        """Whether V2 is to run in shadow on this execution."""
        return self.assignment.reason is None

    @property
    def live(self) -> bool:
        """Whether V2 is to serve this execution."""
        return self.assignment.reason == LIVE

    def skip(self, reason: str) -> None:
        """V2 can't run on this execution, because of ``reason``."""
        self.assignment = self.assignment._replace(reason=reason)

    def shed(self, reason: str) -> None:
        """V2 is not to run on this execution: ``reason`` of the limiter."""
        self.skip(f"shed:{reason}")
        self.v2 = Observation(Status.SHED)
        self._shed_for = reason

    def not_implemented(self) -> None:
        """There is no V2 for this node."""
        if self.live:
            self.fallback_reason = str(Status.NOT_IMPLEMENTED)
        self.skip(Status.NOT_IMPLEMENTED)
        self.v2 = Observation(Status.NOT_IMPLEMENTED)

    # --- the user's path -------------------------------------------------------------------------------------------

    def through(self, v1: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run V1 inside its span; its value or exception passes."""
        self._open()
        try:
            self._produced = v1(*args, **kwargs)
        except BaseException as error:
            self._error = error
            raise
        return self._produced

    async def athrough(self, v1: Callable[P, Awaitable[Any]], *args: P.args, **kwargs: P.kwargs) -> Any:
        """The same, awaited."""
        self._open()
        try:
            self._produced = await v1(*args, **kwargs)
        except BaseException as error:
            self._error = error
            raise
        return self._produced

    def through_stream(self, chunks: Iterator[Any]) -> Iterator[Any]:
        """V1's chunks, inside its span."""
        self._open()
        try:
            for chunk in chunks:
                self._produced = chunk
                yield chunk
        except BaseException as error:
            self._error = error
            raise

    async def athrough_stream(self, chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The same, awaited."""
        self._open()
        try:
            async for chunk in chunks:
                self._produced = chunk
                yield chunk
        except BaseException as error:
            self._error = error
            raise

    def through_v2(self, value: Any) -> Any:
        """A live V2's value passes."""
        self._produced = value
        return value

    def open_live_span(self) -> None:
        """Open ``v2.node``."""
        with self.manager.fault_barrier("span", self.site.node):
            self.span = self.manager.spans.live(self)

    def close_live_span(self) -> None:
        """End ``v2.node`` of a V2 that failed; V1's own span follows."""
        with self.manager.fault_barrier("span", self.site.node):
            if self.v2 is not None:
                self.span.leave()
                self.span.close(self.v2, self)

    def close(
        self,
        result: Any,
        error: BaseException | None,
        finish: Callable[[T, BaseException | None], Work | None],
        begun: T,
    ) -> None:
        """The caller gets ``result`` (or ``error``) next: queue the pair, or the baseline. Never raises.

        Arguments:
            result: what the caller is about to get.
            error: what the caller is about to see raised, or None.
            finish: makes of ``begun`` and ``error`` what can run V2 (it adds V1's own writes); None where it can't.
            begun: what was captured before V1 ran.
        """
        started = perf_counter()
        work: Work | None = None
        try:
            self._judge(result, error)
            work = finish(begun, error) if self.shadowed else None
        except BaseException as fault:
            if passes(fault):
                raise
            self._caught("close", fault)  # what V1 produced must reach the caller whatever breaks here
        finally:
            self.latency_s = perf_counter() - self._entered
            try:
                self.span.leave()
            except BaseException as fault:  # by itself: a span that stays current would take in what follows
                if passes(fault):
                    raise
                self._caught("span", fault)
        try:
            self._hand_over(work)
            ended = perf_counter()  # our own way out is part of what the caller waits for
            self._overhead_s += ended - started
            self.latency_s = ended - self._entered
            self.site.overhead_budget.settle(self._overhead_s, self.latency_s - self._overhead_s)
        except BaseException as fault:
            if passes(fault):
                raise
            self._caught("close", fault)

    def _caught(self, operation: str, fault: BaseException) -> None:
        self.manager.fault_barrier.caught(operation, self.site.node, fault)

    def _judge(self, result: Any, error: BaseException | None) -> None:
        """What became of the execution, and whether the caller gets just that."""
        if error is None:
            self._delivered = result is self._produced
        else:  # a caller that has stopped listening gets nothing more
            self._delivered = error is self._error or isinstance(error, GeneratorExit)
        self._error = self._produced = None  # a traceback holds V1's locals
        if self.served == "v1":
            self._status = Status.SUCCESS if error is None else Status.ERROR  # should its class break what follows
            if error is not None:
                self._status = self._classify(error)
                self._error_type = error_type(error) if self._status is Status.ERROR else None
        elif error is not None and self.v2 is not None:
            self.v2 = replace(self.v2, status=self._classify(error))

    def _open(self) -> None:
        try:
            self.span = self.manager.spans.v1(self)
        except BaseException as fault:
            if passes(fault):
                raise
            self._caught("span", fault)
        self._overhead_s += perf_counter() - self._entered

    def _hand_over(self, work: Work | None) -> None:
        if work is None:
            self.emit(self._without_shadow)
            return
        pair = ShadowRun(self, work)
        refused = self.manager.dispatcher.submit(pair)
        if refused is not None:
            pair.accepted()
            pair.shed(refused)

    # --- off the path ----------------------------------------------------------------------------------------------

    def _without_shadow(self) -> ShadowRecord:
        self.end_span()
        if self._shed_for is not None:
            self.site.limiter.refused(self._shed_for)
        return self.baseline(self.assignment.reason or "not_captured", self.v2)

    def end_span(self) -> None:
        """End the span of what was served, as of when it was left."""
        with self.manager.fault_barrier("span", self.site.node):
            self.span.close(self.observation() if self.served == "v1" or self.v2 is None else self.v2, self)

    def emit(self, make: Callable[[], ShadowRecord | None], size: int = 0) -> None:
        """Queue the making of a record; ``size`` are the bytes that it holds until then."""
        self.manager.record_queue.put(make, size)

    def open_v2_span(self) -> V2Span | None:
        """Open the shadow's span beside V1's."""
        with self.manager.fault_barrier("span", self.site.node):
            return self.manager.spans.v2(self)
        return None

    def session_id(self) -> str:
        """The session's id as it may be written; an execution without one is a session of its own."""
        return self.manager.redactor.identifier(self.assignment.session or self.pair_id)

    def record(self, v1: Observation) -> ShadowRecord:
        """What is known of this execution apart from its shadow."""
        manager = self.manager
        return ShadowRecord(
            pair_id=self.pair_id,
            graph=self.site.graph,
            node=self.site.node,
            mode=self.assignment.mode,
            arm=self.assignment.arm,
            session_id=self.session_id(),
            timestamp=wall(self._epoch_s),
            v1=v1,
            v1_served=None if self.live else self._delivered,
            served=self.served,
            fallback_reason=self.fallback_reason,
            v2_build=manager.v2_build,
            config_digest=manager.config_digest,
            key_id=manager.redactor.key_id,
            trace_id=self.span.trace_id,
            trace_sampled=self.span.sampled,
            overhead_s=self._overhead_s,
            clock=manager.clock_name,
        )

    def baseline(self, reason: str, v2: Observation | None = None) -> ShadowRecord:
        """The record of an execution without a shadow."""
        return replace(self.record(self.observation()), reason=reason, v2=v2)

    def observation(self) -> Observation:
        """V1's execution, without what the state says of it."""
        latency = None if self._status is Status.NOT_RUN else self.latency_s
        return Observation(self._status, latency, error_type=self._error_type, span_id=self.span.span_id)
