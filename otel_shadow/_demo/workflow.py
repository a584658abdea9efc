"""The enrolment assistant as a LangGraph workflow: the graph is the same whichever version its nodes have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from otel_shadow._demo.language import detect_language
from otel_shadow._demo.state import (
    BUSINESS_NODES,
    GREETING,
    HUMAN,
    INFORMATION,
    QUALIFICATION,
    SCHEDULING,
    WITH_HUMAN,
    EnrolmentState,
    last_user_text,
)
from otel_shadow._demo.v1 import V1_NODES
from otel_shadow._demo.v1.keywords import asks_question, wants_visit

Node = Callable[..., Any]
Nodes = Mapping[str, Node]
_INTAKE = "intake"
_PASSING_ON = {
    "pt": "Vou chamar uma pessoa da nossa equipe, só um momento.",
    "en": "Let me get a member of our team, one moment please.",
}


def now() -> datetime:
    """Return the local time that relative dates of this turn are counted from."""
    return datetime.now().astimezone().replace(tzinfo=None, microsecond=0)


def intake(state: EnrolmentState, config: RunnableConfig) -> dict[str, Any]:
    """Open a turn: its session, language and time, and nothing left over from the turn before.

    `configurable.reference_datetime` (ISO 8601, local) stands in for the clock when recorded conversations are played.
    """
    given = config.get("configurable", {})
    return {
        "session_id": str(state.get("session_id") or given.get("thread_id") or ""),
        "language": detect_language(last_user_text(state), state.get("language", "pt")),
        "reference_datetime": given.get("reference_datetime") or now().isoformat(),
        "visited": [],
        "next_node": END,
        "outbox": [],
    }


def human(state: EnrolmentState) -> dict[str, Any]:
    said = AIMessage(_PASSING_ON[state.get("language", "pt")])
    return {"messages": [said], "current_step": WITH_HUMAN, "next_node": END}


def entry(state: EnrolmentState) -> str:
    """Return the node that a turn begins in: the first greets, later ones go where the conversation stands."""
    stage = state.get("current_stage")
    text = last_user_text(state)
    if stage is None:
        return GREETING
    if "?" in text and asks_question(text) and not wants_visit(text):
        return INFORMATION
    if wants_visit(text) and stage != GREETING:
        return SCHEDULING
    return stage if stage in (QUALIFICATION, SCHEDULING) else GREETING


def onward(state: EnrolmentState) -> str:
    """Return where a node's `next_node` leads; a node that already ran in this turn, or an unknown one, ends it."""
    target = state.get("next_node", END)
    if target in state.get("visited", []) or target not in (*BUSINESS_NODES, HUMAN):
        return END
    return target


def build_graph(
    nodes: str | Nodes = "v1",
    *,
    checkpointer: Any = None,
    store: Any = None,
    thresholds: Path | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return the compiled workflow; one invocation is one turn of the user's: `{"messages": [HumanMessage(...)]}`.

    `nodes` is `"v1"`, `"v2"`, or a mapping from node name to callable, the names it leaves out being V1's; `thresholds`
    is a file for the routers of `"v2"`. Without a `checkpointer` every invocation is a session of its own. A version or
    node that the workflow does not have is a ValueError.
    """
    graph = StateGraph(EnrolmentState)
    graph.add_node(_INTAKE, intake)
    graph.add_node(HUMAN, human)
    for name, node in _version(nodes, thresholds).items():
        graph.add_node(name, node)
        graph.add_conditional_edges(name, onward, [*(n for n in BUSINESS_NODES if n != name), HUMAN, END])
    graph.add_edge(START, _INTAKE)
    graph.add_conditional_edges(_INTAKE, entry, list(BUSINESS_NODES))
    graph.add_edge(HUMAN, END)
    return graph.compile(checkpointer=checkpointer, store=store, name="enrolment")


def _version(nodes: str | Nodes, thresholds: Path | None) -> dict[str, Node]:
    if nodes == "v1":
        return dict(V1_NODES)
    if nodes == "v2":
        from otel_shadow._demo.v2 import build_nodes

        return dict(build_nodes(thresholds=thresholds))
    if not isinstance(nodes, Mapping):
        raise ValueError(f"nodes={nodes!r}: expected 'v1', 'v2' or a mapping from node name to callable")
    unknown = sorted(set(nodes) - set(BUSINESS_NODES))
    if unknown:
        raise ValueError(f"nodes: the workflow has no node {', '.join(unknown)}; it has {', '.join(BUSINESS_NODES)}")
    return {**V1_NODES, **nodes}


def graph() -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return the workflow as production serves it: V1, with sessions kept in memory."""
    from langgraph.checkpoint.memory import InMemorySaver

    return build_graph("v1", checkpointer=InMemorySaver())
