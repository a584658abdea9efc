"""Threads that can be given up: a worker for a shadow that blocks, and a loop for shadows that await."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow._runtime.redact import class_name

Job = Callable[[], None]


class Worker:
    """A daemon thread that runs one job at a time. A job that never returns costs its thread, nothing else."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    def give(self, job: Job) -> None:
        """Run ``job`` after those given before. What it raises is logged; not even ``SystemExit`` ends the thread."""
        self._jobs.put(job)

    def stop(self) -> None:
        """End the thread once its present job is done."""
        self._jobs.put(None)

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def _loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            tracer, profiler = sys.gettrace(), sys.getprofile()
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - the thread outlives its jobs
                say(logging.WARNING, "a shadow's job raised %s", class_name(type(error)))
            if sys.gettrace() is not tracer:  # V2 has left one behind, for the next V2 in this thread
                sys.settrace(tracer)
            if sys.getprofile() is not profiler:
                sys.setprofile(profiler)
            del job


class LoopThread:
    """A daemon thread with an event loop of its own, apart from production's.

    Arguments:
        name: of the thread.
        pool: runs what tasks hand to the loop's default executor.
    """

    def __init__(self, name: str, pool: DaemonPool) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(pool)
        self._loop.set_exception_handler(_say_the_type)
        self.stopped = False
        """Whether :meth:`stop` was called."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def give(self, coroutine: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start ``coroutine()`` as a task on this loop. It must not raise."""
        self._loop.call_soon_threadsafe(lambda: keep(self._loop.create_task(coroutine())))

    def stop(self) -> None:
        """Cancel what runs and end the thread, as soon as the loop gets to it."""
        self.stopped = True
        with suppress(RuntimeError):  # closed already
            self._loop.call_soon_threadsafe(self._loop.stop)

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
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


def _say_the_type(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What a task of V2's raised and nobody took; asyncio would log its message, and V2's locals."""
    error = context.get("exception")
    say(logging.WARNING, "a shadow left behind: %s", class_name(type(error)) if error is not None else "a task")


_TASKS: set[asyncio.Task[None]] = set()


def keep(task: asyncio.Task[None]) -> None:
    """Hold a reference: the loop keeps weak ones only."""
    _TASKS.add(task)
    task.add_done_callback(_forget)


def _forget(task: asyncio.Task[None]) -> None:
    _TASKS.discard(task)
    if not task.cancelled():
        task.exception()  # taken, so that asyncio does not complain of one that nobody took


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        with suppress(BaseException):
            loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
