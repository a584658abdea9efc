"""A captured call of a node as the runtime wants it: able to run V2, and to tell what V1 did."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Callable, Container, Iterable
from sys import getsizeof
from typing import Any

from langchain_core.runnables import Runnable
from langgraph.errors import GraphBubbleUp, GraphInterrupt, ParentCommand
from langgraph.pregel._read import PregelNode
from langgraph.types import Send

from otel_shadow._langgraph import internals
from otel_shadow._langgraph.capture import Capture
from otel_shadow._langgraph.decision import v1_sends, v1_targets
from otel_shadow._langgraph.run import V2Outcome, arun, run
from otel_shadow._langgraph.v2 import is_async
from otel_shadow._runtime.execution_result import ExecutionResult, Several
from otel_shadow._runtime.shadow_context import ShadowContext
from otel_shadow._runtime.snapshot import ATOMS, Snapshot, SnapshotError, take
from otel_shadow.record import Status


def classify(error: BaseException) -> Status:
    """The status that an exception of a node stands for: a parent command is a decision, a drain a cancellation."""
    if isinstance(error, GraphInterrupt):
        return Status.INTERRUPT
    if isinstance(error, ParentCommand):
        return Status.SUCCESS
    if isinstance(error, GraphBubbleUp | asyncio.CancelledError | GeneratorExit):
        return Status.CANCELLED
    return Status.ERROR


class NodeWork:
    """One captured call.

    Arguments:
        captured: the call, captured before V1 ran.
        node: the node; its writers make V2's decision.
        v2: V2.
        error: what V1 raised, if it did; it is not kept (its traceback holds V1's locals).
    """

    _status = Status.SUCCESS
    _error: ParentCommand | None = None
    _error_class: type[BaseException] | None = None

    def __init__(
        self, captured: Capture, node: PregelNode, v2: Runnable[Any, Any], error: BaseException | None
    ) -> None:
        self._captured = captured
        self._node = node
        self._v2 = v2
        if error is not None:
            self._status = classify(error)
            # its command only: the exception itself is V1's, with a traceback that leads to V1's locals
            self._error = ParentCommand(error.args[0]) if isinstance(error, ParentCommand) else None
            self._error_class = type(error)
        self._writes = _keep(captured.writes())
        self.size = captured.size + self._writes.size

    @property
    def is_async(self) -> bool:
        """Whether V2 has to be awaited."""
        return is_async(self._v2, default=self._captured.is_async)

    @property
    def loop(self) -> AbstractEventLoop | None:
        """Production's loop, where the node was awaited."""
        return self._captured.loop

    def state(self) -> Any:
        """A fresh copy of the input; empty where its classes can't be made again."""
        try:
            return self._captured.state()
        except SnapshotError:
            return {}

    def v1(self) -> ExecutionResult:
        """What V1 did."""
        writes = self._writes.restore()
        here = self._captured.here
        return ExecutionResult(
            self._status,
            v1_targets(writes, self._error, here) if self._status is Status.SUCCESS else (),
            fields(writes, self._captured.channels),
            v1_sends(writes, self._error) if self._status is Status.SUCCESS else (),
            self._error_class if self._status is Status.ERROR else None,
        )

    def run(self, scope: ShadowContext, enter: Callable[[], None], *, again: bool = False) -> ExecutionResult:
        """Run V2 (``again``: V1) isolated, in the calling thread."""
        scope = self._with_calls(scope)
        try:
            return self._facts(run(self._captured, self._node, self._subject(again), scope=scope, enter=enter))
        except SnapshotError as error:
            return ExecutionResult(Status.CANCELLED, error=error)  # V2 never ran: nothing that it did wrong

    async def arun(self, scope: ShadowContext, enter: Callable[[], None], *, again: bool = False) -> ExecutionResult:
        """The same, awaited."""
        scope = self._with_calls(scope)
        try:
            return self._facts(await arun(self._captured, self._node, self._subject(again), scope=scope, enter=enter))
        except SnapshotError as error:
            return ExecutionResult(Status.CANCELLED, error=error)

    def _with_calls(self, scope: ShadowContext) -> ShadowContext:
        if self._captured.recording is not None:
            scope.recorded_calls = self._captured.recording.calls
        return scope

    def _subject(self, again: bool) -> Runnable[Any, Any]:
        return self._node.bound if again else self._v2

    def _facts(self, execution: V2Outcome) -> ExecutionResult:
        writes = fields(execution.writes, self._captured.channels)
        return ExecutionResult(execution.status, execution.targets, writes, execution.sends, execution.error)


class Uncopied:
    """Stands for a value of V1's that can't be copied, and is equal to none."""

    __slots__ = ()


def fields(writes: Iterable[tuple[str, Any]], known: Container[str]) -> dict[str, Any]:
    """State fields among ``writes``, by name; those of the machinery are left out, and those the graph does not have.

    A graph ignores a write to a channel that it lacks. Its name could be anything.
    """
    found: dict[str, Any] = {}
    for channel, value in writes:
        if channel in internals.BOOKKEEPING or channel.startswith((internals.BRANCH_PREFIX, internals.JOIN_PREFIX)):
            continue
        if channel not in known:
            continue
        if channel not in found:
            found[channel] = value
        elif isinstance(found[channel], Several):
            found[channel].append(value)
        else:
            found[channel] = Several([found[channel], value])
    return found


def _keep(writes: list[tuple[str, Any]]) -> Snapshot:
    """A snapshot: what V1 returned lives on in the run, where later nodes may change it in place.

    Nor may a comparison touch it there: what can't be copied is not compared.
    """
    if ATOMS.issuperset([type(value) for _, value in writes]):  # a router's decision: nothing that could change
        return Snapshot(None, kept=writes, size=sum(getsizeof(value) for _, value in writes))
    try:
        return take(writes)
    except SnapshotError:
        return take([(channel, _copyable(value)) for channel, value in writes])


def _copyable(value: Any) -> Any:
    try:
        take(value)
    except SnapshotError:
        return Send(value.node, Uncopied()) if isinstance(value, Send) else Uncopied()
    return value
