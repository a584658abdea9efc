"""Clocks of a thread: what a step of V2's or a state's own code took of it, and what of that the code is to blame for.

Wall time alone blames it for whatever else the machine does. Charged is the processor time of the thread (less the
garbage collector's) and of the remaining wall time what neither the run queue nor other threads of the process explain:
that is code which slept, or waited for something that blocks. Nothing here lets another thread have the interpreter.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from otel_shadow._runtime.run_queue import queued_s, thread_file

_MOSTLY = 0.8
"""Share of a wait that nothing else explains where code is to blame."""


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
        self._file = thread_file(threading.get_native_id())
        self._clock = _clock_of(self.ident)
        self._queue = [(time.perf_counter(), queued_s(self._file))] * 2

    def start(self) -> ClockReading:
        """Read the clocks as a step begins."""
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
        own, waited, others = self._since(began)
        waited -= others
        if ended:
            waits = _waits() - began.waits
            if waits == 0:
                return own  # it was never away by itself
            waited -= waits * sys.getswitchinterval()  # the interpreter's lock is waited for in pieces of that length
        if waited > 0.0:
            waited -= self._queued_since(began.wall)
        return own + max(0.0, waited)

    def blocked(self, began: ClockReading) -> float:
        """Return the seconds since ``began`` for which this thread waited without a reason; 0 where most has one."""
        _, waited, others = self._since(began)
        blocked = waited - others - self._queued_since(began.wall)
        return blocked if blocked > _MOSTLY * waited else 0.0

    def note_queue(self) -> None:
        """Note how long the thread has waited for a core so far: what comes later is told apart from that."""
        self._queue = [self._queue[1], (time.perf_counter(), queued_s(self._file))]

    def _since(self, began: ClockReading) -> tuple[float, float, float]:
        """Return how long the thread worked, how long it waited, and how long other threads of the process ran."""
        wall = time.perf_counter() - began.wall
        processor = self._clock() - began.processor
        process = time.process_time() - began.process
        collected = _COLLECTOR.seconds[self.ident] - began.collected
        own = max(0.0, processor - collected)
        return own, wall - collected - own, max(0.0, process - processor)

    def _queued_since(self, moment: float) -> float:
        """Return the seconds for which the thread waited for a core since the last note before ``moment``."""
        before = next((queued for at, queued in reversed(self._queue) if at <= moment), self._queue[0][1])
        return max(0.0, queued_s(self._file) - before)


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


def watch_collector() -> None:
    """Begin to tell the collector's time from that of the code in whose middle it runs."""
    _COLLECTOR.watch()


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
