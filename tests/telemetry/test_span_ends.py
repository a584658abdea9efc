"""However a shadow run ends: each span that was opened ends once, each execution has one line, the counters agree."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from small_graphs import call, left, small_graph
from waiting import until

from otel_shadow import semconv
from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Callable[..., ShadowCapture]


class Counted(SpanProcessor):
    """How often each span began and ended."""

    def __init__(self) -> None:
        self.began: Counter[int] = Counter()
        self.ended: Counter[int] = Counter()
        self.v2: list[ReadableSpan] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.began[span.context.span_id] += 1

    def on_end(self, span: ReadableSpan) -> None:
        self.ended[span.context.span_id] += 1
        if span.name == semconv.SPAN_V2_SHADOW:
            self.v2.append(span)


class Unmakeable:
    """A value that can be copied but not made again."""

    def __setstate__(self, state: Any) -> None:
        raise ValueError

    def __getstate__(self) -> dict[str, int]:
        return {"a": 1}


class Hang:
    """A V2 that goes on until the test ends, or where it compares: a value whose comparison does."""

    def __init__(self) -> None:
        self.begun, self.over = threading.Event(), threading.Event()

    def __call__(self, state: Any) -> Any:
        self.begun.set()
        self.over.wait()
        return left(state)


def failing(error: BaseException) -> Callable[[Any], Any]:
    """A V2 that raises ``error``."""

    def v2(state: Any) -> Any:
        raise error

    return v2


def watched(capture: ShadowCapture) -> Counted:
    counted = Counted()
    capture.tracer_provider.add_span_processor(counted)
    return counted


def statuses(capture: ShadowCapture, counted: Counted, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Check what holds for every end; the statuses of V2, one per execution of ``left``."""
    assert capture.manager.flush(60)
    until(lambda: counted.began == counted.ended)
    assert set(counted.ended.values()) <= {1}
    assert "ended span" not in caplog.text, "none was ended twice"
    told = [line for line in capture.lines() if line["event"] != "SHADOW_COMPARISON" and line["node"] == "left"]
    assert len({line["pair_id"] for line in told}) == len(told)
    found = [line.get("shadow_status", line.get("v2_status")) for line in told]
    of_node = {semconv.NODE: "left"}
    executed = {one: int(capture.value(semconv.EXECUTIONS, **of_node, **{semconv.STATUS: one})) for one in found}
    assert executed == Counter(found)
    by_pair = {line["pair_id"]: status for line, status in zip(told, found, strict=True)}
    for span in counted.v2:
        attributes = span.attributes or {}
        assert attributes[semconv.STATUS] == by_pair[attributes[semconv.PAIR_ID]]
    return found


ENDS: dict[str, tuple[Callable[[Any], Any], dict[str, Any], str]] = {
    "success": (left, {}, "success"),
    "mismatch": (lambda _: {"trail": ["other"], "next_node": "__end__"}, {}, "success"),
    "error": (failing(ValueError()), {}, "error"),
    "exit": (failing(SystemExit(3)), {}, "error"),
    "interrupted": (failing(KeyboardInterrupt()), {}, "error"),
    "not implemented": (failing(NotImplementedError()), {}, "not_implemented"),
    "no room in the queue's bytes": (left, {"limits": {"snapshot_bytes": 1}}, "shed"),
}


