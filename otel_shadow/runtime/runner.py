"""Runs shadows off V1's path: a bounded queue that is only appended to, and threads that nobody waits for.

V1's path appends to a deque and returns. A dispatcher thread polls it (waking a parked thread would cost V1 more than
all the polling), starts shadows while there are free slots, and gives up those that are over their time.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from time import perf_counter, sleep
from typing import NamedTuple, Protocol
from weakref import WeakSet

from otel_shadow.config import LimitsTable
from otel_shadow.runtime.shield import Shield
from otel_shadow.runtime.threads import LoopThread, Worker, keep

_POLL_S = 0.02
_NAP_S = 0.001


class Shadow(Protocol):
    """One shadow that waits for its turn."""

    deadline: float
    """Monotonic time after which it is given up; it moves when the shadow enters its next phase."""
    is_async: bool
    size: int

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop to run on, if it must be production's own."""

    def admit(self) -> bool:
        """Whether to start it now; if not, it has reported why."""

    def run(self) -> None:
        """Run it to its report, in a thread."""

    async def arun(self) -> None:
        """Run it to its report, on a loop; it enforces its own time limit."""

    def shed(self, reason: str) -> None:
        """Report that it will not run."""

    def give_up(self, cancelled: bool) -> None:
        """Report that it is over its time (or the process is ending). What it still does changes nothing."""

    @property
    def reported(self) -> bool:
        """Whether it has reported."""


class _Running(NamedTuple):
    shadow: Shadow
    thread: Worker | LoopThread | None
    """None on production's own loop."""


class Runner:
    """The queue, the dispatcher and its threads.

    Arguments:
        limits: queue, concurrency and memory bounds.
        shield: counts what breaks.
    """

    def __init__(self, limits: LimitsTable, shield: Shield) -> None:
        self._limits = limits
        self._shield = shield
        self._reset()
        _RUNNERS.add(self)

    def _reset(self) -> None:
        """Forget everything; also in the child after a fork, where threads and their work stayed with the parent."""
        self._queue: deque[Shadow] = deque()
        self._bytes = 0
        self._running: list[_Running] = []
        self._idle: list[Worker] = []
        self._abandoned: list[Worker | LoopThread] = []
        self._loop: LoopThread | None = None
        self._dispatcher: threading.Thread | None = None
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._closed = False

    # --- V1's path ---------------------------------------------------------------------------------------------

    def submit(self, shadow: Shadow) -> str | None:
        """Queue ``shadow`` without waiting, locking or waking.

        Returns:
            None if it was queued, else the reason why it is shed.
        """
        if self._closed:
            return "shutdown"
        if len(self._queue) >= self._limits.queue:
            return "queue"
        if self._bytes + shadow.size > self._limits.snapshot_bytes:
            return "memory"
        self._bytes += shadow.size
        self._queue.append(shadow)
        if self._dispatcher is None:
            self._start()
        return None

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._dispatcher is None:
                thread = threading.Thread(target=self._dispatch, name="otel-shadow-dispatcher", daemon=True)
                thread.start()
                self._dispatcher = thread
        finally:
            self._starting.release()

    # --- what others may ask -------------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        """Shadows that wait."""
        return len(self._queue)

    @property
    def inflight(self) -> int:
        """Shadows that run."""
        return len(self._running)

    @property
    def abandoned(self) -> int:
        """Threads that were given up and have not ended."""
        return sum(thread.alive for thread in self._abandoned)

    def drain(self, timeout_s: float) -> bool:
        """Wait until nothing waits or runs.

        Returns:
            Whether that was so within ``timeout_s`` seconds.
        """
        end = perf_counter() + timeout_s
        self._wake.set()
        while (self._queue or self._running) and perf_counter() < end and self._dispatcher is not None:
            sleep(_NAP_S)
        return not self._queue and not self._running

    def close(self, timeout_s: float) -> None:
        """Finish within ``timeout_s`` seconds; what is not done by then is reported as cancelled."""
        self._closed = True
        self.drain(timeout_s)
        self._cancel_rest()
        self._wake.set()

    def _cancel_rest(self) -> None:
        while self._queue:
            self._take().give_up(cancelled=True)
        for running in list(self._running):
            if not running.shadow.reported:
                running.shadow.give_up(cancelled=True)
        for worker in self._idle:
            worker.stop()
        if self._loop is not None:
            self._loop.stop()

    # --- the dispatcher --------------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        while not self._closed or self._queue or self._running:
            try:
                self._reap()
                self._launch()
            except Exception as error:  # noqa: BLE001 - the dispatcher outlives every fault
                self._shield.caught("dispatch", "-", error)
            if self._wake.is_set():
                sleep(_NAP_S)
            if not self._queue and not self._running:
                self._wake.clear()
            self._wake.wait(_POLL_S)
            if self._closed and not self._queue and all(running.shadow.reported for running in self._running):
                return

    def _reap(self) -> None:
        now = perf_counter()
        still: list[_Running] = []
        for running in self._running:
            if running.shadow.reported:
                if isinstance(running.thread, Worker):
                    self._idle.append(running.thread)
            elif now > running.shadow.deadline:
                self._give_up(running)
            else:
                still.append(running)
        self._running = still
        self._abandoned = [thread for thread in self._abandoned if thread.alive]

    def _give_up(self, running: _Running) -> None:
        running.shadow.give_up(cancelled=False)
        if running.thread is None:
            return
        running.thread.stop()
        self._abandoned.append(running.thread)
        if running.thread is self._loop:
            self._loop = None
            self._cancel_beside(running.thread)

    def _cancel_beside(self, loop: LoopThread) -> None:
        """A blocked loop takes with it all that runs there."""
        for running in self._running:
            if running.thread is loop and not running.shadow.reported:
                running.shadow.give_up(cancelled=True)

    def _launch(self) -> None:
        while self._queue and len(self._running) < self._limits.concurrency:
            shadow = self._take()
            if len(self._abandoned) >= self._limits.abandoned_threads:
                shadow.shed("abandoned")
            elif shadow.admit():
                self._run(shadow)

    def _take(self) -> Shadow:
        shadow = self._queue.popleft()
        self._bytes -= shadow.size
        return shadow

    def _run(self, shadow: Shadow) -> None:
        if (production := shadow.loop) is not None:
            self._running.append(_Running(shadow, None))
            self._run_on(production, shadow)
        elif shadow.is_async:
            loop = self._own_loop()
            self._running.append(_Running(shadow, loop))
            loop.give(shadow.arun)
        else:
            worker = self._idle.pop() if self._idle else Worker("otel-shadow-worker")
            self._running.append(_Running(shadow, worker))
            worker.give(shadow.run)

    def _run_on(self, loop: asyncio.AbstractEventLoop, shadow: Shadow) -> None:
        try:
            loop.call_soon_threadsafe(lambda: keep(loop.create_task(shadow.arun())))
        except RuntimeError:  # the loop is closed: the application has ended its run
            shadow.give_up(cancelled=True)

    def _own_loop(self) -> LoopThread:
        if self._loop is None or not self._loop.alive:
            self._loop = LoopThread("otel-shadow-loop")
        return self._loop


_RUNNERS: WeakSet[Runner] = WeakSet()


def _after_fork() -> None:
    for runner in list(_RUNNERS):
        runner._reset()


os.register_at_fork(after_in_child=_after_fork)
