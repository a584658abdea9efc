"""Threads and timers of otel-shadow outlive a request: they keep nothing of the context in which they began."""

from __future__ import annotations

import ast
import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context
from small_graphs import State, awaited, call, left, small_graph
from waiting import PATIENCE_S

import otel_shadow
from otel_shadow.background_thread import BackgroundThread
from otel_shadow.flags import FeatureFlags
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Callable[..., ShadowCapture]
USER: contextvars.ContextVar[object] = contextvars.ContextVar("user")


def called(node: ast.Call) -> str:
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def test_every_thread_of_ours_is_a_background_thread() -> None:
    """No module makes another kind of thread, or a timer that is one."""
    package = Path(otel_shadow.__file__).parent
    bad = [
        f"{file.name}:{node.lineno}"
        for file in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and called(node) in ("Thread", "Timer")
    ]
    assert bad == []


def test_a_background_thread_starts_in_an_empty_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """What wraps ``Thread.start`` to hand the starter's context on, as an instrumentation does, finds none."""
    handed: list[list[Any]] = []
    original = threading.Thread.start

    def start(self: threading.Thread) -> None:
        handed.append(list(contextvars.copy_context()))
        original(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    USER.set("user 1")
    ran: list[object] = []
    thread = BackgroundThread(target=ran.append, args=("ran",), name="otel-shadow-test")
    thread.start()
    thread.join(PATIENCE_S)
    assert (handed, ran, thread.daemon, thread.name) == ([[]], ["ran"], True, "otel-shadow-test")


class Body:
    """What a request holds."""


def within_a_request(turn: Callable[[], object]) -> weakref.ref[Body]:
    """Call ``turn`` as a request whose context holds a body, and return what tells whether the body is there still."""
    body = Body()

    def request() -> None:
        USER.set(body)
        context.attach(context.set_value("body", body))
        turn()

    contextvars.copy_context().run(request)
    return weakref.ref(body)


async def request(graph: Any, number: int) -> weakref.ref[Body]:
    """Run the graph as an awaited request whose context holds a body."""
    body = Body()
    USER.set(body)
    context.attach(context.set_value("body", body))
    await graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": f"session_{number}"}})
    return weakref.ref(body)


def freed(bodies: list[weakref.ref[Body]]) -> list[bool]:
    gc.collect()
    return [body() is None for body in bodies]


@pytest.mark.parametrize("v2", [left, awaited(left)], ids=["sync", "async"])
def test_the_context_of_a_request_is_freed_with_its_pair(make_shadow_capture: MakeCapture, v2: Any) -> None:
    """The first request's too, in which our threads start."""
    capture = make_shadow_capture()
    graph = capture.attach(small_graph(), {"left": v2})
    bodies = []
    for number in range(3):
        bodies.append(within_a_request(lambda number=number: call(graph, session=f"session_{number}")))  # type: ignore[misc]
        capture.settle()
    assert [str(record.comparison.outcome) for record in capture.records] == ["match"] * 3
    assert freed(bodies) == [True] * 3


async def freed_on_a_loop(capture: ShadowCapture, graph: Any) -> list[bool]:
    """Whether the contexts of three requests are freed while the loop goes on."""
    asyncio.get_running_loop().call_later(600, list)  # behind it the loop keeps timers that were cancelled
    bodies = []
    for number in range(3):
        bodies.append(await asyncio.create_task(request(graph, number), context=contextvars.copy_context()))
        await asyncio.to_thread(capture.settle)
    return freed(bodies)


@pytest.mark.parametrize("late", [False, True], ids=["in time", "over its time"])
def test_the_context_of_a_request_is_freed_on_a_loop_that_lasts(make_shadow_capture: MakeCapture, late: bool) -> None:
    """Timers of V2's time limit hold none, which a loop keeps until they are due; nor do those of its cancellation."""

    async def v2(state: State) -> dict[str, Any]:
        if late:
            await asyncio.Event().wait()
        return left(state)

    capture = make_shadow_capture({"flags": {"timeout_ms": 100 if late else 3_600_000}})
    graph = capture.attach(small_graph(awaited(left)), {"left": v2})
    assert asyncio.run(freed_on_a_loop(capture, graph)) == [True] * 3
    assert [record.v2.status for record in capture.records] == ["timeout" if late else "success"] * 3
    assert {record.executor for record in capture.records} == {"loop"}


@pytest.mark.parametrize("v2", [left, awaited(left)], ids=["sync", "async"])
def test_the_context_of_a_request_is_freed_where_v2_serves(make_shadow_capture: MakeCapture, v2: Any) -> None:
    """The timer of a live V2's time limit holds none either."""
    capture = make_shadow_capture(
        {}, FeatureFlags(router_v2_enabled=True, router_v2_percentage=100, v2_timeout_ms=3_600_000)
    )
    graph = capture.attach(small_graph(awaited(left)), {"left": v2})
    assert asyncio.run(freed_on_a_loop(capture, graph)) == [True] * 3
    assert {str(record.mode) for record in capture.records} == {"v2_live"}
