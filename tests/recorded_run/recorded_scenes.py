"""The recorded run: scenes on real graphs that bring about every status, reason and outcome there is, each once."""

from __future__ import annotations

import asyncio
import operator
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, RetryPolicy, Send, interrupt
from recorded_telemetry import Run, Told
from typing_extensions import TypedDict
from waiting import PATIENCE_S, until

from otel_shadow import Mode, ShadowIntegrationMiddleware, is_shadow, semconv, side_effect, with_shadow_v2
from otel_shadow._runtime.executors.loop_admission import LoopAdmission, V2Code
from otel_shadow._runtime.executors.loop_guard import PausePlace

Node = Callable[..., Any]
HOW = ("invoke", "ainvoke", "stream", "astream")
SESSION = {
    "step": "step", "stage": "stage", "intent": "intent",
    "steps": ["ask", "close"], "stages": ["opening"], "intents": ["price"],
}  # fmt: skip
LIVE = {"router_v2_enabled": True, "router_v2_percentage": 100.0}
LIMIT_MS = 1000
"""Time limit of shadows that hang: long enough for any machine to begin V2 within it."""
LIVE_LIMIT_MS = 50


class State(TypedDict, total=False):
    """What the graphs keep."""

    messages: Annotated[list[Any], add_messages]
    trail: Annotated[list[str], operator.add]
    step: str
    stage: str
    intent: str
    route: Any
    score: float
    mood: str
    load: Any


# --- nodes and graphs -------------------------------------------------------------------------------------------------


def v1(state: State) -> dict[str, Any]:
    """A node that says all that can be said, and goes on to ``after``."""
    return {
        "trail": ["v1"], "step": "ask", "stage": "opening", "intent": "price", "route": "after", "score": 1.5,
        "mood": "glad",
    }  # fmt: skip


def writes(**changes: Any) -> Node:
    """V1 with other values."""

    def node(state: State) -> dict[str, Any]:
        return v1(state) | changes

    return node


def raises(error: type[BaseException]) -> Node:
    def node(state: State) -> Any:
        raise error("Maria's phone is 555")

    return node


def awaited(node: Node) -> Node:
    """``node`` as a coroutine function."""

    async def again(state: State) -> Any:
        return node(state)

    return again


def coloured(node: Node, is_async: bool) -> Node:
    return awaited(node) if is_async else node


def asks(state: State) -> dict[str, Any]:
    """A node that asks a human."""
    return v1(state) | {"mood": interrupt("may I?")}


def to_parent(target: str) -> Node:
    def node(state: State) -> Any:
        return Command(graph=Command.PARENT, goto=target, update={"trail": ["moved"]})

    return node


def where(state: State) -> Any:
    """The decision: a node's name, or one ``Send`` for each item of a list."""
    route = state.get("route") or END
    return [Send("other", {"trail": [item]}) for item in route] if isinstance(route, list) else route


def passes_on(name: str) -> Node:
    def node(state: State) -> dict[str, Any]:
        return {"trail": [name]}

    return node


def desk(node: Node = v1, *, saved: bool = False, name: str = "desk", **options: Any) -> Any:
    """START -> work -> (after, other or END), compiled; ``node`` is V1 of ``work``."""
    graph = StateGraph(State)
    graph.add_node("work", node, **options)
    for beside in ("after", "other"):
        graph.add_node(beside, passes_on(beside))
        graph.add_edge(beside, END)
    graph.add_edge(START, "work")
    graph.add_conditional_edges("work", where, ["after", "other", END])
    return graph.compile(checkpointer=InMemorySaver() if saved else None, name=name)


def within(inner: Any) -> Any:
    """A graph that has ``inner`` as a node, and nodes that its commands lead to."""
    graph = StateGraph(State)
    graph.add_node("inner", inner, destinations=("after", "other"))
    for beside in ("after", "other"):
        graph.add_node(beside, passes_on(beside))
    graph.add_edge(START, "inner")
    return graph.compile(name="house")


