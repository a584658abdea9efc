"""V2's business nodes: pure functions that read the state, extract, and write their own fields and an outbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_shadow._demo import state as s
from otel_shadow._demo.state import EnrolmentState
from otel_shadow._demo.v2.extract import level_of_age
from otel_shadow._demo.v2.intents import AFFIRM, DENY, GENERAL
from otel_shadow._demo.v2.turn import Turn, turn_of

_STEP_OF = {
    "child_name": s.CHILD_NAME, "child_age": s.AGE, "education_level": s.EDUCATION,
    "date": s.DATE, "time": s.TIME, "confirmation": s.CONFIRMATION,
}  # fmt: skip


def greeting(state: EnrolmentState) -> dict[str, Any]:
    """Extract the parent's name; say in the outbox what was heard or is still to be asked."""
    names = turn_of(state, s.GREETING).parent_names
    heard = {"parent_name": names[0].value} if names else {}
    known = heard or state.get("parent_name")
    return {
        **heard,
        "current_step": s.CHILD_NAME if known else s.PARENT_NAME,
        "missing_slots": [] if known else ["parent_name"],
        "outbox": [{"kind": "heard" if known else "ask", "slot": "parent_name"}],
    }


def qualification(state: EnrolmentState) -> dict[str, Any]:
    """Extract the child's name, age and level; say in the outbox what is still to be asked."""
    heard = child_slots(turn_of(state, s.QUALIFICATION))
    wanted = missing_of_child({**state, **heard})
    return {**heard, **_asking(wanted, s.QUALIFIED, {"kind": "qualified", "slot": "child_name"})}


def information(state: EnrolmentState) -> dict[str, Any]:
    """Find the topic; put the answer, or the question back, into the outbox."""
    topic = turn_of(state, s.INFORMATION).intents.topic
    if not topic or topic == GENERAL:
        return {"current_step": s.CLARIFYING, "outbox": [{"kind": "unclear"}]}
    return {"topic": topic, "current_step": s.ANSWERING, "outbox": [{"kind": "answer", "slot": topic}]}


def scheduling(state: EnrolmentState) -> dict[str, Any]:
    """Extract date, time and consent; say in the outbox what is still to be asked."""
    heard = visit_slots(turn_of(state, s.SCHEDULING))
    return {**heard, **_asking(missing_of_visit({**state, **heard}), s.BOOKED, {"kind": "booked"})}


def _asking(wanted: list[str], done: str, last: dict[str, str]) -> dict[str, Any]:
    """Return the fields of a node that asks for the first of the ``wanted`` slots, or is ``done`` and says ``last``."""
    return {
        "current_step": _STEP_OF[wanted[0]] if wanted else done,
        "missing_slots": wanted,
        "outbox": [{"kind": "ask", "slot": wanted[0]} if wanted else last],
    }


def child_slots(turn: Turn) -> dict[str, Any]:
    """Return what the message says of the child; the level follows from the age."""
    heard: dict[str, Any] = {}
    if turn.child_names:
        heard["child_name"] = turn.child_names[0].value
    if turn.ages:
        heard["child_age"] = turn.ages[0].value
        heard["education_level"] = level_of_age(turn.ages[0].value)
    elif turn.levels:
        heard["education_level"] = turn.levels[0].value
    return heard


def missing_of_child(known: Mapping[str, Any]) -> list[str]:
    """Return what is still to be asked of the child, in order; a level that is known makes the age dispensable."""
    wanted = ["child_name"] if not known.get("child_name") else []
    if not known.get("education_level"):
        wanted.append("child_age" if known.get("child_age") is None else "education_level")
    return wanted


def visit_slots(turn: Turn) -> dict[str, Any]:
    """Return what the message says of the visit; yes and no count while a confirmation is pending."""
    heard: dict[str, Any] = {}
    if turn.dates:
        heard["requested_date"] = turn.dates[0].value.isoformat()
    if turn.times:
        heard["requested_time"] = turn.times[0].value
    if heard or turn.pending != "confirmation":
        return heard
    if turn.intents.has(DENY):
        return {"requested_date": "", "requested_time": ""}
    return {"booking_confirmed": True} if turn.intents.has(AFFIRM) else {}


def missing_of_visit(known: Mapping[str, Any]) -> list[str]:
    """Return what is still to be asked of the visit, in order."""
    wanted = [slot for slot in ("date", "time") if not known.get(f"requested_{slot}")]
    return wanted or ([] if known.get("booking_confirmed") else ["confirmation"])
