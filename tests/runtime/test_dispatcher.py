"""The dispatcher: nothing waits on V1's path, every pair reports exactly once, and everything it holds is bounded."""

from __future__ import annotations

import asyncio
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from small_graphs import call, left, small_graph
from waiting import PATIENCE_S, until

from otel_shadow._langgraph.instrument.attach import attach
from otel_shadow._runtime.dispatcher import Dispatcher
from otel_shadow._runtime.executors.thread import ThreadExecutor
from otel_shadow._runtime.fault_barrier import FaultBarrier
from otel_shadow.config import LimitsTable
from otel_shadow.testing.capture import ShadowCapture

Make = Callable[..., ShadowCapture]
V2 = Callable[..., Any]


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Set at the end of the test, so that shadows that hang end with it."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def shadow(make_shadow_capture: Make) -> Callable[..., tuple[ShadowCapture, Any]]:
    """A graph whose first node has ``v2``."""

    def make(v2: V2, v1: V2 = left, executor: str = "thread", timeout_ms: int = 10_000, **more: Any) -> Any:
        table = {"executor": executor, "timeout_ms": timeout_ms}
        capture = make_shadow_capture(
            {"nodes": {"left": table}, "limits": more.pop("limits", {}), "arms": {"holdout": 0.0}}
        )
        if more:
            raise TypeError(more)
        graph = small_graph(v1)
        attach(graph, capture.manager, lambda _, node: v2 if node == "left" else None)
        return capture, graph

    return make


def so_far(capture: ShadowCapture) -> list[Any]:
    """The records that have been made, without waiting for others."""
    return list(capture._records.seen)


def test_full_queue_sheds_at_once(shadow: Any, released: threading.Event) -> None:
    """With one shadow running and two waiting, the rest is shed, recorded and named by the limiter; V1 never waits."""
    capture, graph = shadow(lambda state: released.wait() and {}, limits={"queue": 2, "concurrency": 1})
    call(graph)
    until(lambda: capture.manager.dispatcher.inflight == 1)
    for _ in range(5):
        assert call(graph)["trail"] == ["left", "right"]
    until(lambda: len(so_far(capture)) == 3)
    assert {record.reason for record in so_far(capture)} == {"shed:queue"}
    assert {record.v2.status for record in so_far(capture)} == {"shed"}
    assert capture.manager.nodes[("small", "left")].limiter.reason == "queue"
    released.set()
    assert capture.manager.flush(PATIENCE_S)
    assert len(so_far(capture)) == 6


