"""V1's greeting: welcome the parent, learn their name, send them on."""

from __future__ import annotations

from typing import Any

from langgraph.graph import END

from otel_shadow._demo.state import (
    CHILD_NAME,
    GREETING,
    HUMAN,
    INFORMATION,
    PARENT_NAME,
    QUALIFICATION,
    SCHEDULING,
    EnrolmentState,
    last_user_text,
)
from otel_shadow._demo.v1.keywords import asks_question, wants_human, wants_visit
from otel_shadow._demo.v1.patterns import names
from otel_shadow._demo.v1.texts import say


def greeting(state: EnrolmentState) -> dict[str, Any]:
    """Extract the parent's name, decide where to go and answer."""
    text = last_user_text(state)
    update: dict[str, Any] = {"visited": [*state.get("visited", []), GREETING], "current_stage": GREETING}
    asked = state.get("requested_slot") == "parent_name"
    if found := names(text, asked=asked):
        update["parent_name"] = found[0].value
    name = update.get("parent_name") or state.get("parent_name")
    update["current_step"] = CHILD_NAME if name else PARENT_NAME
    if wants_human(text):
        return {**update, "next_node": HUMAN}
    if wants_visit(text):
        return {**update, "next_node": SCHEDULING}
    if asks_question(text):
        return {**update, "next_node": INFORMATION}
    if name:
        said = say(state, "nice", parent_name=name)
        return {**update, "messages": said, "next_node": QUALIFICATION, "requested_slot": "child_name"}
    said = say(state, "ask_parent_name" if asked else "welcome")
    return {**update, "messages": said, "next_node": END, "requested_slot": "parent_name"}
