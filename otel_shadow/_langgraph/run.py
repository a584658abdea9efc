"""One run of V2 in its isolation, and its result: decision, writes, or error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from langchain_core.runnables import Runnable
from langgraph.errors import GraphInterrupt, InvalidUpdateError, ParentCommand
from langgraph.pregel._read import PregelNode
from langgraph.types import Command

from otel_shadow._langgraph.captured_parts import CapturedParts
from otel_shadow._langgraph.decision import SendArguments, command_sends, command_targets, fields, sends_of, targets_of
from otel_shadow._langgraph.isolation.config import Isolation, isolate
from otel_shadow._langgraph.isolation.context import enter_shadow
from otel_shadow._langgraph.isolation.guards import guarded
from otel_shadow._langgraph.isolation.token_usage import TokenCounter
from otel_shadow._langgraph.v2 import V2, coerce, is_async
from otel_shadow._runtime.execution_result import ExecutionResult
from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow._runtime.redact import class_name
from otel_shadow._runtime.shadow_context import ShadowContext
from otel_shadow.record import Status

AnyRunnable = Runnable[Any, Any]
Enter = Callable[[], None] | None
_ERROR_PREFIX = "error:"


def run(
    captured: CapturedParts, node: PregelNode, v2: V2, *, scope: ShadowContext, enter: Callable[[], None] | None = None
) -> ExecutionResult:
    """Run V2 in the calling thread and compute its decision.

    Arguments:
        captured: V1's call, as it was before V1 ran.
        node: the node; its writers (edges, branches) make the decision.
        v2: a function, runnable or compiled graph. One that can only be awaited gets an event loop of its own.
        scope: the mark and the overlays of this shadow.
        enter: called first inside V2's context.

    Raises:
        SnapshotError: the capture could not be restored; whatever V2 raises is in the result.
    """
    if is_async(v2):
        return asyncio.run(_with_own_pool(arun(captured, node, v2, scope=scope, enter=enter)))
    with guarded():
        return captured.context.copy().run(_run, captured, node, coerce(v2), scope, enter)


async def _with_own_pool(running: Coroutine[Any, Any, ExecutionResult]) -> ExecutionResult:
    """Await on a loop whose pool can be left behind: a loop waits at its end for the threads of its pool."""
    asyncio.get_running_loop().set_default_executor(DaemonPool())
    return await running


async def arun(
    captured: CapturedParts, node: PregelNode, v2: V2, *, scope: ShadowContext, enter: Callable[[], None] | None = None
) -> ExecutionResult:
    """Await V2 on the running loop, in a task with a context of its own; arguments as for :func:`run`.

    Cancelling the caller cancels V2 and every task it started.
    """
    with guarded():
        running = _arun(captured, node, coerce(v2), scope, enter)
        return await asyncio.create_task(running, context=captured.context.copy())


def _run(
    captured: CapturedParts, node: PregelNode, v2: AnyRunnable, scope: ShadowContext, enter: Enter
) -> ExecutionResult:
    isolation = _enter(captured, scope, enter, is_async=False)
    try:
        value = v2.invoke(isolation.state, isolation.config)
    except BaseException as error:  # noqa: BLE001 - V2 may raise anything; SystemExit too ends nothing but V2
        if (value := _command_here(isolation, error)) is None:
            return _failed(isolation, error)
    try:
        passed = value
        for writer in node.flat_writers:
            passed = writer.invoke(passed, isolation.config)
    except BaseException as error:  # noqa: BLE001 - as above: path functions are user code
        return _undecided(isolation, value, error)
    return _decided(isolation, value)


async def _arun(
    captured: CapturedParts, node: PregelNode, v2: AnyRunnable, scope: ShadowContext, enter: Enter
) -> ExecutionResult:
    isolation = _enter(captured, scope, enter, is_async=True)
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
        for writer in node.flat_writers:
            passed = await writer.ainvoke(passed, isolation.config)
    except BaseException as error:
        if _cancelled(error):
            raise
        return _undecided(isolation, value, error)
    return _decided(isolation, value)


def _enter(captured: CapturedParts, scope: ShadowContext, enter: Enter, *, is_async: bool) -> Isolation:
    """Make the present context, a copy that is V2's own, the shadow's."""
    scope.state.setdefault("loop", captured.loop)
    isolation = isolate(captured, scope, [TokenCounter(scope.tokens)], is_async=is_async)
    enter_shadow(scope, isolation.config)
    if enter is not None:
        enter()
    return isolation


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
    return _result(isolation, _status(error), error=error)


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
    return _result(isolation, status, value, error, (_ERROR_PREFIX + class_name(type(error)),))


def _to_parent(isolation: Isolation, command: Command[Any]) -> ExecutionResult:
    targets = command_targets(command, isolation.here)
    return _result(isolation, Status.SUCCESS, command, None, targets, command_sends(command))


def _decided(isolation: Isolation, value: Any) -> ExecutionResult:
    writes = list(isolation.writes)
    return _result(isolation, Status.SUCCESS, value, None, targets_of(writes), sends_of(writes))


def _result(
    isolation: Isolation,
    status: Status,
    value: Any = None,
    error: BaseException | None = None,
    targets: tuple[str, ...] = (),
    sends: SendArguments = (),
) -> ExecutionResult:
    writes = fields(list(isolation.writes), isolation.channels)
    return ExecutionResult(status, targets, writes, sends, error, value, isolation.custom)