def turn(graph: Any, session: str | None = "session_1", how: str = "invoke", given: Any = None) -> Any:
    """One turn of a session; its value, or its chunks."""
    value = {"messages": [("user", "Good morning")]} if given is None else given
    config: Any = {"configurable": {"thread_id": session}} if session else {"run_id": UUID(int=1)}
    if how == "stream":
        return list(graph.stream(value, config))
    if how == "invoke":
        return graph.invoke(value, config)
    answer = _collected(graph, value, config) if how == "astream" else graph.ainvoke(value, config)
    return asyncio.run_coroutine_threadsafe(answer, _lasting_loop()).result(PATIENCE_S)


@cache
def _lasting_loop() -> asyncio.AbstractEventLoop:
    """A server's loop: it goes on after a request, and no awaited V2 is cut off by its end."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="server", daemon=True).start()
    return loop


async def _collected(graph: Any, value: Any, config: Any) -> list[Any]:
    return [chunk async for chunk in graph.astream(value, config)]


def attach(run: Run, graph: Any, v2: Any = None) -> Any:
    return ShadowIntegrationMiddleware({"work": v2} if v2 is not None else {}, run.manager).attach(graph)


def pair(run: Run, node: Node, v2: Any, how: str = "invoke", session: str = "session_1", given: Any = None) -> Any:
    """One execution of ``node`` beside ``v2``, in a graph of its own, done when this returns."""
    answer = turn(attach(run, desk(node), v2), session, how, given)
    run.settle()
    return answer


# --- scenes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """One manager, and what is played on it."""

    play: Callable[[Run], None]
    config: Mapping[str, Any]
    flags: Mapping[str, Any]
    clock_name: str


SCENES: dict[str, Scene] = {}
Work = Mapping[str, Any]


def scene(
    *, flags: Mapping[str, Any] | None = None, work: Work | None = None, clock_name: str = "system", **config: Any
) -> Callable[[Callable[[Run], None]], Callable[[Run], None]]:
    """Register a scene; ``work`` is the table ``[nodes.work]``."""
    tables = {"session": SESSION, **config}
    if work is not None:
        tables["nodes"] = {"work": work}

    def keep(play: Callable[[Run], None]) -> Callable[[Run], None]:
        SCENES[play.__name__] = Scene(play, tables, flags or {}, clock_name)
        return play

    return keep


def recorded(folder: Path) -> dict[str, Told]:
    """Play every scene; what each has told."""
    with _lasting():
        return _played(folder)


@contextmanager
def _lasting() -> Iterator[None]:
    """The loop ends with the scenes: what is awaited elsewhere in this process finds none that is not its own."""
    try:
        yield
    finally:
        loop = _lasting_loop()
        loop.call_soon_threadsafe(loop.stop)
        until(lambda: not loop.is_running())
        loop.close()
        _lasting_loop.cache_clear()


def _played(folder: Path) -> dict[str, Told]:
    told: dict[str, Told] = {}
    for name, played in SCENES.items():
        place = folder / name
        place.mkdir()
        run = Run(place, played.config, played.flags, played.clock_name)
        try:
            played.play(run)
            run.settle()
            told[name] = run.told()
        finally:
            run.close()
    return told


@scene(work={"observe": {"numbers": ["score", "trail"], "categories": {"mood": ["glad", "sad"]}}})
def matches_by_every_way_of_calling(run: Run) -> None:
    """Sync and async, invoked and streamed: match, with observed numbers and categories."""
    for number, how in enumerate(HOW):
        node = coloured(v1, how.startswith("a"))
        pair(run, node, node, how, f"session_{number}")
    pair(run, v1, awaited(v1), "invoke")
    pair(run, awaited(v1), v1, "ainvoke")


@scene(work={"observe": {"numbers": ["score"], "categories": {"mood": ["glad", "sad"]}}})
def undeclared_words(run: Run) -> None:
    """Words and targets that nobody declared are ``_other``; an error is told by a class that somebody has written."""
    other = {"step": "Maria", "stage": "Maria", "intent": "Maria", "mood": "Maria", "score": float("nan")}
    pair(run, writes(**other), writes(**other))
    pair(run, v1, writes(**other))
    pair(run, v1, raises(type("Maria Silva", (ValueError,), {})))
    pair(run, v1, lambda state: Command(goto="Maria"))


@scene()
def ids_of_people(run: Run) -> None:
    """A name as session id is hashed; another message has another hash; an execution without a session is its own."""
    pair(run, v1, v1, session="Maria Silva")
    pair(run, v1, v1, session="Maria Silva", given={"messages": [("user", "Maria here")]})
    turn(attach(run, desk(), v1), None)


@scene()
def mismatches(run: Run) -> None:
    """By decision, by step; fields that differ are only shown where none is to be compared."""
    pair(run, v1, writes(route="other"))
    pair(run, v1, writes(step="close"))
    pair(run, v1, writes(score=2.0))
    pair(run, v1, writes(route=None))


@scene(work={"compare": {"fields": ["score", "mood"], "tolerance": {"score": 0.2}}})
def compared_fields(run: Run) -> None:
    """A field beyond its tolerance is a mismatch, one within it is none."""
    pair(run, v1, writes(score=2.0))
    pair(run, v1, writes(score=1.6, stage="closing"))


@scene()
def comparators_that_fail(run: Run) -> None:
    """A comparison function of the user's raises: outcome ``error``. Marked by the decorator."""

    def broken(ours: Any, theirs: Any) -> list[str]:
        raise LookupError("Maria")

    for how in ("invoke", "ainvoke"):
        node, own = (coloured(writes(), how == "ainvoke") for _ in range(2))  # a mark stays on its function
        turn(desk(with_shadow_v2(node, compare_with=broken, manager=run.manager)(own)), how=how)
        run.settle()


