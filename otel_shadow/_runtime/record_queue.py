"""The queue of records to be made, and the thread that makes them and hands each to the queues of the sinks.

A sink may be slow, block or raise: no thread of the application waits for it, and no other sink.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import wait
from functools import partial
from time import perf_counter, sleep
from typing import ClassVar

from otel_shadow._runtime.background_queue import BackgroundQueue
from otel_shadow._runtime.executors.daemon_pool import start_job
from otel_shadow._runtime.fault_barrier import FaultBarrier
from otel_shadow._runtime.record_counts import RecordCounts
from otel_shadow._runtime.sink_queue import SinkQueue, caught
from otel_shadow._runtime.sinks import Sink
from otel_shadow.record import ShadowRecord

_BOUND = 20_000
_BYTES = 64 * 1024 * 1024
_NAP_S = 0.001

MakeRecord = Callable[[], ShadowRecord | None]


class RecordQueue(BackgroundQueue[tuple[MakeRecord, int]]):
    """A bounded queue of functions that make records: redaction and formatting happen off V1's path.

    When the queue is full the record is dropped and counted (``emit_dropped``). From time to time, and after the last
    record, the sinks get the totals of each node as heartbeats. Each sink has a queue and a thread of its own, and so
    have the ends of spans, which run the application's span processors.

    Arguments:
        sinks: take the records.
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
        self._sink_queues: dict[int, tuple[Sink, SinkQueue]] = {}
        self.span_ends = SinkQueue("spans", "span", fault_barrier, poll_s=self.poll_s)
        """The queue of what ends spans. V1's path appends to it, and wakes nobody."""
        self.exports: list[Callable[[float], object]] = []
        """Have OpenTelemetry's providers export what they hold, within so many seconds."""
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

    def queue_of(self, sink: Sink) -> SinkQueue:
        """Return the queue of ``sink``, which is made when the sink is first told something."""
        known = self._sink_queues.get(id(sink))
        if known is None:  # with the sink, so that no other gets its id
            known = self._sink_queues[id(sink)] = sink, SinkQueue(sink.name, "sink", self._fault_barrier)
        return known[1]

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was queued is with the sinks, and flush those, in ``timeout_s`` seconds together.

        Providers of OpenTelemetry export last. A sink whose own flush takes longer than it was given is left to itself
        (some SDKs exceed their timeout).

        Returns:
            Whether everything was done in time.
        """
        end = perf_counter() + timeout_s
        done = self.drain(timeout_s)
        done = self._flush_sinks(end) and done
        return self._side_by_side([partial(self._call, export, end) for export in self.exports], end) and done

    def close(self, timeout_s: float) -> None:
        """Hand over what is queued, with the last heartbeats, flush the sinks, and end the threads.

        Providers are left alone: they end by themselves, and with some SDKs would wait for an export of ours.
        """
        end = perf_counter() + timeout_s
        self.drain(timeout_s)
        self.end()
        while self._thread is not None and perf_counter() < end:
            sleep(_NAP_S)
        self._flush_sinks(end)
        for queue in self._all_queues():
            queue.end()

    def settle(self, timeout_s: float) -> None:
        """Hand over what waits within ``timeout_s`` seconds, for a provider of OpenTelemetry is about to be shut down.

        What hangs is left to its thread.
        """
        end = perf_counter() + timeout_s
        self.drain(timeout_s)
        for queue in self._all_queues():
            queue.drain(max(end - perf_counter(), 0.0))

    def _all_queues(self) -> list[SinkQueue]:
        return [self.span_ends, *(queue for _, queue in list(self._sink_queues.values()))]

    def _flush_sinks(self, end: float) -> bool:
        flushes = [partial(self.span_ends.settle, max(end - perf_counter(), 0.0))]
        flushes += [partial(self._flush_one, sink, end) for sink in self.sinks]
        return self._side_by_side(flushes, end) and not any(queue.busy for queue in self._all_queues())

    def _side_by_side(self, calls: Sequence[Callable[[], object]], end: float) -> bool:
        """Make each call in a thread of its own: one that blocks takes no time from the others."""
        jobs = []
        for call in calls:
            try:
                jobs.append(start_job("otel-shadow-flush", call))
            except RuntimeError:  # the interpreter is ending and starts no more threads
                call()
        return not wait(jobs, max(end - perf_counter(), 0.001)).not_done

    def _flush_one(self, sink: Sink, end: float) -> None:
        self.queue_of(sink).settle(max(end - perf_counter(), 0.0))
        self._call(sink.flush, end)

    def _call(self, flush: Callable[[float], object], end: float) -> None:
        try:
            flush(max(end - perf_counter(), 0.001))
        except BaseException as error:  # noqa: BLE001 - nothing that a sink raises ends more than this thread
            caught(self._fault_barrier, "flush", "-", error)

    def _work_on(self, item: tuple[MakeRecord, int]) -> None:
        make, size = item
        self._emit(make)
        with self._sums:
            self._bytes -= size
        self._beat_if_due()

    def _turn(self) -> None:
        super()._turn()
        self._beat_if_due()
        for queue in self._all_queues():  # once for all that this turn has handed over
            if queue.depth:
                queue.wake()

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
                    self.queue_of(sink).put(partial(sink.beat, beat), beat.node)
        except BaseException as error:  # noqa: BLE001 - as above: a flag's provider may raise
            caught(self._fault_barrier, "record", "-", error)
        self._next_beat_s = perf_counter() + self.beat_s

    def _emit(self, make: MakeRecord) -> None:
        record: ShadowRecord | None = None
        try:
            record = make()
            record = record and self.counts.number(record)
        except BaseException as error:  # noqa: BLE001 - as above: reading the state runs user code
            caught(self._fault_barrier, "record", "-", error)
        if record is None:
            return
        for sink in self.sinks:
            self.queue_of(sink).put(partial(sink.emit, record), record.node)
