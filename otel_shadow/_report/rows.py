"""Criteria in words: what each one asks, its numbers in its own unit, and where they lie on its scale."""

from __future__ import annotations

from collections.abc import Mapping

from otel_shadow import semconv
from otel_shadow._report.view import GO, NO_GO, NOTHING, WAIT, Gauge, Part, Row, State
from otel_shadow.verdict import units as words
from otel_shadow.verdict.reasons import Quantity
from otel_shadow.verdict.result import CriterionResult, Decision
from otel_shadow.verdict.result import Part as PartResult
from otel_shadow.verdict.wording import TITLES, bound, value

STATES: Mapping[Decision, State] = {Decision.GO: GO, Decision.NO_GO: NO_GO, Decision.WAIT: WAIT}


_ALWAYS = ("match", "mismatch", "error", "timeout", "served", "executed")
_EXACT = (semconv.CRITERION_V1_SERVED, semconv.CRITERION_COVERAGE)
_FULL_TURN = 3.0
"""A gauge shows three times the distance between bound and ideal; what lies beyond is at its end."""


def row(result: CriterionResult) -> Row:
    """``result`` in words."""
    title = TITLES[result.criterion]
    return Row(
        key=result.criterion,
        title=title.title,
        question=title.question,
        state=_state(result),
        required=result.required,
        estimate=_estimate(result),
        band="" if result.criterion in _EXACT else _band(result.quantity, result.lower, result.upper),
        no_band="an exact count" if result.criterion in _EXACT and result.measured else "no band yet",
        bound=bound(result.quantity, result.bound, result.direction),
        gauge=_gauge(result),
        evidence=_evidence(result, title.event),
        counts=_counts(result.counts),
        reason=result.reason,
        missing=result.missing,
        earliest=words.moment(result.eta) if result.eta else "",
        weakest=result.weakest or "",
        parts=tuple(_part(result.quantity, part) for part in result.parts),
    )


def _counts(counts: Mapping[str, int]) -> str:
    """What was counted, without the rarer things that never happened."""
    shown = [(name, number) for name, number in counts.items() if number or name in _ALWAYS]
    return " · ".join(f"{name.replace('_', ' ')} {words.count(number)}" for name, number in shown)


def _state(result: CriterionResult) -> State:
    if not result.measured:
        return NOTHING
    state = STATES[result.decision]
    if not result.certified and result.decision is not Decision.NO_GO:
        return State(state.key, "not certified")
    return State(state.key, f"{state.word} so far") if result.so_far else state


def _estimate(result: CriterionResult) -> str:
    served, recorded = (result.counts.get(name) for name in ("served", "recorded"))
    if served is not None and recorded:
        return f"{words.count(served)} of {words.count(recorded)}"
    return value(result.quantity, result.estimate)


def _band(quantity: Quantity, lower: float | None, upper: float | None) -> str:
    if lower is None and upper is None:
        return ""
    ends = ["no end" if end is None else value(quantity, end) for end in (lower, upper)]
    return f"{ends[0]} … {ends[1]}"


def _gauge(result: CriterionResult) -> Gauge | None:
    if result.lower is None and result.upper is None and result.estimate is None:
        return None
    low, high = _scale(result)

    def place(number: float | None, otherwise: float) -> float:
        return otherwise if number is None else min(1.0, max(0.0, (number - low) / (high - low)))

    point = None if result.estimate is None else place(result.estimate, 0.0)
    return Gauge(place(result.lower, 0.0), place(result.upper, 1.0), point, place(result.bound, 0.0))


def _scale(result: CriterionResult) -> tuple[float, float]:
    edge = result.bound
    if result.quantity == "excess":
        return -_FULL_TURN * edge, _FULL_TURN * edge
    if result.quantity == "ratio":
        reach = _FULL_TURN * max(edge - 1.0, 0.01)
        return 1.0 - reach, 1.0 + reach
    if result.direction == "at_most":
        return 0.0, min(1.0, _FULL_TURN * edge)
    return (max(0.0, 1.0 - _FULL_TURN * (1.0 - edge)) if edge < 1 else 0.9), 1.0


def _evidence(result: CriterionResult, event: str) -> str:
    if not result.measured:
        return ""
    return f"{words.plural(result.sessions, 'session')}, {words.plural(result.events, event)}"


def _part(quantity: Quantity, part: PartResult) -> Part:
    return Part(
        kind=part.kind,
        label=part.label.replace("T", " ").removesuffix(":00Z") if part.kind == "block" else part.label,
        state=STATES[part.decision],
        certified=part.certified,
        sessions=words.count(part.sessions),
        events=words.count(part.events),
        estimate=value(quantity, part.estimate),
        band=_band(quantity, part.lower, part.upper),
    )