@scene()
def errors(run: Run) -> None:
    """V2 raises, V1 raises, both do; V2's output is unusable; a path function fails on it."""
    for how in ("invoke", "ainvoke"):
        is_async = how == "ainvoke"
        pair(run, coloured(v1, is_async), coloured(raises(ValueError), is_async), how)
        failing = attach(run, desk(coloured(raises(KeyError), is_async)), coloured(v1, is_async))
        _fails(KeyError, failing, how)
        run.settle()
    _fails(KeyError, attach(run, desk(raises(KeyError)), raises(ValueError)), "invoke")
    run.settle()
    pair(run, v1, lambda state: 42)
    pair(run, v1, writes(route="nowhere"))


def _fails(error: type[BaseException], graph: Any, how: str) -> None:
    try:
        turn(graph, how=how)
    except error:
        return
    raise AssertionError("V1's exception did not reach the caller")


@scene()
def not_implemented(run: Run) -> None:
    """V2 raises ``NotImplementedError``: it has not run."""
    for how in ("invoke", "ainvoke"):
        pair(run, coloured(v1, how == "ainvoke"), coloured(raises(NotImplementedError), how == "ainvoke"), how)


@scene(work={})
def no_v2_at_all(run: Run) -> None:
    """The node is configured and has no V2."""
    for how in HOW:
        turn(attach(run, desk(coloured(v1, how.startswith("a")))), how=how)
        run.settle()


@scene(work={"timeout_ms": LIMIT_MS}, limits={"abandoned_threads": 1})
def timeouts_and_abandoned_threads(run: Run) -> None:
    """An awaited V2 that sleeps and a called one that hangs; while that one's thread hangs no other is begun."""
    over = threading.Event()

    async def sleeps(state: State) -> Any:
        await asyncio.sleep(PATIENCE_S)

    def hangs(state: State) -> Any:
        over.wait(PATIENCE_S)

    try:
        pair(run, awaited(v1), sleeps, "ainvoke")
        graph = attach(run, desk(), hangs)
        for _ in range(2):
            turn(graph)
            run.settle()
    finally:
        over.set()


@scene()
def interrupts(run: Run) -> None:
    """Both ask and are answered, one asks: the statuses tell them apart."""
    for how in ("invoke", "ainvoke"):
        is_async = how == "ainvoke"
        both = attach(run, desk(coloured(asks, is_async), saved=True), coloured(asks, is_async))
        for given in (None, Command(resume="sad")):
            turn(both, how=how, given=given)
            run.settle()
    for ours, theirs in ((asks, v1), (v1, asks)):
        turn(attach(run, desk(ours, saved=True), theirs))
        run.settle()


