"""Live mode: V2 serves some sessions, always the same, and V1 answers in its stead within the same call."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_config
from langgraph.errors import ParentCommand
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from small_graphs import State, call, left, right, small_graph

from otel_shadow import FeatureFlags, semconv
from otel_shadow._langgraph import internals
from otel_shadow.cohorts import cohorts
from otel_shadow.testing.capture import ShadowCapture

BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
LIVE = FeatureFlags(router_v2_enabled=True, router_v2_percentage=100, timeout_is_explicit=False)


def live(make: Callable[..., ShadowCapture], config: dict[str, Any] | None = None, **flags: Any) -> ShadowCapture:
    """A capture in which every session is live."""
    given = LIVE if not flags else FeatureFlags(**(LIVE.model_dump() | flags), timeout_is_explicit=False)
    return make(config or {}, given)


def coloured(node: Callable[..., Any], is_async: bool) -> Callable[..., Any]:
    if not is_async:
        return node

    async def again(state: State) -> Any:
        return node(state)

    return again


def v2_left(state: State) -> dict[str, Any]:
    return {"trail": ["left2"], "next_node": "right"}


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@BOTH
def test_a_live_session_gets_v2s_answer(make_shadow_capture: Any, is_async: bool) -> None:
    """V2's value is the node's: in the state, in the decision, in one span ``v2.node``."""
    capture = live(make_shadow_capture)
    graph = capture.attach(small_graph(coloured(left, is_async)), {"left": coloured(v2_left, is_async)})
    assert call(graph, is_async=is_async)["trail"] == ["left2", "right"]
    (line,) = capture.lines()
    assert (line["event"], line["mode"], line["reason"], line["served"]) == ("SHADOW_BASELINE", "v2_live", "live", "v2")
    assert (line["v2_status"], line["v1_status"], line["fallback_reason"]) == ("success", "not_run", None)
    (span,) = capture.spans()
    assert (span.name, span.attributes["shadow.version"], span.attributes["shadow.mode"]) == (
        "v2.node",
        "v2",
        "v2_live",
    )


def test_the_same_sessions_every_time(make_shadow_capture: Any) -> None:
    """Ten per cent means the sessions whose bucket is under 0.1, in every graph and process, sync and async."""
    served: list[set[str]] = []
    sessions = [f"session_{n}" for n in range(120)]
    for is_async in (False, True):
        capture = live(make_shadow_capture, router_v2_percentage=10)
        graph = capture.attach(small_graph(), {"left": v2_left})
        served.append({s for s in sessions if "left2" in call(graph, session=s, is_async=is_async)["trail"]})
    expected = {s for s in sessions if cohorts(s).rollout < 0.1}
    assert served == [expected, expected]
    assert 3 < len(expected) < 30


@BOTH
@pytest.mark.parametrize(
    ("kind", "reason", "status"),
    [
        ("raises", "error", "error"),
        ("nonsense", "unusable_output", "error"),
        ("not implemented", "not_implemented", "not_implemented"),
        ("cancels itself", "error", "error"),
    ],
)
def test_v1_answers_in_v2s_stead(make_shadow_capture: Any, is_async: bool, kind: str, reason: str, status: str) -> None:
    """V2 fails; V1 answers on the original input within the same call, counted with the reason, message untold."""

    def body(state: State) -> Any:
        state["data"]["deep"].append("v2 was here")
        if kind == "raises":
            raise ValueError("Maria's phone")
        if kind == "cancels itself":
            raise asyncio.CancelledError
        if kind == "not implemented":
            raise NotImplementedError
        return 42

    capture = live(make_shadow_capture)

    def v1(state: State) -> dict[str, Any]:
        return {**left(state), "data": {"seen": [*state["data"]["deep"]]}}

    graph = capture.attach(small_graph(coloured(v1, is_async)), {"left": coloured(body, is_async)})
    answer = call(graph, {"data": {"deep": ["given"]}}, is_async=is_async)
    assert (answer["trail"], answer["data"]) == (["left", "right"], {"seen": ["given"]})
    (line,) = capture.lines()
    assert (line["served"], line["fallback_reason"], line["v2_status"], line["v1_status"]) == (
        "v1", reason, status, "success",
    )  # fmt: skip
    assert capture.value(semconv.FALLBACKS, shadow__reason=reason) == 1
    assert capture.value(semconv.FALLBACKS) == 1
    failed, fallback = capture.spans()
    assert (failed.name, failed.status) == ("v2.node", "ERROR")
    assert (fallback.name, fallback.status) == ("v1.node", "UNSET")
    assert fallback.attributes["shadow.fallback.reason"] == reason
    assert all(b"Maria" not in data for data in capture.exported().values())


@BOTH
def test_a_v2_that_hangs_falls_back(make_shadow_capture: Any, gate: threading.Event, is_async: bool) -> None:
    """V2 is still blocked when V1's answer is there."""
    ended = threading.Event()

    def hanging(state: State) -> Any:
        gate.wait(60)
        ended.set()
        return v2_left(state)

    async def sleeping(state: State) -> Any:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    capture = live(make_shadow_capture, {"nodes": {"left": {"timeout_ms": 50}}})
    graph = capture.attach(small_graph(coloured(left, is_async)), {"left": sleeping if is_async else hanging})
    assert call(graph, is_async=is_async)["trail"] == ["left", "right"]
    assert ended.is_set() is is_async  # an awaited V2 is cancelled, a thread is left to itself
    (line,) = capture.lines()
    assert (line["fallback_reason"], line["v2_status"]) == ("timeout", "timeout")


