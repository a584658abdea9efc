"""Runs every form of a node plain and decorated, and says of each whether the results are the same."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel
from small_graphs import State, left, small_graph

from otel_shadow import with_shadow_v2
from otel_shadow.testing.capture import ShadowCapture


def plain(state: Any) -> Any:
    return {"trail": ["plain"]}


def generator(state: Any) -> Any:
    yield {"trail": ["generator"]}


async def awaited(state: Any) -> Any:
    return {"trail": ["awaited"]}


async def async_generator(state: Any) -> Any:
    yield {"trail": ["async generator"]}


class Methods:
    def plain(self, state: Any) -> Any:
        return {"trail": ["method"]}

    async def awaited(self, state: Any) -> Any:
        return {"trail": ["awaited method"]}

    def generator(self, state: Any) -> Any:
        yield {"trail": ["generator method"]}

    async def async_generator(self, state: Any) -> Any:
        yield {"trail": ["async generator method"]}


@dataclass(frozen=True)
class Frozen:
    __name__ = "frozen"

    def __call__(self, state: Any) -> Any:
        return {"trail": ["frozen"]}


class Slotted:
    __slots__ = ()

    def __call__(self, state: Any) -> Any:
        return {"trail": ["slotted"]}


class SlottedAwaited:
    __slots__ = ()

    async def __call__(self, state: Any) -> Any:
        return {"trail": ["slotted awaited"]}


class Model(BaseModel):
    def __call__(self, state: Any) -> Any:
        return {"trail": ["model"]}


def with_config(state: Any, config: Any) -> Any:
    return {"trail": [config["configurable"]["thread_id"]]}


CALLED: dict[str, Callable[[], Any]] = {
    "function": lambda: plain,
    "generator": lambda: generator,
    "method": lambda: Methods().plain,
    "generator method": lambda: Methods().generator,
    "frozen": Frozen,
    "slotted": Slotted,
    "model": Model,
    "partial": lambda: functools.partial(lambda word, state: {"trail": [word]}, "partial"),
    "partial of a method": lambda: functools.partial(Methods().plain),
    "lambda": lambda: lambda state: {"trail": ["lambda"]},
    "runnable": lambda: RunnableLambda(plain),
    "chain": lambda: RunnableLambda(plain) | RunnableLambda(lambda value: value),
    "graph": small_graph,
    "config": lambda: with_config,
    "builtin": lambda: dict,
}
AWAITED: dict[str, Callable[[], Any]] = {
    "coroutine": lambda: awaited,
    "async generator": lambda: async_generator,
    "awaited method": lambda: Methods().awaited,
    "async generator method": lambda: Methods().async_generator,
    "slotted awaited": SlottedAwaited,
}


def outcome(node: Any, is_async: bool) -> str:
    try:
        graph = StateGraph(State).add_node("left", node).add_edge(START, "left").add_edge("left", END).compile()
        config: Any = {"configurable": {"thread_id": "session_1"}}
        if is_async:
            return repr(asyncio.run(graph.ainvoke({"text": "x"}, config)))
        return repr(graph.invoke({"text": "x"}, config))
    except Exception as error:
        return type(error).__name__


def main() -> None:
    decorate = with_shadow_v2(left, manager=ShadowCapture().manager)
    for is_async, forms in ((False, CALLED), (True, AWAITED)):
        for name, make in forms.items():
            before, after = outcome(make(), is_async), outcome(decorate(make()), is_async)
            print("same" if before == after else f"different: {before} and then {after}", name)


main()
