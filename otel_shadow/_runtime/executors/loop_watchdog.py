"""The watchdog of event loops: a thread that sees which step of a V2 holds a loop now, and where.

A step that never ends can't be charged at its end: the watchdog pauses its V2, so that the next start of the process
does not run it again.
"""

from __future__ import annotations

import threading
from collections import Counter

from otel_shadow._runtime.code_location import thread_location
from otel_shadow._runtime.executors.loop_guard import HANGS_S, PausePlace
from otel_shadow._runtime.executors.loop_side import DRIVER, LoopSide
from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow.background_thread import BackgroundThread

_PERIOD_S = 0.05
_SEEN_S = 0.02
"""Charged seconds after which the position of a step is noted."""


class _Watchdog:
    """A thread that looks at every loop on which a V2 is in flight; without one it waits."""

    def __init__(self) -> None:
        self._reset()
        on_fork(self._reset)

    def _reset(self) -> None:
        self._sides: Counter[LoopSide] = Counter()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, side: LoopSide) -> None:
        """Watch ``side``, until :meth:`leave` was called as often."""
        with self._lock:
            self._sides[side] += 1
            if self._thread is None:
                self._thread = BackgroundThread(target=self._run, name="otel-shadow-watchdog")
                self._thread.start()
        if not self._wake.is_set():
            self._wake.set()

    def leave(self, side: LoopSide) -> None:
        """Watch ``side`` no longer, if nobody else asked for it."""
        with self._lock:
            self._sides[side] -= 1
            if self._sides[side] <= 0:
                del self._sides[side]
            if not self._sides:
                self._wake.clear()

    def _run(self) -> None:
        nap = threading.Event()
        while True:
            self._wake.wait()
            nap.wait(_PERIOD_S)
            with self._lock:
                sides = list(self._sides)
            for side in sides:
                _look(side)


def _look(side: LoopSide) -> None:
    step = side.step
    side.clocks.note_queue()
    if step is None:
        return
    guard, began, _ = step
    if guard is None:
        return
    seconds = side.clocks.charged(began, ended=False)
    if seconds < _SEEN_S or side.step is not step:
        return
    position = thread_location(side.clocks.ident, below=DRIVER)
    if side.step is not step:
        return
    guard.seen_at = position or guard.seen_at
    if seconds > HANGS_S:
        guard.pause(PausePlace(guard.seen_at or guard.fallback, seconds))


WATCHDOG = _Watchdog()
