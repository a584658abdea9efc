"""Where V2 would have gone equals where the graph goes with V2 in V1's place, for every way a node can decide."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from typing import Annotated, Any, TypedDict
from uuid import uuid4

import pytest
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.errors import InvalidUpdateError
from langgraph.graph import END, START, StateGraph
from langgraph.managed import IsLastStep, RemainingSteps
from langgraph.types import Command, Send
from pydantic import BaseModel
from shadow_harness import ISOLATED, World

from otel_shadow._langgraph.decision import fields
from otel_shadow.record import Outcome, Status
from otel_shadow.testing.capture import ShadowCapture


class State(TypedDict, total=False):
    n: int
    total: Annotated[int, operator.add]
    log: Annotated[list[str], operator.add]
    last: IsLastStep
    left: RemainingSteps


def says(name: str) -> Callable[[State], dict[str, Any]]:
    return lambda state: {"log": [name]}


def skeleton(node: Any, *, schema: Any = State, **options: Any) -> StateGraph:
    """``a`` in the middle, ``b`` and ``c`` to go to."""
    graph = StateGraph(schema)
    graph.add_node("a", node, **options)
    graph.add_node("b", says("b"))
    graph.add_node("c", says("c"))
    graph.add_edge(START, "a")
    return graph


def adds(amount: int) -> Callable[[State], dict[str, Any]]:
    def node(state: State) -> dict[str, Any]:
        return {"n": state.get("n", 0) + amount, "total": amount}

    return node


def static(world: World, amount: int) -> StateGraph:
    graph = skeleton(world.node(adds(amount)))
    graph.add_edge("a", "b")
    graph.add_edge("a", "c")
    return graph


def to_end(world: World, amount: int) -> StateGraph:
    graph = skeleton(world.node(adds(amount)))
    graph.add_edge("a", END)
    return graph


def branch(world: World, amount: int) -> StateGraph:
    graph = skeleton(world.node(adds(amount)))
    graph.add_conditional_edges("a", world.node(lambda state: "b" if state["n"] > 2 else END), ["b", END])
    return graph


def branch_on_reducer(world: World, amount: int) -> StateGraph:
    graph = skeleton(world.node(adds(amount)))
    graph.add_conditional_edges("a", world.node(lambda state: "b" if state["total"] > 12 else "c"), ["b", "c"])
    return graph


def sent(world: World, amount: int) -> StateGraph:
    """A sent task's input is its argument; its path reads the graph's channels, which are no part of it."""
    graph = StateGraph(State)
    graph.add_node("a", world.node(adds(amount)))
    graph.add_node("b", says("b"))
    graph.add_node("c", says("c"))
    graph.add_conditional_edges(START, lambda state: [Send("a", {"n": 0})], ["a"])
    graph.add_conditional_edges(
        "a", lambda state: "b" if "seen" in state["log"] and state["total"] > 12 else "c", ["b", "c"]
    )
    return graph


def several_branches(world: World, amount: int) -> StateGraph:
    def first(state: State) -> bool:
        return state["n"] > 2

    def second(state: State) -> bool:
        return state["total"] > 12

    graph = skeleton(world.node(adds(amount)))
    graph.add_conditional_edges("a", world.node(first), {True: "b", False: END})
    graph.add_conditional_edges("a", world.node(second), {True: "c", False: END})
    return graph


def list_of_targets(world: World, amount: int) -> StateGraph:
    graph = skeleton(world.node(adds(amount)))
    graph.add_conditional_edges("a", lambda state: ["b", "c"] if state["n"] > 2 else ["c"], ["b", "c"])
    return graph


def command(world: World, amount: int) -> StateGraph:
    def node(state: State) -> Command[Any]:
        return Command(goto="b" if amount > 2 else ["b", "c"], update={"n": amount})

    return skeleton(world.node(node), destinations=("b", "c"))


def command_and_edge(world: World, amount: int) -> StateGraph:
    graph = skeleton(world.node(lambda state: Command(goto="b", update={"n": amount})), destinations=("b", "c"))
    graph.add_conditional_edges("a", lambda state: "c" if state["n"] > 2 else END, ["c", END])
    return graph


def list_of_commands(world: World, amount: int) -> StateGraph:
    return skeleton(world.node(lambda state: [Command(goto="b"), {"n": amount}]), destinations=("b", "c"))


def fan_out(world: World, amount: int) -> StateGraph:
    graph = skeleton(world.node(adds(amount)))
    graph.add_conditional_edges("a", lambda state: [Send("b", {"n": i}) for i in range(state["n"])], ["b"])
    return graph


def command_with_sends(world: World, amount: int) -> StateGraph:
    return skeleton(world.node(lambda state: Command(goto=[Send("c", {"n": amount}), "b"])), destinations=("b", "c"))


def join(world: World, amount: int) -> StateGraph:
    graph = skeleton(world.node(adds(amount)))
    graph.add_edge(START, "b")
    graph.add_edge(["a", "b"], "c")
    return graph


def managed(world: World, amount: int) -> StateGraph:
    def path(state: State) -> str:
        return "b" if state["n"] > 2 and not state["last"] and state["left"] > 3 else "c"

    graph = skeleton(world.node(adds(amount)))
    graph.add_conditional_edges("a", path, ["b", "c"])
    return graph


def deferred(world: World, amount: int) -> StateGraph:
    graph = StateGraph(State)
    graph.add_node("a", world.node(adds(amount)))
    graph.add_node("b", says("b"))
    graph.add_node("c", says("c"), defer=True)
    graph.add_edge(START, "a")
    graph.add_conditional_edges("a", lambda state: ["b", "c"] if state["n"] > 2 else ["c"], ["b", "c"])
    return graph


def pydantic_state(world: World, amount: int) -> StateGraph:
    class Model(BaseModel):
        n: int = 0
        log: Annotated[list[str], operator.add] = []

    def node(state: Model) -> dict[str, Any]:
        return {"n": state.n + amount}

    graph = skeleton(world.node(node), schema=Model)
    graph.add_conditional_edges("a", lambda state: "b" if state.n > 2 else "c", ["b", "c"])
    return graph


def a_sequence_of_nodes(world: World, amount: int) -> StateGraph:
    from langchain_core.runnables import RunnableLambda

    first = RunnableLambda(lambda state: state.get("n", 0))
    graph = skeleton(first | RunnableLambda(lambda n: {"n": n + amount}))
    graph.add_conditional_edges("a", lambda state: "b" if state["n"] > 2 else "c", ["b", "c"])
    return graph


KINDS = (
    static, to_end, branch, branch_on_reducer, sent, several_branches, list_of_targets, command,
    command_and_edge, list_of_commands, fan_out, command_with_sends, join, managed, deferred, pydantic_state,
    a_sequence_of_nodes,
)  # fmt: skip
START_STATE = {"n": 1, "total": 10, "log": ["seen"]}


def played(world: World, kind: Any, amount: int, v2_amount: int) -> Any:
    """V1 adds ``amount``, V2 beside it adds ``v2_amount``."""
    graph = kind(world, amount).compile()
    v2 = kind(world, v2_amount).compile().nodes["a"].bound
    beside = world.shadow(graph, "a", v2)
    values = {key: value for key, value in START_STATE.items() if key in graph.channels}
    world.invoke(graph, values)
    return beside


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_v2s_decision_is_what_it_would_be_as_v1(kind: Any, is_async: bool) -> None:
    """V2's targets, sends and writes equal those that the very same code has when production runs it."""
    world = World(ISOLATED, is_async)
    for amount in (1, 5):
        same = played(world, kind, amount, amount)
        other = played(world, kind, 6 - amount, amount)
        for beside in (same, other):
            assert beside.executions[0].status is Status.SUCCESS
            assert beside.executions[0].targets == same.targets[0]
            assert beside.executions[0].sends == same.sends[0]
        assert same.executions[0].writes == fields(same.captured[0].writes(), same.captured[0].channels)


