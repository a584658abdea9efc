"""The capture of a node's call: what V1 did, and runs of V2 in its isolation with their decision, writes or error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from langchain_core.runnables import Runnable
from langgraph.errors import GraphInterrupt, InvalidUpdateError, ParentCommand
from langgraph.types import Command

from otel_shadow._langgraph.captured_call import CapturedCall
from otel_shadow._langgraph.decision import RoutingDecision, decided, decided_by, fields
from otel_shadow._langgraph.isolation.configuration import Isolation, enter_shadow, isolate
from otel_shadow._langgraph.isolation.guards import guarded
from otel_shadow._langgraph.isolation.states import READS
from otel_shadow._langgraph.isolation.stores import BEGUN
from otel_shadow._langgraph.loop_calls import LoopEndedError, call_on
from otel_shadow._langgraph.process_run import task_of
from otel_shadow._langgraph.v2_runnable import is_async, is_awaited_branch
from otel_shadow._runtime.execution_result import ExecutionResult, Place
from otel_shadow._runtime.executors.own_pools import enter_own_pools
from otel_shadow._runtime.executors.trial import TrialJob
from otel_shadow._runtime.fault_barrier import is_from_outside
from otel_shadow._runtime.redact import class_name
from otel_shadow._runtime.shadow_context import LOOP_ENDED, ShadowContext
from otel_shadow._runtime.snapshot import SnapshotError
from otel_shadow._runtime.snapshot.pickling import dumps_for_another_process
from otel_shadow.record import Status

AnyRunnable = Runnable[Any, Any]
Enter = Callable[[], None]
TRIAL = "otel_shadow._langgraph.trial_run:try_twice"
"""What a worker runs to try V2."""
_NO_DECISION = RoutingDecision()


class NodeCapture(CapturedCall):
    """A captured call that can be repeated off V1's path, with V2 in V1's place.

    Whatever V2 raises is in the result; a capture that can't be restored is a cancellation: V2 never ran.
    """

    @property
    def is_async(self) -> bool:
        return is_async(self._v2, default=self.loop is not None)

    def state(self) -> Any:
        """Make a fresh copy of the input; an empty one where its classes can't be made again."""
        try:
            return self.restore().input
        except SnapshotError:
            return {}

    def v1(self) -> ExecutionResult:
        writes = self._writes.restore()
        decision = _NO_DECISION
        if self._command is not None:
            decision = decided_by(self._command.args[0], self.here, self.channels)
        elif self._status is Status.SUCCESS:
            decision = decided(writes, self.channels)
        error = self._error_class if self._status is Status.ERROR else None
        return ExecutionResult(self._status, decision.targets, fields(writes, self.channels), decision.sends, error)

    def run(
        self, scope: ShadowContext, enter: Enter, place: Place | None = None, *, again: bool = False
    ) -> ExecutionResult:
        """Run V2 (``again``: V1) in its isolation, which is built in this thread: called here, or awaited at ``place``.

        Raises:
            TimeoutError: it was awaited longer than its time limit.
        """
        v2 = self._subject(scope, again)
        context = self.context.copy()
        try:
            with guarded():
                isolation = context.run(self._isolated, scope, is_async=place is not None)
                if place is None:
                    return context.run(self._run, v2, isolation, enter)
                return place.wait(partial(self._arun, v2, isolation, enter), context, scope.timeout_s)
        except SnapshotError as error:
            return ExecutionResult(Status.CANCELLED, error=error)

    def trial_job(self, scope: ShadowContext, path: str) -> TrialJob:
        """Make the job of a trial of V2, which is found at ``path``, on the captured state.

        Raises:
            Exception: the state can't be restored, or not be sent.
        """
        isolation = self.context.copy().run(self._isolated, scope, is_async=True)
        task = task_of(path, isolation.state, isolation.config, scope)
        return TrialJob(TRIAL, dumps_for_another_process(task))

    def _subject(self, scope: ShadowContext, again: bool) -> AnyRunnable:
        if self.recording is not None:
            scope.recorded_calls = self.recording.calls
        return self._node.bound if again else self._v2

    def _run(self, v2: AnyRunnable, isolation: Isolation, enter: Enter) -> ExecutionResult:
        enter()
        try:
            value = v2.invoke(isolation.state, isolation.config)
        except BaseException as error:  # noqa: BLE001 - V2 may raise anything; SystemExit too ends nothing but V2
            if (value := _command_here(isolation, error)) is None:
                return _failed(isolation, error)
        try:
            passed = value
            for writer in self._node.flat_writers:
                if self.loop is not None and is_awaited_branch(writer):  # production awaits it on its loop, too
                    passed = call_on(self.loop, partial(writer.ainvoke, passed, isolation.config))
                else:
                    passed = writer.invoke(passed, isolation.config)
        except BaseException as error:  # noqa: BLE001 - as above: path functions are user code
            return _undecided(isolation, value, error)
        return _result(isolation, Status.SUCCESS, value, None, decided(list(isolation.writes), isolation.channels))

    async def _arun(self, v2: AnyRunnable, isolation: Isolation, enter: Enter) -> ExecutionResult:
        enter()
        try:
            value = await v2.ainvoke(isolation.state, isolation.config)
        except BaseException as error:
            if _passes(error):
                raise
            if (value := _command_here(isolation, error)) is None:
                return _failed(isolation, error)
        finally:
            await isolation.calls.aclose()
        try:
            passed = value
            for writer in self._node.flat_writers:
                passed = await writer.ainvoke(passed, isolation.config)
        except BaseException as error:
            if _passes(error):
                raise
            return _undecided(isolation, value, error)
        return _result(isolation, Status.SUCCESS, value, None, decided(list(isolation.writes), isolation.channels))

    def _isolated(self, scope: ShadowContext, *, is_async: bool) -> Isolation:
        """Make the present context, a copy that is V2's own, the shadow's."""
        scope.state.setdefault("loop", self.loop)
        if self.nested is not None:
            scope.state.setdefault(READS, self.nested.reads)
            scope.state.setdefault(BEGUN, self.nested.begun)
        isolation = isolate(self, scope, is_async=is_async)
        enter_shadow(scope, isolation.config)
        enter_own_pools()
        return isolation


