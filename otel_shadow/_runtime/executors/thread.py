"""Shadow runs in threads: daemon threads, which can be given up, or those of a pool of the application's."""

from __future__ import annotations

import logging
from concurrent.futures import Executor as FutureExecutor

from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.executors import Job, Shadow, Slot
from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow._runtime.redact import class_name


class ThreadExecutor:
    """One thread per shadow run: V2 runs in it, or on an event loop while the thread waits; it compares the two.

    Arguments:
        threads: a pool of the application's, with threads (shadow runs can't be sent to processes this way). Default:
            daemon threads.
        most: how many daemon threads run side by side.
    """

    capacity: int | None = None

    def __init__(self, threads: FutureExecutor | None = None, *, most: int | None = None) -> None:
        self._users = threads
        self._threads = threads or DaemonPool(most, "otel-shadow-worker", keep=True)

    def start(self, shadow: Shadow) -> Slot:
        """Start ``shadow`` in a thread; cancel it where the user's pool was shut down."""
        try:
            future = self._threads.submit(run_job, shadow.run)
        except RuntimeError:
            if self._users is None:
                raise
            shadow.give_up(cancelled=True)
            return Slot(alive=lambda: False)
        return Slot(alive=lambda: not future.done(), give_up=future.cancel)

    def stop(self, timeout_s: float) -> None:
        """End idle threads; a thread that is busy ends with its job."""
        if self._users is None:
            self._threads.shutdown(wait=False)


def run_job(job: Job) -> None:
    """Run ``job``. What it raises, ``SystemExit`` too, is logged by its type and ends nothing."""
    try:
        job()
    except BaseException as error:  # noqa: BLE001 - the thread outlives its jobs
        say(logging.WARNING, "a shadow's job raised %s", class_name(type(error)))
