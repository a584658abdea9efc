"""Information: which topic a question is about."""

from __future__ import annotations

from typing import Any

from otel_shadow._demo.state import ANSWERING, CLARIFYING, INFORMATION, EnrolmentState
from otel_shadow._demo.v2.intents import GENERAL
from otel_shadow._demo.v2.understanding import Understanding, understanding_of

OWN_FIELDS = frozenset({"topic", "current_step"})


def gather(reading: Understanding) -> dict[str, Any]:
    """Return the topic of the question, if it is one of those that the centre has an answer for."""
    topic = reading.intents.topic
    return {"topic": topic} if topic and topic != GENERAL else {}


def information(state: EnrolmentState) -> dict[str, Any]:
    """Find the topic; put the answer, or the question back, into the outbox."""
    heard = gather(understanding_of(state, INFORMATION))
    item = {"kind": "answer", "slot": heard["topic"]} if heard else {"kind": "unclear"}
    return {**heard, "current_step": ANSWERING if heard else CLARIFYING, "outbox": [item]}
