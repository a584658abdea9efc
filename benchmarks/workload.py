"""What is measured: a graph of four nodes, and states of three sizes."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages

NODES = ("one", "two", "three", "four")
SIZES = {"S": 1, "M": 20, "L": 200}
"""Messages in the state."""
CONFIG: Any = {"configurable": {"thread_id": "session_1"}}


class State(TypedDict):
    """A conversation."""

    messages: Annotated[list[Any], add_messages]
    current_step: str
    profile: dict[str, Any]


def v1(state: State) -> dict[str, Any]:
    """Do a node's work at no cost, so that what is added shows."""
    return {"current_step": "asked"}


async def av1(state: State) -> dict[str, Any]:
    """Do a node's work at no cost, awaited."""
    return {"current_step": "asked"}


def graph_of(node: Any, name: str = "measured") -> Any:
    """Four times ``node`` in a row, compiled."""
    builder = StateGraph(State)
    before = START
    for key in NODES:
        builder.add_node(key, node)
        builder.add_edge(before, key)
        before = key
    builder.add_edge(before, END)
    return builder.compile(name=name)


def state_of(size: str) -> dict[str, Any]:
    """Return a state of ``SIZES[size]`` messages, some with tool calls and usage."""
    messages: list[Any] = []
    for number in range(SIZES[size]):
        text = f"message number {number}, " * 5
        if number % 2 == 0:
            messages.append(HumanMessage(text, id=f"h{number}"))
            continue
        calls = [{"name": "search", "args": {"query": text}, "id": f"c{number}"}] if number % 6 == 1 else []
        usage: Any = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}
        messages.append(AIMessage(text, id=f"a{number}", tool_calls=calls, usage_metadata=usage))
    return {"messages": messages, "current_step": "start", "profile": {"name": "Ana", "tags": ["a", "b"]}}
