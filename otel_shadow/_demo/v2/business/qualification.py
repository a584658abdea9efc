"""Qualification: who the child is, how old, and at which level of education."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_shadow._demo.state import AGE, CHILD_NAME, EDUCATION, QUALIFICATION, QUALIFIED, EnrolmentState
from otel_shadow._demo.v2.extract import level_of_age
from otel_shadow._demo.v2.understanding import Understanding, understanding_of

OWN_FIELDS = frozenset({"child_name", "child_age", "education_level", "current_step", "missing_slots"})
_STEP_OF = {"child_name": CHILD_NAME, "child_age": AGE, "education_level": EDUCATION}


def gather(reading: Understanding) -> dict[str, Any]:
    """Return the slots of this node that the message gives; the level follows from the age."""
    heard: dict[str, Any] = {}
    if reading.child_names:
        heard["child_name"] = reading.child_names[0].value
    if reading.ages:
        heard["child_age"] = reading.ages[0].value
        heard["education_level"] = level_of_age(reading.ages[0].value)
    elif reading.levels:
        heard["education_level"] = reading.levels[0].value
    return heard


def missing(known: Mapping[str, Any]) -> list[str]:
    """Return what is still to be asked, in order; a level that is known makes the age dispensable."""
    wanted = ["child_name"] if not known.get("child_name") else []
    if not known.get("education_level"):
        wanted.append("child_age" if known.get("child_age") is None else "education_level")
    return wanted


def qualification(state: EnrolmentState) -> dict[str, Any]:
    """Extract the child's name, age and level; say in the outbox what is still to be asked."""
    heard = gather(understanding_of(state, QUALIFICATION))
    wanted = missing({**state, **heard})
    return {
        **heard,
        "current_step": _STEP_OF[wanted[0]] if wanted else QUALIFIED,
        "missing_slots": wanted,
        "outbox": [{"kind": "ask", "slot": wanted[0]} if wanted else {"kind": "qualified", "slot": "child_name"}],
    }
