"""A live V2 at its worst: it hangs by the dozen, exits, panics. V1 answers in its stead, the process stays whole."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from small_graphs import State, awaited, call, left, small_graph

from otel_shadow import FeatureFlags
from otel_shadow.testing.capture import ShadowCapture

BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
BOUND = 5
COUNT = 3 * BOUND


class Panic(BaseException):
    """What a library in Rust raises when it breaks: no ``Exception``."""


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def live(make: Callable[..., ShadowCapture], timeout_ms: int = 50) -> ShadowCapture:
    flags = FeatureFlags(
        router_v2_enabled=True, router_v2_percentage=100, v2_timeout_ms=timeout_ms, timeout_is_explicit=True
    )
    return make({"limits": {"abandoned_threads": BOUND}}, flags)


def live_threads() -> int:
    return sum(thread.name == "otel-shadow-live" for thread in threading.enumerate())


async def turns(graph: Any) -> list[Any]:
    return [
        (await graph.ainvoke({"text": "hello"}, {"configurable": {"thread_id": f"session_{n}"}}))["trail"]
        for n in range(COUNT)
    ]


@BOTH
def test_v2s_that_hang_are_bounded(make_shadow_capture: Any, gate: threading.Event, is_async: bool) -> None:
    """Each that hangs costs a thread until it returns; from a bound on V1 answers at once, and all users are served."""

    def hang(state: State) -> Any:
        gate.wait(120)
        return left(state)

    capture = live(make_shadow_capture)
    graph = capture.attach(small_graph(), {"left": hang})
    before = live_threads()
    if is_async:
        trails = asyncio.run(turns(graph))
    else:
        trails = [call(graph, session=f"session_{n}")["trail"] for n in range(COUNT)]
    assert trails == [["left", "right"]] * COUNT
    assert live_threads() - before == BOUND
    assert [record.fallback_reason for record in capture.records] == ["timeout"] * COUNT


def test_v2s_that_hang_leave_v1_the_loops_threads(make_shadow_capture: Any, gate: threading.Event) -> None:
    """In an asynchronous application a plain V1 runs in the pool of the loop: no V2 may hang in there."""

    def hang(state: State) -> Any:
        gate.wait(120)
        return left(state)

    async def in_a_small_pool() -> list[Any]:
        from concurrent.futures import ThreadPoolExecutor

        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        return await asyncio.wait_for(turns(graph), 60)

    graph = live(make_shadow_capture).attach(small_graph(), {"left": hang})
    assert asyncio.run(in_a_small_pool()) == [["left", "right"]] * COUNT


def test_it_is_tried_again_when_they_return(make_shadow_capture: Any, gate: threading.Event) -> None:
    """The bound is of those that hang now."""

    def hang(state: State) -> Any:
        gate.wait(120)
        return {**left(state), "trail": ["left2"]}

    capture = live(make_shadow_capture, 200)
    graph = capture.attach(small_graph(), {"left": hang})
    for n in range(BOUND + 1):
        assert call(graph, session=f"session_{n}")["trail"] == ["left", "right"]
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "otel-shadow-live":
            thread.join(30)
    assert call(graph)["trail"] == ["left2", "right"]


@BOTH
@pytest.mark.parametrize("form", ["plain", "awaited"])
def test_a_panic_is_a_failure_like_any_other(make_shadow_capture: Any, form: str, is_async: bool) -> None:
    """What is no ``Exception`` and came from V2 is V2's failure: V1 answers."""

    def panic(state: State) -> Any:
        raise Panic("Maria Silva")

    capture = live(make_shadow_capture, 5000)
    v1 = awaited(left) if is_async else left
    graph = capture.attach(small_graph(v1), {"left": awaited(panic) if form == "awaited" else panic})
    assert call(graph, is_async=is_async)["trail"] == ["left", "right"]
    (record,) = capture.records
    assert (record.fallback_reason, record.served) == ("error", "v1")


@BOTH
def test_v2_can_not_end_the_process(make_shadow_capture: Any, is_async: bool) -> None:
    """A plain V2 calls ``sys.exit``: it ends its own thread."""

    def leave(state: State) -> Any:
        sys.exit(3)

    capture = live(make_shadow_capture, 5000)
    graph = capture.attach(small_graph(), {"left": leave})
    assert call(graph, is_async=is_async)["trail"] == ["left", "right"]
    (record,) = capture.records
    assert record.v2 is not None
    assert (record.fallback_reason, record.v2.error_type) == ("error", "V2ExitError")


def test_a_cancelled_caller_leaves_nothing_uncounted(make_shadow_capture: Any, gate: threading.Event) -> None:
    """The caller goes away while a plain V2 hangs: the thread counts as one that hangs."""

    def hang(state: State) -> Any:
        gate.wait(120)

    async def cancelled() -> None:
        for n in range(COUNT):
            config: Any = {"configurable": {"thread_id": f"session_{n}"}}
            task = asyncio.create_task(graph.ainvoke({"text": "hello"}, config))
            await asyncio.wait({task}, timeout=0.05)
            if not task.done():
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    before = live_threads()
    graph = live(make_shadow_capture, 60_000).attach(small_graph(), {"left": hang})
    asyncio.run(cancelled())
    assert live_threads() - before <= BOUND
