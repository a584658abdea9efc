"""The smart router: a confidence from intent and pattern scores, the action it allows, and the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langgraph.graph import END

from otel_shadow._demo.language import familiarity
from otel_shadow._demo.state import GREETING, HUMAN, INFORMATION, QUALIFICATION, SCHEDULING, EnrolmentState
from otel_shadow._demo.v2 import intents as wants
from otel_shadow._demo.v2.business import child_slots, missing_of_child, missing_of_visit, visit_slots
from otel_shadow._demo.v2.extract import Mention
from otel_shadow._demo.v2.thresholds import Action, Thresholds
from otel_shadow._demo.v2.turn import Turn

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
    plan: Plan
    confidence: float
    action: Action
    target: str


def route(state: EnrolmentState, turn: Turn, thresholds: Thresholds) -> Routing:
    """Decide: plan by the node's policy, weigh the evidence, hand over to a person where it is too thin."""
    plan = _plan(state, replace(turn, intents=turn.intents.counting(thresholds.intents)))
    confidence = confidence_of(plan, turn.text)
    action = thresholds.action(confidence)
    return Routing(plan, confidence, action, HUMAN if action == "handoff" else plan.target)


def confidence_of(plan: Plan, text: str) -> float:
    """Return 1 - (1 - intent)(1 - pattern): two independent witnesses; without either, how familiar the words are."""
    if plan.intent_score or plan.pattern_score:
        return round(1 - (1 - plan.intent_score) * (1 - plan.pattern_score), 4)
    return round(_FLOOR + _FAMILIAR * familiarity(text), 4)


def _plan(state: EnrolmentState, turn: Turn) -> Plan:
    """Return a person where the message asks for one, else what the node's policy plans."""
    if turn.intents.has(wants.HUMAN):
        return _by(turn, wants.HUMAN, HUMAN)
    return _POLICIES[turn.node](state, turn)


def _greeting(state: EnrolmentState, turn: Turn) -> Plan:
    named, day, clock = _strength(turn.parent_names), _strength(turn.dates), _strength(turn.times)
    if turn.intents.has(wants.SCHEDULE) or (day and clock):
        return _by(turn, wants.SCHEDULE, SCHEDULING, max(day, clock))
    if turn.intents.has(wants.ASK, _CLEARLY) and not turn.intents.small_talk:
        return _by(turn, wants.ASK, INFORMATION)
    if named or state.get("parent_name"):
        return _by(turn, turn.intents.best, QUALIFICATION, named or _KNOWN)
    return _by(turn, turn.intents.best, END, _HINT * max(day, clock))


def _qualification(state: EnrolmentState, turn: Turn) -> Plan:
    heard = child_slots(turn)
    found = max(_strength(turn.child_names), _strength(turn.ages), _strength(turn.levels))
    if not heard and turn.intents.has(wants.ASK, _CLEARLY) and turn.first_in_turn:
        return _by(turn, wants.ASK, INFORMATION)
    if not missing_of_child({**state, **heard}):
        return _by(turn, turn.intents.best, SCHEDULING, found or _KNOWN)
    if not heard and turn.intents.has(wants.SCHEDULE):
        return _by(turn, wants.SCHEDULE, SCHEDULING)
    return _by(turn, turn.intents.best, END, found or _handed_on(turn))


def _information(state: EnrolmentState, turn: Turn) -> Plan:
    if turn.intents.has(wants.SCHEDULE):
        return _by(turn, wants.SCHEDULE, SCHEDULING)
    goes_on = turn.intents.topic and state.get("parent_name") and missing_of_child(state)
    return _by(turn, wants.ASK, QUALIFICATION if goes_on else END)


def _scheduling(state: EnrolmentState, turn: Turn) -> Plan:
    heard = visit_slots(turn)
    found = max(_strength(turn.dates), _strength(turn.times), _handed_on(turn))
    asks = turn.intents.has(wants.ASK, _CLEARLY) and not turn.intents.has(wants.SCHEDULE)
    if asks and not heard and turn.first_in_turn:
        return _by(turn, wants.ASK, INFORMATION)
    booked = not missing_of_visit({**state, **heard})
    return _by(turn, turn.intents.best, QUALIFICATION if booked and missing_of_child(state) else END, found)


_POLICIES: dict[str, Callable[[EnrolmentState, Turn], Plan]] = {
    GREETING: _greeting,
    QUALIFICATION: _qualification,
    INFORMATION: _information,
    SCHEDULING: _scheduling,
}


def _handed_on(turn: Turn) -> float:
    """Return the score of a turn that another node handed on: its question is asked, whatever the message said."""
    return 0.0 if turn.first_in_turn else _KNOWN


def _by(turn: Turn, intent: str, target: str, pattern: float = 0.0) -> Plan:
    return Plan(target, intent, turn.intents.scores.get(intent, 0.0), pattern)


def _strength(mentions: Sequence[Mention[Any]]) -> float:
    return max((mention.score for mention in mentions), default=0.0)
