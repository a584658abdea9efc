"""Tools and marked functions inside a shadow: blocked unless allowed, replayed where V1 did the same, V1 untouched."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langchain_core.tools import BaseTool, ToolException, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphInterrupt
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, ToolNode
from langgraph.types import Command, Interrupt, interrupt
from pydantic import BaseModel, ValidationError
from shadow_harness import ISOLATED, World, shadow

from otel_shadow import side_effect
from otel_shadow._langgraph.isolation.tools import ToolBlockedError
from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext
from otel_shadow._runtime.side_effects import Calls, Recording, recorders
from otel_shadow.config import ToolsTable
from otel_shadow.errors import SideEffectBlockedError
from otel_shadow.record import Status

pytestmark = pytest.mark.usefixtures("guards")

SENT: list[str] = []


@contextmanager
def recording() -> Iterator[Calls]:
    made = Recording()
    try:
        yield made.calls
    finally:
        made.stop()


@pytest.fixture(autouse=True)
def _empty_outbox() -> None:
    SENT.clear()


@tool
def send_mail(to: str, state: Annotated[dict[str, Any], InjectedState]) -> str:
    """Send a mail; the world changes."""
    SENT.append(to)
    return f"sent {len(SENT)} to {to}"


@tool
async def asend_mail(to: str) -> str:
    """The same, awaited."""
    SENT.append(to)
    return f"sent {len(SENT)} to {to}"


def asks(name: str, to: str, call_id: str) -> dict[str, list[AnyMessage]]:
    return {"messages": [AIMessage("", tool_calls=[{"name": name, "args": {"to": to}, "id": call_id}])]}


def tool_graph(*tools: BaseTool) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode(list(tools)))
    graph.add_edge(START, "tools")
    return graph.compile()


TOOLS = pytest.mark.parametrize(
    ("mail", "is_async"), [(send_mail, False), (send_mail, True), (asend_mail, True)], ids=["sync", "mixed", "async"]
)


@TOOLS
def test_a_tool_is_blocked_and_named(mail: BaseTool, is_async: bool) -> None:
    """V2's tool node runs nothing: the outcome names the tool, and no error message is told to a model."""
    world = World(ISOLATED, is_async)
    graph = tool_graph(mail)
    beside = world.shadow(graph, "tools", ToolNode([mail]))
    world.invoke(graph, asks(mail.name, "ana", "c1"))
    assert SENT == ["ana"]
    assert beside.executions[0].status is Status.ERROR
    assert isinstance(beside.executions[0].error, ToolBlockedError)
    assert beside.scopes[0].blocked == [mail.name]


@TOOLS
def test_a_tool_allowed_by_name_runs(mail: BaseTool, is_async: bool) -> None:
    """``[tools] allow`` lets it run in the shadow too."""
    world = World(ISOLATED, is_async)
    graph = tool_graph(mail)
    beside = world.shadow(graph, "tools", ToolNode([mail]), tools={"allow": [mail.name]})
    world.invoke(graph, asks(mail.name, "ana", "c1"))
    assert SENT == ["ana", "ana"]
    assert beside.executions[0].status is Status.SUCCESS
    assert beside.scopes[0].blocked == []


@pytest.mark.parametrize("mark", [{"tags": ["read_only"]}, {"metadata": {"read_only": True}}])
def test_a_read_only_tool_runs(mark: dict[str, Any]) -> None:
    """A tool marked as changing nothing needs no configuration."""
    marked = asend_mail.model_copy(update=mark)
    graph = tool_graph(marked)
    world = World(ISOLATED, True)
    beside = world.shadow(graph, "tools", ToolNode([marked]))
    world.invoke(graph, asks(marked.name, "ana", "c1"))
    assert SENT == ["ana", "ana"]
    assert beside.scopes[0].blocked == []


@TOOLS
def test_replay_gives_what_v1s_call_returned(mail: BaseTool, is_async: bool) -> None:
    """The same tool with the same arguments is not run again; V2's answer carries V2's call id."""
    world = World(ISOLATED, is_async)
    graph = tool_graph(mail)

    async def av2(state: MessagesState) -> Any:
        asked = {**asks(mail.name, "ana", "v2"), "noise": 1}
        return await ToolNode([mail]).ainvoke(asked)

    def v2(state: MessagesState) -> Any:
        asked = {**asks(mail.name, "ana", "v2"), "noise": 1}  # injected state differs; the call is the same
        return ToolNode([mail]).invoke(asked)

    beside = world.shadow(graph, "tools", av2 if is_async else v2, tools={"replay": [mail.name]})
    world.invoke(graph, asks(mail.name, "ana", "v1"))
    assert SENT == ["ana"]
    [answer] = beside.executions[0].value["messages"]
    assert isinstance(answer, ToolMessage)
    assert (answer.content, answer.tool_call_id) == ("sent 1 to ana", "v2")


