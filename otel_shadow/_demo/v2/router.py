"""The smart router: a confidence from intent and pattern scores, the action it allows, and the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langgraph.graph import END

from otel_shadow._demo.language import familiarity
from otel_shadow._demo.state import GREETING, HUMAN, INFORMATION, QUALIFICATION, SCHEDULING, EnrolmentState
from otel_shadow._demo.v2 import intents as wants
from otel_shadow._demo.v2.business.qualification import gather as child_slots
from otel_shadow._demo.v2.business.qualification import missing as child_missing
from otel_shadow._demo.v2.business.scheduling import gather as visit_slots
from otel_shadow._demo.v2.business.scheduling import missing as visit_missing
from otel_shadow._demo.v2.extract import Mention
from otel_shadow._demo.v2.resolver import Resolution
from otel_shadow._demo.v2.thresholds import Action, Thresholds
from otel_shadow._demo.v2.understanding import Understanding

# Without any evidence the router still knows whether it reads a language it speaks: from 0.25 (no word known) up.
_FLOOR, _FAMILIAR = 0.28, 0.26
# A question has to be recognised this well to leave the node for; a slot that is known from before counts as much
# as a pattern would; a day or a time alone is only a hint at what a first message is about.
_CLEARLY, _KNOWN, _HINT = 0.6, 0.9, 0.7


@dataclass(frozen=True)
class Plan:
    """A target and the evidence for it: the intent's score and the pattern's, each in [0, 1]."""

    target: str
    intent: str = wants.NONE
    intent_score: float = 0.0
    pattern_score: float = 0.0


@dataclass(frozen=True)
class Routing:
    """The router's decision."""

    plan: Plan
    confidence: float
    action: Action
    target: str


def route(state: EnrolmentState, resolution: Resolution, reading: Understanding, thresholds: Thresholds) -> Routing:
    """Decide: plan by the node's policy, weigh the evidence, hand over to a person where it is too thin."""
    counted = replace(reading, intents=reading.intents.counting(thresholds.intents))
    plan = POLICIES[resolution.node](state, resolution, counted)
    confidence = confidence_of(plan, resolution.text)
    action = thresholds.action(confidence)
    return Routing(plan, confidence, action, HUMAN if action == "handoff" else plan.target)


def confidence_of(plan: Plan, text: str) -> float:
    """Return 1 - (1 - intent)(1 - pattern): two independent witnesses; without either, how familiar the words are."""
    if plan.intent_score or plan.pattern_score:
        return round(1 - (1 - plan.intent_score) * (1 - plan.pattern_score), 4)
    return round(_FLOOR + _FAMILIAR * familiarity(text), 4)


def _greeting(state: EnrolmentState, resolution: Resolution, reading: Understanding) -> Plan:
    intents = reading.intents
    named = _strength(reading.parent_names)
    day, clock = _strength(reading.dates), _strength(reading.times)
    if intents.has(wants.HUMAN):
        return _by(intents, wants.HUMAN, HUMAN)
    if intents.has(wants.SCHEDULE) or (day and clock):
        return _by(intents, wants.SCHEDULE, SCHEDULING, max(day, clock))
    if intents.has(wants.ASK, _CLEARLY) and not intents.small_talk:
        return _by(intents, wants.ASK, INFORMATION)
    if named or state.get("parent_name"):
        return _by(intents, intents.best, QUALIFICATION, named or _KNOWN)
    return _by(intents, intents.best, END, _HINT * max(day, clock))


def _qualification(state: EnrolmentState, resolution: Resolution, reading: Understanding) -> Plan:
    intents = reading.intents
    heard = child_slots(reading)
    found = max(_strength(reading.child_names), _strength(reading.ages), _strength(reading.levels))
    if intents.has(wants.HUMAN):
        return _by(intents, wants.HUMAN, HUMAN)
    if not heard and intents.has(wants.ASK, _CLEARLY) and resolution.first_in_turn:
        return _by(intents, wants.ASK, INFORMATION)
    if not child_missing({**state, **heard}):
        return _by(intents, intents.best, SCHEDULING, found or _KNOWN)
    if not heard and intents.has(wants.SCHEDULE):
        return _by(intents, wants.SCHEDULE, SCHEDULING)
    return _by(intents, intents.best, END, found or _handed_on(resolution))


def _information(state: EnrolmentState, resolution: Resolution, reading: Understanding) -> Plan:
    intents = reading.intents
    if intents.has(wants.HUMAN):
        return _by(intents, wants.HUMAN, HUMAN)
    if intents.has(wants.SCHEDULE):
        return _by(intents, wants.SCHEDULE, SCHEDULING)
    if intents.topic and state.get("parent_name") and child_missing(state):
        return _by(intents, wants.ASK, QUALIFICATION)
    return _by(intents, wants.ASK, END)


def _scheduling(state: EnrolmentState, resolution: Resolution, reading: Understanding) -> Plan:
    intents = reading.intents
    heard = visit_slots(reading, resolution.pending)
    found = max(_strength(reading.dates), _strength(reading.times), _handed_on(resolution))
    if intents.has(wants.HUMAN):
        return _by(intents, wants.HUMAN, HUMAN)
    asks = intents.has(wants.ASK, _CLEARLY) and not intents.has(wants.SCHEDULE)
    if asks and not heard and resolution.first_in_turn:
        return _by(intents, wants.ASK, INFORMATION)
    booked = not visit_missing({**state, **heard})
    return _by(intents, intents.best, QUALIFICATION if booked and child_missing(state) else END, found)


def _handed_on(resolution: Resolution) -> float:
    """A node that another one handed the turn to asks its question, whatever the message said."""
    return 0.0 if resolution.first_in_turn else _KNOWN


POLICIES: dict[str, Callable[[EnrolmentState, Resolution, Understanding], Plan]] = {
    GREETING: _greeting,
    QUALIFICATION: _qualification,
    INFORMATION: _information,
    SCHEDULING: _scheduling,
}


def _by(intents: wants.Intents, intent: str, target: str, pattern: float = 0.0) -> Plan:
    return Plan(target, intent, intents.scores.get(intent, 0.0), pattern)


def _strength(mentions: Sequence[Mention[Any]]) -> float:
    return max((mention.score for mention in mentions), default=0.0)
