"""One event loop, as V2's steps find it: what they would share with V1 is V2's own while a step runs.

Everything here is done in the loop's thread, for the time of one step of V2's, and undone after it: production never
sees it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, ref

from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow._runtime.executors.loop_guard import LoopGuard
from otel_shadow._runtime.executors.loop_objects import V2Future, keep_from_handlers
from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow._runtime.shadow_context import SHADOW
from otel_shadow._runtime.thread_clocks import ClockReading, ThreadClocks, watch_collector

DRIVER = "otel_shadow._runtime.executors.driven"
"""The module whose frames lie between the loop's and V2's."""
_PRODUCTIONS = (
    "stop", "close", "set_debug", "set_task_factory", "set_default_executor", "set_exception_handler",
    "add_signal_handler", "remove_signal_handler",
)  # fmt: skip
"""Methods of a loop that only the application may call."""
_ENDINGS = ("shutdown_asyncgens", "shutdown_default_executor")
"""The same, awaited."""
_CALLS = {"call_soon": 0, "call_soon_threadsafe": 0, "call_later": 1, "call_at": 1}
"""Methods that take a callback, and its place among their arguments."""
_WAITING = "_otel_shadow_end"
_LEAVE_S = 0.25
"""Seconds for which a loop that ends waits for V2's tasks at most; they end within two turns."""


class LoopSide:
    """The side of one loop that belongs to V2: clocks, and the step that runs now. Made in the loop's own thread.

    It learns that the loop ends as any asynchronous generator does: ``asyncio.run`` cancels all tasks first and closes
    the generators then. A V2 that began in between would be left there unfinished.
    """

    def __init__(self) -> None:
        watch_collector()
        self.clocks = ThreadClocks()
        self.step: tuple[LoopGuard | None, ClockReading, int] | None = None
        """The step in progress: its guard, the clocks when it began, the modules loaded then."""
        self._pool = DaemonPool()
        self._instead: dict[str, Callable[..., Any]] = {
            "run_in_executor": self._in_own_pool,
            "create_future": self._future,
            **{name: self._unless_v2(name, _nothing) for name in _PRODUCTIONS},
            **{name: self._unless_v2(name, _nothing_awaited) for name in _ENDINGS},
            **{name: self._calling(name, place) for name, place in _CALLS.items()},
        }
        self._before: dict[str, Any] = {}
        self._callback: Callable[..., Any] = _same
        loop = asyncio.get_running_loop()
        self._loop = ref(loop)
        keep_from_handlers(loop)
        self.loop_ends: bool = getattr(loop, "_asyncgens_shutdown_called", False)
        """Whether no V2 may begin on the loop any more."""
        if not self.loop_ends:
            waiting = vars(loop)[_WAITING] = self._wait_for_the_end()  # not here: it knows the loop, which may go
            with suppress(StopIteration):
                waiting.asend(None).send(None)

    async def _wait_for_the_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self.loop_ends = True
            tasks = {task for task in _ALL_TASKS() if getattr(task, "shadow", None) is not None}
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=_LEAVE_S)

    def follow(self) -> LoopSide:
        """Take the clocks of the calling thread, which runs the loop now: some loops go from thread to thread."""
        if self.clocks.ident != threading.get_ident():
            self.clocks = ThreadClocks()
        return self

    @property
    def stuck(self) -> int:
        """The number of jobs in V2's pool that were given up and have not returned."""
        return self._pool.stuck

    def enter(
        self, loop: asyncio.AbstractEventLoop, factory: Callable[..., Any], callback: Callable[..., Any]
    ) -> Callable[..., Any] | None:
        """Replace what V2's step would reach through ``loop``, and return the application's task factory.

        Arguments:
            loop: the loop.
            factory: makes V2's tasks.
            callback: gives what the loop is to call in place of a callback in a context (None: the present one).
        """
        self._callback = callback
        theirs = loop.get_task_factory()
        type(loop).set_task_factory(loop, factory)
        attributes = vars(loop)
        self._before = {name: attributes[name] for name in self._instead if name in attributes}
        attributes.update(self._instead)
        _hide_tasks()
        return theirs

    def leave(self, loop: asyncio.AbstractEventLoop, theirs: Callable[..., Any] | None) -> None:
        """Put back what :meth:`enter` replaced."""
        _show_tasks()
        self._callback = _same  # it knows the loop, which may go
        attributes = vars(loop)
        for name in self._instead:
            attributes.pop(name, None)
        attributes.update(self._before)
        type(loop).set_task_factory(loop, theirs)

    def _theirs(self, name: str) -> Callable[..., Any]:
        """Return the method ``name`` of the loop as it is outside a step."""
        loop = self._loop()  # not the running one: other threads find what replaces a method, too
        method: Callable[..., Any] = self._before.get(name) or partial(getattr(type(loop), name), loop)
        return method

    def _in_own_pool(self, pool: Any, function: Callable[..., Any], *args: Any) -> Any:
        """Run ``function`` in V2's pool, where the loop's default one was meant."""
        own = self._pool if pool is None and SHADOW.get() is not None else pool
        return self._theirs("run_in_executor")(own, function, *args)

    def _future(self) -> Any:
        """Make a future of V2's."""
        return self._theirs("create_future")() if SHADOW.get() is None else V2Future(loop=self._loop())

    def _unless_v2(self, name: str, instead: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method ``name``, and ``instead`` for V2 alone: it may run the loop within its step."""

        def method(*args: Any, **kwargs: Any) -> Any:
            return (self._theirs(name) if SHADOW.get() is None else instead)(*args, **kwargs)

        return method

    def _calling(self, name: str, place: int) -> Callable[..., Any]:
        """Return the method ``name``, which gives the loop a callback."""

        def method(*args: Any, context: Context | None = None) -> Any:
            if len(args) > place and threading.get_ident() == self.clocks.ident:
                args = (*args[:place], self._callback(args[place], context), *args[place + 1 :])
            return self._theirs(name)(*args, context=context)

        return method


def _nothing(*_: Any) -> bool:
    """Do nothing: V2 does not stop, close or change production's loop."""
    return False


async def _nothing_awaited(*_: Any) -> None:
    """Do nothing, likewise."""


def _same(function: Callable[..., Any], _: Context | None) -> Callable[..., Any]:
    return function


# --- tasks -----------------------------------------------------------------------------------------------------------

_ALL_TASKS = asyncio.all_tasks
_TASKS: dict[str, Any] = vars(asyncio.tasks)
_SETS: dict[str, Any] = {
    name: _TASKS[name] for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks") if name in _TASKS
}
"""Where ``asyncio.all_tasks`` looks, until Python 3.14 looked in C code: whoever imported that function finds them."""


class _OwnTasks:
    """A set of tasks, of which a shadow run sees its own: one that cancels all tasks would end V1's."""

    def __init__(self, tasks: Any) -> None:
        self._tasks = tasks

    def __iter__(self) -> Iterator[Any]:
        return iter(_own(self._tasks))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tasks, name)


