"""Information: which topic a question is about."""

from __future__ import annotations

from typing import Any

from otel_shadow.demo.state import ANSWERING, CLARIFYING, INFORMATION, EnrolmentState
from otel_shadow.demo.v2.understanding import Understanding, understanding_of

OWN_FIELDS = frozenset({"topic", "current_step"})


def gather(reading: Understanding) -> dict[str, Any]:
    """Return the topic of the question, if it has one."""
    return {"topic": reading.intents.topic} if reading.intents.topic else {}


def information(state: EnrolmentState) -> dict[str, Any]:
    """Find the topic; put the answer, or the question back, into the outbox."""
    heard = gather(understanding_of(state, INFORMATION))
    item = {"kind": "answer", "slot": heard["topic"]} if heard else {"kind": "unclear"}
    return {**heard, "current_step": ANSWERING if heard else CLARIFYING, "outbox": [item]}
