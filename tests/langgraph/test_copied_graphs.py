"""A graph with shadows can be copied and nested as one without."""

from __future__ import annotations

import asyncio
import copy
import gc
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph._internal._runnable import RunnableSeq
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

import otel_shadow
from otel_shadow import is_shadow
from otel_shadow.testing import ShadowCapture

OURS = str(Path(otel_shadow.__file__).parent)


class State(TypedDict, total=False):
    n: int


def adds(state: State) -> dict[str, Any]:
    return {"n": state["n"] + 1}


def one_node(node: Any) -> Any:
    return StateGraph(State).add_node("node", node).add_edge(START, "node").add_edge("node", END).compile()


@pytest.fixture
def capture() -> Iterator[ShadowCapture]:
    found = ShadowCapture({"nodes": {"node": {"v2": "self"}}})
    yield found
    found.close()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copied_node_keeps_its_shadow(capture: ShadowCapture, copied: Any) -> None:
    """Copied with ``copy``, its shadow is the same one: locks, threads and limits are not copied."""
    graph = capture.attach(one_node(adds))
    sequence, twin = graph.nodes["node"].node, copied(graph).nodes["node"].node
    assert type(twin) is type(sequence)
    assert twin._shadowed is sequence._shadowed
    assert [type(step) for step in twin.steps] == [type(step) for step in sequence.steps]


def test_a_deep_copy_shares_nothing_of_v1(capture: ShadowCapture) -> None:
    """V1 that is its own V2 is copied as V1 is; the copy's shadow belongs to the copy's node."""
    graph = capture.attach(one_node(adds))
    twin = copy.deepcopy(graph)
    sequence = twin.nodes["node"].node
    assert sequence._node.bound is twin.nodes["node"].bound
    assert sequence._v2 is twin.nodes["node"].bound is not graph.nodes["node"].bound
    assert sequence._v2 is sequence.steps[0]


def test_a_pickled_node_is_langgraphs_own(capture: ShadowCapture) -> None:
    """What pickles graphs, for other processes, pickles LangGraph's plain sequence."""
    graph = capture.attach(one_node(adds))
    make, (kind, *_), attributes = graph.nodes["node"].node.__reduce_ex__(2)[:3]
    made = make(kind)
    made.__dict__.update(attributes)
    assert type(made) is RunnableSeq
    assert set(vars(made)) == set(vars(one_node(adds).nodes["node"].node))


def test_one_frame_of_ours_lies_below_each_nested_node(capture: ShadowCapture) -> None:
    """So that graphs in graphs reach nearly as deep as without: what counts against the limit is one frame each."""
    found: list[str] = []

    def looks(state: State) -> dict[str, Any]:
        frame: Any = None if is_shadow() else sys._getframe()
        while frame is not None:
            if frame.f_code.co_filename.startswith(OURS):
                found.append(frame.f_code.co_name)
            frame = frame.f_back
        return {}

    graph = capture.attach(one_node(looks))
    for _ in range(3):
        graph = capture.attach(one_node(graph))
    graph.invoke({"n": 0})
    assert found == ["invoke"] * 4


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_graph_that_goes_takes_v1_with_it(capture: ShadowCapture, is_async: bool) -> None:
    """What V1 holds (a connection, a view of a buffer) goes when the graph does, as without a shadow: no collector."""

    class Held:
        pass

    def serve() -> Any:
        held = Held()

        def node(state: State) -> dict[str, Any]:
            return {"n": state["n"] + (held is not None)}

        graph = capture.attach(one_node(node))
        result = asyncio.run(graph.ainvoke({"n": 1})) if is_async else graph.invoke({"n": 1})
        assert result == {"n": 2}
        capture.settle()
        return weakref.ref(held)

    gc.disable()
    try:
        assert serve()() is None
    finally:
        gc.enable()
