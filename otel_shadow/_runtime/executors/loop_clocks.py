"""Clocks of an event loop's thread: what a step took of it, and what of that the step is to blame for.

Wall time alone blames V2 for whatever else the machine does. Charged is the processor time of the thread (less the
garbage collector's) and of the remaining wall time what neither the run queue nor other threads of the process explain:
that is a step which slept, or waited for something that blocks.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple


class ClockReading(NamedTuple):
    """The clocks of one thread at one moment, in seconds. What is read first and last errs in favour of the step."""

    wall: float
    processor: float
    process: float
    """Processor time of all threads of the process."""
    collected: float
    """Time that the thread spent in the garbage collector."""
    waits: int
    """How often the thread gave its core away by itself, to sleep or to wait."""


class ThreadClocks:
    """Clocks of the thread that makes this object; any thread may read them."""

    def __init__(self) -> None:
        self.ident = threading.get_ident()
        self._native = threading.get_native_id()
        self._clock = _clock_of(self.ident)
        self._file: int | None = None
        with suppress(OSError):
            self._file = os.open(f"/proc/self/task/{self._native}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        self._queue = [(time.perf_counter(), self._queued())] * 2
        _COLLECTOR.watch()

    def start(self) -> ClockReading:
        """Read the clocks as a step begins. No call here lets another thread have the interpreter."""
        waits, collected, process, processor = (
            _waits(),
            _COLLECTOR.seconds[self.ident],
            time.process_time(),
            self._clock(),
        )
        return ClockReading(time.perf_counter(), processor, process, collected, waits)

    def charged(self, began: ClockReading, *, ended: bool = True) -> float:
        """Return the seconds since ``began`` for which the step is to blame.

        Arguments:
            began: the reading at its start.
            ended: whether this is the loop's own thread, at the end of the step; else the step goes on.
        """
        wall = time.perf_counter() - began.wall
        processor = self._clock() - began.processor
        process = time.process_time() - began.process
        collected = _COLLECTOR.seconds[self.ident] - began.collected
        own = max(0.0, processor - collected)
        waited = wall - collected - own - max(0.0, process - processor)
        if ended:
            waits = _waits() - began.waits
            if waits == 0:
                return own  # it was never away by itself
            waited -= waits * sys.getswitchinterval()  # the interpreter's lock is waited for in pieces of that length
        if waited > 0.0:
            waited -= self._queued_since(began.wall)
        return own + max(0.0, waited)

    def note_queue(self) -> None:
        """Note how long the thread has waited for a core so far: what comes later is told apart from that."""
        self._queue = [self._queue[1], (time.perf_counter(), self._queued())]

    def _queued_since(self, moment: float) -> float:
        """Return the seconds for which the thread waited for a core since the last note before ``moment``."""
        before = next((queued for at, queued in reversed(self._queue) if at <= moment), self._queue[0][1])
        return self._queued() - before

    def _queued(self) -> float:
        """Return the seconds for which the thread waited for a core (Linux; 0 elsewhere)."""
        if self._file is None:
            return 0.0
        try:
            return int(os.pread(self._file, 64, 0).split()[1]) / 1e9
        except (OSError, IndexError, ValueError):  # the thread has ended, or the kernel keeps no such statistics
            return 0.0

    def __del__(self) -> None:
        """Close the file of the kernel's statistics."""
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)


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
        now = time.perf_counter()
        if phase == "start":
            self._since = now
        else:
            self.seconds[threading.get_ident()] += now - self._since


_COLLECTOR = _Collector()


def _clock_of(ident: int) -> Callable[[], float]:
    """Return a function that reads the processor time of a thread, in seconds."""
    if hasattr(time, "pthread_getcpuclockid"):
        clock = time.pthread_getcpuclockid(ident)
        return lambda: time.clock_gettime(clock)
    return time.thread_time  # macOS has no clocks of other threads: a watchdog's reading blames wall time there


def _waits() -> int:
    """Return how often this thread gave its core away by itself; 1 more each time where the system does not tell."""
    return _rusage().ru_nvcsw if _rusage is not None else int(time.perf_counter() * 1e6)


_rusage: Any = None
with suppress(ImportError, AttributeError):
    import resource
    from functools import partial

    _rusage = partial(resource.getrusage, resource.RUSAGE_THREAD)  # Linux
