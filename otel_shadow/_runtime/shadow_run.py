"""A pair on its way: from the capture on V1's path, through V2's execution, to one record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from otel_shadow._runtime.execution_result import ExecutionResult, Work
from otel_shadow._runtime.redact import error_type, known, type_name
from otel_shadow._runtime.shadow_context import ShadowContext
from otel_shadow._runtime.sinks import V2Span
from otel_shadow._runtime.snapshot import SnapshotError
from otel_shadow.record import NOT_COMPARED, Comparison, Observation, Outcome, ShadowRecord, Status

if TYPE_CHECKING:
    from otel_shadow._runtime.execution import Execution
    from otel_shadow._runtime.manager import ShadowTrafficManager
    from otel_shadow._runtime.node import ShadowedNode

_GRACE_S = 0.25
"""How long past its limit a shadow that ends itself (awaited, in a process) may take to do so before it is given up."""
_OWN_BYTES = 9 * 1024
"""What a waiting pair holds besides its snapshots: configuration, context, spans (up to 8 KiB measured)."""
_SHED_STATUS = {"breaker": Status.BREAKER_OPEN, "budget": Status.OVER_BUDGET}


class ShadowRun:
    """One captured execution whose V2 waits, runs or has run. It reports exactly once, whoever ends it.

    Arguments:
        call: V1's execution, closed.
        work: what can run V2 on the same input.
    """

    deadline = float("inf")
    is_async = False
    _started_at: float | None = None
    _entered = False
    _admitted = False
    _reported = False
    _finished: ExecutionResult | None = None
    _latency_s: float | None = None
    _span: V2Span | None = None
    _ends_itself = False
    _counted_tokens = 0
    _scope: ShadowContext

    def __init__(self, call: Execution, work: Work) -> None:
        self._call = call
        self._work = work
        self._queued_at = perf_counter()
        self._right_to_report = [True]
        self.size = work.size + _OWN_BYTES

    @property
    def executor(self) -> str:
        """Name of the executor that is to run it."""
        return self._site.table.executor

    @property
    def _manager(self) -> ShadowTrafficManager:
        return self._call.manager

    @property
    def _site(self) -> ShadowedNode:
        return self._call.site

    @property
    def _timeout_s(self) -> float:
        return self._call.assignment.timeout_s

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Production's loop, where V1 was awaited."""
        return self._work.loop

    # --- the runner's side -----------------------------------------------------------------------------------------

    @property
    def reported(self) -> bool:
        """Whether its record is with the record_queue."""
        return self._reported

    def accepted(self) -> None:
        """It is in the queue: V1's span can end now, off V1's path."""
        self._call.emit(self._call.end_span)

    def admit(self) -> bool:
        """Ask the node's limiter; when it refuses, report that."""
        reason = self._site.limiter.refuse()
        if reason is not None:
            self.shed(reason)
            return False
        self.is_async = self._work.is_async and self.executor != "process"
        self._ends_itself = self.is_async or self.executor == "process"
        self._scope = self._fresh_scope()
        self._set_deadline(perf_counter())
        self._admitted = True
        return True

    def shed(self, reason: str) -> None:
        """Report that V2 will not run, and why."""
        if self._claim():
            status, call = _SHED_STATUS.get(reason, Status.SHED), self._call
            self._report(partial(_shed, call, reason, status))  # without this pair, which holds the snapshot

    def give_up(self, cancelled: bool) -> None:
        """Report V2 as timed out, or as cancelled; a V2 that had finished keeps its status, uncompared."""
        if not self._claim():
            return
        if self._started_at is None:
            if self._admitted:
                self._site.limiter.finished(Status.CANCELLED, 0)
            self._report(partial(self._call.baseline, "cancelled", Observation(Status.CANCELLED)))
            return
        over = Status.TIMEOUT if self._entered and not cancelled else Status.CANCELLED
        facts = self._finished or ExecutionResult(over)  # V2 has not begun while the state's own classes restore it
        if self._latency_s is None:
            self._latency_s = perf_counter() - self._started_at
        self._site.limiter.finished(facts.status, self._new_tokens())
        if self._finished or not self._entered:  # what hangs is the user's code that a whole record would run again
            self._report(partial(self._bare, facts, TimeoutError))
        else:
            self._report(partial(self._whole, facts), self.size)

    def run(self) -> None:
        """Run V2 in this thread, to the report."""
        self._start()
        try:
            facts = self._work.run(self._scope, self._enter)
        except BaseException as error:  # noqa: BLE001 - a worker thread outlives SystemExit and the like
            facts = ExecutionResult(Status.ERROR, error=error)
        if not self._entered and facts.error is not None:
            self._never_began(facts.error)
            return
        self._stop(facts)
        self._conclude(lambda: self._again(lambda: self._work.run(self._fresh_scope(), _nothing, again=True)))

    async def arun(self, aside: Callable[[Callable[[], None]], None] | None = None) -> None:
        """Await V2 on this loop, within its time limit, to the report; ``aside`` compares in some other thread."""
        self._start()
        try:
            async with asyncio.timeout(self._timeout_s):
                facts = await self._work.arun(self._scope, self._enter)
        except TimeoutError as error:
            facts = ExecutionResult(Status.TIMEOUT, error=error)
        except asyncio.CancelledError:
            self.give_up(cancelled=True)
            raise
        except BaseException as error:  # noqa: BLE001 - as above
            facts = ExecutionResult(Status.ERROR, error=error)
        if not self._entered and facts.error is not None:
            self._never_began(facts.error)
            return
        self._stop(facts)
        again: ExecutionResult | None = None
        if self._call.assignment.noise and self._right_to_report:
            again = await self._aagain()
        if aside is None:
            self._conclude(lambda: again)
        else:
            aside(lambda: self._conclude(lambda: again))

    # --- inside ----------------------------------------------------------------------------------------------------

    def _claim(self) -> bool:
        try:
            return self._right_to_report.pop()  # atomic: whoever gets the one element reports
        except IndexError:
            return False

    def _report(self, make: Callable[[], ShadowRecord | None], size: int = 0) -> None:
        self._call.emit(make, size)
        self._reported = True  # only now: who waits for reports may flush the record_queue next
        self._manager.dispatcher.freed()

    def _set_deadline(self, started: float) -> None:
        self.deadline = started + self._timeout_s + (_GRACE_S if self._ends_itself else 0.0)

    def _new_tokens(self) -> int:
        spent = sum(list(self._scope.tokens.values()))
        new, self._counted_tokens = spent - self._counted_tokens, spent
        return new

    def _start(self) -> None:
        self._span = self._call.open_v2_span()
        self._scope.timeout_s = self._timeout_s
        if self.executor == "process" and self._span is not None:
            self._scope.carrier = self._span.carrier()
        self._started_at = perf_counter()

    def _enter(self) -> None:
        self._entered = True
        self._started_at = perf_counter()  # V2's own time begins here: isolation was built before
        self._set_deadline(self._started_at)
        if self._span is not None:
            self._span.enter()

    def _stop(self, facts: ExecutionResult) -> None:
        now = perf_counter()
        self._latency_s = now - (self._started_at or now)
        if facts.status is not Status.TIMEOUT and self._latency_s > self._timeout_s:
            facts = ExecutionResult(Status.TIMEOUT, error=facts.error)
        self._finished = facts
        self.deadline = now + self._timeout_s  # the comparison has as long again

    def _conclude(self, again: Callable[[], ExecutionResult | None]) -> None:
        facts = self._finished or ExecutionResult(Status.ERROR)
        record: ShadowRecord | None = None
        broken: type[BaseException] = Exception
        if self._right_to_report:
            try:
                record = self._record(facts, None, again() if self._call.assignment.noise else None)
            except BaseException as fault:  # noqa: BLE001 - a comparator may raise SystemExit; the pair is recorded
                broken = type(fault)
                self._manager.fault_barrier.caught("compare", self._site.node, fault)
        if not self._claim():
            self._site.limiter.spent(self._new_tokens())  # given up, it went on spending
            return
        self._site.limiter.finished(facts.status, self._new_tokens())
        done = record
        if done is not None:
            self._report(lambda: done)
        else:
            self._report(partial(self._bare, facts, broken))

    def _never_began(self, error: BaseException | type[BaseException]) -> None:
        """The state could not be restored (or its isolation be built): that is no error of V2's."""
        if not self._claim():
            return
        self._site.limiter.finished(Status.CANCELLED, 0)
        kind = type_name(error.type_name) if isinstance(error, SnapshotError) else error_type(error)
        v2 = Observation(Status.CANCELLED, error_type=error_type(error))
        self._report(partial(self._call.baseline, f"not_captured:{kind}", v2))
        if isinstance(error, BaseException):
            self._manager.fault_barrier.caught("capture", self._site.node, error)

    def _again(self, run: Callable[[], ExecutionResult]) -> ExecutionResult | None:
        """V1 a second time, in the shadow's isolation: the noise floor."""
        self.deadline = perf_counter() + 2 * self._timeout_s
        try:
            return run()
        except Exception as error:  # noqa: BLE001 - V1's second run may fail like any other
            return ExecutionResult(Status.ERROR, error=error)

    async def _aagain(self) -> ExecutionResult | None:
        self.deadline = perf_counter() + 2 * self._timeout_s
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._work.arun(self._fresh_scope(), _nothing, again=True)
        except Exception as error:  # noqa: BLE001 - as above
            return ExecutionResult(Status.ERROR, error=error)

    def _fresh_scope(self) -> ShadowContext:
        return ShadowContext(self._site.graph, self._site.node, self._manager.config.tools)

    def _whole(self, facts: ExecutionResult) -> ShadowRecord:
        """The record of a V2 that was given up, off its thread; without what the state says if that can't be read."""
        try:
            return self._record(facts, NOT_COMPARED)
        except Exception as fault:  # noqa: BLE001 - the user's classes raise anything
            self._manager.fault_barrier.caught("record", self._site.node, fault)
            return self._bare(facts, type(fault))

    def _bare(self, facts: ExecutionResult, broken: type[BaseException]) -> ShadowRecord:
        """The record of a pair whose state can't be read: it runs nothing of the user's."""
        comparable = facts.status in (Status.SUCCESS, Status.INTERRUPT)
        span_id = self._span.span_id if self._span else None
        kind = error_type(facts.error) if facts.status is not Status.INTERRUPT else None
        return self._closed(
            replace(
                self._call.record(self._call.observation()),
                v2=Observation(facts.status, self._latency_s, error_type=kind, span_id=span_id),
                comparison=Comparison(Outcome.ERROR, error_type=error_type(broken)) if comparable else NOT_COMPARED,
                **self._circumstances(),
            )
        )

    def _circumstances(self) -> dict[str, Any]:
        blocked, allowed = self._scope.blocked, self._scope.tools.known
        return {
            "queue_s": max((self._started_at or self._queued_at) - self._queued_at, 0.0),
            "tokens": dict(self._scope.tokens),
            "blocked_tools": tuple(dict.fromkeys(known(tool, allowed) for tool in blocked)),
        }

    def _closed(self, record: ShadowRecord) -> ShadowRecord:
        if self._span is not None:
            with self._manager.fault_barrier("span", self._site.node):
                self._span.close(record)
        return record

    def _record(
        self, facts: ExecutionResult, comparison: Comparison | None, again: ExecutionResult | None = None
    ) -> ShadowRecord:
        site, call = self._site, self._call
        state, v1 = self._work.state(), self._work.v1()
        configurable: Mapping[str, Any] = call.configurable
        views = [site.view(state, side.writes, configurable) for side in (v1, facts)]
        steps = (views[0].step, views[1].step) if site.has_step else None
        if comparison is None:
            comparison = site.comparator(v1, facts, steps)
        if again is not None:
            own = site.view(state, again.writes, configurable).step
            floor = site.comparator(v1, again, (views[0].step, own) if site.has_step else None)
            comparison = replace(comparison, self_match=floor.outcome is Outcome.MATCH)
        span_id = self._span.span_id if self._span else None
        record = replace(
            call.record(site.observation(v1, views[0], call.latency_s, call.span.span_id)),
            v2=site.observation(facts, views[1], self._latency_s, span_id),
            comparison=comparison,
            user_message_hash=call.manager.redactor.message(site.user_message(state, configurable)),
            intent=site.intent(views[0]) or site.intent(views[1]),
            **self._circumstances(),
        )
        self._closed(record)
        if self._manager.inspect is not None:
            self._manager.inspect(record, v1, facts)
        return record


def _shed(call: Execution, reason: str, status: Status) -> ShadowRecord:
    call.site.limiter.refused(reason)
    return call.baseline(f"shed:{reason}", Observation(status))


def _nothing() -> None:
    """Enter no span: V1's second run is measured by nobody."""


def wall(seconds: float) -> datetime:
    """Epoch seconds as an aware datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
