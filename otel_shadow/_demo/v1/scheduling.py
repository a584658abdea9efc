"""V1's scheduling: a day, a time, a confirmation."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from langgraph.graph import END

from otel_shadow._demo.state import (
    BOOKED,
    CONFIRMATION,
    DATE,
    HUMAN,
    INFORMATION,
    QUALIFICATION,
    SCHEDULING,
    TIME,
    EnrolmentState,
    last_user_text,
)
from otel_shadow._demo.v1.keywords import agrees, asks_question, refuses, wants_human, wants_visit
from otel_shadow._demo.v1.patterns import dates, times
from otel_shadow._demo.v1.texts import say


def scheduling(state: EnrolmentState) -> dict[str, Any]:
    """Extract date and time, decide where to go and answer."""
    text = last_user_text(state)
    now = datetime.fromisoformat(state["reference_datetime"])
    update: dict[str, Any] = {"visited": [*state.get("visited", []), SCHEDULING], "current_stage": SCHEDULING}
    if found := dates(text, state.get("language", "pt"), now):
        update["requested_date"] = found[0].value.isoformat()
    if clock := times(text):
        update["requested_time"] = clock[0].value
    heard = len(update) > 2
    pending = state.get("requested_slot")
    if not heard and pending == "confirmation" and refuses(text):
        update |= {"requested_date": "", "requested_time": ""}
    if not heard and pending == "confirmation" and agrees(text):
        update["booking_confirmed"] = True
    known = {**state, **update}
    update["current_step"], ask, slot = _progress(known)
    if wants_human(text):
        return {**update, "next_node": HUMAN}
    if not heard and asks_question(text) and not wants_visit(text):
        return {**update, "next_node": INFORMATION}
    said = say(state, ask, **{k: known.get(k) for k in ("requested_date", "requested_time")})
    done = known.get("booking_confirmed") and not known.get("child_name")
    return {**update, "messages": said, "requested_slot": slot, "next_node": QUALIFICATION if done else END}


def _progress(known: dict[str, Any]) -> tuple[str, str, str]:
    if not known.get("requested_date"):
        return DATE, "ask_date", "date"
    if not known.get("requested_time"):
        return TIME, "ask_time", "time"
    if not known.get("booking_confirmed"):
        return CONFIRMATION, "confirm", "confirmation"
    return BOOKED, "booked", "child_name"