@scene()
def commands_and_sends(run: Run) -> None:
    """Commands to the parent and ``Send`` are decisions: the same, another node, another argument."""
    for how in ("invoke", "ainvoke"):
        for target in ("after", "other"):
            is_async = how == "ainvoke"
            inner = attach(run, desk(coloured(to_parent("after"), is_async)), coloured(to_parent(target), is_async))
            turn(within(inner), how=how)
            run.settle()
    for items in (["a", "b"], ["a", "c"], ["a"]):
        pair(run, writes(route=["a", "b"]), writes(route=items))


@scene(arms={"holdout": 0.0, "noise": 1.0})
def noise(run: Run) -> None:
    """V1 runs twice: it agrees with itself, and another does not."""
    for how in ("invoke", "ainvoke"):
        moods = iter(["after", "other", "after", "other"])
        is_async = how == "ainvoke"

        def fickle(state: State, routes: Any = moods) -> dict[str, Any]:
            return v1(state) | {"route": next(routes)}

        pair(run, coloured(v1, is_async), coloured(v1, is_async), how)
        pair(run, coloured(fickle, is_async), coloured(v1, is_async), how)


@scene(arms={"holdout": 1.0})
def holdout(run: Run) -> None:
    """Nobody has a shadow."""
    for how in HOW:
        pair(run, coloured(v1, how.startswith("a")), v1, how)


@scene(work={"sample": 0.0})
def sampled_out(run: Run) -> None:
    """No session is in the sample."""
    pair(run, v1, v1)


@scene(flags={"router_v2_shadow": False})
def v1_only(run: Run) -> None:
    """Nothing runs, nothing is said."""
    assert run.flags.architecture_mode("session_1") is Mode.V1_ONLY
    for how in HOW:
        pair(run, coloured(v1, how.startswith("a")), v1, how)


@scene(
    flags=LIVE | {"router_v2_percentage": 40.0},
    arms={"holdout": 0.3, "slot_seconds": 5, "noise": 0.3},
    work={"sample": 0.6},
)
def thirty_sessions(run: Run) -> None:
    """Which of thirty sessions, one a second, are live, held out, sampled out, shadowed: the same for ever."""
    graph = attach(run, desk(), v1)
    for number in range(30):
        turn(graph, f"session_{number:02}")
        run.settle()


@scene()
def retries(run: Run) -> None:
    """V1 fails once and is called again: one pair, one baseline ``retry``."""
    for how in ("invoke", "ainvoke"):
        attempts = iter([ConnectionError, None])

        def flaky(state: State, left: Any = attempts) -> Any:
            return raises(error)(state) if (error := next(left)) else v1(state)

        policy = RetryPolicy(initial_interval=0.0, jitter=False, retry_on=ConnectionError)
        is_async = how == "ainvoke"
        turn(attach(run, desk(coloured(flaky, is_async), retry_policy=policy), coloured(v1, is_async)), how=how)
        run.settle()


class Slow:
    """Copied in vain; the first time it takes more than a node's users may ever wait for us."""

    copies = 0

    def __deepcopy__(self, memo: Any) -> Any:
        Slow.copies += 1
        if Slow.copies == 1:
            threading.Event().wait(1.2)
        raise TypeError("cannot copy")


class Gone:
    """Can be captured, and not be made again."""

    def __reduce__(self) -> Any:
        return _no_connection, ()


def _no_connection() -> Any:
    raise ConnectionError("Maria")


@scene()
def not_captured(run: Run) -> None:
    """A state that can't be copied; one that can't be restored, when V2 would have begun; then no time for copies."""
    pair(run, v1, v1, given={"load": Gone()})
    pair(run, awaited(v1), awaited(v1), "ainvoke", given={"load": Gone()})
    Slow.copies = 0
    graph = attach(run, desk(), v1)
    for _ in range(2):
        turn(graph, given={"load": Slow()})
        run.settle()


