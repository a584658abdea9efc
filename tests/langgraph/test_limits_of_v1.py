"""A V1 that LangGraph ended at a time limit failed; one that it cancelled for any other reason did not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from langgraph import errors
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from otel_shadow.testing import ShadowCapture

timed_nodes = pytest.mark.skipif(not hasattr(errors, "NodeTimeoutError"), reason="nodes have time limits from 1.2 on")
NODE = {"nodes": {"node": {"v2": "self"}}}


class State(TypedDict, total=False):
    text: str


@pytest.fixture
def capture() -> Iterator[ShadowCapture]:
    found = ShadowCapture(NODE)
    yield found
    found.close()


async def hangs(state: State) -> dict[str, Any]:
    await asyncio.sleep(60)
    return {}


def one_node(node: Any, **options: Any) -> StateGraph:
    return StateGraph(State).add_node("node", node, **options).add_edge(START, "node").add_edge("node", END)


def statuses(capture: ShadowCapture, graph: Any, within_s: float = 30.0) -> list[tuple[str, str | None]]:
    """V1's status and error type of each execution of a run."""

    async def run() -> None:
        with suppress(Exception):
            await asyncio.wait_for(graph.ainvoke({"text": "x"}), within_s)

    asyncio.run(run())
    return [(str(record.v1.status), record.v1.error_type) for record in capture.records]


@timed_nodes
@pytest.mark.parametrize("policy", [{"run_timeout": 0.05}, {"idle_timeout": 0.05}])
def test_a_node_over_its_own_limit_failed(capture: ShadowCapture, policy: dict[str, float]) -> None:
    """Cancelled by LangGraph for its time, V1 is an error in the evidence, in the shadowed and in the held-out arm."""
    from langgraph.types import TimeoutPolicy

    graph = capture.attach(one_node(hangs, timeout=TimeoutPolicy(**policy)).compile())
    assert statuses(capture, graph) == [("error", "TimeoutError")]


@timed_nodes
def test_a_held_out_node_over_its_limit_failed() -> None:
    """The held-out arm counts V1's failures as the shadowed one does."""
    capture = ShadowCapture({**NODE, "arms": {"holdout": 1.0}})
    try:
        graph = capture.attach(one_node(hangs, timeout=0.05).compile())

        async def run() -> None:
            with suppress(Exception):
                await graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": "session_1"}})

        asyncio.run(run())
        assert [(str(record.v1.status), record.reason) for record in capture.records] == [("error", "holdout")]
    finally:
        capture.close()


@timed_nodes
def test_a_node_inside_a_node_over_its_limit_failed(capture: ShadowCapture) -> None:
    """Of a subgraph that went over the outer node's limit, the inner node that hung is an error, too."""
    inner = capture.attach(one_node(hangs).compile())
    assert statuses(capture, one_node(inner, timeout=0.05).compile()) == [("error", "TimeoutError")]


def test_a_node_over_the_steps_limit_failed(capture: ShadowCapture) -> None:
    """``step_timeout`` is a time limit of LangGraph's, too."""
    graph = capture.attach(one_node(hangs).compile())
    graph.step_timeout = 0.05
    assert statuses(capture, graph) == [("error", "TimeoutError")]


@pytest.mark.parametrize("raised", [ValueError, TimeoutError])
def test_a_node_whose_neighbour_failed_was_cancelled(capture: ShadowCapture, raised: type[Exception]) -> None:
    """Also where the neighbour raises a ``TimeoutError`` of its own, and where the caller lost patience."""

    async def fails(state: State) -> dict[str, Any]:
        await asyncio.sleep(0.01)
        raise raised

    graph = one_node(hangs).add_node("beside", fails).add_edge(START, "beside").compile()
    graph.step_timeout = 30.0
    assert statuses(capture, capture.attach(graph)) == [("cancelled", None)]


def test_a_node_whose_caller_left_was_cancelled(capture: ShadowCapture) -> None:
    """A limit that the application keeps itself says nothing of V1."""
    options = {"timeout": 30.0} if hasattr(errors, "NodeTimeoutError") else {}
    graph = capture.attach(one_node(hangs, **options).compile())
    assert statuses(capture, graph, within_s=0.05) == [("cancelled", None)]