_OWN_SETS: dict[str, Any] = {name: _OwnTasks(tasks) for name, tasks in _SETS.items()}


def _own(tasks: Any) -> list[Any]:
    shadow = SHADOW.get()
    return [task for task in tasks if shadow is None or getattr(task, "shadow", None) is shadow]


def _own_tasks(loop: asyncio.AbstractEventLoop | None = None) -> set[asyncio.Task[Any]]:
    """Return the tasks of the shadow run that asks."""
    return set(_own(_ALL_TASKS(loop)))


def _hide_tasks() -> None:
    asyncio.all_tasks = asyncio.tasks.all_tasks = _own_tasks
    _TASKS.update(_OWN_SETS)


def _show_tasks() -> None:
    asyncio.all_tasks = asyncio.tasks.all_tasks = _ALL_TASKS
    _TASKS.update(_SETS)


class _Sides:
    """The sides of all loops on which a V2 ran."""

    def __init__(self) -> None:
        self._reset()
        on_fork(self._reset)

    def _reset(self) -> None:
        self.by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopSide] = WeakKeyDictionary()

    def of(self, loop: asyncio.AbstractEventLoop) -> LoopSide:
        """Return the side of ``loop``, which runs in the calling thread."""
        side = self.by_loop.get(loop)
        if side is None:
            side = self.by_loop[loop] = LoopSide()
        return side.follow()


SIDES = _Sides()
