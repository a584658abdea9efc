"""One V2 run beside an execution: it waits, runs, and ends in exactly one record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from threading import get_ident
from time import perf_counter

from otel_shadow._runtime.code_location import code_location, thread_location
from otel_shadow._runtime.debug_mode import show
from otel_shadow._runtime.execution_result import Capture, ExecutionResult
from otel_shadow._runtime.executors.loop import LoopPlace, V2CutOffError, V2PausedError
from otel_shadow._runtime.executors.loop_admission import BLOCKS_LOOP, LoopAdmission
from otel_shadow._runtime.executors.trial import TrialJob
from otel_shadow._runtime.executors.worker_handle import WorkerBusyError, longest_s
from otel_shadow._runtime.rate_limit import is_rate_limited
from otel_shadow._runtime.records import Circumstances, ExecutionData, bare, baseline, pair, shed
from otel_shadow._runtime.redact import error_type, known, type_name
from otel_shadow._runtime.services import Services
from otel_shadow._runtime.shadow_context import LOOP_ENDED, ShadowContext
from otel_shadow._runtime.sinks import V2Span
from otel_shadow._runtime.snapshot import SnapshotError
from otel_shadow._runtime.span_end import SpanEnd
from otel_shadow.record import NOT_COMPARED, Comparison, Observation, ShadowRecord, Status

_GRACE_S = 0.25
"""Seconds past its limit after which a run that ends itself (awaited, in a process) is given up all the same."""
_OWN_BYTES = 9 * 1024
"""Bytes that a waiting run holds besides its snapshots: configuration, context, spans (up to 8 KiB measured)."""


class ShadowRun:
    """One V2 run: waiting, running or done. It is reported exactly once, by the thread that ends it."""

    deadline = float("inf")
    """Monotonic seconds after which it is given up."""
    reported = False
    """Whether its record is with the record queue."""
    _started_at: float | None = None
    _entered = False
    _admitted = False
    _finished: ExecutionResult | None = None
    _latency_s: float | None = None
    _location: str | None = None
    _rate_limited = False
    _thread: int | None = None
    _place: LoopPlace | None = None
    _counted_tokens = 0
    _scope: ShadowContext
    _span_end: SpanEnd
    """Like the scope: made when it is admitted."""

    def __init__(self, execution: ExecutionData, capture: Capture) -> None:
        self._execution = execution
        self._capture = capture
        self.queued_at = perf_counter()
        self._right_to_report = [True]
        self.size = capture.size + _OWN_BYTES

    @property
    def executor(self) -> str:
        """Name of the executor that is to run it."""
        return self._execution.node.table.executor

    @property
    def is_async(self) -> bool:
        """Whether V2 is to be awaited in this process."""
        return self.executor != "process" and self._capture.is_async

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Production's loop, where V1 was awaited."""
        return self._capture.loop

    @property
    def called_on_loop(self) -> bool:
        """Whether V1 was called, not awaited, in the thread of a running loop."""
        return self._capture.called_on_loop

    @property
    def admission(self) -> LoopAdmission:
        """What says whether this V2 may run on a loop of the application."""
        return self._execution.node.admission

    @property
    def timeout_s(self) -> float:
        """V2's time limit in seconds."""
        return self._execution.assignment.timeout_s

    def trial_job(self, path: str) -> TrialJob:
        """Make the job of a trial of V2, which a worker finds at ``path``. Anything may be raised."""
        return self._capture.trial_job(self._fresh_scope(), path)

    # --- the dispatcher's side -------------------------------------------------------------------------------------

    def admit(self, place: LoopPlace | None = None) -> bool:
        """Ask the node's limiter whether to start, awaited at ``place``; a refusal is reported."""
        reason = self._execution.node.limiter.refuse()
        if reason is not None:
            self.shed(reason)
            return False
        with self._services.fault_barrier("span", self._execution.node.name):
            self._execution.labels  # noqa: B018 - made here: a process's first hash takes 50 ms, too long for a loop
        self._place = place
        self._scope = self._fresh_scope()
        self._span_end = SpanEnd(self._execution)
        self._set_deadline(perf_counter())
        self._admitted = True
        return True

    def shed(self, reason: str) -> None:
        """Report that V2 will not run, and why."""
        if self._claim():
            self._report(partial(shed, self._execution, reason))  # without this run, which holds the snapshot

    def give_up(self, cancelled: bool, reason: str | None = None) -> None:
        """Report V2 as timed out or cancelled; a V2 that had finished keeps its status and is not compared.

        Arguments:
            cancelled: whether it is no fault of V2's.
            reason: why it was cancelled.
        """
        if not self._claim():
            return
        finished = self._finished  # before V2 ends because it is given up
        if (place := self._place) is not None:
            if place.has_ended and finished is None:
                cancelled, reason = True, LOOP_ENDED
            place.give_up()
        told = f"cancelled:{reason}" if reason else None
        limiter = self._execution.node.limiter
        if self._started_at is None:
            if self._admitted:
                limiter.finished(Status.CANCELLED, 0)
            self._report(partial(baseline, self._execution, told or "cancelled", Observation(Status.CANCELLED)))
            return
        over = Status.TIMEOUT if self._entered and not cancelled else Status.CANCELLED
        result = finished or ExecutionResult(over)  # V2 has not begun while the state's own classes restore it
        if self._latency_s is None:
            self._latency_s = perf_counter() - self._started_at
        if self._thread is not None and not finished and over is Status.TIMEOUT:
            self._location = thread_location(self._thread)
        limiter.finished(result.status, self._new_tokens(), self._rate_limited)
        hangs = finished or not self._entered  # in the user's code that a whole record would run again
        if hangs or not self._services.record_queue.has_room(self.size):
            self._report(partial(self._bare, result, TimeoutError, told))
        else:
            self._report(partial(self._uncompared, result, told), self.size)

    def run(self) -> None:
        """Run V2 in this thread, to the report; not at all where it was given up before its thread began."""
        if not self._right_to_report:
            if self._place is not None:
                self._place.release()
            return
        self._thread = get_ident()
        self._start()
        try:
            result = self._capture.run(self._scope, self._enter, self._place)
        except V2CutOffError:
            self.give_up(cancelled=True, reason=LOOP_ENDED)
            return
        except V2PausedError:
            self.give_up(cancelled=True, reason=BLOCKS_LOOP)
            return
        except TimeoutError as error:
            result = ExecutionResult(Status.TIMEOUT, error=error)
        except BaseException as error:  # noqa: BLE001 - a worker thread outlives SystemExit and the like
            result = ExecutionResult(Status.ERROR, error=error)
        finally:
            if self._place is not None:
                self._place.release()
        if self._scope.state.get(LOOP_ENDED) or (self._place is not None and self._place.explains(result.error)):
            self.give_up(cancelled=True, reason=LOOP_ENDED)
        elif self._stop(result):
            self._conclude(self._again() if self._wants_again else None)

    # --- inside ----------------------------------------------------------------------------------------------------

    @property
    def _services(self) -> Services:
        return self._execution.node.services

    @property
    def _span(self) -> V2Span | None:
        return self._span_end.span if self._admitted else None

    @property
    def _wants_again(self) -> bool:
        """Whether V1 is to run a second time, for the noise floor: not while no shadow starts."""
        return self._execution.assignment.noise and bool(self._right_to_report) and not self._is_held_out

    @property
    def _is_held_out(self) -> bool:
        services = self._services
        try:
            flags = services.flags.current
            return services.holdout.has_slots(flags) and services.holdout.holds(flags, services.clock())
        except BaseException as fault:  # noqa: BLE001 - flags and clocks of the application's own raise anything
            self._caught("record", fault)
            return True

    def _claim(self) -> bool:
        """Take the right to report, and return whether no other thread has taken it before."""
        try:
            return self._right_to_report.pop()  # atomic
        except IndexError:
            return False

    def _report(self, make: Callable[[], ShadowRecord | None], size: int = 0) -> None:
        record = partial(self._span_end.record, make) if self._admitted else make
        if not self._services.record_queue.put(record, size) and self._span is not None:
            with self._services.fault_barrier("span", self._execution.node.name):
                record()  # for the span alone
        self.reported = True  # only now: a thread that waits for reports may flush the record queue next
        self._services.dispatcher.freed()

    def _set_deadline(self, started: float) -> None:
        longest = longest_s(self.timeout_s) if self.executor == "process" else self.timeout_s
        ends_itself = self._place is not None or self.executor == "process"
        self.deadline = started + longest + (_GRACE_S if ends_itself else 0.0)

    def _new_tokens(self) -> int:
        spent = sum(list(self._scope.tokens.values()))
        new, self._counted_tokens = spent - self._counted_tokens, spent
        return new

    def _start(self) -> None:
        with self._services.fault_barrier("span", self._execution.node.name):
            self._span_end.opened(self._services.spans.v2(self._execution.labels, self._execution.span))
        self._scope.timeout_s = self.timeout_s
        if self.executor == "process" and self._span is not None:
            self._scope.carrier = self._span.carrier()
        self._started_at = perf_counter()

    def _enter(self) -> None:
        """Begin V2's own time, now that its isolation is built."""
        self._entered = True
        self._started_at = perf_counter()
        self._set_deadline(self._started_at)
        if self._span is not None:
            self._span.enter()

    def _stop(self, result: ExecutionResult) -> bool:
        """End V2's own time, and return whether V2 began; a run whose V2 did not is reported here."""
        if not self._entered and result.error is not None:
            self._never_began(result.error)
            return False
        now = perf_counter()
        ended = (self._place.ended_at if self._place is not None else None) or now
        ran_s = self._scope.ran_s
        self._latency_s = max(0.0, ended - (self._started_at or ended)) if ran_s is None else ran_s
        if isinstance(result.error, WorkerBusyError):
            result = ExecutionResult(Status.CANCELLED, error=result.error)
        elif result.status is not Status.TIMEOUT and self._latency_s >= self.timeout_s:
            result = ExecutionResult(Status.TIMEOUT, error=result.error)
        if result.error is not None and result.status is not Status.INTERRUPT:
            self._locate(result.error)
            self._rate_limited = self._scope.rate_limited or is_rate_limited(result.error)
        self._finished = result
        self.deadline = now + self.timeout_s  # the comparison has as long again
        return True

    def _locate(self, error: object) -> None:
        """Note where in the code V2 failed, and show it in the debug mode."""
        with self._services.fault_barrier("record", self._execution.node.name):
            if self.executor != "process":
                show(f"V2 of node {self._execution.node.name!r}", error)
            self._location = self._scope.location or code_location(error)

    def _conclude(self, again: ExecutionResult | None) -> None:
        """Compare and report, in this thread."""
        result = self._finished or ExecutionResult(Status.ERROR)
        record: ShadowRecord | None = None
        broken: type[BaseException] = Exception
        if self._right_to_report:
            try:
                record = self._pair(result, None, again)
            except BaseException as fault:  # noqa: BLE001 - a comparator may raise SystemExit; the pair is recorded
                broken = type(fault)
                self._caught("compare", fault)
        limiter = self._execution.node.limiter
        if not self._claim():
            limiter.spent(self._new_tokens())  # given up, it went on spending
            return
        told_429 = self._rate_limited or (again is not None and is_rate_limited(again.error))
        limiter.finished(result.status, self._new_tokens(), told_429)
        done = record
        if done is not None:
            self._report(lambda: done)
        else:
            self._report(partial(self._bare, result, broken))

    def _never_began(self, error: BaseException | type[BaseException]) -> None:
        """Report that the state could not be restored (or its isolation be built): that is no error of V2's."""
        if not self._claim():
            return
        self._execution.node.limiter.finished(Status.CANCELLED, 0)
        kind = type_name(error.type_name) if isinstance(error, SnapshotError) else error_type(error)
        v2 = Observation(Status.CANCELLED, error_type=error_type(error))
        self._report(partial(baseline, self._execution, f"not_captured:{kind}", v2))
        if isinstance(error, BaseException):
            self._caught("capture", error)

    def _again(self) -> ExecutionResult | None:
        """Run V1 a second time, in the shadow's isolation: the noise floor. None where its loop has ended."""
        self.deadline = perf_counter() + 2 * self.timeout_s
        place = None
        if self._capture.loop is not None:
            place = self._services.dispatcher.placement.v1_place(self._capture.loop)
            if place is None:
                return None
        try:
            return self._capture.run(self._fresh_scope(), _enter_no_span, place, again=True)
        except V2CutOffError:
            return None
        except BaseException as error:  # noqa: BLE001 - V1's second run may fail like any other
            return ExecutionResult(Status.ERROR, error=error)

    def _fresh_scope(self) -> ShadowContext:
        node = self._execution.node
        return ShadowContext(node.graph, node.name, self._services.config.tools, set(node.tools))

    # --- its record ------------------------------------------------------------------------------------------------

    def _pair(
        self, result: ExecutionResult, comparison: Comparison | None, again: ExecutionResult | None = None
    ) -> ShadowRecord:
        state, v1 = self._capture.state(), self._capture.v1()
        record = pair(self._execution, state, v1, result, self._circumstances(), comparison, again)
        if self._services.inspect is not None:
            self._services.inspect(record, v1, result)
        return record

    def _uncompared(self, result: ExecutionResult, reason: str | None) -> ShadowRecord:
        """Make the record of a run that was given up, off its thread: a bare one if its state can't be read."""
        try:
            return replace(self._pair(result, NOT_COMPARED), reason=reason)
        except BaseException as fault:  # noqa: BLE001 - the user's classes raise anything
            self._caught("record", fault)
            return self._bare(result, type(fault), reason)

    def _bare(self, result: ExecutionResult, broken: type[BaseException], reason: str | None = None) -> ShadowRecord:
        return replace(bare(self._execution, result, self._circumstances(), broken), reason=reason)

    def _circumstances(self) -> Circumstances:
        blocked, declared = self._scope.blocked, self._scope.declared
        return Circumstances(
            latency_s=self._latency_s,
            queue_s=max((self._started_at or self.queued_at) - self.queued_at, 0.0),
            executor=self._ran_in,
            span_id=self._span.span_id if self._span else None,
            tokens=dict(self._scope.tokens),
            location=self._location,
            rate_limited=self._rate_limited,
            blocked_tools=tuple(dict.fromkeys(known(tool, declared) for tool in blocked)),
        )

    @property
    def _ran_in(self) -> str:
        """The executor that ran V2, whatever was configured."""
        if self._place is not None:
            return self._place.executor
        return "process" if self.executor == "process" else "thread"

    def _caught(self, operation: str, fault: BaseException) -> None:
        self._services.fault_barrier.caught(operation, self._execution.node.name, fault)


def _enter_no_span() -> None:
    """Do nothing: V1's second run is not measured."""
