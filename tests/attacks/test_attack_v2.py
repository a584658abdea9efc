"""Whatever V2 does, V1's outputs are those without a shadow, in order, and the record says what happened."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small_graphs import left, small_graph

from otel_shadow._langgraph.instrument.attach import attach
from otel_shadow.testing.capture import ShadowCapture

Make = Callable[..., ShadowCapture]
CALLS = 4
END = threading.Event()
"""Ends what would go on for ever, once its test is over."""


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """Threads that V2 left behind end with the test."""
    END.clear()
    yield
    END.set()


def sleeps(state: Any) -> Any:
    END.wait()


def burns(state: Any) -> Any:
    while not END.is_set():
        pass


def exits(state: Any) -> Any:
    raise SystemExit(3)


def interrupts(state: Any) -> Any:
    raise KeyboardInterrupt


def recurses(state: Any) -> Any:
    return recurses(state)


def raises_group(state: Any) -> Any:
    raise BaseExceptionGroup("several", [ValueError(1), KeyboardInterrupt()])


def writes_to_closed(state: Any) -> Any:
    file = io.StringIO()
    file.close()
    file.write("x")


def starts_threads(state: Any) -> Any:
    for _ in range(10):
        threading.Thread(target=END.wait, daemon=True).start()
    return left(state)


def returns_much(state: Any) -> Any:
    return {**left(state), "data": {"blob": "x" * 50_000_000}}


def returns_what_cannot_be_copied(state: Any) -> Any:
    return {**left(state), "data": {"lock": threading.Lock(), "generator": (x for x in ())}}


def returns_nonsense(state: Any) -> Any:
    return object()


def returns_itself(state: Any) -> Any:
    value: dict[str, Any] = {}
    value["self"] = value
    return {**left(state), "data": value}


def spoils_its_input(state: Any) -> Any:
    state.clear()
    state["trail"] = ["spoilt"]
    return left(state)


def compares_badly(state: Any) -> Any:
    class Bad:
        def __eq__(self, other: object) -> bool:
            raise SystemExit

        __hash__ = None  # type: ignore[assignment]

    return {**left(state), "current_step": Bad(), "data": {"bad": Bad()}}


OUTCOMES: dict[Callable[[Any], Any], str] = {
    sleeps: "timeout",
    burns: "timeout",
    exits: "error",
    interrupts: "error",
    recurses: "error",
    raises_group: "error",
    writes_to_closed: "error",
    starts_threads: "success",
    returns_much: "success",
    returns_what_cannot_be_copied: "success",
    returns_nonsense: "error",
    returns_itself: "success",
    spoils_its_input: "success",
    compares_badly: "success",
}


KEPT_OFF = ("cancelled:loop_ended", "cancelled:blocks_loop", "shed:blocks_loop")
"""Reasons for which an awaited V2 tells nothing of itself: V1's loop ended, or V2 held it."""


def awaited(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def v2(state: Any) -> Any:
        return function(state)

    v2.__name__ = function.__name__
    return v2


def play(graph: Any, is_async: bool) -> list[Any]:
    """Updates and values of some turns, in the order in which the user sees them."""

    async def aplay() -> list[Any]:
        return [
            part
            for turn in range(CALLS)
            async for part in graph.astream(*turn_of(turn), stream_mode=["updates", "values"])
        ]

    if is_async:
        return asyncio.run(aplay())
    return [part for turn in range(CALLS) for part in graph.stream(*turn_of(turn), stream_mode=["updates", "values"])]


def turn_of(turn: int) -> tuple[Any, Any]:
    return {"text": f"turn {turn}", "items": [turn]}, {"configurable": {"thread_id": f"s_{turn}"}}


def shadowed(make: Make, v2: Any, **config: Any) -> tuple[ShadowCapture, Any]:
    capture = make({"nodes": {"left": {"timeout_ms": 100}}, "arms": {"holdout": 0.0}, **config})
    graph = small_graph()
    attach(graph, capture.manager, lambda _, node: v2 if node == "left" else None)
    return capture, graph


HOW = [
    pytest.param(v2, is_async, id=f"{v2.__name__}-{'async' if is_async else 'sync'}")
    for v2, outcome in OUTCOMES.items()
    for is_async in (False, True)
    if not (is_async and outcome == "timeout")  # it would hold V1's loop: trials keep it away, see tests/loops
]


@pytest.mark.parametrize(("v2", "is_async"), HOW)
def test_v1_is_untouched_and_the_record_tells(make_shadow_capture: Make, v2: Any, is_async: bool) -> None:
    """In a thread, and awaited: on V1's loop while that lives, on ours when it has ended."""
    expected = play(small_graph(), is_async)
    slow = {"nodes": {"left": {"timeout_ms": 20_000}}} if OUTCOMES[v2] != "timeout" else {}
    capture, graph = shadowed(make_shadow_capture, awaited(v2) if is_async else v2, **slow)
    assert play(graph, is_async) == expected
    assert capture.manager.flush(30)
    assert len(capture.records) == CALLS
    assert all(record.v1_served for record in capture.records)
    told = [record for record in capture.records if not is_async or record.reason not in KEPT_OFF]
    assert {str(record.v2.status) for record in told} == {OUTCOMES[v2]}


def test_v2_calls_the_graph_it_is_part_of(make_shadow_capture: Make) -> None:
    """The run inside the shadow has no shadow of its own, so that it ends; V1 is untouched."""
    runs = []
    graph: Any = None

    def v2(state: Any) -> Any:
        runs.append(1)
        return {**graph.invoke({"text": "inner"}), "trail": ["left"]}

    capture, graph = shadowed(make_shadow_capture, v2, nodes={"left": {"timeout_ms": 20_000}})
    assert play(graph, False) == play(small_graph(), False)
    assert capture.manager.flush(30)
    assert len(runs) == CALLS == len(capture.records)


def test_v2_raises_in_its_own_threads(make_shadow_capture: Make) -> None:
    """An exception in a thread that V2 started is nobody's; the record is V2's."""

    def v2(state: Any) -> Any:
        def body() -> None:
            with contextlib.suppress(ValueError):
                raise ValueError

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        return left(state)

    capture, graph = shadowed(make_shadow_capture, v2, nodes={"left": {"timeout_ms": 20_000}})
    assert play(graph, True) == play(small_graph(), True)
    assert {str(record.v2.status) for record in capture.records} == {"success"}


@pytest.mark.slow
def test_memory_threads_and_files_stay_flat(make_shadow_capture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute at a fixed rate, with V2s that finish, raise and hang: nothing grows after the first ten seconds."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    from benchmarks.soak import soak

    def v2(state: Any) -> Any:
        kind = int(state["items"][0])
        if kind == 1:
            raise ValueError
        if kind == 2:
            time.sleep(0.3)
        return left(state)

    capture, graph = shadowed(make_shadow_capture, v2)
    capture.manager.record_queue.sinks.clear()  # they keep everything in memory, as tests want it
    first = soak(graph, seconds=10, rate=50)
    last = soak(graph, seconds=50, rate=50)
    assert last.memory_bytes - first.memory_bytes < 30 * 1024 * 1024
    assert last.threads <= first.threads + 4
    assert last.files <= first.files + 2
