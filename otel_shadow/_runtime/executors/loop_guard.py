"""The guard of an event loop against one V2 that runs on it: who may start, what its steps took, when it is paused.

The rule and its numbers are measured: eight calls at a time at first, twice as many after eight without fault; a bucket
of 100 ms that leaks 20 ms a second takes every charged step over 5 ms; full, V2 is paused for this build.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from otel_shadow._runtime.background_log import say

FREE_S = 0.005
"""Seconds that a step may take of the loop without being charged."""
_CAPACITY_S = 0.1
_LEAK = 0.02
_FIRST = 8
"""Calls that may run at a time at first."""
_MOST = 100
_CLEAN_CALLS = 8
_COLD_STEPS = 2
"""Steps that load modules and are forgiven: no habit of V2's."""
HANGS_S = 0.25
"""Charged seconds after which a step that still runs is paused."""


@dataclass(frozen=True, slots=True)
class PausePlace:
    """What a pause is told with: the code that held the loop, and for how many seconds."""

    position: str
    """``module:line``, or V2's import path where no frame was seen."""
    seconds: float


class LoopGuard:
    """The guard of one V2: thread-safe where a watchdog's thread and the loop's thread meet.

    Arguments:
        node: the node's name, for messages.
        fallback: V2's import path or name, told where nobody saw which line held the loop.
        paused: called once, with the place, when V2 is paused.
    """

    def __init__(self, node: str, fallback: str, paused: Callable[[PausePlace], object] = lambda _: None) -> None:
        self._node = node
        self.fallback = fallback
        self._told = paused
        self._lock = threading.Lock()
        self._room = _FIRST
        self._level = 0.0
        self._at = perf_counter()
        self._clean = 0
        self._cold = 0
        self.running = 0
        """Calls that were started and have not ended."""
        self.pause_place: PausePlace | None = None
        """Where V2 held the loop, once it is paused."""
        self.seen_at: str | None = None
        """Position of the code that a watchdog saw in the present long step."""

    @property
    def is_paused(self) -> bool:
        """Whether V2 is paused."""
        return self.pause_place is not None

    @property
    def has_room(self) -> bool:
        """Whether one more call may start now."""
        return not self.is_paused and self.running < self._room

    def started(self) -> None:
        """Count a call that starts."""
        with self._lock:
            self.running += 1

    def ended(self) -> None:
        """Count a call that has ended."""
        with self._lock:
            self.running -= 1
            self._clean += 1
            if self._clean % _CLEAN_CALLS == 0:
                self._room = min(self._room * 2, _MOST)

    def charge(self, seconds: float, modules_before: int) -> bool:
        """Take a step of ``seconds`` charged seconds, and return whether it counts.

        Arguments:
            seconds: that the step is to blame for.
            modules_before: how many modules were loaded before it.
        """
        seen, self.seen_at = self.seen_at, None
        if seconds <= FREE_S:
            return False
        with self._lock:
            if len(sys.modules) != modules_before and self._cold < _COLD_STEPS:
                self._cold += 1
                return False
            now = perf_counter()
            self._level = max(0.0, self._level - _LEAK * (now - self._at)) + seconds
            self._at = now
            self._clean = 0
            full = self._level > _CAPACITY_S
        if full:
            self.pause(PausePlace(seen or self.fallback, seconds))
        return True

    def pause(self, place: PausePlace, *, told: bool = True) -> None:
        """Pause V2, for this build; ``told``: say so, and hand it to what keeps it."""
        with self._lock:
            if self.pause_place is not None:
                return
            self.pause_place = place
        if told:
            say(logging.WARNING, "shadow %r: %s", self._node, pause_sentence(place))
            self._told(place)

    def resume(self) -> None:
        """Begin anew, as for a new build."""
        with self._lock:
            self.pause_place, self._room, self._level, self._clean, self._cold = None, _FIRST, 0.0, 0, 0

    def reset_after_fork(self) -> None:
        """Forget the calls of the parent, whose loop is not this process's."""
        self._lock = threading.Lock()
        self.running = 0


def pause_sentence(place: PausePlace) -> str:
    """Return what is told of a pause: what happened, where, and the remedy."""
    return (
        f"paused (blocks the loop): V2 held V1's event loop for {place.seconds * 1000:.0f} ms at {place.position}; "
        'await there or use asyncio.to_thread, and deploy a new build, or set executor = "process" for this node'
    )
