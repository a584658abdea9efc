"""Threads that run V2s: ours, which can be given up, or those of a pool of the application's."""

from __future__ import annotations

from concurrent.futures import Executor as FutureExecutor
from functools import partial

from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow._runtime.executors.loop import LoopThread
from otel_shadow._runtime.executors.protocol import Shadow, Slot
from otel_shadow._runtime.executors.worker_thread import WorkerThread


class ThreadExecutor:
    """Daemon threads that can be given up: one per shadow run that blocks, one event loop for all that await."""

    capacity: int | None = None

    def __init__(self) -> None:
        self._idle: list[WorkerThread] = []
        self._loop: LoopThread | None = None
        self._pool = DaemonPool()

    @property
    def stuck(self) -> int:
        """The number of jobs in the loop's pool that were given up and have not returned."""
        return self._pool.stuck

    def start(self, shadow: Shadow) -> Slot:
        """Start ``shadow`` in a thread that is idle or new; an awaited one on the loop thread."""
        if shadow.is_async:
            return self._start_on_loop(shadow)
        thread = self._idle.pop() if self._idle else WorkerThread("otel-shadow-worker")
        thread.give(shadow.run)
        return Slot(thread.is_alive, give_up=thread.stop, free=partial(self._idle.append, thread))

    def _start_on_loop(self, shadow: Shadow) -> Slot:
        """Start ``shadow`` on the loop; one that ignores its cancellation blocks the loop, which is given up whole."""
        if self._loop is None or self._loop.stopped:
            self._loop = LoopThread("otel-shadow-loop", self._pool)
        loop = self._loop
        loop.give(shadow.arun)
        return Slot(loop.is_alive, give_up=loop.stop, lost=lambda: loop.stopped)

    def stop(self, timeout_s: float) -> None:
        """End idle threads and the loop; a thread that is busy ends with its job."""
        while self._idle:
            self._idle.pop().stop()
        if self._loop is not None:
            self._loop.stop()


class UserExecutor:
    """A ``concurrent.futures.Executor`` of the user's, with threads (shadow runs can't be sent to processes this way).

    A V2 that awaits gets an event loop of its own there.
    """

    capacity: int | None = None
    stuck = 0

    def __init__(self, executor: FutureExecutor) -> None:
        self._executor = executor

    def start(self, shadow: Shadow) -> Slot:
        """Start ``shadow`` as a job; where the executor was shut down it is cancelled."""
        try:
            future = self._executor.submit(shadow.run)
        except RuntimeError:
            shadow.give_up(cancelled=True)
            return Slot(alive=lambda: False)
        return Slot(alive=lambda: not future.done(), give_up=future.cancel)

    def stop(self, timeout_s: float) -> None:
        """Leave the executor to its owner."""
