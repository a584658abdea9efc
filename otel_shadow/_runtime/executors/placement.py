"""Where a V2 that is awaited runs: on V1's loop, on one that the process runs elsewhere, on ours, or not at all."""

from __future__ import annotations

import asyncio
import threading
from enum import Enum
from time import perf_counter
from typing import Final

from otel_shadow._runtime.executors import Shadow
from otel_shadow._runtime.executors.loop import BOUND, OWN_LOOP, LoopPlace, LoopThread, OwnLoopPlace
from otel_shadow._runtime.executors.loop_side import SIDES
from otel_shadow._runtime.executors.running_loops import running_loop

_LEAST_AGE_S = 0.02
"""Seconds that pass after V1's end before V2 starts on its loop: many a loop ends right then, and would cut V2 off."""


class Later(Enum):
    """The answer to a shadow run that can't start now."""

    NO_ROOM = "no room"
    """Others run; it may wait as long as the queue allows."""
    NO_LOOP_NOW = "no loop now"
    """Its loop does not run, or another one does; it waits for its time limit at most."""
    REFUSED = "refused"
    """The system refused what a place needs."""
    NEVER = "never"
    """Its loop has ended, and what it awaits is bound to that loop."""


NO_LOOP: Final = "no_loop"
"""The caller of a synchronous graph is the loop's own thread, which V2 would block or be blocked by."""


class Placement:
    """The loops that one dispatcher uses."""

    def __init__(self) -> None:
        self._own: LoopThread | None = None
        self._left: list[LoopThread] = []

    @property
    def stuck(self) -> int:
        """The number of threads that V2s hold although nobody waits for them."""
        self._left = [thread for thread in self._left if thread.is_alive()]
        return len(self._left) + sum(side.stuck for side in list(SIDES.by_loop.values()))

    def place(self, shadow: Shadow, *, draining: bool) -> LoopPlace | Later | str:
        """Return a place for ``shadow``, or that it must wait, or the reason why it can't run.

        Arguments:
            shadow: a shadow run whose V2 is awaited.
            draining: whether a caller waits for all shadow runs, or the process ends. A V2 whose loop has ended runs
                then, on ours: V1 is done, and no loop of V1's will meet what V2 awaits.
        """
        loop, foreign = shadow.loop, False
        if loop is None:
            if shadow.called_on_loop:
                return NO_LOOP
            loop, foreign = self._elsewhere(), True
        elif loop.is_closed():
            if loop in BOUND:
                return Later.NEVER
            if not draining or self._elsewhere() is not None:
                return Later.NO_LOOP_NOW
            loop = None
        elif not loop.is_running():
            return Later.NO_LOOP_NOW
        if loop is None:
            return OwnLoopPlace(self._lasting(), shadow.loop)
        admission = shadow.admission
        refused: str | None = admission.refuse(shadow)
        if refused is not None:
            return refused
        if not admission.guard.has_room or perf_counter() - shadow.queued_at < _LEAST_AGE_S:
            return Later.NO_ROOM
        return LoopPlace(loop, admission.guard, foreign=foreign)

    def v1_place(self, loop: asyncio.AbstractEventLoop | None) -> LoopPlace | None:
        """Return a place for V1 itself, which is to run a second time; None where its loop has ended."""
        return LoopPlace(loop, None) if loop is not None and loop.is_running() else None

    def stop(self) -> None:
        """End the loop of ours."""
        if self._own is not None:
            self._own.stop()

    def _elsewhere(self) -> asyncio.AbstractEventLoop | None:
        """Return a loop of the application's that runs now."""
        ours = {thread.ident for thread in threading.enumerate() if thread.name == OWN_LOOP}
        return running_loop(frozenset(ident for ident in ours if ident is not None))

    def _lasting(self) -> LoopThread:
        if self._own is None or self._own.stopped:
            if self._own is not None:
                self._left.append(self._own)
            self._own = LoopThread()
        return self._own
