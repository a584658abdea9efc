"""Where shadows run: one protocol, and a class for each kind of place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor as FutureExecutor
from concurrent.futures import Future
from typing import Protocol

from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow._runtime.executors.worker_threads import Job, LoopThread, Worker, keep

Aside = Callable[[Job], None]
"""Runs a job in some thread of ours."""


class Shadow(Protocol):
    """One shadow that waits for its turn, as the runner and the executors see it."""

    deadline: float
    """Monotonic time after which it is given up; it moves when the shadow enters its next phase."""
    is_async: bool
    size: int

    @property
    def executor(self) -> str:
        """Name of the executor that is to run it."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Production's loop, where V1 was awaited."""

    def accepted(self) -> None:
        """It was taken from V1's path: what can be done before it starts."""

    def admit(self) -> bool:
        """Whether to start it now; if not, it has reported why."""

    def run(self) -> None:
        """Run it to its report, in a thread."""

    async def arun(self, aside: Aside | None = None) -> None:
        """Run it to its report, on a loop; it keeps its own time limit. ``aside`` takes what should not run there."""

    def shed(self, reason: str) -> None:
        """Report that it will not run."""

    def give_up(self, cancelled: bool) -> None:
        """Report that it is over its time (or the process is ending). What it still does changes nothing."""

    @property
    def reported(self) -> bool:
        """Whether it has reported."""


class Slot(Protocol):
    """The place of one running shadow."""

    @property
    def alive(self) -> bool:
        """Whether it still holds a thread (asked of one that was given up)."""

    @property
    def lost(self) -> bool:
        """Whether the place was taken away from its shadow by another that had to be given up."""

    def free(self) -> None:
        """The shadow has reported: the place may be used again."""

    def give_up(self) -> None:
        """The shadow is over its time: leave it to itself, and never use what it holds again."""


class Executor(Protocol):
    """Runs shadows. Called by the dispatcher's thread alone; ``start`` must not wait for the shadow.

    Arguments:
        capacity: how many shadows it takes at once; None leaves it to ``limits.concurrency``.
    """

    @property
    def capacity(self) -> int | None:
        """How many shadows it can take at once at this moment; None: as many as ``limits.concurrency``."""

    @property
    def stuck(self) -> int:
        """Threads that shadows have left behind which ended in time themselves."""

    def start(self, shadow: Shadow) -> Slot:
        """Start ``shadow`` and return its place."""

    def stop(self, timeout_s: float) -> None:
        """End what it holds, within ``timeout_s`` seconds."""


class ThreadExecutor:
    """Daemon threads that can be given up: one per blocking shadow, one event loop for all that await."""

    capacity: int | None = None

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._loop: LoopThread | None = None
        self._pool = DaemonPool()

    @property
    def stuck(self) -> int:
        """Jobs in the loop's pool that were given up and have not returned."""
        return self._pool.stuck

    def start(self, shadow: Shadow) -> Slot:
        """In a thread that is idle or new; an awaited shadow on the loop thread."""
        if shadow.is_async:
            if self._loop is None or self._loop.stopped:
                self._loop = LoopThread("otel-shadow-loop", self._pool)
            self._loop.give(shadow.arun)
            return _LoopSlot(self._loop)
        worker = self._idle.pop() if self._idle else Worker("otel-shadow-worker")
        worker.give(shadow.run)
        return _ThreadSlot(worker, self._idle)

    def stop(self, timeout_s: float) -> None:
        """Idle threads and the loop end; a thread that is busy ends with its job."""
        while self._idle:
            self._idle.pop().stop()
        if self._loop is not None:
            self._loop.stop()


class _ThreadSlot:
    lost = False

    def __init__(self, worker: Worker, idle: list[Worker]) -> None:
        self._worker = worker
        self._idle = idle

    @property
    def alive(self) -> bool:
        return self._worker.alive

    def free(self) -> None:
        self._idle.append(self._worker)

    def give_up(self) -> None:
        self._worker.stop()


class _LoopSlot:
    """A loop that does not answer a cancellation is blocked: it goes, with all that runs there."""

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop

    @property
    def alive(self) -> bool:
        return self._loop.alive

    @property
    def lost(self) -> bool:
        return self._loop.stopped

    def free(self) -> None:
        """The loop is everybody's."""

    def give_up(self) -> None:
        self._loop.stop()


class ProductionLoop:
    """Production's own loop, for V2s whose clients are bound to it. What blocks there blocks V1.

    Only V2 itself runs there; comparison and the rest go to a thread. A shadow that does not await, or has no loop to
    await on, runs where ``fallback`` runs it.
    """

    capacity: int | None = None
    stuck = 0

    def __init__(self, fallback: Executor) -> None:
        self._fallback = fallback
        self._aside = Worker("otel-shadow-aside")

    def start(self, shadow: Shadow) -> Slot:
        """As a task of the loop on which V1 was awaited."""
        loop = shadow.loop
        if loop is None or not shadow.is_async:
            return self._fallback.start(shadow)
        slot = _TaskSlot()

        def begin() -> None:
            slot.task = loop.create_task(shadow.arun(self._aside.give))
            keep(slot.task)

        try:
            loop.call_soon_threadsafe(begin)
        except RuntimeError:  # the loop is closed: the application has ended its run
            shadow.give_up(cancelled=True)
        return slot

    def stop(self, timeout_s: float) -> None:
        """The thread beside the loop ends; the loop is the application's."""
        self._aside.stop()


class _TaskSlot:
    lost = False

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        return self.task is not None and not self.task.done()

    def free(self) -> None:
        """Nothing is held."""

    def give_up(self) -> None:
        """It was cancelled at its time limit, by itself."""


class Futures:
    """A ``concurrent.futures.Executor`` of the user's, with threads (shadows can't be sent to processes this way)."""

    capacity: int | None = None
    stuck = 0

    def __init__(self, executor: FutureExecutor) -> None:
        self._executor = executor

    def start(self, shadow: Shadow) -> Slot:
        """As a job; a V2 that awaits gets an event loop of its own there."""
        try:
            return _FutureSlot(self._executor.submit(shadow.run))
        except RuntimeError:  # shut down: its owner has ended
            shadow.give_up(cancelled=True)
            done: Future[None] = Future()
            done.set_result(None)
            return _FutureSlot(done)

    def stop(self, timeout_s: float) -> None:
        """It is the user's."""


class _FutureSlot:
    lost = False

    def __init__(self, future: Future[None]) -> None:
        self._future = future

    @property
    def alive(self) -> bool:
        return not self._future.done()

    def free(self) -> None:
        """Its thread is the user's."""

    def give_up(self) -> None:
        self._future.cancel()
