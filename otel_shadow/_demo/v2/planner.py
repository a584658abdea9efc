"""The response planner: words what the outbox holds, in the way that the router's action allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from langgraph.graph import END

from otel_shadow._demo.state import BUSINESS_NODES, HUMAN, OutboxItem
from otel_shadow._demo.v2.model import DRAFT
from otel_shadow._demo.v2.resolver import Resolution
from otel_shadow._demo.v2.router import Routing
from otel_shadow._demo.v2.texts import TEXTS

_PROMPT = {
    "pt": "Você atende pais de um centro de reforço escolar. Responda em português, em até duas frases, só com o que "
    "o rascunho diz.\n",
    "en": "You answer parents of an after-school learning centre. Answer in English, in at most two sentences, with "
    "nothing but what the draft says.\n",
}


def plan_response(resolution: Resolution, routing: Routing, known: Mapping[str, Any], model: BaseChatModel) -> str:
    """Return the answer, or an empty string where the next node speaks.

    Args:
        resolution: the turn.
        routing: the router's decision.
        known: the state with the business node's output laid over it.
        model: words the answer where the action is `llm_rag`; it gets the template's text as a draft.

    """
    draft = " ".join(_text(item, resolution, known) for item in _to_say(routing, known))
    if routing.action == "fallback" and routing.target == END:
        draft = f"{TEXTS[resolution.language]['unclear']} {draft}"
    if routing.action == "llm_rag" and draft:
        system = SystemMessage(f"{_PROMPT[resolution.language]}{DRAFT} {draft}")
        return str(model.invoke([system, HumanMessage(resolution.text)]).text)
    return draft


def requested_slot(routing: Routing, known: Mapping[str, Any]) -> str | None:
    """Return the slot that the answer asks for, `None` where it asks for none."""
    return next((item["slot"] for item in _to_say(routing, known) if item["kind"] == "ask"), None)


def _to_say(routing: Routing, known: Mapping[str, Any]) -> list[OutboxItem]:
    """Return the items this node words: none for a person, no question before another node asks its own."""
    outbox: list[OutboxItem] = known.get("outbox", [])
    if routing.target == HUMAN:
        return []
    if routing.target in BUSINESS_NODES:
        digressing = routing.plan.intent in ("ask_information", "schedule") and "answer" not in _kinds(outbox)
        return [] if digressing else [item for item in outbox if item["kind"] != "ask"]
    return outbox


def _kinds(outbox: list[OutboxItem]) -> set[str]:
    return {item["kind"] for item in outbox}


def _text(item: OutboxItem, resolution: Resolution, known: Mapping[str, Any]) -> str:
    texts = TEXTS[resolution.language]
    key = f"{item['kind']}.{item['slot']}" if "slot" in item else item["kind"]
    if key == "ask.parent_name" and resolution.pending != "parent_name":
        key = "welcome"
    return texts[key].format_map(_Spoken(known))


class _Spoken(dict[str, Any]):
    """Slots as they are spoken; a child whose name is not known yet is called by a neutral word."""

    def __missing__(self, key: str) -> str:
        return "…"
