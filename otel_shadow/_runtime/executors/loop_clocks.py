"""Clocks of an event loop's thread: what a step took of it, and what of that the step is to blame for.

Wall time alone blames V2 for whatever else the machine does. Charged is the processor time of the thread (less the
garbage collector's) and of the remaining wall time what neither the run queue nor other threads of the process explain:
that is a step which slept, or waited for something that blocks.
"""

from __future__ import annotations

import gc
import os
import threading
from collections import defaultdict
from contextlib import suppress
from time import perf_counter, process_time
from typing import Any, NamedTuple


class Reading(NamedTuple):
    """The clocks of one thread at one moment, in seconds."""

    wall: float
    processor: float
    process: float
    """Processor time of all threads of the process."""
    queued: float
    """Time that the thread waited for a core (Linux; 0 elsewhere)."""
    collected: float
    """Time that the thread spent in the garbage collector."""


def charged(before: Reading, after: Reading) -> float:
    """Return the seconds between two readings of one thread for which what ran there is to blame."""
    wall, processor, process, queued, collected = (new - old for new, old in zip(after, before, strict=True))
    waited = wall - collected - max(0.0, processor - collected) - queued - max(0.0, process - processor)
    return max(0.0, processor - collected) + max(0.0, waited)


class ThreadClocks:
    """Clocks of the thread that makes this object; any thread may read them."""

    def __init__(self) -> None:
        self.ident = threading.get_ident()
        self._clock = _clock_of(self.ident)
        self._queue: int | None = None
        with suppress(OSError):
            self._queue = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        _COLLECTOR.watch()

    def read(self) -> Reading:
        """Read all clocks."""
        return Reading(perf_counter(), self._clock(), process_time(), self._queued(), _COLLECTOR.seconds[self.ident])

    def _queued(self) -> float:
        if self._queue is None:
            return 0.0
        try:
            return int(os.pread(self._queue, 64, 0).split()[1]) / 1e9
        except (OSError, IndexError, ValueError):  # the thread has ended, or the kernel keeps no such statistics
            return 0.0

    def __del__(self) -> None:
        """Close the file of the kernel's statistics."""
        if self._queue is not None:
            with suppress(OSError):
                os.close(self._queue)


class _Collector:
    """The seconds that each thread spent in the garbage collector, by the thread's ident."""

    def __init__(self) -> None:
        self.seconds: defaultdict[int, float] = defaultdict(float)
        self._since = 0.0

    def watch(self) -> None:
        """Begin to count, once."""
        if self._note not in gc.callbacks:
            gc.callbacks.append(self._note)

    def _note(self, phase: str, _: dict[str, Any]) -> None:
        now = perf_counter()
        if phase == "start":
            self._since = now
        else:
            self.seconds[threading.get_ident()] += now - self._since


_COLLECTOR = _Collector()


def _clock_of(ident: int) -> Any:
    """Return a function that reads the processor time of a thread, in seconds."""
    import time

    if hasattr(time, "pthread_getcpuclockid"):
        clock = time.pthread_getcpuclockid(ident)
        return lambda: time.clock_gettime(clock)
    return time.thread_time  # macOS has no clocks of other threads: a watchdog's reading blames wall time there
