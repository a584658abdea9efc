"""Thread pools of asgiref and anyio, and clients of real packages, that V1 and V2 would share."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_graphs import left, small_graph
from waiting import PATIENCE_S

from otel_shadow import is_shadow
from otel_shadow.testing.capture import ShadowCapture

Make = Callable[..., ShadowCapture]


def _shadowed(make: Make, v1: Any, v2: Any) -> tuple[ShadowCapture, Any]:
    capture = make({"nodes": {"left": {"timeout_ms": 60_000}}, "arms": {"holdout": 0.0}})
    return capture, capture.attach(small_graph(v1), {"left": v2})


async def _ask(graph: Any, number: int) -> Any:
    return await graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": f"s_{number}"}})


async def _while_v2_holds(capture: ShadowCapture, graph: Any, held: threading.Event, release: threading.Event) -> Any:
    """A second request, while the V2 of the first one holds what it shares."""
    await _ask(graph, 1)
    while not held.is_set():
        await asyncio.sleep(0.001)
    answer = await _ask(graph, 2)
    release.set()
    assert await asyncio.to_thread(capture.manager.flush, PATIENCE_S)
    return answer["trail"]


@pytest.mark.parametrize("in_a_request", [False, True])
def test_djangos_thread_is_not_v2s(make_shadow_capture: Make, in_a_request: bool) -> None:
    """``sync_to_async`` outside a request has one thread for the whole process: V1's call does not wait for V2's."""
    sync = pytest.importorskip("asgiref.sync")
    held, release = threading.Event(), threading.Event()
    threads: dict[bool, set[int]] = {True: set(), False: set()}

    def query() -> None:
        threads[is_shadow()].add(threading.get_ident())
        if is_shadow():
            held.set()
            release.wait(PATIENCE_S)

    async def node(state: Any) -> Any:
        await sync.sync_to_async(query)()
        return left(state)

    capture, graph = _shadowed(make_shadow_capture, node, node)

    async def main() -> Any:
        if not in_a_request:
            return await _while_v2_holds(capture, graph, held, release)
        async with sync.ThreadSensitiveContext():
            return await _while_v2_holds(capture, graph, held, release)

    assert asyncio.run(main()) == ["left", "right"]
    assert not threads[True] & threads[False]
    assert {str(record.comparison and record.comparison.outcome) for record in capture.records} == {"match"}


def test_anyios_limit_is_not_v2s(make_shadow_capture: Make) -> None:
    """Starlette runs ``def`` endpoints under the same limit: V2's slow calls take none of its tokens."""
    to_thread = pytest.importorskip("anyio.to_thread")
    held, release = threading.Event(), threading.Event()

    def query() -> None:
        if is_shadow():
            held.set()
            release.wait(PATIENCE_S)

    async def node(state: Any) -> Any:
        await to_thread.run_sync(query)
        return left(state)

    capture, graph = _shadowed(make_shadow_capture, node, node)

    async def main() -> Any:
        to_thread.current_default_thread_limiter().total_tokens = 1
        return await _while_v2_holds(capture, graph, held, release)

    assert asyncio.run(main()) == ["left", "right"]
    assert {str(record.comparison and record.comparison.outcome) for record in capture.records} == {"match"}


@pytest.mark.parametrize("package", ["langchain_openai", "langchain_anthropic"])
def test_two_chat_models_of_one_provider(package: str) -> None:
    """The packages keep one client for both: forty requests, six at a time, and not one wrong answer on either side.

    In a process of its own: no client has met another loop before, and nobody closes its connections.
    """
    pytest.importorskip(package)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("chat_models.py")), package],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={"PYTHONPATH": ":".join(sys.path)},
        check=False,
    )
    assert json.loads(done.stdout) == {"v1": {"left right": 40}, "pairs": {"match": 40}}, done.stderr
