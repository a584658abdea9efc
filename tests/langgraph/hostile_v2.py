"""V2s for the tests of "nothing changes": one that does nothing, one that tries everything, and V1 itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypedDict

from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph._internal._runnable import RunnableCallable
from langgraph.config import get_config, get_store, get_stream_writer
from langgraph.func import task
from langgraph.graph import START, StateGraph
from langgraph.graph.message import push_message
from langgraph.types import interrupt

MARK = "HOSTILE"


def does_nothing(state: Any) -> None:
    """The quietest V2."""


class Inner(TypedDict, total=False):
    x: int


def _graph() -> Any:
    graph = StateGraph(Inner)
    graph.add_node(f"{MARK}_inner", lambda state: {"x": 1})
    graph.add_edge(START, f"{MARK}_inner")
    return graph.compile()


GRAPH = _graph()


@task
def hostile_task(x: int) -> int:
    get_stream_writer()(MARK)
    return x


@task
async def ahostile_task(x: int) -> int:
    get_stream_writer()(MARK)
    return x


def _runtime() -> Any:
    return get_config()["configurable"]["__pregel_runtime"]


def _mutate(state: Any) -> None:
    inside = state if isinstance(state, dict) else getattr(state, "__dict__", {})
    for value in list(inside.values()):
        if isinstance(value, list):
            value.append(MARK)
        elif isinstance(value, dict):
            value[MARK] = 1
    inside[MARK] = 1


def _stream() -> None:
    get_stream_writer()(MARK)
    _runtime().stream_writer(MARK)


def _store() -> None:
    store = get_store()
    store.put((MARK,), "k", {"v": 1})
    for item in store.search(()):
        store.delete(item.namespace, item.key)


async def _astore() -> None:
    store = get_store()
    await store.aput((MARK,), "k", {"v": 1})
    for item in await store.asearch(()):
        await store.adelete(item.namespace, item.key)


def _push() -> None:
    push_message(AIMessage(MARK, id=MARK))


def _drain() -> None:
    _runtime().control.request_drain()


def _context() -> None:
    context = _runtime().context
    (context if isinstance(context, dict) else vars(context))[MARK] = 1


def _attempt(*attacks: Callable[[], Any]) -> None:
    for attack in attacks:
        with suppress(Exception):  # not every run has a store, a context, a message channel
            attack()


def tries_everything(state: Any, config: RunnableConfig) -> Any:
    """Streams, writes, pushes, starts graphs and tasks, changes its input, drains, and then asks or raises."""
    _attempt(
        lambda: _mutate(state),
        _stream,
        _store,
        _push,
        lambda: GRAPH.invoke({"x": 0}),
        lambda: hostile_task(1).result(),
        _drain,
        _context,
        lambda: config["configurable"].clear(),
    )
    return _end(config)


async def atries_everything(state: Any, config: RunnableConfig) -> Any:
    """The same, awaited."""
    await asyncio.sleep(0)
    _attempt(lambda: _mutate(state), _stream, _push, _drain, _context)
    with suppress(Exception):
        await _astore()
    with suppress(Exception):
        await GRAPH.ainvoke({"x": 0})
    with suppress(Exception):
        await ahostile_task(1)
    return _end(config)


def _end(config: RunnableConfig) -> Any:
    if len(config.get("tags", ())) % 2:
        interrupt(MARK)
    raise ValueError(MARK)


HOSTILE = RunnableCallable(tries_everything, atries_everything, name="hostile", trace=False)
V2S = {"nothing": does_nothing, "hostile": HOSTILE, "self": "self"}
