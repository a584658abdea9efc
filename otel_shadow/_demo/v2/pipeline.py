"""V2's four nodes: each reads the turn, routes, runs its business node, words the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel

from otel_shadow._demo.state import GREETING, INFORMATION, QUALIFICATION, SCHEDULING, EnrolmentState
from otel_shadow._demo.v2 import business
from otel_shadow._demo.v2.response import DraftingChatModel, respond
from otel_shadow._demo.v2.router import route
from otel_shadow._demo.v2.thresholds import Thresholds
from otel_shadow._demo.v2.turn import turn_of

Node = Callable[[EnrolmentState], dict[str, Any]]

BUSINESS: dict[str, Node] = {
    GREETING: business.greeting,
    QUALIFICATION: business.qualification,
    INFORMATION: business.information,
    SCHEDULING: business.scheduling,
}


def pipeline(name: str, *, thresholds: Thresholds | None = None, model: BaseChatModel | None = None) -> Node:
    """Return the graph node `name`: its business node with router and answer around it.

    `model` answers where the router's action is `llm_rag`; where absent, a deterministic one without a network.
    """
    limits, chat = thresholds or Thresholds(), model or DraftingChatModel()

    def node(state: EnrolmentState) -> dict[str, Any]:
        turn = turn_of(state, name)
        return respond(state, turn, route(state, turn, limits), BUSINESS[name](state), chat)

    node.__name__ = node.__qualname__ = f"{name}_v2"
    node.__doc__ = f"V2 of `{name}`: router, business node, answer."
    return node


def build_nodes(
    *,
    thresholds: Thresholds | Path | str | Mapping[str, Thresholds] | None = None,
    model: BaseChatModel | None = None,
) -> dict[str, Node]:
    """Return V2's four nodes.

    `thresholds` are for all nodes, per node (a mapping), or a file that `Thresholds.from_file` reads for each node. A
    file that is not one is a ValueError.
    """

    def limits(name: str) -> Thresholds | None:
        if isinstance(thresholds, (str, Path)):
            return Thresholds.from_file(thresholds, name)
        return thresholds.get(name) if isinstance(thresholds, Mapping) else thresholds

    return {name: pipeline(name, thresholds=limits(name), model=model) for name in BUSINESS}