def test_what_v1_did_not_do_is_not_replayed() -> None:
    """Other arguments, another tool: blocked, like any."""
    graph = tool_graph(send_mail)
    v2 = lambda state: ToolNode([send_mail]).invoke(asks("send_mail", "eva", "v2"))  # noqa: E731
    beside = shadow(graph, "tools", v2, tools={"replay": ["send_mail"]})
    graph.invoke(asks("send_mail", "ana", "v1"))
    assert SENT == ["ana"]
    assert beside.scopes[0].blocked == ["send_mail"]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_production_call_of_the_same_tool_at_the_same_time_is_untouched(is_async: bool) -> None:
    """Two calls of one tool object overlap, one inside a shadow: production's runs, the shadow's doesn't."""
    both = threading.Barrier(2)
    inside: list[str] = []

    @tool
    def touch(who: str) -> str:
        """Wait until the other call was judged."""
        inside.append(who)
        both.wait(5)
        return who

    def production() -> str:
        return str(touch.invoke({"who": "production"}))

    def shadowed() -> str:
        SHADOW.set(ShadowContext("g", "n"))
        try:
            return str(touch.invoke({"who": "shadow"}))
        except ToolBlockedError as blocked:
            return f"blocked {blocked.name}"
        finally:
            both.wait(5)

    async def aproduction() -> str:
        return str(await touch.ainvoke({"who": "production"}))

    async def ashadowed() -> str:
        SHADOW.set(ShadowContext("g", "n"))
        try:
            return str(await touch.ainvoke({"who": "shadow"}))
        except ToolBlockedError as blocked:
            return f"blocked {blocked.name}"
        finally:
            await asyncio.to_thread(both.wait, 5)

    async def together() -> list[str]:
        return list(await asyncio.gather(aproduction(), ashadowed()))

    results = asyncio.run(together()) if is_async else _in_threads(production, shadowed)
    assert results == ["production", "blocked touch"]
    assert inside == ["production"]


