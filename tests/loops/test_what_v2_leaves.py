"""What an awaited V2 leaves with production's loop: V1's clients go on working, and no handler of V1's is called."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from small_graphs import left, small_graph
from waiting import PATIENCE_S, until

from otel_shadow.testing.capture import ShadowCapture

Make = Callable[..., ShadowCapture]


def _shadowed(make: Make, v1: Any, v2: Any, **table: Any) -> tuple[ShadowCapture, Any]:
    capture = make({"nodes": {"left": {"timeout_ms": 60_000, **table}}, "arms": {"holdout": 0.0}})
    return capture, capture.attach(small_graph(v1), {"left": v2})


async def _v1(state: Any) -> Any:
    return left(state)


async def _ask(graph: Any) -> Any:
    return (await graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": "s_1"}}))["trail"]


async def _drained(capture: ShadowCapture) -> None:
    assert await asyncio.to_thread(capture.manager.flush, PATIENCE_S)


class Pool:
    """A pool of one connection, which goes back only after a word with the server, as those of databases do."""

    def __init__(self) -> None:
        self.free: asyncio.Queue[int] = asyncio.Queue()
        self.free.put_nowait(1)

    async def __aenter__(self) -> int:
        self.one = await self.free.get()
        return self.one

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0.4)  # longer than the end of a V2 is waited for
        self.free.put_nowait(self.one)


@pytest.mark.parametrize("how", ["paused", "timed out"])
def test_what_v2_borrowed_from_a_shared_pool_goes_back(make_shadow_capture: Make, how: str) -> None:
    """V1 gets the connection that a V2 had which was paused, or was over its time: V2 may clean up first."""

    async def main() -> Any:
        pool = Pool()

        async def v1(state: Any) -> Any:
            if state["text"] == "needs one":
                async with pool:
                    return left(state)
            return left(state)

        async def v2(state: Any) -> Any:
            async with pool:
                if how == "paused":
                    time.sleep(0.4)
                await asyncio.sleep(3600 if how == "timed out" else 0.1)
                return left(state)

        capture, graph = _shadowed(make_shadow_capture, v1, v2, timeout_ms=300 if how == "timed out" else 60_000)
        await _ask(graph)
        await _drained(capture)
        return (await asyncio.wait_for(graph.ainvoke({"text": "needs one"}), PATIENCE_S))["trail"], capture.records[0]

    answer, record = asyncio.run(main())
    assert answer == ["left", "right"]
    told = {"paused": ("cancelled", "cancelled:blocks_loop"), "timed out": ("timeout", None)}
    assert (record.v2 and record.v2.status, record.reason) == told[how]


def test_a_shared_clients_task_outlives_the_v2_that_started_it(make_shadow_capture: Make) -> None:
    """A client's worker task, made at first use by V2, has time limits of its own and ends as V1 ends it."""
    ended: list[str] = []

    async def main() -> list[Any]:
        asked: asyncio.Queue[asyncio.Future[str]] = asyncio.Queue()
        tasks: list[asyncio.Task[None]] = []
        rounds = 0

        async def serve() -> None:
            nonlocal rounds
            try:
                while True:
                    try:
                        async with asyncio.timeout(0.001):
                            answer = await asked.get()
                    except TimeoutError:
                        rounds += 1
                        continue
                    answer.set_result("hello")
            finally:
                await asyncio.sleep(0)
                ended.append("cleaned up")

        async def node(state: Any) -> Any:
            if state["text"] != "first" or tasks == []:
                if not tasks:
                    tasks.append(asyncio.create_task(serve()))
                answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
                asked.put_nowait(answer)
                assert await answer == "hello"
            return left(state)

        capture, graph = _shadowed(make_shadow_capture, _v1_unless_used(node), node)
        await graph.ainvoke({"text": "first"})
        await _drained(capture)
        until_later = rounds + 3
        while rounds < until_later and not tasks[0].done():
            await asyncio.sleep(0.001)
        answer = (await asyncio.wait_for(graph.ainvoke({"text": "second"}), PATIENCE_S))["trail"]
        tasks[0].cancel()
        await asyncio.wait(tasks)
        return answer  # type: ignore[no-any-return]

    assert asyncio.run(main()) == ["left", "right"]
    assert ended == ["cleaned up"]


