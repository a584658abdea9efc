"""Daemon threads for V2 and for the pools of V2: threads that may hang without keeping the process from ending.

The interpreter joins the threads of ``concurrent.futures`` before it ends, however long that takes, and starts no job
in them while it does. A V2 that hangs in such a thread would keep the process for ever, and one that still runs at the
end would fail for no fault of its own.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from otel_shadow.background_thread import BackgroundThread

_THREADS = 32


class ThreadJob(Future[Any]):
    """A future that remembers whether it was given up while it ran."""

    given_up = False

    def cancel(self) -> bool:
        """Cancel it if it has not begun; else give it up: its result is of no use from now on."""
        self.given_up = True
        return super().cancel()

    def run(self, call: Callable[[], Any]) -> None:
        """Run ``call`` in this thread, and keep what it returns or raises."""
        if not self.set_running_or_notify_cancel():
            return
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - kept for the thread that waits for the job
            self.set_exception(error)
        else:
            self.set_result(result)


def start_job(name: str, call: Callable[[], Any]) -> ThreadJob:
    """Run ``call`` in a daemon thread of its own, called ``name``."""
    job = ThreadJob()
    BackgroundThread(target=job.run, args=(call,), name=name).start()
    return job


class DaemonPool(ThreadPoolExecutor):
    """A ``ThreadPoolExecutor`` (event loops accept no other class) with daemon threads.

    Arguments:
        max_workers: how many jobs run side by side. One that was given up and hangs is not counted.
        name: of the threads.
        keep: whether a thread without a job waits for the next one, until :meth:`shutdown`, or ends.
    """

    def __init__(self, max_workers: int | None = None, name: str = "otel-shadow-pool", *, keep: bool = False) -> None:
        super().__init__(max_workers or _THREADS, thread_name_prefix=name)
        self._bound = max_workers or _THREADS
        self._name = name
        self._keep = keep
        self._waiting: deque[tuple[ThreadJob, Callable[[], Any]]] = deque()
        self._running: set[ThreadJob] = set()
        self._threads_alive = 0
        self._threads_idle = 0
        self._changed = threading.Condition(threading.Lock())

    @property
    def stuck(self) -> int:
        """Jobs that were given up and have not returned."""
        return sum(job.given_up for job in list(self._running))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> ThreadJob:
        """Run ``fn(*args, **kwargs)`` in a thread.

        Raises:
            RuntimeError: the system has no thread left.
        """
        job = ThreadJob()
        waiting = job, partial(fn, *args, **kwargs)
        with self._changed:
            self._waiting.append(waiting)
            self._changed.notify()
            more = len(self._waiting) > self._threads_idle and self._threads_alive - self.stuck < self._bound
            self._threads_alive += more
        if more:
            self._start_thread(waiting)
        return job

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Return at once: idle threads end now, busy ones with their jobs."""
        with self._changed:
            self._keep = False
            self._changed.notify_all()

    def _start_thread(self, waiting: tuple[ThreadJob, Callable[[], Any]]) -> None:
        try:
            BackgroundThread(target=self._work, name=self._name).start()
        except BaseException:
            with self._changed, suppress(ValueError):  # a thread that has become free may have taken the job
                self._threads_alive -= 1
                self._waiting.remove(waiting)
            raise

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            job, call = taken
            tracer, profiler = sys.gettrace(), sys.getprofile()
            try:
                job.run(call)
            finally:
                self._running.discard(job)
            if sys.gettrace() is not tracer:  # V2 has left one behind, for the next V2 in this thread
                sys.settrace(tracer)
            if sys.getprofile() is not profiler:
                sys.setprofile(profiler)
            del taken, job, call

    def _take(self) -> tuple[ThreadJob, Callable[[], Any]] | None:
        with self._changed:
            self._threads_idle += 1
            while self._keep and not self._waiting:
                self._changed.wait()
            self._threads_idle -= 1
            if not self._waiting:
                self._threads_alive -= 1
                return None
            taken = self._waiting.popleft()
            self._running.add(taken[0])
            return taken