def test_a_v2_that_ignores_its_cancellation_holds_nobody(make_shadow_capture: Any) -> None:
    """An awaited V2 that swallows ``CancelledError`` is left behind; the caller has V1's answer."""
    released = asyncio.Event()

    async def stubborn(state: State) -> Any:
        while not released.is_set():
            try:
                await asyncio.wait_for(released.wait(), 30)
            except asyncio.CancelledError:
                continue
        return v2_left(state)

    capture = live(make_shadow_capture, {"nodes": {"left": {"timeout_ms": 50}}})
    graph = capture.attach(small_graph(coloured(left, True)), {"left": stubborn})

    async def run() -> Any:
        answer = await graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": "session_1"}})
        still_there = not released.is_set()
        released.set()
        return answer["trail"], still_there

    assert asyncio.run(run()) == (["left", "right"], True)


def test_an_async_v2_serves_a_synchronous_run(make_shadow_capture: Any) -> None:
    """What ran in shadow runs live: an ``async def`` V2 of a graph that is invoked, not awaited."""
    capture = live(make_shadow_capture)
    graph = capture.attach(small_graph(), {"left": coloured(v2_left, True)})
    assert call(graph)["trail"] == ["left2", "right"]


def test_a_synchronous_v2_serves_an_awaited_run(make_shadow_capture: Any) -> None:
    """And a plain V2 of a graph that is awaited runs off its event loop."""
    capture = live(make_shadow_capture)
    seen: list[int] = []

    def v2(state: State) -> Any:
        seen.append(threading.get_ident())
        return v2_left(state)

    graph = capture.attach(small_graph(coloured(left, True)), {"left": v2})
    assert call(graph, is_async=True)["trail"] == ["left2", "right"]
    assert seen != [threading.get_ident()]


@BOTH
def test_a_node_without_v2_is_served_by_v1(make_shadow_capture: Any, is_async: bool) -> None:
    """Everybody is live, but this node has no V2: V1 answers, and the fallback is counted."""
    capture = live(make_shadow_capture, {"nodes": {"left": {}}})
    graph = capture.attach(small_graph(coloured(left, is_async)))
    assert call(graph, is_async=is_async)["trail"] == ["left", "right"]
    assert capture.value(semconv.FALLBACKS, shadow__reason="not_implemented") == 1


@BOTH
def test_v1s_exception_after_a_fallback_is_v1s(make_shadow_capture: Any, is_async: bool) -> None:
    """Both fail: the caller sees V1's very exception."""
    error = KeyError("v1")

    def v1(state: State) -> Any:
        raise error

    capture = live(make_shadow_capture)
    graph = capture.attach(small_graph(coloured(v1, is_async)), {"left": coloured(lambda _: 1 / 0, is_async)})
    with pytest.raises(KeyError) as caught:
        call(graph, is_async=is_async)
    assert caught.value is error
    (line,) = capture.lines()
    assert (line["v1_status"], line["v2_status"], line["fallback_reason"]) == ("error", "error", "error")


@BOTH
def test_an_interrupt_of_v2_is_the_runs(make_shadow_capture: Any, is_async: bool) -> None:
    """V2 asks, the run stops, the human answers, V2 goes on with the answer: no fallback."""
    capture = live(make_shadow_capture)

    def asking(state: State) -> Any:
        return {**v2_left(state), "text": interrupt("may I?")}

    graph = small_graph(coloured(left, is_async), checkpointer=InMemorySaver())
    capture.attach(graph, {"left": coloured(asking, is_async)})
    stopped = call(graph, is_async=is_async)
    assert [asked.value for asked in stopped["__interrupt__"]] == ["may I?"]
    answer = call(graph, Command(resume="yes"), is_async=is_async)
    assert (answer["trail"], answer["text"]) == (["left2", "right"], "yes")
    assert [line["v2_status"] for line in capture.lines()] == ["interrupt", "success"]
    assert capture.value(semconv.FALLBACKS) == 0


