"""Sinks may raise, block or be slow: nobody waits for them, and what is lost is counted."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from small_graphs import call, small_graph
from waiting import PATIENCE_S

from otel_shadow._langgraph.instrument.attach import attach
from otel_shadow._runtime.fault_barrier import FaultBarrier
from otel_shadow._runtime.record_queue import RecordQueue
from otel_shadow._runtime.sinks import Sink
from otel_shadow.record import ShadowRecord
from otel_shadow.testing.capture import ShadowCapture

Make = Callable[..., ShadowCapture]


class Blocking(Sink):
    """Waits until it is released, in ``emit`` or ``flush``."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.released = threading.Event()

    def emit(self, record: ShadowRecord) -> None:
        if self.where == "emit":
            self.released.wait()

    def flush(self, timeout_s: float) -> None:
        if self.where == "flush":
            self.released.wait()


class Raising(Sink):
    """Raises what no sink should."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def emit(self, record: ShadowRecord) -> None:
        raise self.error

    def flush(self, timeout_s: float) -> None:
        raise self.error


@pytest.fixture(params=["emit", "flush"])
def blocking(request: pytest.FixtureRequest) -> Iterator[Blocking]:
    """A sink that blocks until the end of the test."""
    sink = Blocking(request.param)
    yield sink
    sink.released.set()


def shadowed(capture: ShadowCapture) -> Any:
    graph = small_graph()
    attach(graph, capture.manager, lambda _, node: (lambda state: {}) if node == "left" else None)
    return graph


CONFIG = {"arms": {"holdout": 0.0}}


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_sink_that_raises(make_shadow_capture: Make, error: BaseException) -> None:
    """It is counted, the other sinks get the record, and the next record comes."""
    capture = make_shadow_capture(CONFIG)
    capture.manager.record_queue.sinks.insert(0, Raising(error))
    graph = shadowed(capture)
    assert [call(graph)["trail"] for _ in range(3)] == [["left", "right"]] * 3
    assert capture.manager.flush(PATIENCE_S)
    assert len(capture.records) == 3
    assert capture.manager.fault_barrier.counts["sink"] == 3
    capture.manager.record_queue.sinks.pop(0)


def test_flush_and_shutdown_keep_their_deadline(make_shadow_capture: Make, blocking: Blocking) -> None:
    """Though a sink's own flush, or its emit, takes for ever: V1 goes on, and ``flush`` says that it was not done."""
    capture = make_shadow_capture(CONFIG)
    capture.manager.record_queue.sinks.append(blocking)
    graph = shadowed(capture)
    for _ in range(3):
        assert call(graph)["trail"] == ["left", "right"]
    started = time.monotonic()
    assert capture.manager.flush(0.3) is False
    capture.manager.shutdown(0.5)
    assert time.monotonic() - started < PATIENCE_S, "the sink blocks for ever"


def test_full_queue_drops_and_counts() -> None:
    """The bound holds in number and in bytes; nothing waits."""
    fault_barrier, started, released = FaultBarrier(), threading.Event(), threading.Event()
    record_queue = RecordQueue([], fault_barrier, bound=10, bound_bytes=100)

    def first() -> None:
        started.set()
        released.wait()

    record_queue.put(first)
    started.wait(PATIENCE_S)
    for _ in range(3):
        record_queue.put(lambda: None, 40)
    assert fault_barrier.counts["emit_dropped"] == 1, "the third would be 120 bytes"
    for _ in range(20):
        record_queue.put(lambda: None)
    assert fault_barrier.counts["emit_dropped"] == 1 + 12
    released.set()
    assert record_queue.flush(PATIENCE_S)
    record_queue.put(lambda: None, 100)
    assert fault_barrier.counts["emit_dropped"] == 13, "bytes are given back"
    record_queue.end()


def test_record_that_cannot_be_made_is_counted() -> None:
    """An exception while a record is made costs that record."""
    fault_barrier = FaultBarrier()
    record_queue = RecordQueue([], fault_barrier)

    def bad() -> ShadowRecord:
        raise SystemExit

    record_queue.put(bad)
    assert record_queue.flush(PATIENCE_S)
    assert fault_barrier.counts["record"] == 1
    record_queue.end()


def test_a_record_that_comes_as_the_thread_ends_is_made() -> None:
    """After a shutdown, a record may be put after the thread's last look at the queue: another thread makes it."""
    record_queue, made = RecordQueue([], FaultBarrier()), threading.Semaphore(0)
    late = [made.release] * 3

    class Watched(deque[Any]):
        """Found empty twice, as by a thread that is about to end; then a record comes."""

        looks = 0

        def __bool__(self) -> bool:
            found = len(self) > 0
            self.looks = 0 if found else self.looks + 1
            if self.looks == 2 and late:
                record_queue.put(late.pop())  # type: ignore[arg-type]
            return found

    record_queue._queue = Watched()
    record_queue.end()
    record_queue.put(made.release)  # type: ignore[arg-type]
    for _ in range(4):
        assert made.acquire(timeout=10)
