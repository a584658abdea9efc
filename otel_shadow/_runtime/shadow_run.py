"""One V2 run beside an execution: it waits, runs, and ends in exactly one record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter

from otel_shadow._runtime.execution_result import Capture, ExecutionResult
from otel_shadow._runtime.executors.worker_handle import WorkerBusyError, longest_s
from otel_shadow._runtime.records import Circumstances, ExecutionData, bare, baseline, pair, shed
from otel_shadow._runtime.redact import error_type, known, type_name
from otel_shadow._runtime.services import Services
from otel_shadow._runtime.shadow_context import ShadowContext
from otel_shadow._runtime.sinks import V2Span
from otel_shadow._runtime.snapshot import SnapshotError
from otel_shadow.record import NOT_COMPARED, Comparison, Observation, ShadowRecord, Status

_GRACE_S = 0.25
"""Seconds past its limit after which a run that ends itself (awaited, in a process) is given up all the same."""
_OWN_BYTES = 9 * 1024
"""Bytes that a waiting run holds besides its snapshots: configuration, context, spans (up to 8 KiB measured)."""


class ShadowRun:
    """One V2 run: waiting, running or done. It is reported exactly once, by the thread that ends it."""

    deadline = float("inf")
    """Monotonic seconds after which it is given up."""
    is_async = False
    reported = False
    """Whether its record is with the record queue."""
    _started_at: float | None = None
    _entered = False
    _admitted = False
    _finished: ExecutionResult | None = None
    _latency_s: float | None = None
    _span: V2Span | None = None
    _ends_itself = False
    _counted_tokens = 0
    _scope: ShadowContext

    def __init__(self, execution: ExecutionData, capture: Capture) -> None:
        self._execution = execution
        self._capture = capture
        self._queued_at = perf_counter()
        self._right_to_report = [True]
        self.size = capture.size + _OWN_BYTES

    @property
    def executor(self) -> str:
        """Name of the executor that is to run it."""
        return self._execution.node.table.executor

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Production's loop, where V1 was awaited."""
        return self._capture.loop

    # --- the dispatcher's side -------------------------------------------------------------------------------------

    def accepted(self) -> None:
        """End V1's span, now that the run has left V1's path."""
        self._services.record_queue.put(self._execution.end_span)

    def admit(self) -> bool:
        """Ask the node's limiter whether to start; a refusal is reported."""
        reason = self._execution.node.limiter.refuse()
        if reason is not None:
            self.shed(reason)
            return False
        self.is_async = self._capture.is_async and self.executor != "process"
        self._ends_itself = self.is_async or self.executor == "process"
        self._scope = self._fresh_scope()
        self._set_deadline(perf_counter())
        self._admitted = True
        return True

    def shed(self, reason: str) -> None:
        """Report that V2 will not run, and why."""
        if self._claim():
            self._report(partial(shed, self._execution, reason))  # without this run, which holds the snapshot

    def give_up(self, cancelled: bool) -> None:
        """Report V2 as timed out or cancelled; a V2 that had finished keeps its status and is not compared."""
        if not self._claim():
            return
        limiter = self._execution.node.limiter
        if self._started_at is None:
            if self._admitted:
                limiter.finished(Status.CANCELLED, 0)
            self._report(partial(baseline, self._execution, "cancelled", Observation(Status.CANCELLED)))
            return
        over = Status.TIMEOUT if self._entered and not cancelled else Status.CANCELLED
        result = self._finished or ExecutionResult(over)  # V2 has not begun while the state's own classes restore it
        if self._latency_s is None:
            self._latency_s = perf_counter() - self._started_at
        limiter.finished(result.status, self._new_tokens())
        if self._finished or not self._entered:  # what hangs is the user's code that a whole record would run again
            self._report(partial(self._bare, result, TimeoutError))
        else:
            self._report(partial(self._uncompared, result), self.size)

    def run(self) -> None:
        """Run V2 in this thread, to the report."""
        self._start()
        try:
            result = self._capture.run(self._scope, self._enter)
        except BaseException as error:  # noqa: BLE001 - a worker thread outlives SystemExit and the like
            result = ExecutionResult(Status.ERROR, error=error)
        if self._stop(result):
            self._conclude(self._again() if self._wants_again else None)

    async def arun(self, aside: Callable[[Callable[[], None]], object] | None = None) -> None:
        """Await V2 on this loop, within its time limit, to the report.

        Arguments:
            aside: runs the comparison in another thread; default: it is made here.

        Raises:
            asyncio.CancelledError: this task was cancelled; the run is reported as cancelled.
        """
        self._start()
        try:
            async with asyncio.timeout(self._timeout_s):
                result = await self._capture.arun(self._scope, self._enter)
        except TimeoutError as error:
            result = ExecutionResult(Status.TIMEOUT, error=error)
        except asyncio.CancelledError:
            self.give_up(cancelled=True)
            raise
        except BaseException as error:  # noqa: BLE001 - as above
            result = ExecutionResult(Status.ERROR, error=error)
        if self._stop(result):
            conclude = partial(self._conclude, await self._aagain() if self._wants_again else None)
            if aside is None:
                conclude()
            else:
                aside(conclude)

    # --- inside ----------------------------------------------------------------------------------------------------

    @property
    def _services(self) -> Services:
        return self._execution.node.services

    @property
    def _timeout_s(self) -> float:
        return self._execution.assignment.timeout_s

    @property
    def _wants_again(self) -> bool:
        """Whether V1 is to run a second time, for the noise floor."""
        return self._execution.assignment.noise and bool(self._right_to_report)

    def _claim(self) -> bool:
        """Take the right to report, and return whether no other thread has taken it before."""
        try:
            return self._right_to_report.pop()  # atomic
        except IndexError:
            return False

    def _report(self, make: Callable[[], ShadowRecord | None], size: int = 0) -> None:
        self._services.record_queue.put(make, size)
        self.reported = True  # only now: a thread that waits for reports may flush the record queue next
        self._services.dispatcher.freed()

    def _set_deadline(self, started: float) -> None:
        longest = longest_s(self._timeout_s) if self.executor == "process" else self._timeout_s
        self.deadline = started + longest + (_GRACE_S if self._ends_itself else 0.0)

    def _new_tokens(self) -> int:
        spent = sum(list(self._scope.tokens.values()))
        new, self._counted_tokens = spent - self._counted_tokens, spent
        return new

    def _start(self) -> None:
        with self._services.fault_barrier("span", self._execution.node.name):
            self._span = self._services.spans.v2(self._execution.labels, self._execution.span)
        self._scope.timeout_s = self._timeout_s
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
        ran_s = self._scope.ran_s
        self._latency_s = now - (self._started_at or now) if ran_s is None else ran_s
        if isinstance(result.error, WorkerBusyError):
            result = ExecutionResult(Status.CANCELLED, error=result.error)
        elif result.status is not Status.TIMEOUT and self._latency_s >= self._timeout_s:
            result = ExecutionResult(Status.TIMEOUT, error=result.error)
        self._finished = result
        self.deadline = now + self._timeout_s  # the comparison has as long again
        return True

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
        limiter.finished(result.status, self._new_tokens())
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

    def _again(self) -> ExecutionResult:
        """Run V1 a second time, in the shadow's isolation: the noise floor."""
        self.deadline = perf_counter() + 2 * self._timeout_s
        try:
            return self._capture.run(self._fresh_scope(), _enter_no_span, again=True)
        except BaseException as error:  # noqa: BLE001 - V1's second run may fail like any other
            return ExecutionResult(Status.ERROR, error=error)

    async def _aagain(self) -> ExecutionResult:
        """Await V1 a second time, within V2's time limit."""
        self.deadline = perf_counter() + 2 * self._timeout_s
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._capture.arun(self._fresh_scope(), _enter_no_span, again=True)
        except Exception as error:  # noqa: BLE001 - likewise; a cancellation ends this task
            return ExecutionResult(Status.ERROR, error=error)

    def _fresh_scope(self) -> ShadowContext:
        node = self._execution.node
        return ShadowContext(node.graph, node.name, self._services.config.tools)

    # --- its record ------------------------------------------------------------------------------------------------

    def _pair(
        self, result: ExecutionResult, comparison: Comparison | None, again: ExecutionResult | None = None
    ) -> ShadowRecord:
        state, v1 = self._capture.state(), self._capture.v1()
        record = pair(self._execution, state, v1, result, self._circumstances(), comparison, again)
        self._close_span(record)
        if self._services.inspect is not None:
            self._services.inspect(record, v1, result)
        return record

    def _uncompared(self, result: ExecutionResult) -> ShadowRecord:
        """Make the record of a run that was given up, off its thread: a bare one if its state can't be read."""
        try:
            return self._pair(result, NOT_COMPARED)
        except Exception as fault:  # noqa: BLE001 - the user's classes raise anything
            self._caught("record", fault)
            return self._bare(result, type(fault))

    def _bare(self, result: ExecutionResult, broken: type[BaseException]) -> ShadowRecord:
        record = bare(self._execution, result, self._circumstances(), broken)
        self._close_span(record)
        return record

    def _circumstances(self) -> Circumstances:
        blocked, declared = self._scope.blocked, self._scope.tools.known
        return Circumstances(
            latency_s=self._latency_s,
            queue_s=max((self._started_at or self._queued_at) - self._queued_at, 0.0),
            span_id=self._span.span_id if self._span else None,
            tokens=dict(self._scope.tokens),
            blocked_tools=tuple(dict.fromkeys(known(tool, declared) for tool in blocked)),
        )

    def _close_span(self, record: ShadowRecord) -> None:
        if self._span is not None:
            with self._services.fault_barrier("span", self._execution.node.name):
                self._span.close(record)

    def _caught(self, operation: str, fault: BaseException) -> None:
        self._services.fault_barrier.caught(operation, self._execution.node.name, fault)


def _enter_no_span() -> None:
    """Do nothing: V1's second run is not measured."""
