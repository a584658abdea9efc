"""Running V2 in its private world, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables import Runnable
from langgraph.errors import GraphInterrupt, InvalidUpdateError, ParentCommand
from langgraph.pregel._read import PregelNode
from langgraph.types import Command

from otel_shadow._langgraph.capture import Capture
from otel_shadow._langgraph.decision import SendArguments, command_sends, command_targets, sends_of, targets_of
from otel_shadow._langgraph.isolation.config import Isolation, isolate
from otel_shadow._langgraph.isolation.context import enter_shadow
from otel_shadow._langgraph.isolation.guards import guarded
from otel_shadow._langgraph.isolation.token_usage import TokenCounter
from otel_shadow._langgraph.v2 import V2, coerce, is_async
from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow._runtime.redact import class_name
from otel_shadow._runtime.shadow_context import ShadowContext
from otel_shadow.record import Status

AnyRunnable = Runnable[Any, Any]
Enter = Callable[[], None] | None
_ERROR_PREFIX = "error:"


@dataclass(frozen=True)
class V2Outcome:
    """What V2 did.

    Arguments:
        status: ``success``, ``interrupt``, ``error`` or ``not_implemented``.
        value: what V2 returned; at an interrupt, the values it asked with; the command at ``Command.PARENT``.
        error: what it raised.
        targets: its decision, as :func:`~otel_shadow._langgraph.decision.v1_targets` gives it for V1;
            ``error:<Type>`` where a path function or reducer raised.
        sends: node and argument of each ``Send``.
        writes: what would have been written, by channel.
        custom: what it wrote to the stream.
    """

    status: Status
    value: Any = None
    error: BaseException | None = None
    targets: tuple[str, ...] = ()
    sends: SendArguments = ()
    writes: list[tuple[str, Any]] = field(default_factory=list)
    custom: list[Any] = field(default_factory=list)


def run(
    captured: Capture, proc: PregelNode, v2: V2, *, scope: ShadowContext, enter: Callable[[], None] | None = None
) -> V2Outcome:
    """Run V2 in the calling thread and compute its decision.

    Arguments:
        captured: V1's call.
        proc: the node; its writers (edges, branches) make the decision.
        v2: a function, runnable or compiled graph. One that can only be awaited gets an event loop of its own.
        scope: the mark and the overlays of this shadow.
        enter: called first inside V2's context.

    Raises:
        SnapshotError: the capture could not be restored; whatever V2 raises is in the execution.
    """
    if is_async(v2):
        return asyncio.run(_with_own_pool(arun(captured, proc, v2, scope=scope, enter=enter)))
    with guarded():
        return captured.context.copy().run(_run, captured, proc, coerce(v2), scope, enter)


async def _with_own_pool(work: Coroutine[Any, Any, V2Outcome]) -> V2Outcome:
    """A loop waits at its end for the threads of its pool; one of V2's may hang."""
    asyncio.get_running_loop().set_default_executor(DaemonPool())
    return await work


async def arun(
    captured: Capture, proc: PregelNode, v2: V2, *, scope: ShadowContext, enter: Callable[[], None] | None = None
) -> V2Outcome:
    """Await V2 on the running loop, in a task with a context of its own; arguments as for :func:`run`.

    Cancelling the caller cancels V2 and every task it started.
    """
    with guarded():
        work = _arun(captured, proc, coerce(v2), scope, enter)
        return await asyncio.create_task(work, context=captured.context.copy())


def _run(captured: Capture, proc: PregelNode, v2: AnyRunnable, scope: ShadowContext, enter: Enter) -> V2Outcome:
    isolation = _enter(captured, scope, enter, is_async=False)
    try:
        value = v2.invoke(isolation.state, isolation.config)
    except BaseException as error:  # noqa: BLE001 - V2 may raise anything; SystemExit too ends nothing but V2
        if (value := _command_here(isolation, error)) is None:
            return _failed(isolation, error)
    try:
        passed = value
        for writer in proc.flat_writers:
            passed = writer.invoke(passed, isolation.config)
    except BaseException as error:  # noqa: BLE001 - as above: path functions are user code
        return _undecided(isolation, value, error)
    return _decided(isolation, value)


async def _arun(captured: Capture, proc: PregelNode, v2: AnyRunnable, scope: ShadowContext, enter: Enter) -> V2Outcome:
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
        for writer in proc.flat_writers:
            passed = await writer.ainvoke(passed, isolation.config)
    except BaseException as error:
        if _cancelled(error):
            raise
        return _undecided(isolation, value, error)
    return _decided(isolation, value)


def _enter(captured: Capture, scope: ShadowContext, enter: Enter, *, is_async: bool) -> Isolation:
    """Make the present context (V2's own) the shadow's."""
    scope.state.setdefault("loop", captured.loop)
    isolation = isolate(captured, scope, [TokenCounter(scope.tokens)], is_async=is_async)
    enter_shadow(scope, isolation.config)
    if enter is not None:
        enter()
    return isolation


def _cancelled(error: BaseException) -> bool:
    """Whether someone cancels V2's task, rather than V2 raising the exception itself."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _command_here(isolation: Isolation, error: BaseException) -> Command[Any] | None:
    """The command that a subgraph in V2 sent to this node's graph: LangGraph hands it to the node's writers."""
    if isinstance(error, ParentCommand) and error.args[0].graph in isolation.here:
        command: Command[Any] = error.args[0]
        return command
    return None


def _failed(isolation: Isolation, error: BaseException) -> V2Outcome:
    if isinstance(error, ParentCommand):
        return _to_parent(isolation, error.args[0])
    writes, custom = list(isolation.writes), isolation.custom
    if isinstance(error, GraphInterrupt):
        asked = tuple(item.value for item in (error.args[0] if error.args else ()))
        return V2Outcome(Status.INTERRUPT, asked, error, writes=writes, custom=custom)
    return V2Outcome(_status(error), error=error, writes=writes, custom=custom)


def _status(error: BaseException) -> Status:
    if isinstance(error, NotImplementedError):
        return Status.NOT_IMPLEMENTED
    if isinstance(error, RuntimeError) and "interpreter shutdown" in str(error):
        return Status.CANCELLED  # no thread or pool starts any more: the process ends, V2 has not failed
    return Status.ERROR


def _undecided(isolation: Isolation, value: Any, error: BaseException) -> V2Outcome:
    """A writer raised: the output is unusable, or the user's path function or reducer failed on it."""
    if isinstance(error, ParentCommand):
        return _to_parent(isolation, error.args[0])
    status = Status.ERROR if isinstance(error, InvalidUpdateError) else Status.SUCCESS
    target = _ERROR_PREFIX + class_name(type(error))
    return V2Outcome(status, value, error, (target,), writes=list(isolation.writes), custom=isolation.custom)


def _to_parent(isolation: Isolation, command: Command[Any]) -> V2Outcome:
    return V2Outcome(
        Status.SUCCESS,
        command,
        targets=command_targets(command, isolation.here),
        sends=command_sends(command),
        writes=list(isolation.writes),
        custom=isolation.custom,
    )


def _decided(isolation: Isolation, value: Any) -> V2Outcome:
    writes, custom = list(isolation.writes), isolation.custom
    return V2Outcome(Status.SUCCESS, value, None, targets_of(writes), sends_of(writes), writes, custom)
