"""V2 works like a node: every form it may have, everything a node may ask for, and what becomes of it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import task
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command, RetryPolicy, Send, StreamWriter, interrupt
from shadow_harness import ISOLATED, World, shadow

from otel_shadow import is_shadow
from otel_shadow._langgraph import internals
from otel_shadow._langgraph.node_capture import NodeCapture
from otel_shadow._langgraph.v2_runnable import as_runnable, is_async
from otel_shadow._runtime.shadow_context import ShadowContext
from otel_shadow._runtime.snapshot import SnapshotError
from otel_shadow.record import Status

THREAD = {"configurable": {"thread_id": "demo_001", "user": "u1"}}


class State(TypedDict, total=False):
    n: int
    seen: Any


def quiet(state: Any) -> dict[str, Any]:
    return {}


def build(v1: Any = lambda state: {}, **options: Any) -> Any:
    graph = StateGraph(State)
    graph.add_node("a", v1)
    graph.add_edge(START, "a")
    return graph.compile(**options)


async def awaited(state: State) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"n": 2}


def called(state: State) -> dict[str, Any]:
    return {"n": 2}


class Callable_:
    def __call__(self, state: State) -> dict[str, Any]:
        return {"n": 2}


FORMS = {
    "function": called,
    "lambda": lambda state: {"n": 2},
    "coroutine function": awaited,
    "object": Callable_(),
    "runnable": RunnableLambda(called),
    "awaited runnable": RunnableLambda(awaited),
    "sequence": RunnableLambda(lambda state: 1) | RunnableLambda(lambda n: {"n": n + 1}),
    "graph": build(called),
    "awaited graph": build(awaited),
    "graph of graphs": build(build(called)),
}


@pytest.mark.parametrize("in_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_v2(form: str, in_async: bool) -> None:
    """Functions, runnables and graphs, called and awaited, beside a V1 that is either."""
    world = World(ISOLATED, in_async)
    graph = build(world.node(lambda state: {}))
    beside = world.shadow(graph, "a", FORMS[form])
    world.invoke(graph, {"n": 0})
    assert beside.executions[0].status is Status.SUCCESS
    assert beside.executions[0].value["n"] == 2


def test_who_must_be_awaited() -> None:
    """What can only be awaited is; what can be either follows V1."""
    only = {name: (is_async(v2, False), is_async(v2, True)) for name, v2 in FORMS.items()}
    assert {name for name, both in only.items() if both == (True, True)} == {
        "coroutine function", "awaited runnable", "awaited graph",
    }  # fmt: skip
    assert {name for name, both in only.items() if both == (False, True)} == {"sequence", "graph", "graph of graphs"}


def test_what_is_no_v2() -> None:
    """A thing that can't be called is refused at once."""
    with pytest.raises(TypeError):
        as_runnable(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("in_async", [False, True], ids=["sync", "async"])
def test_everything_is_injected(in_async: bool) -> None:
    """Config, runtime, store and writer arrive by signature, as in a node; the user's keys are kept, ids are new."""
    world = World(ISOLATED, in_async)

    def v2(state: State, config: RunnableConfig, runtime: Runtime, store: BaseStore, writer: StreamWriter) -> Any:
        writer("w")
        configurable = config["configurable"]
        assert runtime.context == {"who": "x"}
        assert store is runtime.store
        assert is_shadow()
        return {"seen": [configurable["thread_id"], configurable["user"], configurable["checkpoint_ns"].split(":")[0]]}

    graph = StateGraph(State, context_schema=dict)
    graph.add_node("a", world.node(lambda state: {}))
    graph.add_edge(START, "a")
    compiled = graph.compile(store=InMemoryStore(), checkpointer=InMemorySaver())
    beside = world.shadow(compiled, "a", world.node(v2))
    world.invoke(compiled, {}, THREAD, context={"who": "x"})
    assert beside.executions[0].value == {"seen": ["demo_001", "u1", "a"]}
    assert beside.executions[0].custom == ["w"]
    assert not is_shadow()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("x"), Status.ERROR),
        (NotImplementedError(), Status.NOT_IMPLEMENTED),
        (SystemExit(3), Status.ERROR),
        (KeyboardInterrupt(), Status.ERROR),
        (asyncio.CancelledError(), Status.ERROR),
    ],
)
@pytest.mark.parametrize("in_async", [False, True], ids=["sync", "async"])
def test_what_v2_raises(error: BaseException, status: Status, in_async: bool) -> None:
    """Whatever V2 raises is its own outcome, exit and cancellation included."""
    world = World(ISOLATED, in_async)

    def v2(state: State) -> None:
        raise error

    graph = build(world.node(lambda state: {"n": 1}))
    beside = world.shadow(graph, "a", world.node(v2))
    assert world.invoke(graph, {"n": 0}) == {"n": 1}
    assert beside.executions[0].status is status
    assert beside.executions[0].error is error
    assert beside.executions[0].targets == ()


