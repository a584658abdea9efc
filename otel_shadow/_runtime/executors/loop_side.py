"""One event loop, as V2's steps find it: what they would share with V1 is V2's own while a step runs.

Everything here is done in the loop's thread, for the time of one step of V2's, and undone after it: production never
sees it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow._runtime.executors.loop_guard import LoopGuard
from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow._runtime.shadow_context import SHADOW
from otel_shadow._runtime.thread_clocks import ClockReading, ThreadClocks, watch_collector

DRIVER = "otel_shadow._runtime.executors.driven"
"""The module whose frames lie between the loop's and V2's."""
_PRODUCTIONS = ("stop", "close", "set_task_factory", "set_default_executor", "set_exception_handler")
"""Methods of a loop that only the application may call."""
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
        self._instead = {"run_in_executor": self._in_own_pool, **dict.fromkeys(_PRODUCTIONS, _nothing)}
        self._before: dict[str, Any] = {}
        loop = asyncio.get_running_loop()
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

    @property
    def stuck(self) -> int:
        """The number of jobs in V2's pool that were given up and have not returned."""
        return self._pool.stuck

    def enter(self, loop: asyncio.AbstractEventLoop, factory: Callable[..., Any]) -> Callable[..., Any] | None:
        """Replace what V2's step would reach through ``loop``, and return the application's task factory."""
        theirs = loop.get_task_factory()
        type(loop).set_task_factory(loop, factory)
        attributes = vars(loop)
        self._before = {name: attributes[name] for name in self._instead if name in attributes}
        attributes.update(self._instead)
        asyncio.all_tasks = asyncio.tasks.all_tasks = _own_tasks
        return theirs

    def leave(self, loop: asyncio.AbstractEventLoop, theirs: Callable[..., Any] | None) -> None:
        """Put back what :meth:`enter` replaced."""
        asyncio.all_tasks = asyncio.tasks.all_tasks = _ALL_TASKS
        attributes = vars(loop)
        for name in self._instead:
            attributes.pop(name, None)
        attributes.update(self._before)
        type(loop).set_task_factory(loop, theirs)

    def _in_own_pool(self, pool: Any, function: Callable[..., Any], *args: Any) -> Any:
        """Run ``function`` in V2's pool, where the loop's default one was meant."""
        loop = asyncio.get_running_loop()
        return type(loop).run_in_executor(loop, self._pool if pool is None else pool, function, *args)


def _nothing(*_: Any) -> None:
    """Do nothing: V2 does not stop, close or change production's loop."""


_ALL_TASKS = asyncio.all_tasks


def _own_tasks(loop: asyncio.AbstractEventLoop | None = None) -> set[asyncio.Task[Any]]:
    """Return the tasks of the shadow run that asks: one that cancels all tasks would end V1's."""
    tasks = _ALL_TASKS(loop)
    shadow = SHADOW.get()
    return tasks if shadow is None else {task for task in tasks if getattr(task, "shadow", None) is shadow}


class _Sides:
    """The sides of all loops on which a V2 ran."""

    def __init__(self) -> None:
        self._reset()
        on_fork(self._reset)

    def _reset(self) -> None:
        self.by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopSide] = WeakKeyDictionary()

    def of(self, loop: asyncio.AbstractEventLoop) -> LoopSide:
        side = self.by_loop.get(loop)
        if side is None or side.clocks.ident != threading.get_ident():
            side = self.by_loop[loop] = LoopSide()
        return side


SIDES = _Sides()
