"""A thread of ours that runs one job after the other, and can be given up with the job that hangs in it."""

from __future__ import annotations

import logging
import sys
import threading
from queue import SimpleQueue

from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.executors.protocol import Job
from otel_shadow._runtime.redact import class_name


class WorkerThread(threading.Thread):
    """A daemon thread that runs one job at a time. A job that never returns costs its thread, nothing else.

    Arguments:
        name: of the thread, which starts at once.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self.start()

    def give(self, job: Job) -> None:
        """Run ``job`` after those given before. What it raises is logged; not even ``SystemExit`` ends the thread."""
        self._jobs.put(job)

    def stop(self) -> None:
        """End the thread once the jobs given so far are done."""
        self._jobs.put(None)

    def run(self) -> None:
        """Run the jobs, in this thread."""
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
