"""Names of blocked tools: those of the graph's own tools, and those that stand in code, are told; others are not."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool, StructuredTool, tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, ToolNode

from otel_shadow import side_effect
from otel_shadow._langgraph.instrument.tool_names import tool_names
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Callable[..., ShadowCapture]


def does(to: str) -> str:
    """Change the world."""
    return to


def named(name: str) -> BaseTool:
    """A tool whose name stands in no code, as those of a server's list."""
    return StructuredTool.from_function(does, name=name, description="changes the world")


CRM = named("crm-update")


@tool
def send_mail(to: str, state: Annotated[dict[str, Any], InjectedState]) -> str:
    """Send a mail."""
    return to


class Refund(BaseTool):
    """A tool of a class of its own."""

    name: str = "refund"
    description: str = "gives money back"

    def _run(self, to: str) -> str:
        return to


class OwnToolNode:
    """A tool node as tutorials write it."""

    def __init__(self, *tools: BaseTool) -> None:
        self.tools_by_name = {one.name: one for one in tools}

    def __call__(self, state: MessagesState) -> dict[str, Any]:
        return {"messages": [one.invoke({"to": "ana"}) for one in self.tools_by_name.values()]}


def calls_global(state: MessagesState) -> dict[str, Any]:
    CRM.invoke({"to": "ana"})
    return {}


def in_closure(*tools: BaseTool) -> Callable[[MessagesState], dict[str, Any]]:
    def node(state: MessagesState) -> dict[str, Any]:
        for one in tools:
            one.invoke({"to": "ana"})
        return {}

    return node


def graph_of(node: Any) -> Any:
    return StateGraph(MessagesState).add_node("work", node).add_edge(START, "work").compile()


def agent(*tools: BaseTool) -> Any:
    from langgraph.prebuilt import create_react_agent

    asked = [{"name": one.name, "args": {"to": "ana"}, "id": f"c{n}"} for n, one in enumerate(tools)]
    model = Model(messages=iter([AIMessage("", tool_calls=asked), AIMessage("done")] * 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # langgraph 1.x says where else it lives now
        return create_react_agent(model, list(tools))


class Model(GenericFakeChatModel):
    """A model that takes tools."""

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self


@pytest.mark.parametrize(
    "root",
    [
        ToolNode([CRM]), graph_of(ToolNode([CRM])), graph_of(OwnToolNode(CRM)), graph_of(calls_global), calls_global,
        graph_of(in_closure(CRM)), graph_of(graph_of(ToolNode([CRM]))), OwnToolNode(CRM).__call__, [CRM],
    ],
    ids=["tool node", "graph", "own tool node", "global", "function", "closure", "subgraph", "method", "list"],
)  # fmt: skip
def test_tools_are_found_where_graphs_keep_them(root: Any) -> None:
    """In tool nodes of any make, subgraphs, closures and what a function names."""
    assert tool_names(root) == {"crm-update"}


def test_the_tools_of_a_prebuilt_agent_are_found() -> None:
    """Those that were given to it, by whatever way."""
    assert tool_names(agent(CRM, send_mail)) == {"crm-update", "send_mail"}


def test_names_that_are_no_names_of_tools_are_left_out() -> None:
    """A sentence is no name, however it came to be one."""
    assert tool_names([named("mail to Ana Souza"), named("x" * 65)]) == frozenset()


def blocked(capture: ShadowCapture, graph: Any, v2: Any) -> list[str]:
    attached = capture.attach(graph, {"work": v2})
    asked = AIMessage("", tool_calls=[{"name": "crm-update", "args": {"to": "ana"}, "id": "c1"}])
    attached.invoke({"messages": [asked]}, {"configurable": {"thread_id": "session_1"}})
    return [name for line in capture.lines("SHADOW_V2") for name in line["blocked_tools"]]


@pytest.mark.parametrize("v2", [ToolNode([CRM]), calls_global, in_closure(CRM), graph_of(ToolNode([CRM]))])
def test_a_blocked_tool_of_v2_is_named(make_shadow_capture: MakeCapture, v2: Any) -> None:
    """Whoever reads the line finds what to allow or replay in ``[tools]``; V1 has no tool at all."""
    assert blocked(make_shadow_capture({}), graph_of(lambda _: {}), v2) == ["crm-update"]


def test_a_blocked_tool_of_v1s_graph_is_named(make_shadow_capture: MakeCapture) -> None:
    """Also where V2 makes the tool of that name anew at each call."""
    graph = graph_of(ToolNode([CRM]))
    assert blocked(make_shadow_capture({}), graph, lambda _: named("crm-update").invoke({"to": "ana"})) == [
        "crm-update"
    ]


@side_effect
def charge() -> None:
    """Charge somebody."""


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda: Refund().invoke({"to": "ana"}), "refund"),
        (lambda: tool(send_mail.func).invoke({"to": "ana", "state": {}}), "send_mail"),  # type: ignore[attr-defined]
        (charge, "charge"),
        (lambda: named("mail_to_ana_souza").invoke({"to": "ana"}), "_other"),
        (lambda: side_effect(name="mail_to_ana_souza")(does)("ana"), "_other"),
    ],
    ids=["class", "function", "side effect", "made tool", "made side effect"],
)
def test_a_name_that_stands_in_code_is_told_and_a_made_one_is_not(
    make_shadow_capture: MakeCapture, act: Callable[[], Any], told: str
) -> None:
    """A tool that is made as the program runs may be named after a person."""
    capture = make_shadow_capture({})
    assert blocked(capture, graph_of(lambda _: {}), lambda _: act()) == [told]
    assert "souza" not in json.dumps(capture.lines())
