"""The queue before one sink, or before the processors of spans: what blocks there holds up nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter

from otel_shadow._runtime.background_queue import BackgroundQueue
from otel_shadow._runtime.fault_barrier import FaultBarrier

_BOUND = 20_000

Handing = tuple[Callable[[], object], str]
"""A call that hands something over, and the name of the node that it is about."""


class SinkQueue(BackgroundQueue[Handing]):
    """A bounded queue of calls that hand something to one sink, and the thread that makes them.

    A call that finds the queue full is dropped and counted by the sink's name.

    Arguments:
        name: of the sink.
        operation: under which the fault barrier counts what the sink raises.
        fault_barrier: counts that, and what is dropped (``dropped_<name>``).
        bound: calls that may wait.
        poll_s: seconds between two looks at an empty queue that nobody wakes.
    """

    def __init__(
        self, name: str, operation: str, fault_barrier: FaultBarrier, bound: int = _BOUND, poll_s: float = 1.0
    ) -> None:
        self._operation = operation
        self._dropped = f"dropped_{name}"
        self._fault_barrier = fault_barrier
        super().__init__(f"otel-shadow-{name.replace('_', '-')}", bound, 0)
        self.poll_s = poll_s

    def _reset(self) -> None:
        super()._reset()
        self._waited_for: threading.Event | None = None

    def put(self, call: Callable[[], object], node: str) -> None:
        """Queue ``call``, which is about ``node``. Never waits, and wakes no thread."""
        if self.offer((call, node)) is not None:
            self._fault_barrier.counts[self._dropped] += 1

    def catch_up(self, timeout_s: float) -> None:
        """Wait until the thread has made the calls that wait now, ``timeout_s`` seconds at most.

        A thread that hangs is waited for once, and not by everybody who asks.
        """
        if self._waited_for is not None and not self._waited_for.is_set():
            return
        caught_up = threading.Event()
        if self.busy and self.offer((caught_up.set, "-")) is None:
            self._waited_for = caught_up
            self.wake()
            caught_up.wait(timeout_s)

    def settle(self, timeout_s: float) -> None:
        """Wait until all calls have been made, ``timeout_s`` seconds at most.

        In a process that is ending, and starts no more threads, they are made here.
        """
        end = perf_counter() + timeout_s
        self.drain(timeout_s)
        while self._thread is None and self._queue and perf_counter() < end:
            with suppress(IndexError):  # another thread may have taken the last
                self._work_on(self._queue.popleft())

    def _work_on(self, item: Handing) -> None:
        call, node = item
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - nothing that a sink raises ends more than this call
            caught(self._fault_barrier, self._operation, node, error)


def caught(fault_barrier: FaultBarrier, operation: str, node: str, error: BaseException) -> None:
    """Count ``error`` of a sink or of making a record; where it is re-raised, for tests, this thread goes on."""
    try:
        fault_barrier.caught(operation, node, error)
    except BaseException as raised:  # noqa: BLE001 - tests see it
        seen = (type(raised), raised, raised.__traceback__, threading.current_thread())
        threading.excepthook(threading.ExceptHookArgs(seen))