@pytest.mark.parametrize(
    ("kind", "small", "large"),
    [
        (static, ("b", "c"), ("b", "c")),
        (to_end, ("__end__",), ("__end__",)),
        (branch, ("__end__",), ("b",)),
        (branch_on_reducer, ("c",), ("b",)),
        (several_branches, ("__end__",), ("b", "c")),
        (command, ("b", "c"), ("b",)),
        (command_and_edge, ("b",), ("b", "c")),
        (fan_out, ("b",), ("b",)),
        (sent, ("c",), ("b",)),
        (join, ("c",), ("c",)),
        (deferred, ("deferred:c",), ("b", "deferred:c")),
    ],
)
def test_decisions_by_name(kind: Any, small: tuple[str, ...], large: tuple[str, ...]) -> None:
    """The names are those of the graph's nodes, sorted; nowhere to go is END; a node that waits for all is marked."""
    world = World(ISOLATED, False)
    assert played(world, kind, 1, 1).executions[0].targets == small
    assert played(world, kind, 5, 5).executions[0].targets == large


def test_sends_to_the_same_node_differ_by_their_arguments() -> None:
    """Two fan-outs to one node are told apart by how many and with what."""
    beside = played(World(ISOLATED, False), fan_out, 1, 2)
    assert beside.targets[0] == beside.executions[0].targets == ("b",)
    assert beside.sends[0] == (("b", {"n": 0}), ("b", {"n": 1}))
    assert beside.executions[0].sends == (("b", {"n": 0}), ("b", {"n": 1}), ("b", {"n": 2}))


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_command_to_the_parent_graph(is_async: bool) -> None:
    """``Command.PARENT`` from the node is a target in the parent graph, on both sides."""
    world = World(ISOLATED, is_async)

    def to(target: str) -> Any:
        return world.node(lambda state: Command(graph=Command.PARENT, goto=target))

    child = StateGraph(State)
    child.add_node("a", to("b"))
    child.add_edge(START, "a")
    inner = child.compile()
    beside = world.shadow(inner, "a", to("c"))
    parent = skeleton(inner).compile()
    assert world.invoke(parent, {})["log"] == ["b"]
    assert beside.targets == [("parent:b",)]
    assert (beside.executions[0].status, beside.executions[0].targets) == (Status.SUCCESS, ("parent:c",))