def test_a_place_that_is_free_is_used_at_once(shadow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quick shadows follow one another in the one place there is, however seldom the queue is looked at."""
    monkeypatch.setattr(Dispatcher, "poll_s", 3.0)
    capture, graph = shadow(left, limits={"concurrency": 1})
    for _ in range(60):
        call(graph)
    until(lambda: len(so_far(capture)) == 60)  # three minutes, if each waited for the next look


def test_waiting_snapshots_are_bounded_in_bytes(shadow: Any, released: threading.Event) -> None:
    """What would hold more than ``snapshot_bytes`` is shed; what was taken off the queue is given back."""
    limits = {"concurrency": 1, "snapshot_bytes": 250_000}
    capture, graph = shadow(lambda state: released.wait() and {}, limits=limits)
    call(graph, {"text": "x" * 100_000})
    until(lambda: capture.manager.dispatcher.inflight == 1)
    for _ in range(4):
        call(graph, {"text": "x" * 100_000})
    until(lambda: len(so_far(capture)) == 2)
    assert {record.reason for record in so_far(capture)} == {"shed:memory"}
    released.set()
    assert capture.manager.flush(PATIENCE_S)
    assert capture.manager.dispatcher.waiting_bytes == 0


def test_hang_is_a_timeout_and_its_slot_is_free(shadow: Any, released: threading.Event) -> None:
    """With one slot, a hanging shadow times out and the next runs; the thread is counted until it ends."""
    hang = iter([True, False])
    capture, graph = shadow(
        lambda state: (released.wait() if next(hang) else None) or left(state),
        limits={"concurrency": 1},
        timeout_ms=100,
    )
    call(graph)
    call(graph)
    until(lambda: len(so_far(capture)) == 2)
    assert [record.v2.status for record in capture.records] == ["timeout", "success"]
    assert capture.manager.dispatcher.abandoned == 1
    released.set()
    until(lambda: capture.manager.dispatcher.abandoned == 0)
    assert capture.manager.flush(PATIENCE_S)
    assert len(so_far(capture)) == 2, "the late end of the first reports nothing more"


def test_abandoned_threads_are_bounded(shadow: Any, released: threading.Event) -> None:
    """When as many threads hang as are allowed, shadows are shed until one ends."""
    capture, graph = shadow(
        lambda state: released.wait() and {}, limits={"abandoned_threads": 2, "breaker_failures": 100}, timeout_ms=50
    )
    for _ in range(2):
        call(graph)
    until(lambda: capture.manager.dispatcher.abandoned == 2)
    call(graph)
    until(lambda: len(so_far(capture)) == 3)
    assert so_far(capture)[-1].reason == "shed:abandoned"
    released.set()
    until(lambda: capture.manager.dispatcher.abandoned == 0)


def test_blocked_loop_takes_its_neighbours_with_it_and_is_replaced(shadow: Any, released: threading.Event) -> None:
    """An awaited V2 that blocks is given up with its loop; the next awaited V2 has a new one."""

    async def v2(state: Any) -> Any:
        if state["text"] == "block":
            released.wait()
        return left(state)

    capture, graph = shadow(v2, timeout_ms=100)
    call(graph, {"text": "block"})
    until(lambda: len(so_far(capture)) == 1)
    call(graph, {"text": "fine"})
    until(lambda: len(so_far(capture)) == 2)
    assert [record.v2.status for record in capture.records] == ["timeout", "success"]


@pytest.mark.parametrize("executor", ["auto", "thread", "loop"])
def test_awaited_v2_over_its_time_is_cancelled(shadow: Any, executor: str) -> None:
    """It sees its cancellation on production's loop, the only one for an awaited V2."""
    seen: list[str] = []

    async def v1(state: Any) -> Any:
        return left(state)

    async def v2(state: Any) -> Any:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            seen.append(threading.current_thread().name)
            raise

    capture, graph = shadow(v2, v1, executor, timeout_ms=100)

    async def main() -> None:
        await graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": "s_1"}})
        await asyncio.to_thread(until, lambda: seen)

    asyncio.run(main())
    assert seen == ["MainThread"]
    assert capture.manager.flush(PATIENCE_S)
    assert [record.v2.status for record in capture.records] == ["timeout"]


def test_production_loop_runs_v2_only(shadow: Any) -> None:
    """``executor = "loop"`` runs V2 on the application's loop, and compares elsewhere."""
    threads: dict[str, str] = {}

    async def v1(state: Any) -> Any:
        return left(state)

    async def v2(state: Any) -> Any:
        threads["v2"] = threading.current_thread().name
        return left(state)

    capture, graph = shadow(v2, v1, "loop")
    node = capture.manager.nodes[("small", "left")]
    compare = node.comparator

    def noted(*args: Any) -> Any:
        threads["compare"] = threading.current_thread().name
        return compare(*args)

    node.comparator = noted  # type: ignore[assignment]

    async def main() -> None:
        await graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": "s_1"}})
        await asyncio.to_thread(until, lambda: "compare" in threads)

    asyncio.run(main())
    assert threads == {"v2": "MainThread", "compare": "otel-shadow-worker"}


def test_end_of_production_loop_cancels_its_shadows(shadow: Any) -> None:
    """When ``asyncio.run`` ends, what ran on that loop is recorded as cancelled, and nothing hangs."""

    async def v1(state: Any) -> Any:
        return left(state)

    began = asyncio.Event()

    async def v2(state: Any) -> Any:
        began.set()
        await asyncio.sleep(3600)

    capture, graph = shadow(v2, v1, "loop", timeout_ms=3_600_000)

    async def main() -> None:
        await graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": "s_1"}})
        await began.wait()

    asyncio.run(main())
    assert capture.manager.flush(PATIENCE_S)
    assert [(record.v2.status, record.reason) for record in capture.records] == [("cancelled", "cancelled:loop_ended")]


def test_executor_of_the_users(make_shadow_capture: Make) -> None:
    """Shadows run in the threads of a ``concurrent.futures`` executor; one that was shut down cancels them."""
    names: list[str] = []

    def blocking(state: Any) -> Any:
        names.append(threading.current_thread().name)
        return left(state)

    with ThreadPoolExecutor(2, thread_name_prefix="mine") as mine:
        capture = make_shadow_capture({"arms": {"holdout": 0.0}})
        capture.manager.dispatcher._executors["thread"] = ThreadExecutor(mine)
        graph = small_graph()
        attach(graph, capture.manager, lambda _, node: blocking if node == "left" else None)
        call(graph)
        assert capture.manager.flush(PATIENCE_S)
    call(graph)
    assert capture.manager.flush(PATIENCE_S)
    assert [record.v2.status for record in capture.records] == ["success", "cancelled"]
    assert names[0].startswith("mine")


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_every_pair_reports_exactly_once(shadow: Any, is_async: bool) -> None:
    """Whatever V2s do at once (finish, raise, hang, exit, finish just at their limit), each call has one record."""
    chance = random.Random(1)

    def act(kind: int) -> float:
        if kind == 1:
            raise ValueError
        if kind == 2:
            raise SystemExit
        return (0.0, 0.0, 0.0, 0.3, 0.049, 0.051)[kind]

    async def awaited(state: Any) -> Any:
        await asyncio.sleep(act(int(state["text"])))
        return left(state)

    def blocking(state: Any) -> Any:
        time.sleep(act(int(state["text"])))
        return left(state)

    limits = {"concurrency": 8, "abandoned_threads": 64, "breaker_failures": 1000}
    capture, graph = shadow(awaited if is_async else blocking, timeout_ms=50, limits=limits)
    for _ in range(60):
        call(graph, {"text": str(chance.randrange(6))})
    assert capture.manager.flush(PATIENCE_S)
    until(lambda: capture.manager.dispatcher.abandoned == 0)  # those that were given up have ended, and say no more
    assert capture.manager.flush(PATIENCE_S)
    counts = Counter(record.pair_id for record in capture.records)
    assert len(counts) == 60
    assert set(counts.values()) == {1}


def test_shutdown_cancels_what_waits_and_what_runs(shadow: Any, released: threading.Event) -> None:
    """Within its deadline; each pair is recorded as cancelled, and V1 goes on without shadows."""
    capture, graph = shadow(lambda state: released.wait() and {}, limits={"concurrency": 2})
    for _ in range(5):
        call(graph)
    until(lambda: capture.manager.dispatcher.inflight == 2)
    started = time.monotonic()
    capture.manager.shutdown(0.5)
    assert time.monotonic() - started < PATIENCE_S
    assert [record.v2.status for record in capture.records] == ["cancelled"] * 5
    assert call(graph)["trail"] == ["left", "right"]


def test_a_shadow_that_comes_as_the_dispatcher_ends_is_cancelled() -> None:
    """One that found it open and is queued after its end is neither run nor lost."""
    told: queue.SimpleQueue[bool] = queue.SimpleQueue()
    late = SimpleNamespace(
        executor="thread", is_async=False, size=1, accepted=lambda: None, give_up=lambda cancelled: told.put(cancelled)
    )
    dispatcher = Dispatcher(LimitsTable(), FaultBarrier())
    dispatcher.close(0.1)
    assert dispatcher.submit(late) == "shutdown"  # type: ignore[arg-type]
    assert dispatcher.offer(late, late.size) is None  # type: ignore[arg-type]
    assert told.get(timeout=10) is True
    assert dispatcher.drain(10)
    assert dispatcher.waiting_bytes == 0