@scene(limits={"queue": 1, "concurrency": 1})
def full_queue(run: Run) -> None:
    """One runs, one waits, the third is shed; the gauges count them meanwhile."""
    began, over = threading.Event(), threading.Event()

    def hangs(state: State) -> Any:
        began.set()
        over.wait(PATIENCE_S)
        return v1(state)

    graph = attach(run, desk(), hangs)
    try:
        turn(graph)
        assert began.wait(PATIENCE_S)
        turn(graph)
        until(lambda: (run.gauge(semconv.INFLIGHT), run.gauge(semconv.QUEUE_DEPTH)) == (1, 1))
        turn(graph)
    finally:
        over.set()


@scene(limits={"breaker_failures": 2, "breaker_reset_seconds": 3600})
def breaker(run: Run) -> None:
    """Two failures open it."""
    graph = attach(run, desk(), raises(ValueError))
    for _ in range(4):
        turn(graph)
        run.settle()


class TooManyRequestsError(Exception):
    """What a client raises for an answer 429."""

    status_code = 429


@scene()
def rate_limited(run: Run) -> None:
    """V2 is told 429, and pauses; meanwhile V1 is told 429 as well."""
    graph = attach(run, desk(), raises(TooManyRequestsError))
    for node in run.manager.nodes.values():
        node.limiter._back_off._clock = lambda: 0.0
    turn(graph)
    run.settle()
    with suppress(TooManyRequestsError):
        pair(run, raises(TooManyRequestsError), v1)
    run.settle()


def chats(state: State) -> dict[str, Any]:
    """A V2 that asks a model."""
    usage = {"input_tokens": 30, "output_tokens": 12, "total_tokens": 42}
    GenericFakeChatModel(messages=iter([AIMessage("hello", usage_metadata=usage)])).invoke("Maria")
    return v1(state)


@scene(limits={"tokens_per_hour": 40})
def budget(run: Run) -> None:
    """V2's model spends the budget of the hour."""
    graph = attach(run, desk(), chats)
    for _ in range(2):
        turn(graph)
        run.settle()


@scene(limits={"pairs_per_second": 0.0001})
def rate(run: Run) -> None:
    """One pair, and no second one so soon."""
    graph = attach(run, desk(), v1)
    for _ in range(2):
        turn(graph)
        run.settle()


@scene(limits={"snapshot_bytes": 60_000})
def memory(run: Run) -> None:
    """A state beyond the bound, and a small one."""
    graph = attach(run, desk(), v1)
    for size in (100_000, 10):
        turn(graph, given={"load": "x" * size})
        run.settle()


@scene(limits={"concurrency": 1})
def shutdown(run: Run) -> None:
    """What runs and what waits is cancelled when the manager ends; later executions are shed."""
    began, over = threading.Event(), threading.Event()

    def hangs(state: State) -> Any:
        began.set()
        over.wait(PATIENCE_S)

    graph = attach(run, desk(), hangs)
    try:
        turn(graph)
        assert began.wait(PATIENCE_S)
        turn(graph)
        until(lambda: (run.gauge(semconv.INFLIGHT), run.gauge(semconv.QUEUE_DEPTH)) == (1, 1))
        run.stop(1.0)
    finally:
        over.set()
    turn(graph)
    run.settle()


@scene()
def cancellations(run: Run) -> None:
    """An awaited V1 is cancelled; a V2 cancels itself."""
    pair(run, awaited(v1), awaited(raises(asyncio.CancelledError)), "ainvoke")

    async def cancelled() -> None:
        began = asyncio.Event()

        async def waits(state: State) -> Any:
            began.set()
            await asyncio.sleep(PATIENCE_S)

        graph = attach(run, desk(waits), awaited(v1))
        task = asyncio.create_task(graph.ainvoke({"trail": []}, {"configurable": {"thread_id": "session_1"}}))
        await began.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(cancelled(), _lasting_loop()).result(PATIENCE_S)


@tool
def book_visit(day: str) -> str:
    """Book a visit."""
    return f"booked {day}"


@tool
def look_up(day: str) -> str:
    """Look up a day."""
    return f"free on {day}"


@side_effect(name="call Maria")
def call_someone() -> None:
    """What no configuration names."""


