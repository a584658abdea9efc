"""The capture of a node's call: what V1 did, and runs of V2 in its isolation with their decision, writes or error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from langchain_core.runnables import Runnable
from langgraph.errors import GraphInterrupt, InvalidUpdateError, ParentCommand
from langgraph.types import Command

from otel_shadow._langgraph.captured_call import CapturedCall
from otel_shadow._langgraph.decision import RoutingDecision, decided, decided_by, fields
from otel_shadow._langgraph.isolation.configuration import Isolation, enter_shadow, isolate
from otel_shadow._langgraph.isolation.guards import guarded
from otel_shadow._langgraph.v2_runnable import is_async
from otel_shadow._runtime.execution_result import ExecutionResult
from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow._runtime.redact import class_name
from otel_shadow._runtime.shadow_context import ShadowContext
from otel_shadow._runtime.snapshot import SnapshotError
from otel_shadow.record import Status

AnyRunnable = Runnable[Any, Any]
Enter = Callable[[], None]
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
            decision = decided_by(self._command.args[0], self.here)
        elif self._status is Status.SUCCESS:
            decision = decided(writes)
        error = self._error_class if self._status is Status.ERROR else None
        return ExecutionResult(self._status, decision.targets, fields(writes, self.channels), decision.sends, error)

    def run(self, scope: ShadowContext, enter: Enter, *, again: bool = False) -> ExecutionResult:
        """Run V2 (``again``: V1) in this thread; one that can only be awaited gets an event loop of its own."""
        v2 = self._subject(scope, again)
        if is_async(v2):
            return asyncio.run(_with_own_pool(self.arun(scope, enter, again=again)))
        try:
            with guarded():
                return self.context.copy().run(self._run, v2, scope, enter)
        except SnapshotError as error:
            return ExecutionResult(Status.CANCELLED, error=error)

    async def arun(self, scope: ShadowContext, enter: Enter, *, again: bool = False) -> ExecutionResult:
        """Await V2 (``again``: V1) on this loop, in a task with a context of its own.

        Cancelling the caller cancels V2 and every task it started.
        """
        v2 = self._subject(scope, again)
        try:
            with guarded():
                return await asyncio.create_task(self._arun(v2, scope, enter), context=self.context.copy())
        except SnapshotError as error:
            return ExecutionResult(Status.CANCELLED, error=error)

    def _subject(self, scope: ShadowContext, again: bool) -> AnyRunnable:
        if self.recording is not None:
            scope.recorded_calls = self.recording.calls
        return self._node.bound if again else self._v2

    def _run(self, v2: AnyRunnable, scope: ShadowContext, enter: Enter) -> ExecutionResult:
        isolation = self._isolated(scope, enter, is_async=False)
        try:
            value = v2.invoke(isolation.state, isolation.config)
        except BaseException as error:  # noqa: BLE001 - V2 may raise anything; SystemExit too ends nothing but V2
            if (value := _command_here(isolation, error)) is None:
                return _failed(isolation, error)
        try:
            passed = value
            for writer in self._node.flat_writers:
                passed = writer.invoke(passed, isolation.config)
        except BaseException as error:  # noqa: BLE001 - as above: path functions are user code
            return _undecided(isolation, value, error)
        return _result(isolation, Status.SUCCESS, value, None, decided(list(isolation.writes)))

    async def _arun(self, v2: AnyRunnable, scope: ShadowContext, enter: Enter) -> ExecutionResult:
        isolation = self._isolated(scope, enter, is_async=True)
        try:
            value = await v2.ainvoke(isolation.state, isolation.config)
        except BaseException as error:
            if _cancelled(error):
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
            if _cancelled(error):
                raise
            return _undecided(isolation, value, error)
        return _result(isolation, Status.SUCCESS, value, None, decided(list(isolation.writes)))

    def _isolated(self, scope: ShadowContext, enter: Enter, *, is_async: bool) -> Isolation:
        """Make the present context, a copy that is V2's own, the shadow's."""
        scope.state.setdefault("loop", self.loop)
        isolation = isolate(self, scope, is_async=is_async)
        enter_shadow(scope, isolation.config)
        enter()
        return isolation


async def _with_own_pool(running: Coroutine[Any, Any, ExecutionResult]) -> ExecutionResult:
    """Await on a loop whose pool can be left behind: a loop waits at its end for the threads of its pool."""
    asyncio.get_running_loop().set_default_executor(DaemonPool())
    return await running


def _cancelled(error: BaseException) -> bool:
    """Return whether V2's task is being cancelled, rather than V2 raising the exception itself."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


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
    return _result(isolation, Status.SUCCESS, command, None, decided_by(command, isolation.here))


def _result(
    isolation: Isolation,
    status: Status,
    value: Any,
    error: BaseException | None,
    decision: RoutingDecision = _NO_DECISION,
) -> ExecutionResult:
    writes = fields(list(isolation.writes), isolation.channels)
    return ExecutionResult(status, decision.targets, writes, decision.sends, error, value, isolation.custom)
