"""The queue of shadow runs, and the thread that starts them, frees their places and times them out.

V1's path appends to a queue and returns. The dispatcher's thread starts shadow runs while there are free places, and
gives up those that are over their time. The end of a shadow run wakes it, if others wait for the place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Executor as FutureExecutor
from time import perf_counter
from typing import NamedTuple

from otel_shadow._runtime.background_queue import BackgroundQueue
from otel_shadow._runtime.executors import Executor, Shadow, Slot
from otel_shadow._runtime.executors.loop import LoopPlace
from otel_shadow._runtime.executors.placement import Later, Placement
from otel_shadow._runtime.executors.thread import ThreadExecutor
from otel_shadow._runtime.fault_barrier import FaultBarrier
from otel_shadow._runtime.process_ends import in_a_hurry
from otel_shadow._runtime.shadow_context import LOOP_ENDED
from otel_shadow.config import LimitsTable

_LEAST_WAIT_S = 10.0
"""Seconds for which an awaited V2 without a loop waits at least: a script's end may run it."""
_MOST_WAITING = 100
"""Such V2s of one node; further ones would take the queue's places from other nodes."""
_AWAITED = 2
"""Times ``concurrency``: shadow runs that are awaited at the same time. They mostly wait, their guard bounds the rest,
and where a loop ends soon, those that begin late are cut off."""


def never() -> bool:
    """Return False: shadow runs start at any time."""
    return False


class _Running(NamedTuple):
    shadow: Shadow
    slot: Slot