def with_tools(state: State) -> dict[str, Any]:
    """A node that calls tools: one allowed, one replayed or blocked, one that nobody has named."""
    found = [look_up.invoke({"day": "Monday"}), book_visit.invoke({"day": "Monday"})]
    if is_shadow() and state.get("mood") == "curious":
        call_someone()
    return v1(state) | {"trail": found}


@scene(tools={"allow": ["look_up"], "block": ["book_visit"]})
def blocked_tools(run: Run) -> None:
    """V2 calls what it may not: named where the configuration names it, else ``_other``."""
    pair(run, with_tools, with_tools)

    def stubborn(state: State) -> dict[str, Any]:
        for call in (lambda: book_visit.invoke({"day": "Monday"}), call_someone):
            try:
                call()
            except Exception:
                continue
        return v1(state)

    pair(run, v1, stubborn)


@scene(tools={"allow": ["look_up"], "replay": ["book_visit"]})
def replayed_tools(run: Run) -> None:
    """V2 gets what V1's call returned; another call is blocked."""
    pair(run, with_tools, with_tools)
    pair(run, with_tools, with_tools, given={"mood": "curious"})


# --- live -------------------------------------------------------------------------------------------------------------


@scene(flags=LIVE)
def live(run: Run) -> None:
    """V2 serves, by every way of calling; it asks and is answered; it moves the parent."""
    for how in HOW:
        is_async = how.startswith("a")
        pair(run, coloured(v1, is_async), coloured(writes(trail=["v2"]), is_async), how)
    for how in ("invoke", "ainvoke"):
        is_async = how == "ainvoke"
        asked = attach(run, desk(coloured(v1, is_async), saved=True), coloured(asks, is_async))
        for given in (None, Command(resume="sad")):
            turn(asked, how=how, given=given)
            run.settle()
        turn(within(attach(run, desk(coloured(v1, is_async)), coloured(to_parent("other"), is_async))), how=how)
        run.settle()


@scene(flags=LIVE, work={"timeout_ms": LIVE_LIMIT_MS})
def fallbacks_in_time(run: Run) -> None:
    """V2 hangs, V1 answers."""
    over = threading.Event()

    async def sleeps(state: State) -> Any:
        await asyncio.sleep(PATIENCE_S)

    def hangs(state: State) -> Any:
        over.wait(PATIENCE_S)

    try:
        pair(run, v1, hangs)
        pair(run, awaited(v1), sleeps, "ainvoke")
    finally:
        over.set()


@scene(flags=LIVE, work={})
def fallbacks(run: Run) -> None:
    """V2 raises, answers what the graph can't use, or is not there: V1 answers."""
    for how in HOW:
        is_async = how.startswith("a")
        for failing in (raises(ValueError), lambda state: 42, raises(NotImplementedError), None):
            node = coloured(failing, is_async) if failing is not None else None
            turn(attach(run, desk(coloured(v1, is_async)), node), how=how)
            run.settle()
    _fails(KeyError, attach(run, desk(raises(KeyError)), raises(ValueError)), "invoke")


@scene(flags=LIVE)
def live_cancelled(run: Run) -> None:
    """The run is cancelled while V2 serves: no fallback."""

    async def cancelled() -> None:
        began = asyncio.Event()

        async def waits(state: State) -> Any:
            began.set()
            await asyncio.sleep(PATIENCE_S)

        graph = attach(run, desk(awaited(v1)), waits)
        task = asyncio.create_task(graph.ainvoke({"trail": []}, {"configurable": {"thread_id": "session_1"}}))
        await began.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(cancelled(), _lasting_loop()).result(PATIENCE_S)


@scene(flags=LIVE, work={"live": False})
def not_live(run: Run) -> None:
    """Everybody is live, and this node stays in shadow."""
    pair(run, v1, v1)


# --- telemetry --------------------------------------------------------------------------------------------------------


@scene()
def spans_of_the_application(run: Run) -> None:
    """A request's span above, spans inside both versions: those of the shadow are marked."""

    def traced(name: str) -> Node:
        def node(state: State) -> dict[str, Any]:
            with run.tracer().start_as_current_span(name):
                return v1(state)

        return node

    for how in ("invoke", "ainvoke"):
        is_async = how == "ainvoke"
        graph = attach(run, desk(coloured(traced("model of V1"), is_async)), coloured(traced("model of V2"), is_async))
        with run.tracer().start_as_current_span("request"):
            turn(graph, how=how)
        run.settle()
        turn(graph, how=how)
        run.settle()