def _v1_unless_used(node: Any) -> Any:
    async def v1(state: Any) -> Any:
        return left(state) if state["text"] == "first" else await node(state)

    return v1


async def _a_pools_future(state: Any) -> Any:
    def boom() -> None:
        raise ValueError("V2's secret")

    asyncio.get_running_loop().run_in_executor(None, boom)
    return left(state)


async def _boom(*_: Any) -> None:
    raise ValueError("V2's secret")


async def _a_group(state: Any) -> Any:
    asyncio.gather(_boom(), _boom())
    return left(state)


async def _a_task(state: Any) -> Any:
    asyncio.create_task(_boom())  # noqa: RUF006 - left behind
    return left(state)


async def _callbacks(state: Any) -> Any:
    def boom(*_: Any) -> None:
        raise ValueError("V2's secret")

    loop = asyncio.get_running_loop()
    loop.call_soon(boom)
    loop.call_later(0, boom)
    loop.call_soon_threadsafe(boom)
    asyncio.create_task(asyncio.sleep(0)).add_done_callback(boom)
    future = loop.create_future()
    future.add_done_callback(boom)
    future.set_result(None)
    return left(state)


async def _a_generator(state: Any) -> Any:
    async def numbers() -> Any:
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0)
            raise ValueError("V2's secret")

    async for _ in numbers():
        break
    return left(state)


@pytest.mark.parametrize("v2", [_a_pools_future, _a_group, _a_task, _callbacks, _a_generator])
def test_what_v2_left_reaches_no_handler(make_shadow_capture: Make, caplog: pytest.LogCaptureFixture, v2: Any) -> None:
    """Many an application ends itself in its loop's exception handler. V1's own faults reach it as before."""
    told: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(str(context.get("exception"))))
        capture, graph = _shadowed(make_shadow_capture, _v1, v2)
        await _ask(graph)
        await _drained(capture)
        for _ in range(5):
            await asyncio.sleep(0.001)
        gc.collect()

        def v1s() -> None:
            raise ValueError("V1's")

        loop.call_soon(v1s)
        await asyncio.sleep(0.001)

    asyncio.run(main())
    assert told == ["V1's"]
    assert "secret" not in caplog.text


def test_other_threads_find_the_loop_as_it_is(make_shadow_capture: Make) -> None:
    """A thread of the application's that stops the loop, or gives it a callback, in a step of V2's is obeyed."""
    inside, go_on, called = threading.Event(), threading.Event(), threading.Event()

    async def v2(state: Any) -> Any:
        inside.set()
        go_on.wait(PATIENCE_S)
        return left(state)

    capture, graph = _shadowed(make_shadow_capture, _v1, v2)
    loop = asyncio.new_event_loop()
    v1 = _ask(graph)

    def run() -> None:
        loop.run_until_complete(v1)
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert inside.wait(PATIENCE_S)
    loop.call_soon_threadsafe(called.set)
    loop.call_soon_threadsafe(loop.stop)
    go_on.set()
    until(lambda: not thread.is_alive())
    assert called.is_set()
    loop.run_until_complete(_drained(capture))
    loop.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.12 and later have eager tasks")
def test_groups_of_anyio_on_a_loop_with_eager_tasks(make_shadow_capture: Make) -> None:
    """anyio knows asyncio's factory of eager tasks, and finds the one of V2's to be such a factory, too."""
    anyio = pytest.importorskip("anyio")

    async def v2(state: Any) -> Any:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 3600)
            await anyio.sleep(0)
            group.cancel_scope.cancel()
        await asyncio.gather(asyncio.sleep(0), _v1(state))  # one ends in its first step
        return left(state)

    capture, graph = _shadowed(make_shadow_capture, _v1, v2)

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
        await _ask(graph)
        await _drained(capture)

    asyncio.run(main())
    assert [str(record.comparison.outcome) for record in capture.records if record.comparison] == ["match"]
