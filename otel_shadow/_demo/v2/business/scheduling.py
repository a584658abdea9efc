"""Scheduling: a day, a time, a confirmation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_shadow._demo.state import BOOKED, CONFIRMATION, DATE, SCHEDULING, TIME, EnrolmentState
from otel_shadow._demo.v2.intents import AFFIRM, DENY
from otel_shadow._demo.v2.resolver import resolve
from otel_shadow._demo.v2.understanding import Understanding, understanding_of

OWN_FIELDS = frozenset({"requested_date", "requested_time", "booking_confirmed", "current_step", "missing_slots"})
_STEP_OF = {"date": DATE, "time": TIME, "confirmation": CONFIRMATION}


def gather(reading: Understanding, pending: str | None) -> dict[str, Any]:
    """Return the slots of this node that the message gives; yes and no count while a confirmation is pending."""
    heard: dict[str, Any] = {}
    if reading.dates:
        heard["requested_date"] = reading.dates[0].value.isoformat()
    if reading.times:
        heard["requested_time"] = reading.times[0].value
    if heard or pending != "confirmation":
        return heard
    if reading.intents.has(DENY):
        return {"requested_date": "", "requested_time": ""}
    return {"booking_confirmed": True} if reading.intents.has(AFFIRM) else {}


def missing(known: Mapping[str, Any]) -> list[str]:
    """Return what is still to be asked, in order."""
    wanted = [slot for slot in ("date", "time") if not known.get(f"requested_{slot}")]
    return wanted or ([] if known.get("booking_confirmed") else ["confirmation"])


def scheduling(state: EnrolmentState) -> dict[str, Any]:
    """Extract date, time and consent; say in the outbox what is still to be asked."""
    heard = gather(understanding_of(state, SCHEDULING), resolve(state, SCHEDULING).pending)
    wanted = missing({**state, **heard})
    return {
        **heard,
        "current_step": _STEP_OF[wanted[0]] if wanted else BOOKED,
        "missing_slots": wanted,
        "outbox": [{"kind": "ask", "slot": wanted[0]} if wanted else {"kind": "booked"}],
    }