@pytest.mark.usefixtures("guards")
def test_a_target_in_the_parent_graph_is_named() -> None:
    """Nodes of the parent graph are declared words, of a deferred node too; a name of no graph is not."""
    child = StateGraph(State)
    child.add_node("a", lambda state: Command(graph=Command.PARENT, goto=state["log"][0]))
    child.add_edge(START, "a")
    inner = child.compile()
    beside = World(ISOLATED, False).shadow(inner, "a", lambda state: Command(graph=Command.PARENT, goto="b"))
    graph = skeleton(inner).add_node("late", says("late"), defer=True).compile()
    for name in ("b", "late", "__end__", "Ana Lima"):
        graph.invoke({"log": [name]})
    targets = [(record.v1.target, record.v2.target) for record in beside.records if record.v2 is not None]
    assert targets == [("parent:b", "parent:b"), ("parent:late", "parent:b"), ("parent:__end__", "parent:b"),
                       ("_other", "parent:b")]  # fmt: skip


def test_a_deferred_target_is_named() -> None:
    """The record says that the node waits for all others."""
    beside = played(World(ISOLATED, False), deferred, 5, 1)
    record = beside.records[0]
    assert record.v2 is not None
    assert (record.v1.target, record.v2.target) == ("b+deferred:c", "deferred:c")


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_command_that_leaves_a_subgraph_is_a_decision_of_the_node(is_async: bool) -> None:
    """A node that is a subgraph decides by a command to its parent: that parent is the node's own graph."""
    world = World(ISOLATED, is_async)

    def child(target: str) -> Any:
        graph = StateGraph(State)
        graph.add_node("inner", world.node(lambda state: Command(graph=Command.PARENT, goto=target)))
        graph.add_edge(START, "inner")
        return graph.compile()

    parent = skeleton(child("b"), destinations=("b", "c")).compile()
    beside = world.shadow(parent, "a", child("c"))
    assert world.invoke(parent, {})["log"] == ["b"]
    assert beside.targets == [("b",)]
    assert (beside.executions[0].status, beside.executions[0].targets) == (Status.SUCCESS, ("c",))


def test_a_path_function_that_fails_on_v2s_output() -> None:
    """The decision names the error's type; V2 itself succeeded."""
    world = World(ISOLATED, False)
    graph = skeleton(lambda state: {"n": 1})
    graph.add_conditional_edges("a", lambda state: ["b", "c"][state["n"]], ["b", "c"])
    compiled = graph.compile()
    beside = world.shadow(compiled, "a", lambda state: {"n": 7})
    compiled.invoke({})
    assert (beside.executions[0].status, beside.executions[0].targets) == (Status.SUCCESS, ("error:IndexError",))


def test_output_that_no_node_may_return_is_v2s_error() -> None:
    """In V1's place it would have failed the run."""
    compiled = to_end(World(ISOLATED, False), 1).compile()
    beside = World(ISOLATED, False).shadow(compiled, "a", lambda state: "not a dict")
    compiled.invoke({})
    assert beside.executions[0].status is Status.ERROR
    assert isinstance(beside.executions[0].error, InvalidUpdateError)


def test_a_failed_v1_has_no_targets() -> None:
    """An exception is no decision."""

    def v1(state: State) -> Any:
        raise ValueError

    graph = StateGraph(State).add_node("a", v1).add_edge(START, "a").compile()
    beside = World(ISOLATED, False).shadow(graph, "a", lambda state: {})
    with pytest.raises(ValueError):
        graph.invoke({})
    assert beside.targets == [()]


class Calling(FakeMessagesListChatModel):
    """A model that calls a tool with an id and a remark of its own at each call, as providers' models do."""

    def bind_tools(self, tools: Any, **more: Any) -> Any:
        return self

    def _generate(self, messages: list[Any], *args: Any, **more: Any) -> ChatResult:
        if isinstance(messages[-1], ToolMessage):
            return ChatResult(generations=[ChatGeneration(message=AIMessage("done"))])
        own = uuid4().hex
        calls = [{"name": "weather", "args": {"city": "Lisbon"}, "id": own, "type": "tool_call"}]
        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"let me see {own}", tool_calls=calls))])


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return "sunny"


def test_an_agent_decides_for_the_same_call_whatever_its_id_is(
    make_shadow_capture: Callable[..., ShadowCapture],
) -> None:
    """An agent that runs beside itself matches by default: ids, and what is said beside a call, don't decide."""
    create_react_agent = pytest.importorskip("langgraph.prebuilt").create_react_agent
    capture = make_shadow_capture({"nodes": {"agent": {"v2": "self"}}})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # LangGraph 1.2 prefers langchain's
        agent = capture.attach(create_react_agent(Calling(responses=[]), [weather]))
    agent.invoke({"messages": [("user", "how is Lisbon?")]})
    calling, done = (record.comparison for record in capture.records)
    assert (calling.outcome, calling.decisions_match) == (Outcome.MATCH, True)
    assert (done.outcome, done.decisions_match) == (Outcome.MATCH, True)