def _in_threads(*work: Callable[[], str]) -> list[str]:
    results = [""] * len(work)
    threads = [
        threading.Thread(target=lambda at=at, run=run: results.__setitem__(at, run())) for at, run in enumerate(work)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return results


def test_an_agent_inside_v2_stops_at_the_blocked_tool() -> None:
    """The model of a V2 agent is asked once: no error message sends it looking for another way."""
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langgraph.prebuilt import create_react_agent

    asked: list[int] = []

    class Model(GenericFakeChatModel):
        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return self

        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            asked.append(1)
            return super()._generate(*args, **kwargs)

    answers = iter([asks("send_mail", "ana", "c1")["messages"][0], AIMessage("done")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # langgraph 1.x says where else it lives now
        agent = create_react_agent(Model(messages=answers), [send_mail])
    graph = StateGraph(MessagesState)
    graph.add_node("a", lambda state: {})
    graph.add_edge(START, "a")
    compiled = graph.compile()
    beside = shadow(compiled, "a", agent)
    compiled.invoke({"messages": [("user", "write to ana")]})
    assert (len(asked), SENT) == (1, [])
    assert isinstance(beside.executions[0].error, ToolBlockedError)


class Desk:
    """Plain code with effects."""

    @side_effect
    def book(self, day: str, seats: int = 1) -> str:
        """Book a visit."""
        SENT.append(day)
        return f"booked {len(SENT)}"


@side_effect(name="charge")
async def charge_card(amount: int) -> dict[str, int]:
    """Charge a card."""
    SENT.append(str(amount))
    return {"charged": amount}


def inside(**tools: Any) -> ShadowContext:
    scope = ShadowContext("g", "n", ToolsTable(**tools))
    SHADOW.set(scope)
    return scope


async def test_marked_functions_outside_a_shadow() -> None:
    """Nothing changes: they run, and keep their names and kinds."""
    assert Desk().book("monday") == "booked 1"
    assert await charge_card(3) == {"charged": 3}
    assert (Desk.book.__name__, asyncio.iscoroutinefunction(charge_card)) == ("book", True)


async def test_marked_functions_inside_a_shadow() -> None:
    """Blocked by default, by the name that ``[tools]`` uses; allowed by that name."""
    scope = inside()
    with pytest.raises(SideEffectBlockedError, match="book is blocked"):
        Desk().book("monday")
    with pytest.raises(SideEffectBlockedError, match="charge is blocked"):
        await charge_card(3)
    assert (SENT, scope.blocked) == ([], ["book", "charge"])
    inside(allow=("charge",))
    assert await charge_card(3) == {"charged": 3}


async def test_marked_functions_are_replayed() -> None:
    """However the arguments were passed, the same call has the same result, as a copy; calls replay in order."""
    with recording() as calls:
        desk = Desk()
        desk.book("monday", seats=2)
        desk.book("monday", 2)
        charged = await charge_card(3)
    scope = ShadowContext("g", "n", ToolsTable(replay=("book", "charge")), recorded_calls=calls)
    SHADOW.set(scope)
    assert [Desk().book(seats=2, day="monday") for _ in range(3)] == ["booked 1", "booked 2", "booked 2"]
    replayed = await charge_card(amount=3)
    assert replayed == charged
    assert replayed is not charged
    with pytest.raises(SideEffectBlockedError):
        await charge_card(4)
    assert SENT == ["monday", "monday", "3"]


class TwoFields(Exception):
    """An exception that pickles, and can't be made again from its pickle."""

    def __init__(self, code: int, who: str) -> None:
        super().__init__(f"{code} from {who}")
        self.code = code


class HoldsALock(Exception):
    """An exception that can't be copied whole."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


class Answer(BaseModel):
    """What a tool validates."""

    age: int


def _invalid() -> Exception:
    try:
        return Answer(age="old")  # type: ignore[arg-type,return-value]
    except ValidationError as error:
        return error


RAISED = [ValueError("no"), FileNotFoundError(2, "gone"), TwoFields(7, "the bank"), HoldsALock("busy"), _invalid(),
          GraphInterrupt([Interrupt(value={"sure": True}, id="0" * 32)])]  # fmt: skip


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
async def test_what_v1s_call_raised_is_raised(error: Exception, is_async: bool) -> None:
    """A call that failed, or asked a human, is replayed as that: a copy of the exception, of its class and words."""

    @side_effect
    def charge() -> None:
        raise error

    @side_effect(name="charge")
    async def acharge() -> None:
        raise error

    async def raised() -> BaseException:
        with pytest.raises(type(error)) as caught:
            await acharge() if is_async else charge()
        return caught.value

    with recording() as calls:
        assert await raised() is error
    SHADOW.set(ShadowContext("g", "n", ToolsTable(replay=("charge",)), recorded_calls=calls))
    for _ in range(2):
        again = await raised()
        assert again is not error
        assert (type(again), str(again), repr(again)) == (type(error), str(error), repr(error))


@tool
def ask_first(to: str) -> str:
    """Send a mail if a human agrees."""
    if interrupt({"send to": to}) != "yes":
        raise ToolException("refused")
    SENT.append(to)
    return f"sent to {to}"


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_v1s_question_and_failure_are_replayed_to_the_same_v2(
    answer: str, is_async: bool, make_shadow_capture: Any
) -> None:
    """V2 asks where V1 asked, and fails where V1's tool failed; it never runs the tool and is not blocked."""
    capture = make_shadow_capture({
        "nodes": {"tools": {"v2": "self", "compare": {"fields": ["*"]}}}, "tools": {"replay": ["ask_first"]},
    })  # fmt: skip
    graph = StateGraph(MessagesState).add_node("tools", ToolNode([ask_first], handle_tool_errors=True))
    compiled = capture.attach(graph.add_edge(START, "tools").compile(checkpointer=InMemorySaver()))
    world, thread = World(ISOLATED, is_async), {"configurable": {"thread_id": "session_1"}}
    world.invoke(compiled, asks("ask_first", "ana", "c1"), thread)
    world.invoke(compiled, Command(resume=answer), thread)
    assert [(record.v2.status, record.comparison.outcome, record.blocked_tools) for record in capture.records] == [
        ("interrupt", "match", ()),
        ("success", "match", ()),
    ]
    assert len(SENT) == (answer == "yes")


async def test_a_shadow_records_nothing() -> None:
    """Calls of V2 never become results to replay."""
    with recording() as calls:
        inside(allow=("charge",))
        await charge_card(3)
    assert calls == {}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("method", ["invoke", "stream"])
def test_replay_under_the_real_runner(is_async: bool, method: str, make_shadow_capture: Any) -> None:
    """``[tools] replay`` is all it takes: V1's calls are recorded while it runs, at every depth, and nowhere else."""
    capture = make_shadow_capture({"tools": {"replay": ["asend_mail" if is_async else "send_mail"]}})
    mail = asend_mail if is_async else send_mail
    inner = tool_graph(mail)
    outer = StateGraph(MessagesState)
    outer.add_node("inner", inner)
    outer.add_edge(START, "inner")
    graph = outer.compile()
    capture.attach(inner, {"tools": ToolNode([mail])})
    capture.attach(graph, {"inner": tool_graph(mail)})
    world = World(ISOLATED, is_async)
    (world.stream if method == "stream" else world.invoke)(graph, asks(mail.name, "ana", "c1"))
    assert {(record.node, record.v2.status, record.comparison.outcome) for record in capture.records} == {
        ("tools", "success", "match"),
        ("inner", "success", "match"),
    }
    assert SENT == ["ana"]
    assert capture.swallowed == {}
    assert recorders() == ()
