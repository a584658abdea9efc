"""Greeting: learn the parent's name."""

from __future__ import annotations

from typing import Any

from otel_shadow._demo.state import CHILD_NAME, GREETING, PARENT_NAME, EnrolmentState, OutboxItem
from otel_shadow._demo.v2.understanding import Understanding, understanding_of

OWN_FIELDS = frozenset({"parent_name", "current_step", "missing_slots"})


def gather(reading: Understanding) -> dict[str, Any]:
    """Return the slots of this node that the message gives."""
    return {"parent_name": reading.parent_names[0].value} if reading.parent_names else {}


def greeting(state: EnrolmentState) -> dict[str, Any]:
    """Extract the parent's name; say in the outbox what was heard or is still to be asked."""
    heard = gather(understanding_of(state, GREETING))
    name = heard.get("parent_name") or state.get("parent_name")
    item: OutboxItem = {"kind": "heard", "slot": "parent_name"} if name else {"kind": "ask", "slot": "parent_name"}
    return {
        **heard,
        "current_step": CHILD_NAME if name else PARENT_NAME,
        "missing_slots": [] if name else ["parent_name"],
        "outbox": [item],
    }
