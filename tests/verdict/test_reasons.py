"""Reasons are data; one module makes sentences of them, and JSON has both."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from streams import START, at, summary

from otel_shadow import semconv
from otel_shadow.verdict import Decision, Policy, Verdict, evaluate
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role
from otel_shadow.verdict.wording import sentence


@pytest.mark.parametrize("kind", ReasonKind)
def test_every_kind_has_its_sentence(kind: ReasonKind) -> None:
    """One sentence each: no full stop, nothing that was left unfilled."""
    day = datetime(2025, 1, 9, tzinfo=UTC)
    facts = {"have": 1, "needed": 1200, "of": 7, "hours": 2.0, "since": day, "by": day, "day": date(2025, 1, 9)}
    names = () if kind is ReasonKind.NO_EVIDENCE else ("a name",)
    text = sentence(Reason(Role.MISSING, kind, semconv.CRITERION_PARITY, "a node", names=names, **facts))
    assert text
    assert not text.endswith(".")
    assert "None" not in text


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Reason(Role.MISSING, ReasonKind.SESSIONS, have=299, needed=300), "1 more closed session (299 of 300 so far)"),
        (Reason(Role.MISSING, ReasonKind.PROOF, "handoff", "a", have=300, needed=15_513),
         "Handoff rate (a): about 15,213 more sessions with results like those so far"),
        (Reason(Role.WHY, ReasonKind.BROKEN, have=1.558, needed=1.15, quantity="ratio", limit="at_most"),
         "+56 %, proven to break the bound (≤ +15 %)"),
        (Reason(Role.WHY, ReasonKind.UNPROVEN, have=-0.13, needed=0.02, quantity="excess", limit="at_most"),
         "−13 points, not proven yet to keep the bound (≤ +2 points)"),
        (Reason(Role.BLOCKER, ReasonKind.CONTRADICTORY, have=1),
         "1 pair was recorded more than once, with different contents, and left out: find out why"),
        (Reason(Role.MISSING, ReasonKind.CYCLES, needed=2, hours=24.0, by=START),
         "2 whole cycles of traffic (24 h each), complete at 2025-01-09 07:00 UTC"),
    ],
)  # fmt: skip
def test_numbers_are_told_in_their_own_unit(reason: Reason, expected: str) -> None:
    """Thousands apart, one and many, shares, ratios and differences of shares."""
    assert sentence(reason) == expected


def verdict_days(verdict: Verdict) -> float:
    assert verdict.window is not None
    return (verdict.window.end - verdict.window.start) / timedelta(days=1)


def test_a_verdict_has_its_reasons_as_data_and_in_words() -> None:
    """What is missing names kind, criterion, node and both numbers, in Python and in JSON."""
    few = summary(sessions=29, turns=20, match=1.0, holdout=0.0)
    verdict = evaluate(few, Policy(criteria=("parity",)), at(49))
    facts = {"have": 29, "needed": 30, "rate": 29 / verdict_days(verdict), "by": at(72)}
    lacking = Reason(Role.MISSING, ReasonKind.SESSIONS, "parity", "greeting", **facts)
    assert verdict.decision is Decision.WAIT
    assert [one for one in verdict.reasons if one.role is Role.MISSING] == [lacking]
    found = verdict.to_dict()
    told = {
        "role": "missing",
        "kind": "sessions",
        "criterion": "parity",
        "node": "greeting",
        "have": 29,
        "needed": 30,
        "by": "2025-01-12T07:00:00Z",
        "rate": facts["rate"],
    }
    assert told in found["reasons"]
    assert found["missing"] == [
        "Functional parity (greeting): 1 more closed session (29 of 30 so far), at 15 a day: 2025-01-12 07:00 UTC"
    ]
    assert found["reason"] == found["missing"][0]


def test_what_all_criteria_lack_is_told_once() -> None:
    """The whole cycle belongs to no criterion; each has it among its own reasons, the verdict once."""
    early = evaluate(summary(sessions=8000, hours=24.0), at=at(23.9))
    assert [one.kind for one in early.reasons if one.role is Role.MISSING] == [ReasonKind.CYCLES]
    waiting = [row for row in early.criteria if row.decision is Decision.WAIT]
    assert len(waiting) == 4
    assert all(ReasonKind.CYCLES in {one.kind for one in row.reasons} for row in waiting)
