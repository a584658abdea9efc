"""The guards: there while installed, inert outside a shadow, and gone without a trace."""

from __future__ import annotations

import asyncio
import gc
import inspect
from typing import Any, TypedDict

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import chat_models, llms
from langchain_core.tools import BaseTool
from langgraph._internal._queue import AsyncQueue, SyncQueue
from langgraph.cache.memory import InMemoryCache as NodeCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.pregel import Pregel
from langgraph.pregel._loop import PregelLoop
from langgraph.pregel._runner import PregelRunner
from langgraph.store.base import BaseStore
from langgraph.store.base.batch import AsyncBatchedBaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import CachePolicy

from otel_shadow._langgraph.isolation.guards import install_guards, uninstall_guards
from otel_shadow._langgraph.isolation.models import PrivateCache
from otel_shadow._langgraph.patches import Patches
from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext

OWNERS = (
    *(Pregel, BaseTool, chat_models.BaseChatModel, chat_models, llms, PregelLoop, AsyncQueue, SyncQueue),
    *(BaseStore, AsyncBatchedBaseStore, InMemorySaver),
)


class State(TypedDict, total=False):
    n: int


def build(**options: Any) -> Any:
    graph = StateGraph(State)
    graph.add_node("a", lambda state: {"n": state.get("n", 0) + 1}, cache_policy=CachePolicy())
    graph.add_edge(START, "a")
    return graph.compile(**options)


@pytest.fixture(autouse=True)
def unguarded() -> None:
    """Decorated nodes of other tests in this process have the guards installed."""
    uninstall_guards()


def test_originals_come_back() -> None:
    """Installing twice and uninstalling once leaves every class and module as it was, object by object."""
    before = [dict(vars(owner)) for owner in OWNERS]
    install_guards()
    install_guards()
    assert before != [dict(vars(owner)) for owner in OWNERS]
    uninstall_guards()
    uninstall_guards()
    assert [dict(vars(owner)) for owner in OWNERS] == before


def test_methods_keep_their_kind_and_signature() -> None:
    """Who inspects a guarded method sees what the original shows."""
    originals = {name: vars(Pregel)[name] for name in ("get_state", "aget_state", "bulk_update_state", "_defaults")}
    install_guards()
    try:
        for name, original in originals.items():
            guarded = vars(Pregel)[name]
            assert guarded is not original
            assert inspect.signature(guarded) == inspect.signature(original)
            assert inspect.iscoroutinefunction(guarded) == inspect.iscoroutinefunction(original)
    finally:
        uninstall_guards()


def test_what_others_wrapped_since_stays() -> None:
    """Someone patched over us: their patch survives our leaving, with our inert part inside."""

    class Owner:
        def greet(self) -> str:
            return "hello"

    patches = Patches()
    patches.replace(Owner, "greet", lambda original: lambda self: original(self) + " guarded")
    patches.replace(Owner, "missing", lambda original: original)
    ours = Owner.greet
    Owner.greet = lambda self: ours(self) + " theirs"  # type: ignore[method-assign]
    patches.undo()
    assert Owner().greet() == "hello guarded theirs"


def test_inherited_attributes_are_not_left_behind() -> None:
    """An attribute that the owner only inherits is inherited again."""

    class Base:
        def greet(self) -> str:
            return "hello"

    class Owner(Base):
        pass

    patches = Patches()
    patches.replace(Owner, "greet", lambda original: lambda self: "guarded")
    assert Owner().greet() == "guarded"
    patches.undo()
    assert "greet" not in vars(Owner)


@pytest.mark.usefixtures("guards")
def test_outside_a_shadow_graphs_use_their_own() -> None:
    """Saver, store and cache of a production graph are its own while guards are installed."""
    saver, store, cache = InMemorySaver(), InMemoryStore(), NodeCache()
    graph = build(checkpointer=saver, store=store, cache=cache)
    config: Any = {"configurable": {"thread_id": "1"}}
    graph.invoke({"n": 0}, config)
    graph.update_state(config, {"n": 5})
    assert graph.get_state(config).values == {"n": 5}
    assert len(list(graph.get_state_history(config))) == len(list(saver.list(config))) == 4
    assert cache._cache


@pytest.mark.usefixtures("guards")
def test_inside_a_shadow_another_graph_remembers_only_there() -> None:
    """V2's other graph keeps its thread for as long as the shadow lives; history, too, is read from there."""
    saver, cache = InMemorySaver(), NodeCache()
    graph = build(checkpointer=saver, cache=cache)
    config: Any = {"configurable": {"thread_id": "1"}}
    graph.invoke({"n": 0}, config)
    saved, cached = len(list(saver.list(None))), str(cache._cache)

    async def v2() -> tuple[Any, ...]:
        SHADOW.set(ShadowContext("g", "n"))
        graph.invoke({"n": 10}, config)
        await graph.ainvoke({"n": 20}, config)
        await graph.aupdate_state(config, {"n": 30})
        history = [state.values async for state in graph.aget_state_history(config)]
        return (await graph.aget_state(config)).values, graph.get_state(config).values, history[0], len(history)

    assert asyncio.run(v2()) == ({"n": 30}, {"n": 30}, {"n": 30}, 7)
    assert (len(list(saver.list(None))), str(cache._cache)) == (saved, cached)