@scene(flags={"shadow_logging": False})
def no_logging(run: Run) -> None:
    """Spans and metrics, and no lines."""
    pair(run, v1, writes(step="close"))


@scene(clock_name="simulated")
def simulated_clock(run: Run) -> None:
    """Every line says so."""
    pair(run, v1, v1)


@scene()
def long_lines(run: Run) -> None:
    """Many long names of fields: the line is cut to what it may have."""
    names = [f"{number:02}_{'x' * 150}" for number in range(40)]
    graph = StateGraph(TypedDict("Wide", dict.fromkeys(names, int)))
    graph.add_node("work", lambda state: dict.fromkeys(names, 1))
    graph.add_edge(START, "work")
    turn(attach(run, graph.compile(name="wide"), lambda state: dict.fromkeys(names, 2)), given={names[0]: 0})


@scene(work={"executor": "loop"})
def executor_loop(run: Run) -> None:
    """V2 runs on production's own loop."""

    async def lives_on() -> None:
        graph = attach(run, desk(awaited(v1)), awaited(v1))
        await graph.ainvoke({"trail": []}, {"configurable": {"thread_id": "session_1"}})
        await asyncio.to_thread(run.settle)

    asyncio.run(lives_on())


@scene(work={"executor": "loop"})
def holds_the_loop(run: Run) -> None:
    """An awaited V2 that held the loop is paused."""
    graph = attach(run, desk(awaited(v1)), awaited(v1))
    _admission(run).guard.pause(PausePlace("recorded_scenes:1", 0.5), told=False)
    _awaited_turn(run, graph)


@scene(work={"executor": "loop"})
def is_on_trial(run: Run) -> None:
    """An awaited V2 does not run while a worker tries it."""
    graph = attach(run, desk(awaited(v1)), awaited(v1))
    admission = _admission(run)
    admission._accepted, admission._attempts, admission.code = False, 5, V2Code("recorded_scenes:v1")
    _awaited_turn(run, graph)


@scene(work={"executor": "loop"})
def cannot_be_tried(run: Run) -> None:
    """An awaited V2 without an import path waits for the user's word."""
    graph = attach(run, desk(awaited(v1)), awaited(v1))
    _admission(run)._accepted = False
    _awaited_turn(run, graph)


@scene(work={"executor": "loop"})
def called_in_the_loops_thread(run: Run) -> None:
    """The caller of a synchronous graph is the thread that runs the loop: there is no place for an awaited V2."""
    graph = attach(run, desk(), awaited(v1))

    async def handler() -> None:
        turn(graph)
        await asyncio.to_thread(run.settle)

    asyncio.run(handler())


@scene(work={"executor": "loop", "timeout_ms": 3_600_000})
def the_loop_ends(run: Run) -> None:
    """``asyncio.run`` is over while V2 is in flight."""
    began = asyncio.Event()

    async def forever(state: State) -> Any:
        began.set()
        await asyncio.Event().wait()

    graph = attach(run, desk(awaited(v1)), forever)

    async def short() -> None:
        await graph.ainvoke({"trail": []}, {"configurable": {"thread_id": "session_1"}})
        await began.wait()

    asyncio.run(short())
    run.settle()


def _admission(run: Run) -> LoopAdmission:
    admission = run.manager.nodes[("desk", "work")].admission
    admission.code = V2Code(name="recorded_scenes:v1", hindrance="it is a closure")
    return admission


def _awaited_turn(run: Run, graph: Any) -> None:
    async def request() -> None:
        await graph.ainvoke({"trail": []}, {"configurable": {"thread_id": "session_1"}})
        await asyncio.to_thread(run.settle)

    asyncio.run(request())


@scene(work={"executor": "process", "v2": "recorded_scenes:v1"})
def executor_process(run: Run) -> None:
    """V2 runs in a worker process."""
    turn(attach(run, desk()))
    run.settle()