@pytest.mark.parametrize("end", list(ENDS))
def test_a_run_that_reports_by_itself(
    make_shadow_capture: MakeCapture, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    """Whatever V2 did."""
    v2, config, status = ENDS[end]
    capture = make_shadow_capture(config)
    counted = watched(capture)
    graph = capture.attach(small_graph(), {"left": v2})
    for _ in range(3):
        assert call(graph)["trail"] == ["left", "right"]
    assert statuses(capture, counted, caplog) == [status] * 3


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_run_whose_state_cannot_be_made_again(
    make_shadow_capture: MakeCapture, caplog: pytest.LogCaptureFixture, is_async: bool
) -> None:
    """V2 never began: its span, which was open by then, ends as cancelled."""
    capture = make_shadow_capture({"nodes": {"left": {"executor": "thread"}}} if not is_async else {})
    counted = watched(capture)
    graph = capture.attach(small_graph(), {"left": left})
    call(graph, {"text": "hello", "data": {"it": Unmakeable()}}, is_async=is_async)
    assert statuses(capture, counted, caplog) == ["cancelled"]
    assert len(counted.v2) == 1


def test_a_run_whose_comparison_leaves(make_shadow_capture: MakeCapture, caplog: pytest.LogCaptureFixture) -> None:
    """A comparator that calls ``sys.exit``."""

    class Leaving:
        def __eq__(self, other: object) -> bool:
            raise SystemExit

        __hash__ = None  # type: ignore[assignment]

    capture = make_shadow_capture({"nodes": {"left": {"compare": {"fields": ["data"]}}}})
    counted = watched(capture)
    node = lambda state: {**left(state), "data": {"it": Leaving()}}  # noqa: E731
    call(capture.attach(small_graph(node), {"left": node}))
    assert statuses(capture, counted, caplog) == ["success"]


def test_a_run_that_is_over_its_time(make_shadow_capture: MakeCapture, caplog: pytest.LogCaptureFixture) -> None:
    """It goes on for a while, and its span has ended."""
    capture = make_shadow_capture({"nodes": {"left": {"timeout_ms": 50}}})
    counted, hang = watched(capture), Hang()
    graph = capture.attach(small_graph(), {"left": hang})
    call(graph)
    assert statuses(capture, counted, caplog) == ["timeout"]
    hang.over.set()
    assert statuses(capture, counted, caplog) == ["timeout"]


def test_runs_that_are_cut_short_by_the_end(make_shadow_capture: MakeCapture, caplog: pytest.LogCaptureFixture) -> None:
    """One runs, one waits."""
    capture = make_shadow_capture({"limits": {"concurrency": 1}})
    counted, hang = watched(capture), Hang()
    graph = capture.attach(small_graph(), {"left": hang})
    call(graph)
    call(graph)
    until(hang.begun.is_set)
    capture.manager.shutdown(1.0)
    assert call(graph)["trail"] == ["left", "right"]
    hang.over.set()
    assert statuses(capture, counted, caplog) == ["cancelled", "cancelled", "shed"]


def test_runs_whose_loop_ends(make_shadow_capture: MakeCapture, caplog: pytest.LogCaptureFixture) -> None:
    """``asyncio.run`` ends while an awaited V2 has begun."""
    capture = make_shadow_capture({"nodes": {"left": {"executor": "loop"}}})
    counted, begun = watched(capture), []

    async def v1(state: Any) -> Any:
        return left(state)

    async def v2(state: Any) -> Any:
        begun.append(True)
        await asyncio.sleep(3600)

    graph = capture.attach(small_graph(v1), {"left": v2})

    async def turn() -> None:
        await graph.ainvoke({"text": "hello"}, {"configurable": {"thread_id": "a"}})
        while not begun:
            await asyncio.sleep(0.001)

    asyncio.run(turn())
    assert statuses(capture, counted, caplog) == ["cancelled"]


def test_a_run_that_no_thread_can_be_started_for(
    make_shadow_capture: MakeCapture, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system has none left."""
    capture = make_shadow_capture()
    counted = watched(capture)
    graph = capture.attach(small_graph(), {"left": left})

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(DaemonPool, "submit", refuse)
    call(graph)
    assert statuses(capture, counted, caplog) == ["cancelled"]


def test_a_run_that_is_given_up_before_its_thread_begins(
    make_shadow_capture: MakeCapture, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its V2 does not run any more: nobody would tell of it, and no span would end."""
    capture = make_shadow_capture()
    counted, ran, jobs, submit = watched(capture), [], [], DaemonPool.submit
    graph = capture.attach(small_graph(), {"left": lambda state: ran.append(True) or left(state)})

    def later(pool: DaemonPool, *job: Any) -> Any:
        jobs.append((pool, job))
        return submit(pool, int)

    monkeypatch.setattr(DaemonPool, "submit", later)
    call(graph)
    until(lambda: bool(jobs))
    capture.manager.shutdown(0.2)
    monkeypatch.undo()
    for pool, (function, *rest) in jobs:
        submit(pool, function, *rest).result(60)
    assert not ran
    assert statuses(capture, counted, caplog) == ["cancelled"]


def test_more_runs_over_their_time_than_records_may_hold(
    make_shadow_capture: MakeCapture, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that waits holds the state; where there is no room for another one, the line says less."""
    capture = make_shadow_capture({"nodes": {"left": {"timeout_ms": 50}}})
    monkeypatch.setattr(capture.manager.record_queue, "_bound_bytes", 1)
    counted, hang = watched(capture), Hang()
    graph = capture.attach(small_graph(), {"left": hang})
    call(graph)
    assert statuses(capture, counted, caplog) == ["timeout"]
    hang.over.set()
    assert capture.swallowed.get("emit_dropped") is None
