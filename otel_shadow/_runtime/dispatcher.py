"""Runs shadows off V1's path: bounded queues that are only appended to, and executors that nobody waits for.

V1's path appends to a deque and returns. A dispatcher thread polls it (waking a parked thread would cost V1 more than
all the polling), starts shadows while there are free places, and gives up those that are over their time. A shadow that
has ended wakes it, if others wait for its place.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from time import perf_counter, sleep
from typing import NamedTuple

from otel_shadow._runtime.executors.protocol import Executor, ProductionLoop, Shadow, Slot, ThreadExecutor
from otel_shadow._runtime.fault_barrier import FaultBarrier
from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow.config import LimitsTable

__all__ = ["Dispatcher", "Shadow"]

_POLL_S = 0.02
_NAP_S = 0.001

Factory = Callable[[], Executor]


class _Running(NamedTuple):
    shadow: Shadow
    slot: Slot


class Dispatcher:
    """The queue, the dispatcher and the executors.

    Arguments:
        limits: queue, concurrency and memory bounds.
        fault_barrier: counts what breaks.
        executors: makers of executors by name, besides ``thread`` and ``loop`` or instead of them.
    """

    def __init__(
        self, limits: LimitsTable, fault_barrier: FaultBarrier, executors: Mapping[str, Factory] | None = None
    ) -> None:
        self._limits = limits
        self._fault_barrier = fault_barrier
        self._factories: dict[str, Factory] = {
            "thread": ThreadExecutor,
            "loop": lambda: ProductionLoop(self._executor("thread")),
            **(executors or {}),
        }
        self._closed = False
        self._reset()
        on_fork(self._reset)

    def _reset(self) -> None:
        """Forget everything; also in the child after a fork, where threads and their work stayed with the parent."""
        self._arrived: deque[Shadow] = deque()
        self._lanes: dict[str, deque[Shadow]] = {name: deque() for name in self._factories}
        self._bytes = 0
        self._accounts = threading.Lock()
        self._executors: dict[str, Executor] = {}
        self._running: list[_Running] = []
        self._sorting = False
        self._launching = False
        self._abandoned: list[Slot] = []
        self._dispatcher: threading.Thread | None = None
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._drains: list[None] = []

    # --- V1's path ---------------------------------------------------------------------------------------------

    def submit(self, shadow: Shadow) -> str | None:
        """Queue ``shadow`` without waiting or waking. The one lock guards an addition; no V2 can hold it.

        Returns:
            None if it was queued, else the reason why it is shed.
        """
        if self._closed:
            return "shutdown"
        if self.depth >= self._limits.queue:
            return "queue"
        size = shadow.size
        with self._accounts:
            if self._bytes + size > self._limits.snapshot_bytes:
                return "memory"
            self._bytes += size
        self._arrived.append(shadow)
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

    # --- the shadows' side ---------------------------------------------------------------------------------------

    def freed(self) -> None:
        """A shadow has reported: its place goes to one that waits, and not only at the next look at the queue."""
        if any(self._lanes.values()):
            self._wake.set()

    # --- what others may ask -------------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        """Shadows that wait."""
        return len(self._arrived) + sum(map(len, self._lanes.values()))

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the snapshots that wait."""
        return self._bytes

    @property
    def inflight(self) -> int:
        """Shadows that run."""
        return len(self._running)

    @property
    def abandoned(self) -> int:
        """Threads (and tasks) that were given up and have not ended."""
        return sum(slot.alive for slot in self._abandoned) + self._stuck

    @property
    def _stuck(self) -> int:
        return sum(executor.stuck for executor in list(self._executors.values()))

    @property
    def _busy(self) -> bool:
        """Whether a shadow waits or runs; asked in the order in which it moves, so that none slips through."""
        if self._arrived or self._sorting or any(self._lanes.values()) or self._launching:
            return True
        return any(not running.shadow.reported for running in self._running)

    def drain(self, timeout_s: float) -> bool:
        """Wait until nothing waits or runs.

        Returns:
            Whether that was so within ``timeout_s`` seconds.
        """
        end = perf_counter() + timeout_s
        self._drains.append(None)
        try:
            self._wake.set()
            while self._busy and perf_counter() < end and self._dispatcher is not None:
                sleep(_NAP_S)
        finally:
            self._drains.pop()
        return not self._busy

    def close(self, timeout_s: float) -> None:
        """Finish within ``timeout_s`` seconds; what is not done by then is reported as cancelled."""
        self._closed = True
        end = perf_counter() + timeout_s
        self.drain(timeout_s * 0.75)
        self._cancel_rest()
        self._wake.set()
        for executor in list(self._executors.values()):
            executor.stop(max(end - perf_counter(), 0.0))

    def _cancel_rest(self) -> None:
        self._sort()
        for lane in self._lanes.values():
            while (shadow := self._take(lane)) is not None:
                shadow.give_up(cancelled=True)
        for running in list(self._running):
            if not running.shadow.reported:
                running.shadow.give_up(cancelled=True)
                running.slot.give_up()

    # --- the dispatcher --------------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        while not self._closed or self.depth or self._running:
            for step in (self._sort, self._reap, self._launch):
                try:
                    step()
                except BaseException as error:  # noqa: BLE001 - the dispatcher outlives every fault
                    self._fault_barrier.caught("dispatch", "-", error)
            if self._drains:
                sleep(_NAP_S)
            elif self._wake.wait(_POLL_S):
                sleep(_NAP_S)  # V1's turn: whoever woke us has just held the interpreter's lock
                self._wake.clear()
            if self._closed and not self.depth and all(running.shadow.reported for running in self._running):
                return

    def _sort(self) -> None:
        """What came from V1's path goes to the lane of its executor."""
        self._sorting = True
        try:
            while self._arrived:
                shadow = self._arrived.popleft()
                self._lanes[shadow.executor].append(shadow)
                shadow.accepted()
        except IndexError:  # somebody else took it
            return
        finally:
            self._sorting = False

    def _reap(self) -> None:
        now = perf_counter()
        still: list[_Running] = []
        for running in self._running:
            shadow, slot = running
            if not shadow.reported and not slot.lost and now <= shadow.deadline:
                still.append(running)
            elif shadow.reported:
                slot.free()
            elif slot.lost:
                shadow.give_up(cancelled=True)
            else:
                shadow.give_up(cancelled=False)
                slot.give_up()
                self._abandoned.append(slot)
        self._running = still
        self._abandoned = [slot for slot in self._abandoned if slot.alive]

    def _launch(self) -> None:
        self._launching = True  # between its lane and the list of the running a shadow is in neither
        try:
            self._start_waiting()
        finally:
            self._launching = False

    def _start_waiting(self) -> None:
        for name, lane in self._lanes.items():
            while lane and self._has_room(name):
                shadow = self._take(lane)
                if shadow is None:
                    break
                if len(self._abandoned) + self._stuck >= self._limits.abandoned_threads:
                    shadow.shed("abandoned")
                elif shadow.admit():
                    self._begin(name, shadow)

    def _begin(self, name: str, shadow: Shadow) -> None:
        """Start it; where the system has no thread or descriptor left, it is cancelled and not lost."""
        try:
            self._running.append(_Running(shadow, self._executor(name).start(shadow)))
        except BaseException as error:  # noqa: BLE001 - as above
            shadow.give_up(cancelled=True)
            self._fault_barrier.caught("dispatch", "-", error)

    def _has_room(self, name: str) -> bool:
        capacity = self._executor(name).capacity
        if capacity is not None:
            return sum(running.shadow.executor == name for running in self._running) < capacity
        shared = sum(self._executor(running.shadow.executor).capacity is None for running in self._running)
        return shared < self._limits.concurrency

    def _executor(self, name: str) -> Executor:
        found = self._executors.get(name)
        if found is None:
            found = self._executors[name] = self._factories[name]()
        return found

    def _take(self, lane: deque[Shadow]) -> Shadow | None:
        try:
            shadow = lane.popleft()
        except IndexError:  # somebody else took it
            return None
        with self._accounts:
            self._bytes -= shadow.size
        return shadow
