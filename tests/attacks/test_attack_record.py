"""A state that breaks or hangs when it is read or restored, off V1's path: the pair is told of all the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph
from small_graphs import awaited, call, left, small_graph

from otel_shadow import FeatureFlags
from otel_shadow.testing.capture import ShadowCapture

BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
SOON = FeatureFlags(v2_timeout_ms=200, timeout_is_explicit=True)
GATE = threading.Event()


@pytest.fixture(autouse=True)
def gate() -> Iterator[None]:
    GATE.clear()
    yield
    GATE.set()


def hang() -> Any:
    GATE.wait(120)


class RestoredSlowly:
    def __reduce__(self) -> Any:
        return hang, ()


def broken() -> Any:
    raise ConnectionError("Maria Silva")


class NeverRestored:
    def __reduce__(self) -> Any:
        return broken, ()


class ComparedSlowly:
    def __eq__(self, other: object) -> bool:
        GATE.wait(120)
        return True

    __hash__ = None  # type: ignore[assignment]


@dataclass
class Sly:
    """Its message can't be read."""

    text: str = ""

    @property
    def message(self) -> str:
        raise ValueError("Maria Silva")


def test_a_state_that_can_not_be_read(make_shadow_capture: Any) -> None:
    """The pair is in the lines and both spans are ended; the comparison is an error of that type."""
    capture = make_shadow_capture({"session": {"message": "message"}})

    def node(state: Sly) -> dict[str, Any]:
        return {"text": "V1"}

    graph = StateGraph(Sly).add_node("left", node).add_edge(START, "left").add_edge("left", END).compile()
    capture.attach(graph, {"left": node})
    assert graph.invoke({"text": "hello"}) == {"text": "V1"}
    (record,) = capture.records
    assert record.v2 is not None
    assert (record.v1_served, record.v2.status) == (True, "success")
    assert (record.comparison.outcome, record.comparison.error_type) == ("error", "ValueError")
    assert {span.name for span in capture.spans()} == {"v1.node", "v2.shadow"}
    assert capture.swallowed == {"compare": 1}
    assert all(b"Maria" not in said for said in capture.exported().values())


@BOTH
def test_a_state_that_can_not_be_restored(shadow_capture: ShadowCapture, is_async: bool) -> None:
    """V2 never began, so it has not failed: the execution is a baseline that names the fault's type."""
    graph = shadow_capture.attach(small_graph(), {"left": awaited(left) if is_async else left})
    call(graph, {"text": "hello", "data": {"it": NeverRestored()}})
    (record,) = shadow_capture.records
    assert record.reason == "not_captured:ConnectionError"
    assert not record.is_pair or record.v2 is None or record.v2.status == "cancelled"
    assert shadow_capture.swallowed == {"capture": 1}
    assert all(b"Maria" not in said for said in shadow_capture.exported().values())


def test_a_state_whose_restoring_hangs(make_shadow_capture: Any) -> None:
    """It costs its thread, like a V2 that hangs; what comes after it is recorded, and V2 has not failed."""
    capture = make_shadow_capture({}, SOON)
    graph = capture.attach(small_graph(), {"left": left})
    call(graph, {"text": "hello", "data": {"it": RestoredSlowly()}})
    capture.settle()
    call(graph, session="session_2")
    first, second = capture.records
    assert (first.v2.status, second.v2.status) == ("cancelled", "success")
    assert capture.manager.dispatcher.abandoned == 1


def test_a_comparison_that_hangs(make_shadow_capture: Any) -> None:
    """V2 has answered: its status stays, the comparison is an error, and the records of others are not held up."""

    def node(state: Any) -> Any:
        return {**left(state), "data": {"it": ComparedSlowly()}}

    capture = make_shadow_capture({"nodes": {"left": {"compare": {"fields": ["data"]}}}}, SOON)
    graph = capture.attach(small_graph(node), {"left": node})
    call(graph)
    capture.settle()
    other = capture.attach(small_graph(name="other"), {"left": left})
    call(other)
    first, second = capture.records
    assert (first.v2.status, first.comparison.outcome, first.comparison.error_type) == (
        "success", "error", "TimeoutError",
    )  # fmt: skip
    assert second.comparison.outcome == "match"
