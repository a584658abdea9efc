"""V2 and production's event loop: what is awaited there, and what happens to a V2 that outlives it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from langgraph.config import get_store
from langgraph.graph import END, START, StateGraph
from langgraph.store.base import Op, Result
from langgraph.store.memory import InMemoryStore
from shadow_harness import Shadow, shadow
from typing_extensions import TypedDict

from otel_shadow._langgraph.loop_calls import LoopEndedError
from otel_shadow._runtime.execution_result import ExecutionResult
from otel_shadow._runtime.executors.loop import LoopThread, OwnLoopPlace
from otel_shadow._runtime.shadow_context import ShadowContext
from otel_shadow.record import Status
from otel_shadow.testing import ShadowCapture


class State(TypedDict, total=False):
    n: int


class BoundStore(InMemoryStore):
    """A store that can be awaited on one loop only, as those with a connection are."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop

    async def abatch(self, ops: Any) -> list[Result]:
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("bound to a different event loop")
        return await super().abatch(ops)

    def batch(self, ops: Any) -> list[Result]:
        found: list[Op] = list(ops)
        return super().batch(found)


@pytest.fixture
def capture() -> Iterator[ShadowCapture]:
    found = ShadowCapture({"nodes": {"node": {"compare": {"fields": ["*"]}}}})
    yield found
    found.close()


async def adds(state: State) -> dict[str, Any]:
    return {"n": state["n"] + 1}


@pytest.mark.parametrize("v2_adds", [1, 5])
def test_an_awaited_path_function_decides_for_a_synchronous_v2(capture: ShadowCapture, v2_adds: int) -> None:
    """It runs on production's loop, where V1's decision was made, and sees that it belongs to a shadow's."""
    seen: list[tuple[int, str]] = []

    async def path(state: State) -> str:
        await asyncio.sleep(0)
        seen.append((state["n"], threading.current_thread().name))
        return "b" if state["n"] > 2 else END

    def v2(state: State) -> dict[str, Any]:
        return {"n": state["n"] + v2_adds}

    graph = StateGraph(State).add_node("node", adds).add_node("b", lambda state: {}).add_edge(START, "node")
    compiled = capture.attach(graph.add_conditional_edges("node", path, ["b", END]).compile(), {"node": v2})

    async def run() -> None:
        await compiled.ainvoke({"n": 0})
        await asyncio.to_thread(capture.settle)

    asyncio.run(run())
    [record] = capture.records
    assert record.v2 is not None
    assert (record.v1.target, record.v2.target) == ("__end__", "b" if v2_adds == 5 else "__end__")
    assert sorted(seen) == sorted((n, threading.current_thread().name) for n in (1, v2_adds))


def outliving(v2: Any, make_store: Any) -> ExecutionResult:
    """What a ``v2`` comes to that runs when production's ``asyncio.run`` has ended."""
    beside: list[Shadow] = []

    async def run() -> None:
        graph = StateGraph(State).add_node("node", adds).add_edge(START, "node").add_edge("node", END)
        store = make_store(asyncio.get_running_loop())
        store.put(("a",), "k", {"n": 1})
        compiled = graph.compile(store=store)
        beside.append(shadow(compiled, "node", v2))
        await compiled.ainvoke({"n": 0})

    asyncio.run(run())
    assert [str(execution.status) for execution in beside[0].executions] == ["success"]  # beside production
    captured = beside[0].captured[0]
    place = OwnLoopPlace(LoopThread(), None) if captured.is_async else None
    return captured.run(ShadowContext("g", "n"), lambda: None, place)


async def awaits(state: State) -> dict[str, Any]:
    found = await get_store().aget(("a",), "k")
    return {"n": state["n"] + found.value["n"]} if found else {}


async def awaits_carelessly(state: State) -> dict[str, Any]:
    try:
        return await awaits(state)
    except Exception:
        return {"n": -1}


def calls(state: State) -> dict[str, Any]:
    found = get_store().get(("a",), "k")
    return {"n": state["n"] + found.value["n"]} if found else {}


@pytest.mark.parametrize("v2", [awaits, calls])
def test_a_v2_that_outlives_the_loop_reads_a_store_in_memory(v2: Any) -> None:
    """The store is bound to no loop, so nothing ends with production's."""
    result = outliving(v2, lambda loop: InMemoryStore())
    assert (result.status, result.writes) == (Status.SUCCESS, {"n": 1})


@pytest.mark.parametrize("v2", [awaits, awaits_carelessly])
def test_a_v2_that_has_lost_its_store_is_not_charged(v2: Any) -> None:
    """A store of the loop's can't be read any more: cancelled, also where V2 swallows the exception and answers."""
    result = outliving(v2, BoundStore)
    assert (result.status, type(result.error)) == (Status.CANCELLED, LoopEndedError)