def asks_twice(state: State) -> dict[str, Any]:
    return {"seen": [interrupt("one?"), interrupt("two?")]}


@pytest.mark.parametrize("in_async", [False, True], ids=["sync", "async"])
def test_interrupts_and_resumes(in_async: bool) -> None:
    """V2 asks when V1 does, and on each resume sees copies of all answers so far, in order."""
    world = World(ISOLATED, in_async)
    graph = build(world.node(asks_twice), checkpointer=InMemorySaver())
    beside = world.shadow(graph, "a", world.node(asks_twice))
    for value in ({"n": 0}, Command(resume="1"), Command(resume="2")):
        result = world.invoke(graph, value, THREAD)
    assert result["seen"] == ["1", "2"]
    assert [(e.status, e.value) for e in beside.executions] == [
        (Status.INTERRUPT, ("one?",)),
        (Status.INTERRUPT, ("two?",)),
        (Status.SUCCESS, {"seen": ["1", "2"]}),
    ]


def test_v2_alone_interrupts() -> None:
    """V1 returned; V2's question is its outcome and reaches nobody."""
    graph = build(lambda state: {"n": 1}, checkpointer=InMemorySaver())
    beside = shadow(graph, "a", asks_twice)
    assert graph.invoke({"n": 0}, THREAD) == {"n": 1}
    assert beside.executions[0].status is Status.INTERRUPT
    assert graph.get_state(THREAD).interrupts == ()


@pytest.mark.parametrize("in_async", [False, True], ids=["sync", "async"])
def test_an_interrupt_inside_a_graph_inside_v2(in_async: bool) -> None:
    """A subgraph of V2's that asks is V2 asking; the answer reaches the subgraph on resume."""
    world = World(ISOLATED, in_async)
    inner = build(world.node(lambda state: {"seen": interrupt("inner?")}))
    graph = build(world.node(lambda state: {"seen": interrupt("v1?")}), checkpointer=InMemorySaver())
    beside = world.shadow(graph, "a", inner)
    world.invoke(graph, {"n": 0}, THREAD)
    world.invoke(graph, Command(resume="yes"), THREAD)
    asked, answered = beside.executions
    assert (asked.status, asked.value) == (Status.INTERRUPT, ("inner?",))
    assert (answered.status, answered.value["seen"]) == (Status.SUCCESS, "yes")


@task
def slow(number: int) -> int:
    BARRIER.wait(5)
    return number


@task
def failing() -> None:
    raise KeyError("x")


@task
def asking() -> str:
    return interrupt("task?")


BARRIER = threading.Barrier(2)


def test_tasks_of_a_called_v2_run_side_by_side() -> None:
    """Two tasks that wait for each other end: they don't run one after the other."""

    def v2(state: State) -> dict[str, Any]:
        return {"seen": [future.result() for future in [slow(1), slow(2)]]}

    graph = build()
    beside = shadow(graph, "a", v2)
    graph.invoke({"n": 0})
    assert beside.executions[0].value == {"seen": [1, 2]}


def test_what_tasks_raise() -> None:
    """A task's exception is V2's; a task that asks is V2 asking."""
    graph = build()
    beside = shadow(graph, "a", lambda state: failing().result())
    graph.invoke({"n": 0})
    assert isinstance(beside.executions[0].error, KeyError)
    graph = build()
    beside = shadow(graph, "a", lambda state: asking().result())
    graph.invoke({"n": 0})
    assert (beside.executions[0].status, beside.executions[0].value) == (Status.INTERRUPT, ("task?",))


TRIES: list[int] = []


@task(retry_policy=RetryPolicy(initial_interval=0.0, jitter=False))
def flaky() -> int:
    TRIES.append(1)
    if len(TRIES) < 3:
        raise ConnectionError
    return len(TRIES)


@task(retry_policy=RetryPolicy(initial_interval=0.0, jitter=False))
async def aflaky() -> int:
    TRIES.append(1)
    if len(TRIES) < 3:
        raise ConnectionError
    return len(TRIES)


