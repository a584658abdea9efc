"""Threads that can be given up: a worker for a shadow that blocks, and a loop for shadows that await."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Any

Job = Callable[[], None]


class Worker:
    """A daemon thread that runs one job at a time. A job that never returns costs its thread, nothing else."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    def give(self, job: Job) -> None:
        """Run ``job`` after those given before. It must not raise."""
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
            job()
            del job


class LoopThread:
    """A daemon thread with an event loop of its own, apart from production's."""

    def __init__(self, name: str) -> None:
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def give(self, coroutine: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start ``coroutine()`` as a task on this loop. It must not raise."""
        self._ready.wait()
        loop = self._loop
        if loop is None:
            raise RuntimeError("the loop thread has stopped")
        loop.call_soon_threadsafe(lambda: keep(loop.create_task(coroutine())))

    def stop(self) -> None:
        """Cancel what runs and end the thread."""
        if (loop := self._loop) is not None and not loop.is_closed():
            loop.call_soon_threadsafe(loop.stop)

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._loop = loop
        self._ready.set()
        try:
            loop.run_forever()
        finally:
            _cancel_all(loop)
            loop.close()


_TASKS: set[asyncio.Task[None]] = set()


def keep(task: asyncio.Task[None]) -> None:
    """Hold a reference: the loop keeps weak ones only."""
    _TASKS.add(task)
    task.add_done_callback(_TASKS.discard)


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
