"""Time that a thread ran or waited by its own will: the clock's, less what it waited for a core."""

from __future__ import annotations

from time import perf_counter

from otel_shadow._runtime.run_queue import queued_s


class RunTime:
    """Seconds since this was made, in which the main thread of a process did not wait for a core.

    A worker at idle priority waits for whoever else wants the core: that says nothing about V2. Linux tells how long a
    thread was ready to run and did not; elsewhere nothing is taken off.

    Arguments:
        pid: of the process; None: this one.
    """

    def __init__(self, pid: int | None = None) -> None:
        self._file = f"/proc/{pid or 'self'}/schedstat".encode()
        self._started = perf_counter()
        self._waited_before = queued_s(self._file)

    @property
    def passed(self) -> float:
        """Seconds by the clock."""
        return perf_counter() - self._started

    @property
    def seconds(self) -> float:
        """Seconds that it ran, or waited by its own will."""
        return max(self.passed - (queued_s(self._file) - self._waited_before), 0.0)

    def left(self, limit_s: float) -> float:
        """Return the seconds that are left of ``limit_s``; below zero: those that it is over."""
        return limit_s - self.seconds
