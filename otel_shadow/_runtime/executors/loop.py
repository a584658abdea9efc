"""Event loops that run awaited V2s: one in a thread of its own, and production's."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.executors import Executor, Job, Shadow, Slot
from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow._runtime.redact import class_name


class LoopThread(threading.Thread):
    """A daemon thread, started at once, with an event loop of its own whose default executor is ``pool``."""

    def __init__(self, name: str, pool: DaemonPool) -> None:
        super().__init__(name=name, daemon=True)
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(pool)
        self._loop.set_exception_handler(_say_the_type)
        self.stopped = False
        """Whether :meth:`stop` was called."""
        self.start()

    def give(self, coroutine: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start ``coroutine()`` as a task on this loop. It must not raise."""
        self._loop.call_soon_threadsafe(lambda: _keep(self._loop.create_task(coroutine())))

    def stop(self) -> None:
        """Cancel what runs and end the thread, as soon as the loop gets to it."""
        self.stopped = True
        with suppress(RuntimeError):  # closed already
            self._loop.call_soon_threadsafe(self._loop.stop)

    def run(self) -> None:
        """Run the loop, in this thread, until :meth:`stop`."""
        asyncio.set_event_loop(self._loop)
        try:
            while not self.stopped:
                self._turn()
        finally:
            _cancel_all(self._loop)
            self._loop.close()

    def _turn(self) -> None:
        try:
            self._loop.run_forever()
        except BaseException as error:  # noqa: BLE001 - a task that raises SystemExit stops the loop, not its thread
            say(logging.WARNING, "a shadow's task raised %s", class_name(type(error)))


class ProductionLoop:
    """Production's own loop, for V2s whose clients are bound to it. What blocks there blocks V1.

    Only V2 itself runs there; comparison and the rest go to a thread. A shadow run that does not await, or has no loop
    to await on, runs where ``fallback`` runs it.
    """

    capacity: int | None = None
    stuck = 0

    def __init__(self, fallback: Executor) -> None:
        self._fallback = fallback
        self._aside: DaemonPool | None = None

    def start(self, shadow: Shadow) -> Slot:
        """Start ``shadow`` as a task of the loop on which V1 was awaited; it cancels itself at its time limit."""
        loop = shadow.loop
        if loop is None or not shadow.is_async:
            return self._fallback.start(shadow)
        if self._aside is None:
            self._aside = DaemonPool(1, "otel-shadow-aside", keep=True)
            self._aside.submit(int)  # to start its thread takes longer than production's loop should wait
        aside = partial(self._aside.submit, run_job)
        begun: list[asyncio.Task[None]] = []
        try:
            loop.call_soon_threadsafe(lambda: begun.append(_keep(loop.create_task(shadow.arun(aside)))))
        except RuntimeError:  # the loop is closed: the application has ended its run
            shadow.give_up(cancelled=True)
        return Slot(alive=lambda: any(not task.done() for task in begun))

    def stop(self, timeout_s: float) -> None:
        """End the thread beside the loop; the loop itself is the application's."""
        if self._aside is not None:
            self._aside.shutdown()


def run_job(job: Job) -> None:
    """Run ``job``. What it raises, ``SystemExit`` too, is logged by its type and ends nothing."""
    try:
        job()
    except BaseException as error:  # noqa: BLE001 - the thread outlives its jobs
        say(logging.WARNING, "a shadow's job raised %s", class_name(type(error)))


def _say_the_type(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log the type of an exception that V2's task raised and V2 never read; asyncio would log message and locals."""
    error = context.get("exception")
    raised = f" that raised {class_name(type(error))}" if error is not None else ""
    say(logging.WARNING, "V2 left a task behind%s", raised)


_TASKS: set[asyncio.Task[None]] = set()
"""Loops hold their tasks weakly; these must not be collected while they run."""


def _keep(task: asyncio.Task[None]) -> asyncio.Task[None]:
    _TASKS.add(task)
    task.add_done_callback(_forget)
    return task


def _forget(task: asyncio.Task[None]) -> None:
    _TASKS.discard(task)
    if not task.cancelled():
        task.exception()  # asyncio logs an exception that is not retrieved


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        with suppress(BaseException):
            loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
