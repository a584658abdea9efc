"""V2's four nodes: each reads the turn, routes, runs its business node, words the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel

from otel_shadow._demo.state import GREETING, INFORMATION, QUALIFICATION, SCHEDULING, EnrolmentState
from otel_shadow._demo.v2 import business
from otel_shadow._demo.v2.learned import Learned, Thresholds
from otel_shadow._demo.v2.response import DraftingChatModel, respond
from otel_shadow._demo.v2.router import route
from otel_shadow._demo.v2.turn import turn_of

Node = Callable[[EnrolmentState], dict[str, Any]]

BUSINESS: dict[str, Node] = {
    GREETING: business.greeting,
    QUALIFICATION: business.qualification,
    INFORMATION: business.information,
    SCHEDULING: business.scheduling,
}


def pipeline(
    name: str,
    *,
    thresholds: Thresholds | None = None,
    model: BaseChatModel | None = None,
    learned: Learned | None = None,
) -> Node:
    """Return the graph node `name`: its business node with the pipeline around it.

    Args:
        name: one of the four business nodes.
        thresholds: the router's; the defaults where absent.
        model: answers where the router's action is `llm_rag`; a deterministic one without a network where absent.
        learned: further patterns for the router.

    """
    limits, chat, patterns = thresholds or Thresholds(), model or DraftingChatModel(), learned or Learned()

    def node(state: EnrolmentState) -> dict[str, Any]:
        turn = turn_of(state, name)
        turn = replace(turn, intents=patterns.add(turn.intents, turn.text))
        return respond(state, turn, route(state, turn, limits), BUSINESS[name](state), chat)

    node.__name__ = node.__qualname__ = f"{name}_v2"
    node.__doc__ = f"V2 of `{name}`: router, business node, answer."
    return node


def build_nodes(
    *,
    thresholds: Thresholds | Path | str | Mapping[str, Thresholds] | None = None,
    model: BaseChatModel | None = None,
    patterns: Path | str | None = None,
) -> dict[str, Node]:
    """Return V2's four nodes.

    Args:
        thresholds: for all nodes; per node (a mapping); or a file that `Thresholds.from_file` reads for each node.
        model: the chat model, see `pipeline`.
        patterns: a file that `Learned.from_file` reads.

    Raises:
        ValueError: the thresholds file, or the patterns file, is not one.

    """
    learned = Learned.from_file(patterns) if patterns else None

    def limits(name: str) -> Thresholds | None:
        if isinstance(thresholds, (str, Path)):
            return Thresholds.from_file(thresholds, name)
        return thresholds.get(name) if isinstance(thresholds, Mapping) else thresholds

    return {name: pipeline(name, thresholds=limits(name), model=model, learned=learned) for name in BUSINESS}
