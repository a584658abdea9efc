"""Synchronous graphs with an awaited V2: on a loop that runs elsewhere, on ours where none runs, or not at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from small_graphs import call, left, small_graph
from waiting import PATIENCE_S

from otel_shadow.testing.capture import ShadowCapture

Make = Callable[..., ShadowCapture]


@pytest.fixture
def ran_on() -> list[str]:
    """Names of the threads in which V2 ran."""
    return []


@pytest.fixture
def shadowed(make_shadow_capture: Make, ran_on: list[str]) -> tuple[ShadowCapture, Any]:
    """A synchronous graph with an awaited V2."""

    async def v2(state: Any) -> Any:
        ran_on.append(threading.current_thread().name)
        await asyncio.sleep(0)
        return left(state)

    capture = make_shadow_capture({"nodes": {"left": {"timeout_ms": 60_000}}, "arms": {"holdout": 0.0}})
    return capture, capture.attach(small_graph(left), {"left": v2})


def test_where_no_loop_runs_there_is_a_lasting_one(shadowed: Any, ran_on: list[str]) -> None:
    """One loop of ours serves all of them: clients of V2's keep their connections."""
    capture, graph = shadowed
    for number in range(3):
        call(graph, session=f"s_{number}")
        assert capture.manager.flush(PATIENCE_S)
    assert ran_on == ["otel-shadow-loop"] * 3
    assert {record.executor for record in capture.records} == {"thread"}


@pytest.mark.parametrize("how", ["asyncio.run", "run_forever"])
def test_beside_a_running_loop_v2_is_driven_there(shadowed: Any, ran_on: list[str], how: str) -> None:
    """A ``def`` endpoint runs in a thread while the server's loop runs in another."""
    capture, graph = shadowed
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.001)

    loop = asyncio.new_event_loop()
    target = (lambda: asyncio.run(serve())) if how == "asyncio.run" else loop.run_forever
    server = threading.Thread(target=target, name="the-server")
    server.start()
    if how == "run_forever":
        loop.call_soon_threadsafe(ready.set)
    assert ready.wait(PATIENCE_S)
    call(graph)
    assert capture.manager.flush(PATIENCE_S)
    stop.set()
    if how == "run_forever":
        loop.call_soon_threadsafe(loop.stop)
    server.join(PATIENCE_S)
    loop.close()
    assert ran_on == ["the-server"]
    assert [record.executor for record in capture.records] == ["loop"]


def test_called_in_the_loops_own_thread_v2_does_not_run(shadowed: Any, ran_on: list[str]) -> None:
    """The caller blocks the loop that V2 would need: the record says so."""
    capture, graph = shadowed

    async def handler() -> Any:
        answer = call(graph)
        await asyncio.to_thread(capture.manager.flush, PATIENCE_S)
        return answer

    assert asyncio.run(handler())["trail"] == ["left", "right"]
    assert ran_on == []
    assert [record.reason for record in capture.records] == ["shed:no_loop"]


def test_one_that_blocks_our_loop_takes_no_neighbour_along(make_shadow_capture: Make) -> None:
    """The loop is left to the V2 that holds it, and the next V2 gets another."""
    release = threading.Event()

    async def v2(state: Any) -> Any:
        if state["text"] == "block":
            release.wait()
        return left(state)

    capture = make_shadow_capture({"nodes": {"left": {"timeout_ms": 100}}, "arms": {"holdout": 0.0}})
    graph = capture.attach(small_graph(left), {"left": v2})
    call(graph, {"text": "block"}, session="s_1")
    assert capture.manager.flush(PATIENCE_S)
    call(graph, {"text": "fine"}, session="s_2")
    assert capture.manager.flush(PATIENCE_S)
    release.set()
    assert [str(record.v2.status) for record in capture.records if record.v2] == ["timeout", "success"]
