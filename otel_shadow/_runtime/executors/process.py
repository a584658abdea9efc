"""The executor of V2s that run in worker processes: a thread waits, the work is elsewhere."""

from __future__ import annotations

from otel_shadow._runtime.executors.protocol import Shadow, Slot, ThreadExecutor
from otel_shadow._runtime.executors.worker_pool import WorkerPool


class ProcessExecutor:
    """A thread per shadow that asks a worker; as many at once as there are workers ready.

    Arguments:
        pool: the workers.
    """

    stuck = 0

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._threads = ThreadExecutor()

    @property
    def capacity(self) -> int:
        """The workers that are ready or busy: while one is replaced, shadows wait in the queue."""
        return self._pool.available

    def start(self, shadow: Shadow) -> Slot:
        """In a thread: it builds the isolation, waits for the worker's answer and compares."""
        return self._threads.start(shadow)

    def stop(self, timeout_s: float) -> None:
        """End the workers."""
        self._threads.stop(timeout_s)
        self._pool.close(timeout_s)
