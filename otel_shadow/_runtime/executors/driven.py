"""V2's coroutine, driven step by step on an event loop that is somebody else's.

Between two steps of V2's the loop is what it would be without it. During one, what V2 asks of the loop (tasks, threads,
its end) is V2's own, and what it raises to end the process ends only V2. Its child tasks are driven likewise.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from time import perf_counter
from typing import Any

from otel_shadow._runtime.executors.driven_task import DrivenTask, in_the_end_of_a_loop, quiet
from otel_shadow._runtime.executors.loop_guard import FREE_S, LoopGuard
from otel_shadow._runtime.executors.loop_objects import V2Callback, is_v2_callback, say_what_was_left
from otel_shadow._runtime.executors.loop_side import SIDES, LoopSide
from otel_shadow._runtime.fault_barrier import is_from_outside
from otel_shadow._runtime.shadow_context import SHADOW

_MOST_CLOSINGS = 32
_CLEANUP_S = 5.0
"""Seconds for which a V2 that was cancelled may clean up, unless its loop ends: what it borrowed from a pool that it
shares with V1 goes back, also over a slow connection."""
_EAGER: Any = getattr(asyncio, "eager_task_factory", None)  # Python 3.12 and later


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

    cancelled_from_outside = False
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
        self._is_eager = getattr(loop.get_task_factory(), "__code__", self) is getattr(_EAGER, "__code__", None)
        self._adopting: Any = self._adopt
        if self._is_eager:  # anyio knows such a factory by its code, and makes its own tasks by what it holds
            self._adopting = asyncio.create_eager_task_factory(self._construct)  # type: ignore[attr-defined]
        self._born_late: list[Driven] = []
        self._closing = False
        self._cleans_up = False
        self.root = DrivenTask(Driven(coroutine, self), loop=loop, context=context)
        quiet(self.root, context.get(SHADOW))

    def cancel(self) -> None:
        """Cancel V2, once: it may clean up for some seconds before :meth:`close`. In the loop's thread."""
        if not self._cleans_up:
            self._close_later()
            self._cancel_root()

    def close(self) -> None:
        """End V2 where it stands: it gets no further step. In the loop's thread."""
        self.over = True
        self._cancel_root()

    def _cancel_root(self) -> None:
        self.root.ours = True
        try:
            self.root.cancel()
        finally:
            self.root.ours = False

    def _close_later(self) -> None:
        self._cleans_up = True
        timer = self.loop.call_later(_CLEANUP_S, self.close, context=Context())
        self.root.add_done_callback(lambda _: timer.cancel(), context=Context())

    @property
    def is_paused(self) -> bool:
        """Whether V2 was paused because it holds the loop."""
        return self._guard is not None and self._guard.is_paused

    @property
    def interrupted(self) -> bool:
        """Whether the root was cancelled because V2 is paused."""
        return bool(self.root.driven.interrupted)

    def step(self, driven: Driven, advance: Callable[..., Any], *args: Any) -> Any:
        """Take one step of ``driven``; raises what it raises, ``StopIteration`` when it has ended."""
        if driven.is_closed:
            raise asyncio.CancelledError
        root = driven is self.root.driven
        if root and self.over:
            self.end(driven)
        if self.is_paused and (root or driven.offended):
            if driven.interrupted and driven.offended:
                self.end(driven)
            if not driven.interrupted:
                return self._interrupt(driven, root)
        return self._taken(driven, advance, *args)

    def _interrupt(self, driven: Driven, root: bool) -> Any:
        """Take a step that begins with a cancellation: it may clean up, until it holds the loop once more."""
        driven.interrupted, driven.offended = True, False
        if root:
            self._close_later()
        return self._taken(driven, driven.coroutine.throw, asyncio.CancelledError())

    def call(self, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Call what V2 gave to the loop, as a step of V2's; what it raises ends nothing and reaches no handler."""
        driven = self.root.driven
        try:
            self._taken(driven, callback, *args)
        except BaseException as error:
            if is_from_outside(error):
                raise
            say_what_was_left("callback", error)

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
        modules, before = len(sys.modules), side.follow().clocks.start()
        side.step = guard, before, modules
        self._theirs = side.enter(self.loop, self._adopting, self.callback)
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

    def callback(self, function: Callable[..., Any], context: Context | None = None) -> Callable[..., Any]:
        """Return what the loop is to call in place of ``function``; what is not V2's stays itself."""
        return V2Callback(function, self.call) if is_v2_callback(function, context) else function

    def _adopt(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> Any:
        """Make a task of V2's, driven like V2 itself."""
        if SHADOW.get() is None:  # a V2 that runs the loop within its step (nest_asyncio): V1 makes a task there
            if self._theirs is None or self._is_eager:
                return asyncio.Task(coroutine, loop=loop, **more)
            return self._theirs(loop, coroutine, **more)
        driven = Driven(coroutine, self)
        if self._closing:
            coroutine.close()
            raise RuntimeError("this shadow run is being closed: no further task is started")
        if self.is_last:
            self._born_late.append(driven)
        if self._theirs is not None and not self._is_eager:
            task = self._theirs(loop, driven, **more)
            driven.is_foreign = not isinstance(task, DrivenTask)
        else:
            task = DrivenTask(driven, loop=loop, **more)
        quiet(task, SHADOW.get())
        return task

    def _construct(self, coroutine: Any, *, loop: asyncio.AbstractEventLoop | None = None, **more: Any) -> Any:
        """Make a task of V2's, as its class does."""
        return self._adopt(loop or self.loop, coroutine, **more)


class Driven(Coroutine[Any, Any, Any]):
    """A coroutine of V2's, whose steps a :class:`Drive` takes. Else it looks like the coroutine itself."""

    offended = False
    """Whether one of its steps held the loop."""
    interrupted = False
    """Whether it was cancelled because V2 is paused."""
    is_closed = False
    """Whether it has ended before its task knows."""
    is_foreign = False
    """Whether its task is one of the application's own class."""
    cancelled_at_rest = False
    """Whether its task was cancelled while its loop did not run."""

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
        """Whether the loop ends. A task that V2 left behind is else cancelled as V1's are: a client's may serve V1."""
        drive = self.drive
        ends = drive.cancelled_from_outside or self.cancelled_at_rest or SIDES.of(drive.loop).loop_ends
        return ends or (self.is_foreign and in_the_end_of_a_loop())

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