def test_the_overlay_of_a_model_cache() -> None:
    """Production's answers may be read, own ones are remembered, production's cache never changes."""
    base = InMemoryCache()
    base.update("p", "m", ["theirs"])
    overlay = PrivateCache(base)
    overlay.update("q", "m", ["own"])
    assert (overlay.lookup("p", "m"), overlay.lookup("q", "m")) == (["theirs"], ["own"])
    assert asyncio.run(overlay.alookup("p", "m")) == ["theirs"]
    overlay.clear()
    assert (overlay.lookup("q", "m"), base.lookup("p", "m"), base.lookup("q", "m")) == (None, ["theirs"], None)


@pytest.mark.usefixtures("guards")
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_who_patches_langgraph_meanwhile_sees_production_only(is_async: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A patch of LangGraph's loop counts production's writes, not those of a graph inside a shadow."""
    seen: list[Any] = []
    original = PregelLoop.put_writes

    def spy(self: Any, task_id: str, writes: Any, **kwargs: Any) -> Any:
        seen.append(writes)
        return original(self, task_id, writes, **kwargs)

    monkeypatch.setattr(PregelLoop, "put_writes", spy)
    graph = build(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}

    async def run(n: int, scope: ShadowContext | None) -> Any:
        SHADOW.set(scope)
        return await graph.ainvoke({"n": n}, config) if is_async else graph.invoke({"n": n}, config)

    assert asyncio.run(run(1, None)) == {"n": 2}
    count = len(seen)
    assert count > 0
    assert asyncio.run(run(5, ShadowContext("g", "n"))) == {"n": 6}
    assert len(seen) == count


@pytest.mark.usefixtures("guards")
def test_who_counts_langgraphs_objects_counts_production_only() -> None:
    """Neither during nor after a graph inside a shadow is there an object of LangGraph's loop or runner."""
    counts: list[int] = []

    def count(state: State) -> None:
        counts.append(sum(issubclass(type(item), PregelLoop | PregelRunner) for item in gc.get_objects()))

    graph = StateGraph(State).add_node("a", count).add_edge(START, "a").compile()
    gc.collect()
    gc.disable()
    try:
        graph.invoke({"n": 1})
        asyncio.run(graph.ainvoke({"n": 1}))
        SHADOW.set(ShadowContext("g", "n"))
        graph.invoke({"n": 1})
        asyncio.run(graph.ainvoke({"n": 1}))
        SHADOW.set(None)
        count({})
    finally:
        gc.enable()
    assert counts == [2, 2, 0, 0, 0]


class OwnSaver(InMemorySaver):
    """A saver that writes in a way of its own, as those of databases do."""

    def delete_thread(self, thread_id: str) -> None:
        super().delete_thread(thread_id)


@pytest.mark.usefixtures("guards")
@pytest.mark.parametrize("make", [InMemorySaver, OwnSaver])
@pytest.mark.parametrize("awaited", [False, True], ids=["sync", "async"])
def test_a_store_and_a_saver_of_the_module_are_private_to_a_shadow(make: type[InMemorySaver], awaited: bool) -> None:
    """V2 reads what the store holds and its own writes; items and conversations of production stay."""
    saver, store, thread = make(), InMemoryStore(), {"configurable": {"thread_id": "t"}}
    store.put(("a",), "kept", {"n": 1})
    build(checkpointer=saver).invoke({}, thread)

    def works() -> list[Any]:
        store.put(("a",), "own", {"n": 2})
        store.delete(("a",), "kept")
        saver.delete_thread("t")
        return [store.get(("a",), "kept"), *(item.key for item in store.search(("a",)))]

    async def works_awaited() -> list[Any]:
        await store.aput(("a",), "own", {"n": 2})
        await store.adelete(("a",), "kept")
        await saver.adelete_thread("t")
        return [await store.aget(("a",), "kept"), *(item.key for item in await store.asearch(("a",)))]

    token = SHADOW.set(ShadowContext("graph", "node"))
    try:
        seen = asyncio.run(works_awaited()) if awaited else works()
    finally:
        SHADOW.reset(token)
    assert seen == [None, "own"]
    assert [item.key for item in store.search(("a",))] == ["kept"]
    assert build(checkpointer=saver).get_state(thread).values == {"n": 1}
    saver.delete_thread("t")
    assert build(checkpointer=saver).get_state(thread).values == {}