@BOTH
def test_two_interrupts_of_v2_get_their_answers_in_turn(make_shadow_capture: Any, is_async: bool) -> None:
    """The first answer is kept while the second is asked for."""
    capture = live(make_shadow_capture)

    def asking(state: State) -> Any:
        return {**v2_left(state), "items": [interrupt("one?"), interrupt("two?")]}

    graph = small_graph(coloured(left, is_async), checkpointer=InMemorySaver())
    capture.attach(graph, {"left": coloured(asking, is_async)})
    asked = [call(graph, given, is_async=is_async)["__interrupt__"][0].value for given in (None, Command(resume="1"))]
    answer = call(graph, Command(resume="2"), is_async=is_async)
    assert (asked, answer["items"]) == (["one?", "two?"], ["1", "2"])


@BOTH
def test_a_v2_that_fails_after_a_human_answered_leaves_the_answer_to_v1(
    make_shadow_capture: Any, is_async: bool
) -> None:
    """The original input has the human's answer in it: V1, asking the same, is not made to ask again."""
    capture = live(make_shadow_capture)

    def v1(state: State) -> Any:
        return {**left(state), "text": interrupt("may I?")}

    def v2(state: State) -> Any:
        interrupt("may I?")
        raise ValueError("after the answer")

    graph = small_graph(coloured(v1, is_async), checkpointer=InMemorySaver())
    capture.attach(graph, {"left": coloured(v2, is_async)})
    call(graph, is_async=is_async)
    answer = call(graph, Command(resume="yes"), is_async=is_async)
    assert "__interrupt__" not in answer
    assert (answer["trail"], answer["text"]) == (["left", "right"], "yes")


@BOTH
def test_a_command_to_the_parent_passes(make_shadow_capture: Any, is_async: bool) -> None:
    """``Command(graph=PARENT)`` of a live V2 moves the parent, and is no fallback."""
    capture = live(make_shadow_capture)

    def inner_v2(state: State) -> Any:
        return Command(graph=Command.PARENT, goto="right", update={"trail": ["inner2"]})

    inner = small_graph(coloured(left, is_async), name="inner")
    capture.attach(inner, {"left": coloured(inner_v2, is_async)})
    outer = StateGraph(State)
    outer.add_node("sub", inner, destinations=("right",))
    outer.add_node("right", right)
    outer.add_edge(START, "sub")
    answer = call(outer.compile(name="outer"), is_async=is_async)
    assert answer["trail"] == ["inner2", "right"]
    assert [(line["served"], line["fallback_reason"]) for line in capture.lines()] == [("v2", None)]


@BOTH
def test_a_raised_parent_command_passes(make_shadow_capture: Any, is_async: bool) -> None:
    """Also when V2 raises it itself, as prebuilt agents do."""

    def inner_v2(state: State) -> Any:
        raise ParentCommand(Command(graph=Command.PARENT, goto="right", update={"trail": ["inner2"]}))

    capture = live(make_shadow_capture)
    inner = capture.attach(small_graph(coloured(left, is_async), name="inner"), {"left": coloured(inner_v2, is_async)})
    outer = StateGraph(State)
    outer.add_node("sub", inner, destinations=("right",))
    outer.add_node("right", right)
    outer.add_edge(START, "sub")
    assert call(outer.compile(name="outer"), is_async=is_async)["trail"] == ["inner2", "right"]
    assert capture.value(semconv.FALLBACKS) == 0


@BOTH
def test_a_drain_passes(make_shadow_capture: Any, is_async: bool) -> None:
    """A run that is drained stays drained: V2's bubbling up is never answered by V1."""
    errors = pytest.importorskip("langgraph.errors")
    drained = getattr(errors, "GraphDrained", None)
    if drained is None:
        pytest.skip("this LangGraph has no drain")
    capture = live(make_shadow_capture)

    def v2(state: State) -> Any:
        raise drained("draining")

    graph = small_graph(coloured(left, is_async), checkpointer=InMemorySaver())
    capture.attach(graph, {"left": coloured(v2, is_async)})
    try:
        answer = call(graph, is_async=is_async)
    except drained:
        answer = {}
    assert "left" not in answer.get("trail", [])
    assert capture.value(semconv.FALLBACKS) == 0