class Dispatcher(BackgroundQueue[Shadow]):
    """The queue of shadow runs, one lane of it per executor, and the executors.

    Arguments:
        limits: queue, concurrency and memory bounds.
        fault_barrier: counts the exceptions of the dispatcher's own work.
        processes: the executor of nodes with ``executor = "process"``.
        threads: the application's own pool, used in place of the threads of otel-shadow.
        is_quiet: says whether no shadow run is to start now, unless the queue is being emptied.
    """

    def __init__(
        self,
        limits: LimitsTable,
        fault_barrier: FaultBarrier,
        processes: Executor | None = None,
        threads: FutureExecutor | None = None,
        is_quiet: Callable[[], bool] = never,
    ) -> None:
        self._is_quiet = is_quiet
        self._limits = limits
        self._fault_barrier = fault_barrier
        self._processes = processes
        self._threads = threads
        self._over = False
        super().__init__("otel-shadow-dispatcher", limits.queue, limits.snapshot_bytes)

    def _reset(self) -> None:
        super()._reset()
        most = self._limits.concurrency * (1 + _AWAITED)
        self._executors: dict[str, Executor] = {"thread": ThreadExecutor(self._threads, most=most)}
        if self._processes is not None:
            self._executors["process"] = self._processes
        self.placement = Placement()
        self._lanes: dict[Hashable, deque[Shadow]] = {name: deque() for name in self._executors}
        self._running: list[_Running] = []
        self._launching = False
        self._abandoned: list[Slot] = []

    # --- V1's path ---------------------------------------------------------------------------------------------------

    def submit(self, shadow: Shadow) -> str | None:
        """Queue ``shadow`` without waiting or waking; return the reason where it is shed instead."""
        return "shutdown" if self._ending else self.offer(shadow, shadow.size)

    # --- any thread --------------------------------------------------------------------------------------------------

    def freed(self) -> None:
        """Wake the thread if a shadow run waits for the place of one that has reported."""
        if any(list(self._lanes.values())):
            self._wake.set()

    @property
    def closed(self) -> bool:
        return self._ending

    @property
    def inflight(self) -> int:
        return len(self._running)

    @property
    def abandoned(self) -> int:
        """The number of threads and tasks that were given up and have not ended."""
        given_up = sum(slot.alive() for slot in self._abandoned)
        return given_up + self.placement.stuck

    @property
    def busy(self) -> bool:
        """Whether a shadow run waits or runs; asked in the order in which it moves, so as to miss none."""
        if super().busy or any(list(self._lanes.values())) or self._launching:
            return True
        return any(not running.shadow.reported for running in self._running)

    def close(self, timeout_s: float) -> None:
        """Finish within ``timeout_s`` seconds; what is not done by then is reported as cancelled."""
        end = perf_counter() + timeout_s
        self._ending = True
        self.drain(timeout_s * 0.75, unless=in_a_hurry)
        self._over = True
        self._cancel_waiting()
        for running in list(self._running):
            if not running.shadow.reported:
                running.shadow.give_up(cancelled=True)
                running.slot.give_up()
        self._wake.set()
        for executor in self._executors.values():
            executor.stop(max(end - perf_counter(), 0.0))
        self.placement.stop()

    def _cancel_waiting(self) -> None:
        super()._turn()
        for lane in list(self._lanes.values()):
            while (shadow := self._take(lane)) is not None:
                shadow.give_up(cancelled=True)

    # --- the thread --------------------------------------------------------------------------------------------------

    def _may_end(self) -> bool:
        return self._ending and not self.busy

    def _turn(self) -> None:
        last = self._cancel_waiting if self._over else self._launch
        for step in (super()._turn, self._end_running, last):
            try:
                step()
            except BaseException as error:  # noqa: BLE001 - the dispatcher outlives every fault
                self._fault_barrier.caught("dispatch", "-", error)

    def _work_on(self, item: Shadow) -> None:
        lane = self._lanes.setdefault(self._lane_of(item), deque())
        with self._sums:
            self._aside += 1
        lane.append(item)

    def _lane_of(self, shadow: Shadow) -> Hashable:
        """Return the lane of ``shadow``: one per executor, and one per V2 that is awaited."""
        if shadow.executor == "process":
            return "process"
        return shadow.admission if shadow.is_async else "thread"

    def _end_running(self) -> None:
        """Free the places of the shadow runs that have reported, and time out those that are over their time."""
        now = perf_counter()
        self._running = [running for running in self._running if self._goes_on(running, now)]
        self._abandoned = [slot for slot in self._abandoned if slot.alive()]

    def _goes_on(self, running: _Running, now: float) -> bool:
        shadow, slot = running
        if shadow.reported:
            return False
        if now > shadow.deadline:
            self._time_out(shadow, slot)
            return False
        return True

    def _time_out(self, shadow: Shadow, slot: Slot) -> None:
        """Report V2 as timed out, and leave its thread or task to itself."""
        shadow.give_up(cancelled=False)
        slot.give_up()
        self._abandoned.append(slot)

    def _launch(self) -> None:
        if any(self._lanes.values()) and not (self._drains or self._ending) and self._is_quiet():
            return
        self._launching = True  # between its lane and the list of the running a shadow run is in neither
        try:
            for name, lane in list(self._lanes.items()):
                executor = name if isinstance(name, str) else "thread"
                is_async = executor != name
                while lane and self._has_room(executor, is_async=is_async):
                    place = self._place(lane[0]) if is_async else None
                    if isinstance(place, Later):
                        if self._waits(lane, place):
                            break
                        continue
                    self._admit(executor, lane, place)
        finally:
            self._launching = False

    def _place(self, shadow: Shadow) -> LoopPlace | Later | str:
        try:
            return self.placement.place(shadow, draining=bool(self._drains) or self._ending)
        except BaseException as error:  # noqa: BLE001 - the system has no thread or descriptor left
            self._fault_barrier.caught("dispatch", "-", error)
            return Later.REFUSED

    def _waits(self, lane: deque[Shadow], why: Later) -> bool:
        """Leave the first of ``lane`` there, and return True, unless its loop does not come back in time."""
        late = perf_counter() - lane[0].queued_at > max(lane[0].timeout_s, _LEAST_WAIT_S) or len(lane) > _MOST_WAITING
        if why is Later.NO_ROOM or (why is Later.NO_LOOP_NOW and not late):
            return True
        shadow = self._take(lane)
        if shadow is not None:
            shadow.give_up(cancelled=True, reason=None if why is Later.REFUSED else LOOP_ENDED)
        return False

    def _admit(self, executor: str, lane: deque[Shadow], place: LoopPlace | str | None) -> None:
        shadow = self._take(lane)
        if shadow is not None and isinstance(place, str):
            shadow.shed(place)
        elif shadow is None:
            pass  # some other thread took it
        elif self.abandoned >= self._limits.abandoned_threads:
            shadow.shed("abandoned")
        elif shadow.admit(place):
            self._begin(executor, shadow)
            return
        if isinstance(place, LoopPlace):
            place.release()

    def _begin(self, name: str, shadow: Shadow) -> None:
        """Start ``shadow``, or report it as cancelled where the system has no thread or descriptor left."""
        try:
            self._running.append(_Running(shadow, self._executors[name].start(shadow)))
        except BaseException as error:  # noqa: BLE001 - as above
            shadow.give_up(cancelled=True)
            self._fault_barrier.caught("dispatch", "-", error)

    def _has_room(self, name: str, *, is_async: bool) -> bool:
        capacity = self._executors[name].capacity
        if capacity is not None:
            return sum(running.shadow.executor == name for running in self._running) < capacity
        here = [running.shadow for running in self._running if running.shadow.executor != "process"]
        alike = sum(shadow.is_async == is_async for shadow in here)
        return alike < self._limits.concurrency * (_AWAITED if is_async else 1)

    def _take(self, lane: deque[Shadow]) -> Shadow | None:
        try:
            shadow = lane.popleft()
        except IndexError:  # some other thread took it
            return None
        with self._sums:
            self._aside -= 1
            self._bytes -= shadow.size
        return shadow
