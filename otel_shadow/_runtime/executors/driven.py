"""V2's coroutine, driven step by step on an event loop that is somebody else's.

Between two steps of V2's the loop is what it would be without it. During one, what V2 asks of the loop (tasks, threads,
its end) is V2's own, and what it raises to end the process ends only V2. Its child tasks are driven likewise.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import Context
from time import perf_counter
from typing import Any

from otel_shadow._runtime.executors.loop_guard import FREE_S, LoopGuard
from otel_shadow._runtime.executors.loop_side import SIDES, LoopSide
from otel_shadow._runtime.fault_barrier import is_from_outside
from otel_shadow._runtime.shadow_context import SHADOW

_MOST_CLOSINGS = 32


class V2EndedTaskError(Exception):
    """A task of V2's that raised ``SystemExit`` or ``KeyboardInterrupt``, which would end the loop."""


class Drive:
    """One V2 call on one loop: V2's own task (the root), the tasks it starts, and how it ends.

    Arguments:
        loop: the loop, running in the calling thread.
        guard: takes the time of its steps; None: nobody is harmed there.
        coroutine: V2.
        context: the context of the root.
    """

    loop_ends = False
    """Whether somebody outside has cancelled the root: a loop that ends cancels all its tasks."""
    over = False
    """Whether the root gets no further step."""
    is_last = False
    """Whether a step is the last one: tasks that it starts get none."""
    cancellation: asyncio.CancelledError | None = None
    """The last cancellation that came out of V2; its traceback tells where V2 was."""
    stepped_at = 0.0
    """Monotonic seconds at which the last step ended."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        guard: LoopGuard | None,
        coroutine: Coroutine[Any, Any, Any],
        context: Context,
    ) -> None:
        self.loop = loop
        self._guard = guard
        self._side: LoopSide = SIDES.of(loop)
        self._theirs: Callable[..., Any] | None = None
        self._adopting = self._adopt
        self._born_late: list[Driven] = []
        self._closing = False
        self.root = DrivenTask(Driven(coroutine, self), loop=loop, context=context)
        _quiet(self.root, context.get(SHADOW))

    def cancel(self) -> None:
        """Cancel V2, which may clean up until :meth:`close`. In the loop's thread."""
        self.root.ours = True
        try:
            self.root.cancel()
        finally:
            self.root.ours = False

    def close(self) -> None:
        """End V2 where it stands: it gets no further step. In the loop's thread."""
        self.over = True
        self.cancel()

    @property
    def is_paused(self) -> bool:
        """Whether V2 was paused because it holds the loop."""
        return self._guard is not None and self._guard.is_paused

    def step(self, driven: Driven, advance: Callable[..., Any], *args: Any) -> Any:
        """Take one step of ``driven``; raises what it raises, ``StopIteration`` when it has ended."""
        if driven.is_closed:
            raise asyncio.CancelledError
        root = driven is self.root.get_coro()
        if (root and self.over) or (self.is_paused and (root or driven.offended)):
            self.end(driven)
        return self._taken(driven, advance, *args)

    def end(self, driven: Driven) -> None:
        """Close the coroutine of ``driven``, which may go on awaiting: nobody drives it any more.

        Raises:
            asyncio.CancelledError: always, to end the task.
        """
        self.is_last = self._closing = True
        for _ in range(_MOST_CLOSINGS):  # each ends one handler that awaits; else the collector would, without a loop
            try:
                self._taken(driven, driven.coroutine.close)
                break
            except Exception:  # noqa: BLE001, S112 - V2 goes on awaiting, or its cleanup failed
                continue
        self._closing = False
        self.close_late()
        raise asyncio.CancelledError

    def close_late(self) -> None:
        """Close the tasks of a last step: their loop may end before their first one, and Python would say so."""
        for child in self._born_late:
            child.close()
        self._born_late.clear()

    def _taken(self, driven: Driven, advance: Callable[..., Any], *args: Any) -> Any:
        side, guard = self._side, self._guard
        if side.step is not None:  # inside another step: an eager task
            return advance(*args)
        modules, before = len(sys.modules), side.clocks.start()
        side.step = guard, before, modules
        self._theirs = side.enter(self.loop, self._adopting)
        try:
            return advance(*args)
        except (SystemExit, KeyboardInterrupt) as error:
            if is_from_outside(error):
                raise
            raise V2EndedTaskError(type(error).__name__) from None
        except asyncio.CancelledError as error:
            self.cancellation = error
            raise
        finally:
            side.leave(self.loop, self._theirs)
            side.step = None
            self.stepped_at = perf_counter()
            if guard is not None and self.stepped_at - before.wall > FREE_S:
                driven.offended |= guard.charge(side.clocks.charged(before), modules)

    def _adopt(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> Any:
        """Make a task of V2's, driven like V2 itself."""
        driven = Driven(coroutine, self)
        if self._closing:
            coroutine.close()
            raise RuntimeError("this shadow run is being closed: no further task is started")
        if self.is_last:
            self._born_late.append(driven)
        task: Any = self._theirs(loop, driven, **more) if self._theirs else DrivenTask(driven, loop=loop, **more)
        _quiet(task, SHADOW.get())
        return task


class Driven(Coroutine[Any, Any, Any]):
    """A coroutine of V2's, whose steps a :class:`Drive` takes. Else it looks like the coroutine itself."""

    offended = False
    """Whether one of its steps held the loop."""
    is_closed = False
    """Whether it has ended before its task knows."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], drive: Drive) -> None:
        self.coroutine = coroutine
        self.drive = drive

    def send(self, value: Any) -> Any:
        """Take the next step."""
        return self.drive.step(self, self.coroutine.send, value)

    def throw(self, kind: Any, value: Any = None, trace: Any = None) -> Any:
        """Take the next step, which begins with an exception; the last one, where the loop ends."""
        error = kind if value is None else value
        last = isinstance(error, asyncio.CancelledError) and self._loop_ends
        self.drive.is_last |= last
        try:
            awaited = self.drive.step(self, self.coroutine.throw, error)
        finally:
            if last:
                self.drive.close_late()
        if last:
            self.drive.end(self)
        return awaited

    def close(self) -> None:
        """End the coroutine."""
        self.coroutine.close()
        self.is_closed = True

    @property
    def _loop_ends(self) -> bool:
        """Whether the loop ends: what else would cancel a task that V2 left behind?"""
        root = self.drive.root
        return self.drive.loop_ends or (root.get_coro() is not self and root.done())

    def __await__(self) -> Generator[Any, Any, Any]:
        """Await it, driven."""
        return self

    def __iter__(self) -> Driven:
        """Return this object, whose steps are those of the coroutine."""
        return self

    def __next__(self) -> Any:
        """Take the next step."""
        return self.send(None)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the coroutine: asyncio, anyio and debuggers look at its frame and state."""
        return getattr(self.coroutine, name)


class DrivenTask(asyncio.Task[Any]):
    """A task of V2's that knows whether V2 itself or somebody outside cancels it."""

    shadow: Any = None
    """The shadow run's context."""
    ours = False
    """Whether it is being cancelled by its :class:`Drive`."""

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel it; a root that somebody outside cancels belongs to a loop that ends."""
        drive = getattr(self.get_coro(), "drive", None)
        if drive is not None and drive.root is self and not self.ours and SHADOW.get() is None:
            drive.loop_ends = True
        return super().cancel(msg)


def _quiet(task: Any, shadow: Any) -> None:
    """Mark ``task`` as the shadow run's; asyncio is to log neither its exception nor that its loop was closed on it."""
    with suppress(AttributeError):
        task.shadow = shadow
        task._log_destroy_pending = False
    task.add_done_callback(_forget)


def _forget(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
