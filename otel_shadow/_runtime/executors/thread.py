"""Shadow runs in threads: daemon threads, which can be given up, or those of a pool of the application's."""

from __future__ import annotations

from concurrent.futures import Executor as FutureExecutor

from otel_shadow._runtime.executors import Shadow, Slot
from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow._runtime.executors.loop import LoopThread, run_job


class ThreadExecutor:
    """One thread per shadow run that blocks, and one event loop for all that await.

    Arguments:
        threads: a pool of the application's, with threads (shadow runs can't be sent to processes this way); a V2
            that awaits gets an event loop of its own there. Default: daemon threads.
        most: how many daemon threads run side by side.
    """

    capacity: int | None = None

    def __init__(self, threads: FutureExecutor | None = None, *, most: int | None = None) -> None:
        self._users = threads
        self._threads = threads or DaemonPool(most, "otel-shadow-worker", keep=True)
        self._loop: LoopThread | None = None
        self._loops_pool = DaemonPool()

    @property
    def stuck(self) -> int:
        """The number of jobs in the loop's pool that were given up and have not returned."""
        return self._loops_pool.stuck

    def start(self, shadow: Shadow) -> Slot:
        """Start ``shadow`` in a thread or, if it awaits, on the loop; cancel it where the user's pool was shut down."""
        if shadow.is_async and self._users is None:
            return self._start_on_loop(shadow)
        try:
            future = self._threads.submit(run_job, shadow.run)
        except RuntimeError:
            if self._users is None:
                raise
            shadow.give_up(cancelled=True)
            return Slot(alive=lambda: False)
        return Slot(alive=lambda: not future.done(), give_up=future.cancel)

    def _start_on_loop(self, shadow: Shadow) -> Slot:
        """Start ``shadow`` on the loop; one that ignores its cancellation blocks the loop, which is given up whole."""
        if self._loop is None or self._loop.stopped:
            self._loop = LoopThread("otel-shadow-loop", self._loops_pool)
        loop = self._loop
        loop.give(shadow.arun)
        return Slot(loop.is_alive, give_up=loop.stop, lost=lambda: loop.stopped)

    def stop(self, timeout_s: float) -> None:
        """End idle threads and the loop; a thread that is busy ends with its job."""
        if self._users is None:
            self._threads.shutdown(wait=False)
        if self._loop is not None:
            self._loop.stop()
