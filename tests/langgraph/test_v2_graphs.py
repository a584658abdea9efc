"""A V2 is never shadowed itself, nor what it compiles: its nodes may have the names of V1's."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph
from small_graphs import State, left, right

from otel_shadow import FeatureFlags, ShadowInstrumentor
from otel_shadow._langgraph.instrument.attach import has_shadow
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Instrument = Callable[..., ShadowCapture]
MODULE = """
from langgraph.graph import START, StateGraph
from small_graphs import State, left
from otel_shadow import with_shadow_v2

def tools(state: State):
    return {"trail": ["v2 tools"]}

def agent_of(node=tools):
    return StateGraph(State).add_node("tools", node).add_edge(START, "tools").compile()

agent = agent_of()
marked = agent_of(with_shadow_v2("self")(tools))

def calls(state: State):
    return {"trail": agent.invoke({"text": "x"})["trail"]}

async def awaits(state: State):
    return {"trail": (await agent.ainvoke({"text": "x"}))["trail"]}

def builds(state: State):
    made.append(agent_of())
    return {"trail": made[-1].invoke({"text": "x"})["trail"]}

def calls_marked(state: State):
    return {"trail": marked.invoke({"text": "x"})["trail"]}

made = []
"""
WAYS = ["calls", "awaits", "builds", "calls_marked", "agent"]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The importable module of a V2 that has an agent of its own."""
    (tmp_path / "agent_v2.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "agent_v2", raising=False)
    yield "agent_v2"
    sys.modules.pop("agent_v2", None)


@pytest.fixture
def instrument(make_shadow_capture: MakeCapture) -> Iterator[Callable[..., ShadowCapture]]:
    """Auto-instrumentation whose signals are captured."""
    instrumentor = ShadowInstrumentor()

    def start(nodes: dict[str, Any], flags: FeatureFlags | None = None) -> ShadowCapture:
        capture = make_shadow_capture({"nodes": nodes}, flags)
        instrumentor.instrument(manager=capture.manager, skip_dep_check=True)
        return capture

    yield start
    instrumentor.uninstrument()


def production() -> Any:
    """START -> triage -> tools -> END, named as agents are: LangGraph."""
    graph = StateGraph(State).add_node("triage", left).add_node("tools", right)
    return graph.add_edge(START, "triage").add_edge("triage", "tools").add_edge("tools", END).compile()


def turn(graph: Any, is_async: bool) -> list[str]:
    config: Any = {"configurable": {"thread_id": "session_1"}}
    found = asyncio.run(graph.ainvoke({"text": "x"}, config)) if is_async else graph.invoke({"text": "x"}, config)
    trail: list[str] = found["trail"]
    return trail


@pytest.mark.parametrize("imported_before", [False, True])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("mode", "expected"), [("shadow", ["left", "right"]), ("live", ["v2 tools", "right"])])
def test_a_node_of_v2s_own_agent_makes_no_record(
    module: str,
    instrument: Callable[..., ShadowCapture],
    way: str,
    mode: str,
    expected: list[str],
    imported_before: bool,
) -> None:
    """``[nodes.tools]`` means V1's node: one record for each of its executions, whatever V2's agent is made of."""
    nodes = {"triage": {"v2": f"{module}:{way}"}, "tools": {"v2": "self", "live": False}}
    flags = FeatureFlags(router_v2_enabled=mode == "live", router_v2_percentage=100)
    capture = instrument(nodes, flags)
    if imported_before:
        __import__(module)
    graph = production()
    for is_async in (False, True):
        if way != "awaits" or is_async or mode == "shadow":
            assert turn(graph, is_async) == expected
    seen = Counter(record.node for record in capture.records)
    assert seen["tools"] == seen["triage"]
    assert {record.comparison.outcome for record in capture.records if record.node == "tools"} == {"match"}
    v2 = sys.modules[module]
    if not imported_before or way == "agent":
        assert not has_shadow(v2.agent)
    assert not any(has_shadow(made) for made in v2.made)
    assert has_shadow(graph)


def test_the_same_object_as_v1_and_v2_keeps_its_shadows(
    instrument: Callable[..., ShadowCapture], make_shadow_capture: MakeCapture
) -> None:
    """A subgraph that is compared with itself is V1's."""
    capture = make_shadow_capture({"nodes": {"tools": {"v2": "self"}}})
    inner = production()
    outer = StateGraph(State).add_node("agent", inner).add_edge(START, "agent").compile(name="outer")
    capture.attach(inner)
    capture.attach(outer, {"agent": inner})
    assert has_shadow(inner)


def test_a_graph_that_is_a_v2_is_found_by_no_later_search(
    module: str, instrument: Callable[..., ShadowCapture]
) -> None:
    """Graphs that are there when the instrumentation comes: V2's is passed over in whatever order they come."""
    __import__(module)
    v2 = sys.modules[module]
    graph = production()
    for _ in range(2):
        instrument({"triage": {"v2": f"{module}:agent"}, "tools": {"v2": "self"}})
        assert has_shadow(graph)
        assert not has_shadow(v2.agent)
        ShadowInstrumentor().uninstrument()
