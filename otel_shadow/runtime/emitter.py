"""Hands records to the sinks, in a thread of its own: a sink may be slow, block or raise, and nobody waits for it."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter, sleep
from weakref import WeakSet

from otel_shadow.record import ShadowRecord
from otel_shadow.runtime.shield import Shield
from otel_shadow.runtime.sinks import Sink

_POLL_S = 0.02
_NAP_S = 0.001
_BOUND = 20_000

MakeRecord = Callable[[], ShadowRecord | None]


class Emitter:
    """A bounded queue of records to be made, and the thread that makes and emits them.

    What is appended is a function, so that redaction and formatting happen here and not on V1's path. When the queue is
    full the record is dropped and counted (``emit_dropped``).
    """

    def __init__(self, sinks: Sequence[Sink], shield: Shield, bound: int = _BOUND) -> None:
        self.sinks = list(sinks)
        self._shield = shield
        self._bound = bound
        self._reset()
        _EMITTERS.add(self)

    def _reset(self) -> None:
        self._queue: deque[MakeRecord] = deque()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._busy = False

    def put(self, make: MakeRecord) -> None:
        """Queue a record. Never waits."""
        if len(self._queue) >= self._bound:
            self._shield.counts["emit_dropped"] += 1
            return
        self._queue.append(make)
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="otel-shadow-emitter", daemon=True)
                thread.start()
                self._thread = thread
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

    def _flush_sinks(self, end: float) -> bool:
        thread = threading.Thread(target=self._flush_each, args=(end,), name="otel-shadow-flush", daemon=True)
        thread.start()
        thread.join(max(end - perf_counter(), 0.001))
        return not thread.is_alive()

    def _flush_each(self, end: float) -> None:
        for sink in self.sinks:
            with self._shield("flush"):
                sink.flush(max(end - perf_counter(), 0.001))

    def _run(self) -> None:
        while True:
            while self._queue:
                self._busy = True
                self._emit(self._queue.popleft())
            self._busy = False
            self._wake.wait(_POLL_S)
            self._wake.clear()

    def _emit(self, make: MakeRecord) -> None:
        record: ShadowRecord | None = None
        with self._shield("record"):
            record = make()
        if record is None:
            return
        for sink in self.sinks:
            with self._shield("sink", record.node):
                sink.emit(record)


_EMITTERS: WeakSet[Emitter] = WeakSet()


def _after_fork() -> None:
    for emitter in list(_EMITTERS):
        emitter._reset()


os.register_at_fork(after_in_child=_after_fork)
