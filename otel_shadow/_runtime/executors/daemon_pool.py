"""A thread pool for what V2 runs in pools: one whose threads may hang without keeping the process from ending.

The interpreter joins the threads of ``concurrent.futures`` before it ends, however long that takes, and starts no job
in them while it does. A V2 that hangs in such a thread would keep the process for ever, and one that still runs at the
end would fail for no fault of its own.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

_THREADS = 32


class _Job(Future[Any]):
    """A future that remembers whether whoever waited for it has given it up while it ran."""

    given_up = False

    def cancel(self) -> bool:
        """Cancel it if it has not begun; else nobody waits for it from now on."""
        self.given_up = True
        return super().cancel()


class DaemonPool(ThreadPoolExecutor):
    """A ``ThreadPoolExecutor`` (event loops accept no other class) with daemon threads that end when there is no job.

    Arguments:
        max_workers: how many jobs run side by side. One that was given up and hangs is not counted.
    """

    def __init__(self, max_workers: int | None = None) -> None:
        super().__init__(max_workers or _THREADS, thread_name_prefix="otel-shadow-pool")
        self._bound = max_workers or _THREADS
        self._waiting: deque[tuple[_Job, Callable[[], Any]]] = deque()
        self._running: set[_Job] = set()
        self._threads_alive = 0
        self._guard = threading.Lock()

    @property
    def stuck(self) -> int:
        """Jobs that were given up and have not returned."""
        return sum(job.given_up for job in list(self._running))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``fn(*args, **kwargs)`` in a thread."""
        job = _Job()
        with self._guard:
            self._waiting.append((job, partial(fn, *args, **kwargs)))
            more = self._threads_alive - self.stuck < self._bound
            self._threads_alive += more
        if more:
            threading.Thread(target=self._work, name="otel-shadow-pool", daemon=True).start()
        return job

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for nothing: the threads end with their jobs."""

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            job, call = taken
            try:
                if job.set_running_or_notify_cancel():
                    _run(job, call)
            finally:
                self._running.discard(job)
            del taken, job, call

    def _take(self) -> tuple[_Job, Callable[[], Any]] | None:
        with self._guard:
            if not self._waiting:
                self._threads_alive -= 1
                return None
            taken = self._waiting.popleft()
            self._running.add(taken[0])
            return taken


def _run(job: _Job, call: Callable[[], Any]) -> None:
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - whoever waits for the job gets it
        job.set_exception(error)
    else:
        job.set_result(result)
