"""The queue of records to be made, and the thread that makes them and hands them to the sinks.

A sink may be slow, block or raise: no thread of the application waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from functools import partial
from time import perf_counter, sleep
from typing import ClassVar

from otel_shadow._runtime.background_queue import BackgroundQueue
from otel_shadow._runtime.executors.daemon_pool import start_job
from otel_shadow._runtime.fault_barrier import FaultBarrier
from otel_shadow._runtime.record_counts import RecordCounts
from otel_shadow._runtime.sinks import Sink
from otel_shadow.record import ShadowRecord

_BOUND = 20_000
_BYTES = 64 * 1024 * 1024
_NAP_S = 0.001

MakeRecord = Callable[[], ShadowRecord | None]


class RecordQueue(BackgroundQueue[tuple[MakeRecord, int]]):
    """A bounded queue of functions that make records: redaction and formatting happen off V1's path.

    When the queue is full the record is dropped and counted (``emit_dropped``). From time to time, and after the last
    record, the sinks get the totals of each node as heartbeats.

    Arguments:
        sinks: take the records, one after the other.
        fault_barrier: counts the exceptions of sinks and of making records.
        counts: number the records, and know what is due.
        bound, bound_bytes: records that may wait, and the bytes that they may hold together.
    """

    beat_s: ClassVar[float] = 60.0
    """Seconds from one heartbeat to the next."""

    def __init__(
        self,
        sinks: Sequence[Sink],
        fault_barrier: FaultBarrier,
        counts: RecordCounts | None = None,
        bound: int = _BOUND,
        bound_bytes: int = _BYTES,
    ) -> None:
        self.sinks = list(sinks)
        self.counts = counts or RecordCounts()
        self._fault_barrier = fault_barrier
        super().__init__("otel-shadow-records", bound, bound_bytes)

    def _reset(self) -> None:
        super()._reset()
        self._next_beat_s = perf_counter() + self.beat_s
        self._concluded = False

    def put(self, make: MakeRecord, size: int = 0) -> bool:
        """Queue a record that holds ``size`` bytes until ``make`` has made it, and return whether. Never waits."""
        if self.offer((make, size), size) is None:
            return True
        self._fault_barrier.counts["emit_dropped"] += 1
        return False

    def has_room(self, size: int) -> bool:
        """Return whether a record may hold ``size`` bytes until it is made."""
        return self._bytes + size <= self._bound_bytes

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was queued is with the sinks, and flush those, in ``timeout_s`` seconds together.

        A sink whose own flush takes longer than it was given is left to itself (some SDKs exceed their timeout).

        Returns:
            Whether everything was done in time.
        """
        end = perf_counter() + timeout_s
        done = self.drain(timeout_s)
        return self._flush_sinks(end) and done

    def close(self, timeout_s: float) -> None:
        """Do what :meth:`flush` does, with the last heartbeats before the sinks are flushed, and end the thread."""
        end = perf_counter() + timeout_s
        self.drain(timeout_s)
        self.end()
        while self._thread is not None and perf_counter() < end:
            sleep(_NAP_S)
        self._flush_sinks(end)

    def _flush_sinks(self, end: float) -> bool:
        """Flush each sink in a thread of its own: one that blocks takes no time from the others."""
        jobs = []
        for sink in self.sinks:
            flush = partial(self._flush_one, sink, end)
            try:
                jobs.append(start_job("otel-shadow-flush", flush))
            except RuntimeError:  # the interpreter is ending and starts no more threads
                flush()
        return not wait(jobs, max(end - perf_counter(), 0.001)).not_done

    def _flush_one(self, sink: Sink, end: float) -> None:
        try:
            sink.flush(max(end - perf_counter(), 0.001))
        except BaseException as error:  # noqa: BLE001 - nothing that a sink raises ends more than this thread
            self._caught("flush", "-", error)

    def _work_on(self, item: tuple[MakeRecord, int]) -> None:
        make, size = item
        self._emit(make)
        with self._sums:
            self._bytes -= size
        self._beat_if_due()

    def _turn(self) -> None:
        super()._turn()
        self._beat_if_due()

    def _beat_if_due(self) -> None:
        if perf_counter() >= self._next_beat_s:
            self._beat(last=self._ending)

    def _conclude(self) -> None:
        """Tell the last totals; what comes after the end has the next heartbeat when that is due."""
        if not self._concluded:
            self._concluded = True
            self._beat(last=True)

    def _beat(self, last: bool) -> None:
        try:
            for beat in self.counts.heartbeats(last):
                for sink in self.sinks:
                    self._hand(partial(sink.beat, beat), beat.node)
        except BaseException as error:  # noqa: BLE001 - as above: a flag's provider may raise
            self._caught("record", "-", error)
        self._next_beat_s = perf_counter() + self.beat_s

    def _emit(self, make: MakeRecord) -> None:
        record: ShadowRecord | None = None
        try:
            record = make()
            record = record and self.counts.number(record)
        except BaseException as error:  # noqa: BLE001 - as above: reading the state runs user code
            self._caught("record", "-", error)
        if record is None:
            return
        for sink in self.sinks:
            self._hand(partial(sink.emit, record), record.node)

    def _hand(self, take: Callable[[], None], node: str) -> None:
        try:
            take()
        except BaseException as error:  # noqa: BLE001 - as above
            self._caught("sink", node, error)

    def _caught(self, operation: str, node: str, error: BaseException) -> None:
        try:
            self._fault_barrier.caught(operation, node, error)
        except BaseException as raised:  # noqa: BLE001 - re-raised for tests: they see it, and this thread goes on
            seen = (type(raised), raised, raised.__traceback__, threading.current_thread())
            threading.excepthook(threading.ExceptHookArgs(seen))
