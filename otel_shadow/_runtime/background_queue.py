"""A bounded queue that never makes V1 wait, and the daemon thread that works it off."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter, sleep
from typing import Generic, TypeVar

from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow.background_thread import BackgroundThread

T = TypeVar("T")
_NAP_S = 0.001


class BackgroundQueue(ABC, Generic[T]):
    """A queue that V1's path only appends to, and a thread that takes one item after the other.

    An addition wakes no thread: to wake a parked thread would cost V1 more than all the polling does. It takes a lock
    only for an item that has a size, and only for one addition. The thread starts with the first item. After
    :meth:`end` a thread ends when the queue is empty, and an item that comes later starts another.

    The threads that run V2 are of another kind (:class:`DaemonPool`): they block until there is a job, for V2 must
    start at once.

    Arguments:
        name: of the thread.
        bound, bound_bytes: items that may wait, and the bytes that they may hold together.
    """

    poll_s: float = 0.02
    """Seconds between two looks at an empty queue."""

    def __init__(self, name: str, bound: int, bound_bytes: int) -> None:
        self._name = name
        self._bound = bound
        self._bound_bytes = bound_bytes
        self._ending = False
        self._reset()
        on_fork(self._reset)

    def _reset(self) -> None:
        """Begin with nothing; in the child of a fork again, where thread and items stayed with the parent."""
        self._queue: deque[T] = deque()
        self._aside = 0
        """Items that were taken off the queue and that still wait for their turn."""
        self._bytes = 0
        self._sums = threading.Lock()
        self._working = False
        self._drains: list[None] = []
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._wake = threading.Event()

    # --- V1's path ---------------------------------------------------------------------------------------------------

    def offer(self, item: T, size: int = 0) -> str | None:
        """Queue ``item``, which holds ``size`` bytes, without waiting.

        Returns:
            None if it was queued; ``queue`` or ``memory`` where that bound would be passed.
        """
        if len(self._queue) + self._aside >= self._bound:
            return "queue"
        if size:
            with self._sums:
                if self._bytes + size > self._bound_bytes:
                    return "memory"
                self._bytes += size
        self._queue.append(item)
        if self._thread is None:
            self._start()
        return None

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                self._thread = BackgroundThread(target=self._run, name=self._name)
                self._thread.start()
        except RuntimeError:  # no thread left, or the interpreter is ending
            pass
        finally:
            if self._thread is not None and self._thread.ident is None:
                self._thread = None  # it never began: the next item tries again
            self._starting.release()

    # --- any thread --------------------------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        return len(self._queue) + self._aside

    @property
    def waiting_bytes(self) -> int:
        return self._bytes

    @property
    def busy(self) -> bool:
        """Whether an item waits or is worked on; asked in the order in which an item moves, so as to miss none."""
        return bool(self._queue) or self._working

    @property
    def used(self) -> bool:
        """Whether an item was queued in this process, and :meth:`end` has not been called since."""
        return self._thread is not None or bool(self._queue)

    def drain(self, timeout_s: float, unless: Callable[[], bool] = lambda: False) -> bool:
        """Wait until nothing waits or is worked on; return whether that was so within ``timeout_s`` seconds.

        Arguments:
            timeout_s: seconds to wait at most.
            unless: tells that there is no more time.
        """
        end = perf_counter() + timeout_s
        self._drains.append(None)
        try:
            self._wake.set()
            while self.busy and perf_counter() < end and self._thread is not None and not unless():
                sleep(_NAP_S)
        finally:
            self._drains.pop()
        return not self.busy

    def wake(self) -> None:
        """Have the thread look at the queue now. Not for V1's path: it takes a lock, and the thread may run at once."""
        self._wake.set()

    def end(self) -> None:
        """Let the thread end as soon as there is nothing to do."""
        self._ending = True
        self._wake.set()

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._may_end():
                self._turn()
                self._pause()
            self._conclude()
        finally:
            self._thread = None
            if self._queue:  # an item has come since, and found a thread that seemed to go on
                self._start()

    def _conclude(self) -> None:
        """Do what comes last, before the thread ends; raise nothing."""

    def _may_end(self) -> bool:
        return self._ending and not self._queue

    def _turn(self) -> None:
        self._working = True
        try:
            while self._queue:
                with suppress(IndexError):  # some other thread may take the last item
                    self._work_on(self._queue.popleft())
        finally:
            self._working = False

    @abstractmethod
    def _work_on(self, item: T) -> None:
        """Do what ``item`` asks for, raise nothing, and take its bytes off the sum once it holds them no more."""

    def _pause(self) -> None:
        if self._drains:
            sleep(_NAP_S)
        elif self._wake.wait(self.poll_s):
            sleep(_NAP_S)  # the thread that woke this one still holds the interpreter's lock, and V1 may need it next
            self._wake.clear()
