"""Criteria in words: what each one asks, its numbers in its own unit, and where they lie on its scale."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from otel_shadow import semconv
from otel_shadow._report import words
from otel_shadow._report.view import GO, NO_GO, NOTHING, WAIT, Gauge, Part, Row, State
from otel_shadow.verdict.result import CriterionResult, Decision, Quantity
from otel_shadow.verdict.result import Part as PartResult

STATES: Mapping[Decision, State] = {Decision.GO: GO, Decision.NO_GO: NO_GO, Decision.WAIT: WAIT}


@dataclass(frozen=True)
class _Title:
    title: str
    question: str
    events: str


TITLES: Mapping[str, _Title] = {
    semconv.CRITERION_PARITY: _Title("Functional parity", "V2 decides what V1 decides", "pair"),
    semconv.CRITERION_HANDOFF: _Title("Handoff rate", "V2 fails or times out, so V1 would answer", "execution"),
    semconv.CRITERION_LATENCY_NOW: _Title("Latency impact now", "V1's p95 with the shadow on, against without it",
                                          "execution"),
    semconv.CRITERION_LATENCY_AFTER: _Title("Latency impact after", "V2's p95 against V1's, on the same requests",
                                            "pair"),
    semconv.CRITERION_V1_SERVED: _Title("Zero production impact", "users always got exactly what V1 made", "execution"),
    semconv.CRITERION_COVERAGE: _Title("Coverage", "shadows that ran, of those that should have", "execution"),
}  # fmt: skip
_ALWAYS = ("match", "mismatch", "error", "timeout", "served", "executed")
_NAMES = re.compile(rf"(?:^|(?<=; ))(?:{'|'.join(TITLES)})(?= \(| needs)")
_INSIDE = re.compile(r"\b(?:latency_now|latency_after|v1_served)\b")
_PLURAL = re.compile(r"\b(\d+)((?: \w+)+)\(s\)")
_THOUSANDS = re.compile(r"\b\d{5,}(?= (?:more|sessions|executions|lines|pairs)\b)")
_HOURS = re.compile(r"\b([\d.]+) h (?=before )")
_EXACT = (semconv.CRITERION_V1_SERVED, semconv.CRITERION_COVERAGE)
_FULL_TURN = 3.0
"""A gauge shows three times the distance between bound and ideal; what lies beyond is at its end."""


def row(result: CriterionResult) -> Row:
    """``result`` in words."""
    title = TITLES.get(result.criterion) or _Title(result.criterion, "", "execution")
    return Row(
        key=result.criterion,
        title=title.title,
        question=title.question,
        state=_state(result),
        required=result.required,
        estimate=_estimate(result),
        band="" if result.criterion in _EXACT else _band(result.quantity, result.lower, result.upper),
        no_band="an exact count" if result.criterion in _EXACT and result.measured else "no band yet",
        bound=_bound(result),
        gauge=_gauge(result),
        evidence=_evidence(result, title.events),
        counts=_counts(result.counts),
        reason=sentence(result.reason),
        missing=tuple(map(sentence, result.missing)),
        earliest=words.moment(result.eta) if result.eta else "",
        weakest=result.weakest or "",
        parts=tuple(_part(result.quantity, part) for part in result.parts),
    )


def value(quantity: Quantity, number: float | None) -> str:
    """A number in its own unit: a share, a change of p95, or a difference of shares."""
    if quantity == "share":
        return words.percent(number)
    return words.ratio(number) if quantity == "ratio" else words.points(number)


def sentence(text: str) -> str:
    """A sentence of the verdict's for people: criteria by their titles, and one cycle, two cycles."""
    text = _NAMES.sub(lambda found: TITLES[found[0]].title, text)
    text = _INSIDE.sub(lambda found: TITLES[found[0]].title.lower(), text)
    text = _THOUSANDS.sub(lambda found: f"{int(found[0]):,}", text)
    text = _HOURS.sub(lambda found: words.span(float(found[1]) * 3600) + " ", text)
    return _PLURAL.sub(lambda found: f"{found[1]}{found[2]}{'' if found[1] == '1' else 's'}", text)


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


def _bound(result: CriterionResult) -> str:
    sign = "≥" if result.direction == "at_least" else "≤"
    return f"{sign} {value(result.quantity, result.bound)}"


def _gauge(result: CriterionResult) -> Gauge | None:
    if result.lower is None and result.upper is None and result.estimate is None:
        return None
    low, high = _scale(result)

    def place(number: float | None, otherwise: float) -> float:
        return otherwise if number is None else min(1.0, max(0.0, (number - low) / (high - low)))

    point = None if result.estimate is None else place(result.estimate, 0.0)
    return Gauge(place(result.lower, 0.0), place(result.upper, 1.0), point, place(result.bound, 0.0))


def _scale(result: CriterionResult) -> tuple[float, float]:
    bound = result.bound
    if result.quantity == "excess":
        return -_FULL_TURN * bound, _FULL_TURN * bound
    if result.quantity == "ratio":
        reach = _FULL_TURN * max(bound - 1.0, 0.01)
        return 1.0 - reach, 1.0 + reach
    if result.direction == "at_most":
        return 0.0, min(1.0, _FULL_TURN * bound)
    return (max(0.0, 1.0 - _FULL_TURN * (1.0 - bound)) if bound < 1 else 0.9), 1.0


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
