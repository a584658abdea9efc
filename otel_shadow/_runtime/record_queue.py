"""Hands records to the sinks, in a thread of its own: a sink may be slow, block or raise, and nobody waits for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter, sleep

from otel_shadow._runtime.fault_barrier import FaultBarrier
from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow._runtime.sinks import Sink
from otel_shadow.record import ShadowRecord

_POLL_S = 0.02
_NAP_S = 0.001
_BOUND = 20_000
_BYTES = 64 * 1024 * 1024

MakeRecord = Callable[[], ShadowRecord | None]


class RecordQueue:
    """A bounded queue of records to be made, and the thread that makes and emits them.

    What is appended is a function, so that redaction and formatting happen here and not on V1's path. When the queue is
    full the record is dropped and counted (``emit_dropped``).

    Arguments:
        sinks: take the records, one after the other.
        fault_barrier: counts what breaks.
        bound: records that may wait.
        bound_bytes: bytes that they may hold together.
    """

    def __init__(
        self, sinks: Sequence[Sink], fault_barrier: FaultBarrier, bound: int = _BOUND, bound_bytes: int = _BYTES
    ) -> None:
        self.sinks = list(sinks)
        self._fault_barrier = fault_barrier
        self._bound = bound
        self._bound_bytes = bound_bytes
        self._reset()
        on_fork(self._reset)

    def _reset(self) -> None:
        self._queue: deque[tuple[MakeRecord, int]] = deque()
        self._bytes = 0
        self._accounts = threading.Lock()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._busy = False
        self._stopping = False

    def put(self, make: MakeRecord, size: int = 0) -> None:
        """Queue a record that holds ``size`` bytes until it is made. Never waits."""
        if len(self._queue) >= self._bound or not self._account(size):
            self._fault_barrier.counts["emit_dropped"] += 1
            return
        self._queue.append((make, size))
        if self._thread is None:
            self._start()

    def _account(self, size: int) -> bool:
        if size:
            with self._accounts:
                if self._bytes + size > self._bound_bytes:
                    return False
                self._bytes += size
        return True

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="otel-shadow-record_queue", daemon=True)
                thread.start()
                self._thread = thread
        except RuntimeError:  # the interpreter is ending and starts no more threads; flush does the rest
            return
        finally:
            self._starting.release()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was queued is with the sinks, and flush those, in ``timeout_s`` seconds together.

        A sink whose own flush takes longer than it was given is left to itself (some SDKs exceed their timeout).

        Returns:
            Whether everything was done in time.
        """
        end = perf_counter() + timeout_s
        self._wake.set()
        while (self._queue or self._busy) and perf_counter() < end and self._thread is not None:
            sleep(_NAP_S)
        done = not self._queue and not self._busy
        return self._flush_sinks(end) and done

    def stop(self) -> None:
        """End the thread once the queue is empty; a record that comes later starts another."""
        self._stopping = True
        self._wake.set()

    def _flush_sinks(self, end: float) -> bool:
        """Each in a thread of its own: one that blocks takes no time from the others."""
        threads = [
            threading.Thread(target=self._flush_one, args=(sink, end), name="otel-shadow-flush", daemon=True)
            for sink in self.sinks
        ]
        for thread in threads:
            try:
                thread.start()
            except RuntimeError:  # as above
                thread.run()
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(end - perf_counter(), 0.001))
        return not any(thread.is_alive() for thread in threads)

    def _flush_one(self, sink: Sink, end: float) -> None:
        try:
            sink.flush(max(end - perf_counter(), 0.001))
        except BaseException as error:  # noqa: BLE001 - nothing that a sink raises ends more than this thread
            self._caught("flush", "-", error)

    def _run(self) -> None:
        while not self._stopping or self._queue:
            while self._queue:
                self._busy = True
                make, size = self._queue.popleft()
                self._emit(make)
                del make
                with self._accounts:
                    self._bytes -= size
            self._busy = False
            self._wake.wait(_POLL_S)
            self._wake.clear()
        self._stopping, self._thread = False, None

    def _emit(self, make: MakeRecord) -> None:
        record: ShadowRecord | None = None
        try:
            record = make()
        except BaseException as error:  # noqa: BLE001 - as above: reading the state runs user code
            self._caught("record", "-", error)
        if record is None:
            return
        for sink in self.sinks:
            try:
                sink.emit(record)
            except BaseException as error:  # noqa: BLE001 - as above
                self._caught("sink", record.node, error)

    def _caught(self, operation: str, node: str, error: BaseException) -> None:
        try:
            self._fault_barrier.caught(operation, node, error)
        except BaseException as raised:  # noqa: BLE001 - re-raised for tests: they see it, and this thread goes on
            seen = (type(raised), raised, raised.__traceback__, threading.current_thread())
            threading.excepthook(threading.ExceptHookArgs(seen))
