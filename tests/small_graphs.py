"""Small real graphs that many tests need: one node with a decision, sync and async."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

Node = Callable[..., Any]


class State(TypedDict, total=False):
    """Where the small graphs keep what they do."""

    text: str
    current_step: str
    next_node: str
    trail: Annotated[list[str], operator.add]
    data: dict[str, Any]
    items: list[Any]
    score: float


def left(state: State) -> dict[str, Any]:
    """A node that goes on to ``right``."""
    return {"trail": ["left"], "current_step": "one", "next_node": "right"}


def right(state: State) -> dict[str, Any]:
    """The node after it."""
    return {"trail": ["right"]}


def where(state: State) -> str:
    """The decision: what the node wrote."""
    return state.get("next_node") or END


def small_graph(node: Node = left, *, checkpointer: Any = None, store: Any = None, name: str = "small") -> Any:
    """START -> left -> (right or END) -> END, compiled; ``node`` is ``left``'s V1."""
    graph = StateGraph(State)
    graph.add_node("left", node)
    graph.add_node("right", right)
    graph.add_edge(START, "left")
    graph.add_conditional_edges("left", where, ["right", END])
    graph.add_edge("right", END)
    return graph.compile(checkpointer=checkpointer, store=store, name=name)


def call(graph: Any, value: Any = None, *, session: str = "session_1", is_async: bool = False, **more: Any) -> Any:
    """One turn of ``session``."""
    config = {"configurable": {"thread_id": session, **more}}
    given = {"text": "hello"} if value is None else value
    return asyncio.run(graph.ainvoke(given, config)) if is_async else graph.invoke(given, config)


def awaited(node: Node) -> Node:
    """``node`` as a coroutine function of the state."""

    async def again(state: State) -> Any:
        return node(state)

    return again
