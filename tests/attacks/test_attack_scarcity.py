"""A process without threads or descriptors, and what V2 leaves behind in threads: counted, and never V1's concern."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from concurrent.futures import wait
from typing import Any

import pytest
from small_graphs import awaited, call, left, small_graph
from waiting import PATIENCE_S, until

from otel_shadow import FeatureFlags
from otel_shadow._runtime import background_log
from otel_shadow._runtime.executors import daemon_pool, placement
from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow.background_thread import BackgroundThread

BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@BOTH
def test_no_thread_and_no_descriptor_left(
    make_shadow_capture: Any, monkeypatch: pytest.MonkeyPatch, is_async: bool
) -> None:
    """The system refuses a thread (or a loop): the pair is cancelled and told so, and the next one runs."""

    def refused(*_: Any, **how: Any) -> threading.Thread:
        if how.get("name") == "otel-shadow-flush":
            return BackgroundThread(**how)
        raise OSError(24, "Too many open files")

    capture = make_shadow_capture()
    v2 = awaited(left) if is_async else left
    graph = capture.attach(small_graph(), {"left": v2})
    with monkeypatch.context() as patched:
        if is_async:
            patched.setattr(placement, "LoopThread", refused)
        else:
            patched.setattr(daemon_pool, "BackgroundThread", refused)
        assert call(graph)["trail"] == ["left", "right"]
        capture.settle()
    assert call(graph, session="session_2")["trail"] == ["left", "right"]
    assert [(record.reason, record.v2 and record.v2.status) for record in capture.records] == [
        ("cancelled", "cancelled"),
        (None, "success"),
    ]
    assert capture.swallowed == {"dispatch": 1}


def test_threads_that_awaited_v2s_leave_behind_are_bounded(make_shadow_capture: Any) -> None:
    """V2 awaits a thread that hangs: V2 itself ends in time, its thread does not. With too many, no shadow starts."""
    over = threading.Event()

    async def v2(state: Any) -> Any:
        await asyncio.to_thread(over.wait, 120)

    flags = FeatureFlags(v2_timeout_ms=50, timeout_is_explicit=True)
    capture = make_shadow_capture({"limits": {"abandoned_threads": 3}}, flags)
    graph = capture.attach(small_graph(), {"left": v2})
    for n in range(6):
        assert call(graph, session=f"session_{n}")["trail"] == ["left", "right"]
        capture.settle()
    assert capture.manager.dispatcher.abandoned == 3
    assert [record.reason for record in capture.records] == [None] * 3 + ["shed:abandoned"] * 3
    over.set()
    until(lambda: capture.manager.dispatcher.abandoned == 0)


def test_a_pool_runs_as_many_as_it_may() -> None:
    """As many side by side as its size; jobs that were given up take nobody's place."""
    pool, over, seen, most = DaemonPool(2), threading.Event(), threading.Lock(), [0, 0]
    both = threading.Barrier(2, timeout=PATIENCE_S)

    def work() -> None:
        with seen:
            most[0] += 1
            most[1] = max(most)
        both.wait()
        with seen:
            most[0] -= 1

    hanging = [pool.submit(over.wait, 120) for _ in range(2)]
    until(lambda: all(job.running() for job in hanging))
    for job in hanging:
        assert not job.cancel()
    assert pool.stuck == 2
    done, _ = wait([pool.submit(work) for _ in range(6)], PATIENCE_S)
    assert (len(done), most[1]) == (6, 2)
    assert pool.submit(divmod, 7, 2).result(60) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 7, 0).result(60)
    over.set()


def test_a_tracer_that_v2_leaves_behind_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    """The next V2 in the same thread is not traced by the one before it."""
    pool = DaemonPool(1, keep=True)
    before = (threading.gettrace(), threading.getprofile())

    def trace(*_: Any) -> None:
        return None

    def leave() -> int:
        sys.settrace(trace)
        sys.setprofile(trace)
        return threading.get_ident()

    def look() -> tuple[Any, Any, int]:
        return sys.gettrace(), sys.getprofile(), threading.get_ident()

    thread_of_both = pool.submit(leave).result(PATIENCE_S)
    assert pool.submit(look).result(PATIENCE_S) == (*before, thread_of_both)
    pool.shutdown()


def test_a_pool_keeps_its_threads_only_if_told_so() -> None:
    """A pool that keeps threads gives the next job to the idle one, until its shutdown; others keep none."""
    kept, other = DaemonPool(4, "kept", keep=True), DaemonPool(4, "not kept")

    def alive(name: str) -> int:
        return sum(found.name == name for found in threading.enumerate())

    first = kept.submit(threading.get_ident).result(PATIENCE_S)
    until(lambda: kept._threads_idle == 1)
    assert kept.submit(threading.get_ident).result(PATIENCE_S) == first
    assert other.submit(alive, "not kept").result(PATIENCE_S) == 1
    until(lambda: alive("not kept") == 0)
    assert alive("kept") == 1
    kept.shutdown()
    until(lambda: alive("kept") == 0)


def test_what_a_task_left_behind_says_nothing_personal(make_shadow_capture: Any, caplog: Any) -> None:
    """V2 starts a task that fails and that nobody awaits: neither its message nor its locals are logged."""

    failed: list[bool] = []

    async def failing() -> None:
        failed.append(True)
        raise ValueError("Maria Silva")

    async def v2(state: Any) -> Any:
        asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(failing()))
        for _ in range(5):
            await asyncio.sleep(0)
        return left(state)

    capture = make_shadow_capture()
    graph = capture.attach(small_graph(), {"left": v2})
    with caplog.at_level(logging.DEBUG):
        call(graph)
        capture.settle()
        import gc

        gc.collect()
        assert background_log.settle(10)
    assert failed == [True]
    assert "Maria" not in caplog.text
