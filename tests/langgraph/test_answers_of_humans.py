"""V2 gets the answers of people that V1 gets, and no other's."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from otel_shadow.testing import ShadowCapture

THREAD = {"configurable": {"thread_id": "session_1"}}


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


def asks(question: str) -> Any:
    """Make a node that asks one question and writes the answer."""

    def node(state: State) -> dict[str, Any]:
        return {"log": [f"{question} {interrupt(question)}"]}

    return node


def in_turn(**nodes: Any) -> StateGraph:
    """A graph of ``nodes``, one after the other."""
    graph, before = StateGraph(State), START
    for name, node in nodes.items():
        graph.add_node(name, node).add_edge(before, name)
        before = name
    return graph.add_edge(before, END)


def play(graph: Any, *answers: Any, is_async: bool = False) -> list[Any]:
    """Run ``graph`` and answer its questions by ``answers``, one for each turn."""
    given = [{"log": []}, *(Command(resume=answer) for answer in answers)]
    if not is_async:
        return [graph.invoke(turn, THREAD) for turn in given]

    async def run() -> list[Any]:
        return [await graph.ainvoke(turn, THREAD) for turn in given]

    return asyncio.run(run())


def told(capture: ShadowCapture) -> list[tuple[Any, ...]]:
    """How the pairs of the shadowed nodes compare, and V2's status, in the order of the executions."""
    return [
        (record.node, str(record.comparison.outcome), str(record.v2.status) if record.v2 else record.reason)
        for record in capture.records
    ]


@pytest.fixture
def capture() -> Iterator[ShadowCapture]:
    """Every node with a question is its own V2, and all fields are compared."""
    self_v2 = {"v2": "self", "compare": {"fields": ["*"]}}
    found = ShadowCapture({"nodes": dict.fromkeys(("confirm", "node"), self_v2)})
    yield found
    found.close()


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_consumed_answer_is_not_handed_to_v2(capture: ShadowCapture, depth: int, is_async: bool) -> None:
    """After the answer to ``name``, ``confirm`` asks in V1 and in V2 alike, however deep the two lie."""
    graph = in_turn(name=asks("name?"), confirm=asks("sure?"))
    for _ in range(depth):
        graph = in_turn(inner=capture.attach(graph.compile()))
    top = capture.attach(graph.compile(checkpointer=InMemorySaver()))
    assert play(top, "Ana", "yes", is_async=is_async)[-1]["log"] == ["name? Ana", "sure? yes"]
    assert told(capture) == [("confirm", "match", "interrupt"), ("confirm", "match", "success")]
