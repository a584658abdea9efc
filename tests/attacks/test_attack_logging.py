"""The application's logging is not ours: it may raise, block, or be locked by V2, and V1 must not notice."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph

from otel_shadow._runtime import background_log
from otel_shadow._runtime.fault_barrier import FaultBarrier
from otel_shadow.testing.capture import ShadowCapture

AddHandler = Callable[[logging.Handler], None]


@dataclass
class Sly:
    """A state whose session can't be read: each call meets a fault of ours on V1's path."""

    text: str = ""

    @property
    def session(self) -> str:
        raise ValueError("Maria Silva")


def graph_of(capture: ShadowCapture) -> Any:
    def node(state: Sly) -> dict[str, Any]:
        return {"text": "V1"}

    graph = StateGraph(Sly).add_node("left", node).add_edge(START, "left").add_edge("left", END).compile()
    return capture.attach(graph, {"left": node})


def test_a_handler_that_raises(make_shadow_capture: Any, handler: AddHandler) -> None:
    """A fault of ours, told to a handler that raises: V1's value arrives, and the fault is counted."""

    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("the log server is gone")

    capture = make_shadow_capture({"session": {"id": "session"}})
    graph = graph_of(capture)
    handler(Raising())
    assert graph.invoke({"text": "hello"}) == {"text": "V1"}
    assert capture.swallowed == {"enter": 1}
    assert background_log.settle(10)


def test_a_handler_that_v2_holds(make_shadow_capture: Any, handler: AddHandler) -> None:
    """V2 hangs with a handler's lock in its hands: V1, which logs nothing itself, does not wait for it."""
    capture = make_shadow_capture({"session": {"id": "session"}})
    graph = graph_of(capture)
    held = logging.StreamHandler()
    handler(held)
    taken, over = threading.Event(), threading.Event()

    def hang() -> None:
        held.acquire()
        taken.set()
        over.wait(30)
        held.release()

    thread = threading.Thread(target=hang)
    thread.start()
    assert taken.wait(10)
    started = perf_counter()
    try:
        assert graph.invoke({"text": "hello"}) == {"text": "V1"}
        assert perf_counter() - started < 20
    finally:
        over.set()
        thread.join()
    assert background_log.settle(10)


def test_the_message_names_the_type_and_nothing_else(
    make_shadow_capture: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """What is swallowed is told once a minute, by operation and type; its message stays here."""
    capture = make_shadow_capture({"session": {"id": "session"}})
    graph = graph_of(capture)
    for _ in range(3):
        graph.invoke({"text": "hello"})
    assert background_log.settle(10)
    assert [record.getMessage() for record in caplog.records if record.name == "otel_shadow"] == [
        "shadow 'left': enter raised ValueError; counted, V1 unaffected"
    ]
    assert "Maria" not in caplog.text


def test_v2_can_not_make_the_shield_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch for tests is read when the manager is made: a V2 that changes the environment changes nothing."""
    fault_barrier = FaultBarrier()
    monkeypatch.setenv("OTEL_SHADOW_RAISE", "true")
    fault_barrier.caught("compare", "left", ValueError())
    assert fault_barrier.counts == {"compare": 1}
    with pytest.raises(ValueError):
        FaultBarrier().caught("compare", "left", ValueError())
    assert background_log.settle(10)
