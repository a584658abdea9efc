"""LangGraph's own time limits: whether a node that was cancelled had gone over one, of its own or of the step.

A node sees a cancellation in any case. That LangGraph cancelled it because of its time is known only where LangGraph
does so, outside the node.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

from langgraph import errors
from langgraph.pregel import _retry
from langgraph.pregel._executor import AsyncBackgroundExecutor

from otel_shadow._langgraph.patches import Patches

_NODE_TIMEOUT: tuple[type[BaseException], ...] = tuple(filter(None, [getattr(errors, "NodeTimeoutError", None)]))

_OVERDUE: WeakSet[asyncio.Task[Any]] = WeakSet()
"""Tasks of nodes that were cancelled when their step went over the graph's ``step_timeout``."""


class _Attempt:
    """One attempt of a node with a time limit, inside that of an outer node or of none."""

    __slots__ = ("outer", "over")

    def __init__(self, outer: _Attempt | None) -> None:
        self.outer = outer
        self.over = False


_ATTEMPT: ContextVar[_Attempt | None] = ContextVar("otel_shadow_attempt", default=None)


def watch_time_limits(patches: Patches) -> None:
    """Note where LangGraph ends a node at a time limit: at its own (from 1.2 on), or at that of its step."""
    patches.replace(_retry, "_arun_with_timeout", _timed)
    patches.replace(AsyncBackgroundExecutor, "__aexit__", _leaving)


def ended_at_limit() -> bool:
    """Return whether the cancellation that the current task sees came from a time limit of LangGraph's."""
    attempt = _ATTEMPT.get()
    while attempt is not None:
        if attempt.over:
            return True
        attempt = attempt.outer
    return _overdue()


def _overdue() -> bool:
    try:
        return asyncio.current_task() in _OVERDUE
    except RuntimeError:  # no loop in this thread
        return False


def _timed(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def attempted(*args: Any, **kwargs: Any) -> Any:
        attempt = _Attempt(_ATTEMPT.get())
        token = _ATTEMPT.set(attempt)
        try:
            return await original(*args, **kwargs)
        except asyncio.CancelledError:
            attempt.over = _overdue()
            raise
        except _NODE_TIMEOUT:  # the node's task, cancelled by now, sees it when it runs next
            attempt.over = True
            raise
        finally:
            _ATTEMPT.reset(token)

    return attempted


def _leaving(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def leave(self: AsyncBackgroundExecutor, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, TimeoutError):
            running = [task for task in self.tasks if not task.done()]
            ended = [task for task in self.tasks if task.done() and not task.cancelled()]
            if not any(task.exception() is error for task in ended):  # else a node of the step raised it
                _OVERDUE.update(task for task in running if isinstance(task, asyncio.Task))
        await original(self, kind, error, trace)

    return leave
