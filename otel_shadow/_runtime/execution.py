"""One execution of a shadowed node on V1's path: begun, run, handed over."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from math import inf
from time import perf_counter, thread_time
from typing import Any, ParamSpec

from otel_shadow._runtime.execution_result import Capture
from otel_shadow._runtime.fault_barrier import is_from_outside
from otel_shadow._runtime.node import ShadowedNode
from otel_shadow._runtime.rate_limit import is_rate_limited
from otel_shadow._runtime.records import ExecutionData, baseline
from otel_shadow._runtime.redact import error_type
from otel_shadow._runtime.shadow_context import IN_V2, SHADOW
from otel_shadow._runtime.shadow_run import ShadowRun
from otel_shadow._runtime.sinks import V1Span
from otel_shadow._runtime.snapshot import TooLargeError, TooSlowError
from otel_shadow._runtime.waits import begin_stretch, stretch_s
from otel_shadow.record import Observation, ShadowRecord, Status

NOTHING: Any = object()
"""The result of a stream without a chunk."""
P = ParamSpec("P")


def begin(node: ShadowedNode, state: Any, configurable: Mapping[str, Any], call: Any = None) -> Execution | None:
    """Begin an execution of ``node`` with input ``state``, on V1's path: it waits for nothing.

    Arguments:
        node: the node.
        state: its input.
        configurable: the run's configuration.
        call: what tells the run to which this call of the node belongs.

    Returns:
        None where V1 is to run with nothing around it: in mode ``v1_only``, inside a V2, and after a fault of
        otel-shadow, which is counted.
    """
    worked, entered = thread_time(), perf_counter()
    try:
        flags = node.services.flags.current
        if flags.off or SHADOW.get() is not None or IN_V2.get():
            return None
        session = node.session_path(state, configurable)
        if session is not None and type(session) is not str:
            session = str(session)
        epoch = node.services.clock()
        assignment = node.assignments.of(flags, session, epoch, call)
        if assignment is None:
            return None
        execution = Execution(node, assignment, configurable, entered, epoch)
        execution.begin_work(entered, worked)
        return execution
    except BaseException as fault:
        if is_from_outside(fault):
            raise
        node.counts.hand_over()  # a record was due, and none will come
        node.services.fault_barrier.caught("enter", node.name, fault)
        return None


class Execution(ExecutionData):
    """An execution from the entry to the exit of the node's wrapper: a context manager around everything that V1 does.

    What V1 ``produced`` or ``raised`` is noted; the wrapper sets ``result`` to what the caller is about to get.
    On leaving, the two are compared by identity: the evidence of "V1 always served". An exception passes unchanged.
    """

    capture: Capture | None = None
    """None where V2 can't run in shadow."""
    result: Any = NOTHING
    """What the caller is about to get."""
    _produced: Any = NOTHING
    _raised: BaseException | None = None
    _shed_for: str | None = None
    _at_work = True
    """Whether otel-shadow's own code runs now, and no version."""
    _away_since_s = inf

    # --- own work --------------------------------------------------------------------------------------------------

    def begin_work(self, now_s: float, worked_s: float) -> None:
        """Begin a stretch of otel-shadow's own work, at ``now_s`` and this thread's processor time ``worked_s``."""
        self._at_work = True
        self._began_s, self._worked_s = now_s, worked_s
        begin_stretch()

    def end_work(self) -> float:
        """End the stretch, for a version runs next, and return the time: what the stretch took is overhead."""
        now = self._away_since_s = perf_counter()
        self.overhead_s += stretch_s(self._began_s, self._worked_s, now)
        self._at_work = False
        return now

    @property
    def until(self) -> float:
        """This thread's processor time (s) at which a snapshot in this stretch is to be done."""
        return self._worked_s + self.node.overhead_budget.left_s

    # --- before V1 -------------------------------------------------------------------------------------------------

    def skip(self, reason: str) -> None:
        """Note that V2 can't run on this execution, because of ``reason``."""
        self.assignment = self.assignment._replace(reason=reason)

    def shed(self, reason: str) -> None:
        """Note that V2 is not to run on this execution, for ``reason`` of the limiter."""
        self.skip(f"shed:{reason}")
        self.v2 = Observation(Status.SHED)
        self._shed_for = reason

    def not_implemented(self) -> None:
        """Note that there is no V2 for this node."""
        if self.live:
            self.fallback_reason = str(Status.NOT_IMPLEMENTED)
        self.skip(Status.NOT_IMPLEMENTED)
        self.v2 = Observation(Status.NOT_IMPLEMENTED)

    # --- around V1 -------------------------------------------------------------------------------------------------

    def __enter__(self) -> Execution:
        """Enter the execution; :meth:`__exit__` hands it over."""
        return self

    # What runs V1 itself calls these three, so that no frame of otel-shadow but its own is below V1 on the stack.

    def open_span(self) -> None:
        """Open V1's span: V1 runs next."""
        try:
            self.span = self.node.services.spans.v1(self, self.fallback_reason)
        except BaseException as fault:
            if is_from_outside(fault):
                raise
            self._caught("span", fault)
        self.end_work()

    def produced(self, value: Any) -> Any:
        """Note ``value`` as what the serving version produced, and return it."""
        self._produced = value
        return value

    def raised(self, error: BaseException) -> None:
        """Note ``error`` as what V1 raised."""
        self._raised = error

    def through(self, v1: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run V1 inside its span, and return its value or raise what it raised."""
        self.open_span()
        try:
            return self.produced(v1(*args, **kwargs))
        except BaseException as error:
            self.raised(error)
            raise

    async def athrough(self, v1: Callable[P, Awaitable[Any]], *args: P.args, **kwargs: P.kwargs) -> Any:
        """Await V1 inside its span, and return its value or raise what it raised."""
        self.open_span()
        try:
            return self.produced(await v1(*args, **kwargs))
        except BaseException as error:
            self.raised(error)
            raise

    def through_stream(self, chunks: Iterator[Any]) -> Iterator[Any]:
        """Yield V1's chunks inside its span, and raise what V1 raised."""
        self.open_span()
        try:
            for chunk in chunks:
                if self._produced is NOTHING:
                    self.first_part_s = perf_counter() - self.entered_s
                self._produced = chunk
                yield chunk
        except BaseException as error:
            self._raised = error
            raise

    async def athrough_stream(self, chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Yield V1's chunks as they are awaited, inside its span, and raise what V1 raised."""
        self.open_span()
        try:
            async for chunk in chunks:
                if self._produced is NOTHING:
                    self.first_part_s = perf_counter() - self.entered_s
                self._produced = chunk
                yield chunk
        except BaseException as error:
            self._raised = error
            raise

    def open_live_span(self) -> None:
        """Open ``v2.node``."""
        with self.node.services.fault_barrier("span", self.node.name):
            self.span = self.node.services.spans.live(self)

    def close_live_span(self) -> None:
        """Leave ``v2.node`` of a V2 that failed, which is ended off the path; V1's own span follows."""
        with self.node.services.fault_barrier("span", self.node.name):
            if self.v2 is not None:
                self.span.leave()
                end = partial(self._end_live_span, self.span, self.v2)
                self.node.services.record_queue.span_ends.put(end, self.node.name)

    def _end_live_span(self, span: V1Span, v2: Observation) -> None:
        span.close(v2, self.labels)

    # --- after V1 --------------------------------------------------------------------------------------------------

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Queue the shadow run, or the record of an execution without one: the caller gets its value or ``error`` next.

        Whatever breaks here is counted, and what V1 produced reaches the caller.
        """
        worked, returned = thread_time(), perf_counter()
        away = 0.0 if self._at_work else returned - self._away_since_s
        try:
            if not self._at_work:
                self.begin_work(returned, worked)
            self._judge(error)
            if self.capture is not None:
                self._complete(self.capture, error)
        except TooLargeError:
            self._drop("memory")
        except TooSlowError:
            self._drop("overhead")
        except BaseException as fault:
            self.capture = None
            if is_from_outside(fault):
                raise
            self._caught("close", fault)
        finally:
            self.latency_s = perf_counter() - self.entered_s
            try:
                self.span.leave()
            except BaseException as fault:  # by itself: a span that stays current would take in what follows
                if is_from_outside(fault):
                    raise
                self._caught("span", fault)
        try:
            self._hand_over()
            self.latency_s = self.end_work() - self.entered_s  # the caller waits for the way out of otel-shadow, too
            self.node.overhead_budget.settle(self.overhead_s, away)
        except BaseException as fault:
            if is_from_outside(fault):
                raise
            self._caught("close", fault)

    def _drop(self, reason: str) -> None:
        """Shed the shadow run, for V1's writes can't be kept beside the input: ``reason``."""
        self.capture = None
        self.shed(reason)

    def _judge(self, error: BaseException | None) -> None:
        """Set the status of the execution, and whether the caller gets just what V1 produced."""
        if error is None:
            self.delivered = self.result is self._produced
        else:  # a caller that has stopped listening gets nothing more
            self.delivered = error is self._raised or isinstance(error, GeneratorExit)
        self._raised = self._produced = self.result = None  # a traceback holds V1's locals
        if self.served == "v1":
            self.status = Status.SUCCESS if error is None else Status.ERROR  # should its class break what follows
            if error is not None:
                self.status = self.node.classify(error)
                if self.status is Status.ERROR:
                    self.error_type, self.rate_limited = _error_type(error), is_rate_limited(error)
        elif error is not None and self.v2 is not None:
            self.v2 = replace(self.v2, status=self.node.classify(error))

    def _complete(self, capture: Capture, error: BaseException | None) -> None:
        """Complete the capture; where no V2 can be compared with this V1, there is to be no shadow run."""
        reason = capture.complete(error, self.until)
        self.overhead_s += capture.spent_s
        if reason is not None:
            self.skip(reason)
            self.capture = None

    def _hand_over(self) -> None:
        """Queue the shadow run, or the record of an execution without one; from here on a record is due."""
        services, capture = self.node.services, self.capture
        self.node.counts.hand_over()
        services.record_queue.span_ends.put(self.end_span, self.node.name)
        if capture is None:
            services.record_queue.put(self._without_shadow)
            return
        self.capture = None
        run = ShadowRun(self, capture)
        refused = services.dispatcher.submit(run)
        if refused is not None:
            run.shed(refused)

    def _caught(self, operation: str, fault: BaseException) -> None:
        self.node.services.fault_barrier.caught(operation, self.node.name, fault)

    def _without_shadow(self) -> ShadowRecord:
        """Make the record of an execution that is not shadowed. Off the path."""
        if self._shed_for is not None:
            self.node.limiter.refused(self._shed_for)
        return baseline(self, self.assignment.reason or "not_captured", self.v2)


def _error_type(error: BaseException) -> str | None:
    """Return the class's name; a cancellation that counts as an error is a time limit, whatever cancelled the node."""
    return "TimeoutError" if isinstance(error, CancelledError) else error_type(error)
