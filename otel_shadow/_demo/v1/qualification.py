"""V1's qualification: who the child is, how old, and at which level."""

from __future__ import annotations

from typing import Any

from langgraph.graph import END

from otel_shadow._demo.state import (
    AGE,
    CHILD_NAME,
    EDUCATION,
    HUMAN,
    INFORMATION,
    QUALIFICATION,
    QUALIFIED,
    SCHEDULING,
    EnrolmentState,
    last_user_text,
)
from otel_shadow._demo.v1.keywords import asks_question, wants_human, wants_visit
from otel_shadow._demo.v1.patterns import ages, child_names, education_level, level_of_age
from otel_shadow._demo.v1.texts import say


def qualification(state: EnrolmentState) -> dict[str, Any]:
    """Extract the child's name, age and level, decide where to go and answer."""
    text = last_user_text(state)
    update: dict[str, Any] = {"visited": [*state.get("visited", []), QUALIFICATION], "current_stage": QUALIFICATION}
    # In the turn that gave the parent's name, a bare answer is the parent's, not the child's.
    asked = None if "greeting" in state.get("visited", []) else state.get("requested_slot")
    if found := child_names(text, asked=asked == "child_name"):
        update["child_name"] = found[0].value
    if aged := ages(text, asked=asked == "child_age"):
        update["child_age"] = aged[0].value
        update["education_level"] = level_of_age(aged[0].value)
    elif level := education_level(text):
        update["education_level"] = level
    known = {**state, **update}
    step, ask, slot = _progress(known)
    update["current_step"] = step
    if wants_human(text):
        return {**update, "next_node": HUMAN}
    if len(update) == 3 and asks_question(text):
        return {**update, "next_node": INFORMATION}
    if step == QUALIFIED:
        said = say(state, "qualified", child_name=known["child_name"])
        return {**update, "messages": said, "next_node": SCHEDULING, "requested_slot": "date"}
    if len(update) == 3 and wants_visit(text):
        return {**update, "next_node": SCHEDULING}
    said = say(state, ask, child_name=known.get("child_name"))
    return {**update, "messages": said, "next_node": END, "requested_slot": slot}


def _progress(known: dict[str, Any]) -> tuple[str, str, str]:
    if not known.get("child_name"):
        return CHILD_NAME, "ask_child_name", "child_name"
    if known.get("child_age") is None and not known.get("education_level"):
        return AGE, "ask_age", "child_age"
    if not known.get("education_level"):
        return EDUCATION, "ask_level", "education_level"
    return QUALIFIED, "qualified", "date"
