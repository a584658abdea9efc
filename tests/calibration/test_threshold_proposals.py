"""Thresholds from decisions: chosen on the first sessions, shown on the last, kept where nothing is certified."""

from __future__ import annotations

import random

import pytest

from otel_shadow._calibration.decisions import ScoredDecision, one_per_session, split
from otel_shadow._calibration.threshold_proposals import DEFAULTS, propose_intents, propose_thresholds


def decisions(
    sessions: int, wrong_above: float = 0.002, wrong_below: float = 0.5, seed: int = 1
) -> list[ScoredDecision]:
    """Two per session; below a confidence of 0.4 often wrong."""
    source = random.Random(seed)
    found = []
    for number in range(sessions * 2):
        score = round(source.random(), 3)
        wrong = source.random() < (wrong_below if score < 0.4 else wrong_above)
        found.append(
            ScoredDecision(
                f"pair{number}", f"s{number // 2}", "greeting", float(number), score, wrong, group="schedule"
            )
        )
    return found


def test_sessions_are_held_out_whole_and_last() -> None:
    """No session is on both sides, and every held-out one began after every other."""
    data = split(decisions(100), 0.25)
    chosen, held = {one.session for one in data.chosen_on}, {one.session for one in data.held_out}
    assert (len(chosen), len(held)) == (75, 25)
    assert not chosen & held
    assert max(one.at for one in data.chosen_on) < min(one.at for one in data.held_out)


def test_one_decision_per_session_whatever_the_labels() -> None:
    """The choice depends on ids alone: other labels, scores and order choose the same decisions."""
    from dataclasses import replace

    rows = decisions(50)
    other = [replace(one, wrong=not one.wrong, score=1 - one.score) for one in reversed(rows)]
    chosen = {one.id for one in one_per_session(rows)}
    assert chosen == {one.id for one in one_per_session(other)}
    assert len(chosen) == 50


def test_thresholds_are_certified_in_order_and_hold_on_the_held_out_sessions() -> None:
    """With 4,000 sessions whose risk falls at 0.4, handoff lands just below, and held-out risk within α."""
    found = propose_thresholds(split(decisions(4000), 0.25), DEFAULTS, 0.05, 0.05)
    values = found.values()
    assert 0.25 < values["handoff"] <= 0.4
    assert values["handoff"] <= values["llm_rag"] <= values["template"]
    assert all(one.certified for one in found.thresholds)
    assert found.thresholds[-1].held == "within"
    assert "above" not in {one.held for one in found.thresholds}


def test_what_would_change_is_counted_on_every_pair() -> None:
    """Pairs per action add up before and after; a lower handoff threshold hands fewer over."""
    rows = decisions(4000)
    found = propose_thresholds(split(rows, 0.25), {**DEFAULTS, "handoff": 0.59}, 0.05, 0.05)
    change = found.change
    assert sum(change.before.values()) == sum(change.after.values()) == len(rows) == change.pairs
    assert change.before["handoff"] == sum(one.score < 0.59 for one in rows)
    assert change.after["handoff"] < change.before["handoff"]
    assert change.wrong_after == sum(one.wrong and one.score >= found.values()["handoff"] for one in rows)


def test_nothing_certified_keeps_what_is_in_force() -> None:
    """Too few sessions: current thresholds, no certificate, and the reason."""
    found = propose_thresholds(split(decisions(40), 0.25), DEFAULTS, 0.05, 0.05)
    assert found.values() == dict(DEFAULTS)
    assert not found.any_certified
    assert {one.certificate.reason for one in found.thresholds} == {"few"}


def test_a_held_out_part_that_contradicts_is_told() -> None:
    """Traffic that turns bad at the end: certified on the first part, above α on the last."""
    good = decisions(2000, wrong_below=0.0)
    bad = [ScoredDecision(f"late{n}", f"late{n}", "greeting", 1e6 + n, 0.9, n % 2 == 0) for n in range(500)]
    handoff = propose_thresholds(split([*good, *bad], 0.2), DEFAULTS, 0.05, 0.05).thresholds[-1]
    assert handoff.certified
    assert handoff.held == "above"


def test_intents_have_thresholds_of_their_own() -> None:
    """Each intent is certified on its own decisions."""
    (found,) = propose_intents(split(decisions(4000), 0.25), {}, 0.05, 0.05)
    assert found.name == "schedule"
    assert found.certified
    assert 0.2 < found.proposed < 0.45


def test_a_share_out_of_range_is_refused() -> None:
    """All sessions held out would leave none to choose on."""
    with pytest.raises(ValueError, match="held_out"):
        split(decisions(10), 1.0)