def _passes(error: BaseException) -> bool:
    """Return whether V2 did not raise ``error`` itself: its task is being cancelled, or a signal arrived."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, GeneratorExit) or is_from_outside(error)


def _command_here(isolation: Isolation, error: BaseException) -> Command[Any] | None:
    """Return the command that a subgraph in V2 sent to this node's graph: LangGraph hands it to the node's writers."""
    if isinstance(error, ParentCommand) and error.args[0].graph in isolation.here:
        command: Command[Any] = error.args[0]
        return command
    return None


def _failed(isolation: Isolation, error: BaseException) -> ExecutionResult:
    if isinstance(error, ParentCommand):
        return _to_parent(isolation, error.args[0])
    if isinstance(error, GraphInterrupt):
        asked = tuple(item.value for item in (error.args[0] if error.args else ()))
        return _result(isolation, Status.INTERRUPT, asked, error)
    return _result(isolation, _status(error), None, error)


def _status(error: BaseException) -> Status:
    if isinstance(error, NotImplementedError):
        return Status.NOT_IMPLEMENTED
    if isinstance(error, RuntimeError) and "interpreter shutdown" in str(error):
        return Status.CANCELLED  # no thread or pool starts any more: the process ends, V2 has not failed
    return Status.ERROR


def _undecided(isolation: Isolation, value: Any, error: BaseException) -> ExecutionResult:
    """Return the result where a writer raised: V2's output is unusable, or a path function or reducer failed on it."""
    if isinstance(error, ParentCommand):
        return _to_parent(isolation, error.args[0])
    status = Status.ERROR if isinstance(error, InvalidUpdateError) else Status.SUCCESS
    return _result(isolation, status, value, error, RoutingDecision((f"error:{class_name(type(error))}",)))


def _to_parent(isolation: Isolation, command: Command[Any]) -> ExecutionResult:
    return _result(isolation, Status.SUCCESS, command, None, decided_by(command, isolation.here, isolation.channels))


def _result(
    isolation: Isolation,
    status: Status,
    value: Any,
    error: BaseException | None,
    decision: RoutingDecision = _NO_DECISION,
) -> ExecutionResult:
    if isolation.scope.state.get(LOOP_ENDED):
        return ExecutionResult(Status.CANCELLED, error=LoopEndedError())
    writes = fields(list(isolation.writes), isolation.channels)
    return ExecutionResult(status, decision.targets, writes, decision.sends, error, value, isolation.custom)