@pytest.mark.parametrize("in_async", [False, True], ids=["sync", "async"])
def test_tasks_are_retried_by_their_policy(in_async: bool) -> None:
    """A task that would have been retried in V1's place is retried here."""
    TRIES.clear()
    world = World(ISOLATED, in_async)
    graph = build(world.node(lambda state: {}))

    async def av2(state: State) -> dict[str, Any]:
        return {"n": await aflaky()}

    beside = world.shadow(graph, "a", av2 if in_async else lambda state: {"n": flaky().result()})
    world.invoke(graph, {"n": 0})
    assert beside.executions[0].value == {"n": 3}


@task
async def forever() -> None:
    await asyncio.Event().wait()


def test_tasks_that_v2_forgot_are_cancelled() -> None:
    """An awaited V2 that returns before its tasks leaves none running."""
    started: list[Any] = []

    async def v2(state: State) -> dict[str, Any]:
        started.append(forever())
        return {"n": 2}

    world = World(ISOLATED, True)
    graph = build(world.node(lambda state: {}))
    beside = world.shadow(graph, "a", v2)
    world.invoke(graph, {"n": 0})
    assert beside.executions[0].status is Status.SUCCESS
    assert started[0].cancelled()


def test_outside_of_a_graph() -> None:
    """A bare configuration is enough: then there are no channels, and V2 simply runs."""
    v2 = as_runnable(lambda state: {"n": state["n"] + 1})
    capture = NodeCapture({"n": 1}, {"configurable": {"x": [1]}}, build().nodes["a"], v2, awaited=False)
    result = capture.run(ShadowContext("g", "a"), lambda: None)
    assert (result.status, result.value) == (Status.SUCCESS, {"n": 2})


def test_an_input_that_cannot_be_copied() -> None:
    """The error names the type, so that the record can."""
    with pytest.raises(SnapshotError) as caught:
        NodeCapture({"n": threading.Lock()}, {}, build().nodes["a"], as_runnable(quiet), awaited=False)
    assert caught.value.type_name == "lock"


def test_every_restore_is_another_copy() -> None:
    """V2 and the comparison each get their own state, and aliases inside it stay aliases."""
    inner = [1]
    captured = NodeCapture({"a": inner, "b": inner}, {}, build().nodes["a"], as_runnable(quiet), awaited=False)
    one, two = captured.state(), captured.state()
    assert one == two == {"a": [1], "b": [1]}
    assert one["a"] is one["b"]
    assert one["a"] is not two["a"] is not inner


def test_a_retry_is_known_and_a_resume_is_none() -> None:
    """A failing V1 that is retried is one execution; the same task after a resume is another."""
    tries: list[int] = []

    def v1(state: State) -> dict[str, Any]:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError
        return {"seen": interrupt("?")}

    graph = StateGraph(State)
    graph.add_node("a", v1, retry_policy=RetryPolicy(initial_interval=0.0, jitter=False, max_attempts=4))
    graph.add_edge(START, "a")
    compiled = graph.compile(checkpointer=InMemorySaver())
    beside = shadow(compiled, "a", lambda state: {})
    compiled.invoke({"n": 0}, THREAD)
    compiled.invoke(Command(resume="x"), THREAD)
    assert [record.reason for record in beside.records] == [None, "retry", "retry", None]
    assert len({item.configurable[internals.TASK_ID] for item in beside.captured}) == 1
    assert len(beside.captured) == 2


def test_a_sent_task_has_its_own_input() -> None:
    """Each ``Send`` is captured with its own argument, and with the channels the paths read."""
    graph = StateGraph(State)
    graph.add_node("a", lambda state: {"seen": "v1"})
    graph.add_conditional_edges(START, lambda state: [Send("a", {"n": 7})], ["a"])
    compiled = graph.compile()
    beside = shadow(compiled, "a", lambda state: {"seen": state["n"]})
    compiled.invoke({"n": 0})
    assert beside.executions[0].value == {"seen": 7}


class OneWay:
    """Can be captured and not be made again."""

    def __setstate__(self, state: Any) -> None:
        raise ValueError("no way back")

    def __init__(self) -> None:
        self.full = True


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_an_input_that_cannot_be_made_again_is_no_error_of_v2s(is_async: bool, make_shadow_capture: Any) -> None:
    """V2 never ran, so the record says cancelled, by our own error; V1 is served."""
    capture = make_shadow_capture()
    world = World(ISOLATED, is_async)
    graph = capture.attach(build(world.node(lambda state: {"n": 1})), {"a": called})
    assert world.invoke(graph, {"seen": OneWay()})["n"] == 1
    [record] = capture.records
    assert (record.v2.status, record.v2.error_type) == (Status.CANCELLED, "SnapshotError")
    assert record.v1_served