def test_a_cancellation_is_never_a_fallback(make_shadow_capture: Any) -> None:
    """The run is cancelled while V2 serves: V1 is not called, and V2 is cancelled too."""
    began, cancelled, ran = asyncio.Event(), threading.Event(), []

    async def v2(state: State) -> Any:
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def v1(state: State) -> Any:
        ran.append("v1")
        return left(state)

    capture = live(make_shadow_capture)
    graph = capture.attach(small_graph(v1), {"left": v2})

    async def run() -> None:
        task = asyncio.create_task(graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": "session_1"}}))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert (ran, cancelled.is_set()) == ([], True)
    (line,) = capture.lines()
    assert (line["v2_status"], line["fallback_reason"]) == ("cancelled", None)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_v2_that_tries_to_end_the_process_falls_back(make_shadow_capture: Any, error: type[BaseException]) -> None:
    """V2 runs in a thread of ours, where no signal arrives: an exit it raises is its own failure, and V1 answers."""

    def v2(state: State) -> Any:
        raise error

    capture = live(make_shadow_capture)
    assert call(capture.attach(small_graph(), {"left": v2}))["trail"] == ["left", "right"]
    assert capture.value(semconv.FALLBACKS, shadow__reason="error") == 1


@BOTH
def test_partial_writes_of_a_failed_v2_are_undone(make_shadow_capture: Any, is_async: bool) -> None:
    """V2 wrote into the run before it failed: the answer has V1's writes alone."""
    capture = live(make_shadow_capture)

    def v2(state: State) -> Any:
        get_config()["configurable"][internals.SEND]([("trail", ["half"]), ("text", "half")])
        raise ValueError

    graph = capture.attach(small_graph(coloured(left, is_async)), {"left": coloured(v2, is_async)})
    answer = call(graph, is_async=is_async)
    assert (answer["trail"], answer["text"]) == (["left", "right"], "hello")


def test_late_writes_of_an_abandoned_v2_go_nowhere(make_shadow_capture: Any, gate: threading.Event) -> None:
    """V2 timed out, V1 answers; what V2's thread writes meanwhile is not in the run."""
    wrote = threading.Event()

    def v2(state: State) -> Any:
        send = get_config()["configurable"][internals.SEND]
        gate.wait(60)
        send([("trail", ["late"])])
        wrote.set()
        return v2_left(state)

    def v1(state: State) -> Any:
        gate.set()
        assert wrote.wait(30)
        return left(state)

    capture = live(make_shadow_capture, {"nodes": {"left": {"timeout_ms": 50}}})
    assert call(capture.attach(small_graph(v1), {"left": v2}))["trail"] == ["left", "right"]


@BOTH
def test_a_path_function_that_fails_on_v2s_answer_falls_back(make_shadow_capture: Any, is_async: bool) -> None:
    """V2's answer leads the graph's own branch to nowhere: V1 answers, and its decision counts."""
    capture = live(make_shadow_capture)

    def v2(state: State) -> Any:
        return {"trail": ["left2"], "next_node": "nowhere"}

    graph = capture.attach(small_graph(coloured(left, is_async)), {"left": coloured(v2, is_async)})
    assert call(graph, is_async=is_async)["trail"] == ["left", "right"]
    assert capture.value(semconv.FALLBACKS) == 1


@BOTH
def test_a_command_of_v2_decides(make_shadow_capture: Any, is_async: bool) -> None:
    """A live V2 may go where it likes by ``Command``."""
    capture = live(make_shadow_capture)

    def v2(state: State) -> Any:
        return Command(goto="right", update={"trail": ["left2"]})

    graph = capture.attach(small_graph(coloured(left, is_async)), {"left": coloured(v2, is_async)})
    assert call(graph, is_async=is_async)["trail"] == ["left2", "right"]


def test_v2_sees_itself_live_and_not_in_a_shadow(make_shadow_capture: Any) -> None:
    """``is_shadow()`` is False: side effects are meant."""
    from otel_shadow import is_shadow

    seen: list[bool] = []
    capture = live(make_shadow_capture)
    call(capture.attach(small_graph(), {"left": lambda state: seen.append(is_shadow()) or v2_left(state)}))
    assert seen == [False]


def test_a_fault_of_ours_before_v2_begins_is_v1s_answer(
    make_shadow_capture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even our own preparation of V2 may fail: V1 answers, counted."""
    from otel_shadow._langgraph.live_attempt import LiveAttempt

    def broken(self: LiveAttempt) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(LiveAttempt, "begin", broken)
    capture = live(make_shadow_capture)
    assert call(capture.attach(small_graph(), {"left": v2_left}))["trail"] == ["left", "right"]
    assert capture.value(semconv.FALLBACKS, shadow__reason="error") == 1
