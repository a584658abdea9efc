"""V1's four nodes: each extracts with regular expressions and keywords, decides where to go and answers in one go."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from langgraph.graph import END

from otel_shadow._demo import state as s
from otel_shadow._demo.state import EnrolmentState, last_user_text
from otel_shadow._demo.v1.answers import say
from otel_shadow._demo.v1.keywords import agrees, asks_question, refuses, topic_of, wants_human, wants_visit
from otel_shadow._demo.v1.patterns import ages, child_names, dates, education_level, level_of_age, names, times


def greeting(state: EnrolmentState) -> dict[str, Any]:
    """Welcome the parent, learn their name, send them on."""
    text, update = last_user_text(state), _opened(state, s.GREETING)
    asked = state.get("requested_slot") == "parent_name"
    if found := names(text, asked=asked):
        update["parent_name"] = found[0].value
    name = update.get("parent_name") or state.get("parent_name")
    update["current_step"] = s.CHILD_NAME if name else s.PARENT_NAME
    if wants_human(text):
        return {**update, "next_node": s.HUMAN}
    if wants_visit(text):
        return {**update, "next_node": s.SCHEDULING}
    if asks_question(text):
        return {**update, "next_node": s.INFORMATION}
    if name:
        said = say(state, "nice", parent_name=name)
        return {**update, "messages": said, "next_node": s.QUALIFICATION, "requested_slot": "child_name"}
    said = say(state, "ask_parent_name" if asked else "welcome")
    return {**update, "messages": said, "next_node": END, "requested_slot": "parent_name"}


def qualification(state: EnrolmentState) -> dict[str, Any]:
    """Learn who the child is, how old, and at which level."""
    text, update = last_user_text(state), _opened(state, s.QUALIFICATION)
    # In the turn that gave the parent's name, a bare answer is the parent's, not the child's.
    asked = None if s.GREETING in state.get("visited", []) else state.get("requested_slot")
    if found := child_names(text, asked=asked == "child_name"):
        update["child_name"] = found[0].value
    if aged := ages(text, asked=asked == "child_age"):
        update["child_age"] = aged[0].value
        update["education_level"] = level_of_age(aged[0].value)
    elif level := education_level(text):
        update["education_level"] = level
    known = {**state, **update}
    update["current_step"], ask, slot = _qualified(known)
    heard = len(update) > 3
    if wants_human(text):
        return {**update, "next_node": s.HUMAN}
    if not heard and asks_question(text):
        return {**update, "next_node": s.INFORMATION}
    if update["current_step"] == s.QUALIFIED:
        said = say(state, "qualified", child_name=known["child_name"])
        return {**update, "messages": said, "next_node": s.SCHEDULING, "requested_slot": "date"}
    if not heard and wants_visit(text):
        return {**update, "next_node": s.SCHEDULING}
    said = say(state, ask, child_name=known.get("child_name"))
    return {**update, "messages": said, "next_node": END, "requested_slot": slot}


def information(state: EnrolmentState) -> dict[str, Any]:
    """Answer the question that a keyword gives away, and go back to the stage the parent came from."""
    text = last_user_text(state)
    topic = topic_of(text)
    update = {
        **_opened(state, s.INFORMATION),
        "current_stage": state.get("current_stage", s.GREETING),
        "current_step": s.ANSWERING if topic else s.CLARIFYING,
    }
    if wants_human(text):
        return {**update, "next_node": s.HUMAN}
    if topic:
        update |= {"topic": topic, "messages": say(state, topic)}
    if wants_visit(text):
        return {**update, "next_node": s.SCHEDULING}
    if topic is None:
        return {**update, "messages": say(state, "not_understood"), "next_node": END}
    unqualified = state.get("parent_name") and not state.get("education_level")
    return {**update, "next_node": s.QUALIFICATION if unqualified else END}


def scheduling(state: EnrolmentState) -> dict[str, Any]:
    """Agree on a day and a time, and have them confirmed."""
    text, update = last_user_text(state), _opened(state, s.SCHEDULING)
    now = datetime.fromisoformat(state["reference_datetime"])
    if found := dates(text, state.get("language", "pt"), now):
        update["requested_date"] = found[0].value.isoformat()
    if clock := times(text):
        update["requested_time"] = clock[0].value
    heard = len(update) > 2
    pending = not heard and state.get("requested_slot") == "confirmation"
    if pending and refuses(text):
        update |= {"requested_date": "", "requested_time": ""}
    if pending and agrees(text):
        update["booking_confirmed"] = True
    known = {**state, **update}
    update["current_step"], ask, slot = _booked(known)
    if wants_human(text):
        return {**update, "next_node": s.HUMAN}
    if not heard and asks_question(text) and not wants_visit(text):
        return {**update, "next_node": s.INFORMATION}
    said = say(state, ask, **{name: known.get(name) for name in ("requested_date", "requested_time")})
    done = known.get("booking_confirmed") and not known.get("child_name")
    return {**update, "messages": said, "requested_slot": slot, "next_node": s.QUALIFICATION if done else END}


def _opened(state: EnrolmentState, node: str) -> dict[str, Any]:
    return {"visited": [*state.get("visited", []), node], "current_stage": node}


def _qualified(known: dict[str, Any]) -> tuple[str, str, str]:
    if not known.get("child_name"):
        return s.CHILD_NAME, "ask_child_name", "child_name"
    if known.get("education_level"):
        return s.QUALIFIED, "qualified", "date"
    if known.get("child_age") is None:
        return s.AGE, "ask_age", "child_age"
    return s.EDUCATION, "ask_level", "education_level"


def _booked(known: dict[str, Any]) -> tuple[str, str, str]:
    if not known.get("requested_date"):
        return s.DATE, "ask_date", "date"
    if not known.get("requested_time"):
        return s.TIME, "ask_time", "time"
    if not known.get("booking_confirmed"):
        return s.CONFIRMATION, "confirm", "confirmation"
    return s.BOOKED, "booked", "child_name"
