"""V1's information: answer the question that a keyword gives away, then return to the conversation."""

from __future__ import annotations

from typing import Any

from langgraph.graph import END

from otel_shadow._demo.state import (
    ANSWERING,
    CLARIFYING,
    GREETING,
    HUMAN,
    INFORMATION,
    QUALIFICATION,
    SCHEDULING,
    EnrolmentState,
    last_user_text,
)
from otel_shadow._demo.v1.keywords import topic_of, wants_human, wants_visit
from otel_shadow._demo.v1.texts import say


def information(state: EnrolmentState) -> dict[str, Any]:
    """Find the topic, answer, and go back to the stage the parent came from."""
    text = last_user_text(state)
    topic = topic_of(text)
    update: dict[str, Any] = {
        "visited": [*state.get("visited", []), INFORMATION],
        "current_stage": state.get("current_stage", GREETING),
        "current_step": ANSWERING if topic else CLARIFYING,
    }
    if wants_human(text):
        return {**update, "next_node": HUMAN}
    if topic is None:
        if wants_visit(text):
            return {**update, "next_node": SCHEDULING}
        return {**update, "messages": say(state, "not_understood"), "next_node": END}
    update |= {"topic": topic, "messages": say(state, topic)}
    if wants_visit(text):
        return {**update, "next_node": SCHEDULING}
    if state.get("parent_name") and not state.get("education_level"):
        return {**update, "next_node": QUALIFICATION}
    return {**update, "next_node": END}
