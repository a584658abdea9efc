"""What a verdict tells: what is proven so far, what is missing first and when it comes, and what can be decided."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
from streams import START, at, columns, summary

from otel_shadow.verdict import Decision, Policy, Summary, evaluate
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role

BOTH = {"nodes": ("greeting", "scheduling"), "original_target": lambda _, n: np.where(np.arange(n) % 3, "a", "b")}


def missing(verdict: Any) -> list[Reason]:
    return [one for one in verdict.reasons if one.role is Role.MISSING]


def test_what_is_proven_stays_until_the_next_cycle_ends() -> None:
    """Half a day later the estimate and the moving band have changed, what is proven and its time have not."""
    evidence = summary(sessions=1200, hours=47.0, **BOTH)
    looks = [evaluate(evidence, Policy(), at(hours)).criterion("parity") for hours in (25.0, 40.0)]
    assert looks[0].proven == looks[1].proven is not None
    assert {look.proven_at for look in looks} == {at(24.0)}
    assert looks[0].lower != looks[1].lower
    assert looks[1].proven > 0.95


def test_the_judgement_its_nodes_and_the_next_look_are_named() -> None:
    """Which nodes were judged together, which have proven a bound by themselves, and the one date to look again."""
    evidence = summary(sessions=1200, hours=47.0, **BOTH)
    graph = evaluate(evidence, Policy(), at(40.0))
    assert (graph.judge, graph.pooled) == ("graph", ("greeting", "scheduling"))
    assert graph.criterion("parity").nodes_proven == ("greeting", "scheduling")
    assert graph.criterion("parity").weakest in ("greeting", "scheduling")
    assert graph.next_look == at(48.0)
    each = evaluate(evidence, Policy(judge="node"), at(40.0))
    assert (each.judge, each.pooled) == ("node", ())


def test_where_the_traffic_is_too_small_that_comes_first_with_what_can_be_decided() -> None:
    """No advice to look for another V2: a wider margin, the workflow, more traffic or a longer window."""
    evidence = summary(sessions=36, turns=4, hours=72.0, match=1.0, **BOTH)
    verdict = evaluate(evidence, Policy(judge="node", max_cycles=3, criteria=("parity", "handoff")), at(60.0))
    first = missing(verdict)[0]
    assert first.kind is ReasonKind.OUT_OF_WINDOW
    text = verdict.missing[0]
    assert "can't prove the bound within 3 cycles" in text
    assert 'a wider margin in writing ([sla] parity), the workflow instead of each node ([sla] judge = "graph")' in text
    assert "more of the traffic in shadow, or a longer window ([sla] max_cycles" in text
    assert ", at 1" in text
    assert "workflow instead" not in "".join(
        evaluate(evidence, Policy(max_cycles=3, criteria=("parity", "handoff")), at(60.0)).missing
    )


def test_what_is_missing_has_its_rate_and_its_date() -> None:
    """Sessions that a node needs at least, and those that its guard needs."""
    few = evaluate(summary(sessions=20, hours=23.0, turns=6, match=1.0), Policy(criteria=("parity",)), at(23.9))
    sessions = next(one for one in missing(few) if one.kind is ReasonKind.SESSIONS)
    assert (sessions.have, sessions.needed, sessions.by) == (18, 30, at(48.0))
    assert sessions.rate is not None
    given = columns(sessions=900, hours=47.0, match=1.0, **BOTH)
    rare = np.arange(len(given["node"])) % 301 != 1
    given["node"] = np.where(rare, "greeting", "scheduling")
    verdict = evaluate(Summary.from_arrays(**given), Policy(criteria=("parity",), min_sessions=1), at(40.0))
    guard = next(one for one in missing(verdict) if one.kind is ReasonKind.GUARD)
    assert guard.node == "scheduling"
    assert guard.rate is not None
    assert guard.by is None or guard.by > at(48.0) - timedelta(hours=1)
    text = next(one for one in verdict.missing if "for this node alone" in one)
    assert text.startswith("Functional parity (scheduling): a proof of ≥ 90 % for this node alone (so far ≥ ")


def test_what_was_shed_and_why_comes_first_where_coverage_fails() -> None:
    """Each reason with its count, the most frequent first."""
    given = columns(sessions=600, hours=30.0)
    place = np.arange(len(given["status"])) % 10
    run = given["arm"] == "shadowed"
    given["reason"] = np.where(run & (place < 2), "shed:queue", np.where(run & (place == 2), "shed:memory", ""))
    given["status"] = np.where(given["reason"] != "", "", given["status"])
    given["match"] = np.where(given["reason"] != "", np.nan, given["match"])
    verdict = evaluate(Summary.from_arrays(**given), Policy(), at(31.0))
    first = missing(verdict)[0]
    assert first.kind is ReasonKind.SHADOWS
    assert [name.split()[0] for name in first.names] == ["shed:queue", "shed:memory"]
    assert "had one; without one: shed:queue 6" in verdict.missing[0]


def test_an_old_window_and_a_chosen_one_are_told() -> None:
    """``window_hours`` has one warning with its remedy; the report names ``window_start``."""
    evidence = summary(sessions=600, hours=40.0)
    verdict = evaluate(evidence, Policy(window_hours=30.0), at(41.0))
    assert [text for text in verdict.warnings if "window_hours" in text] == [
        "[sla] window_hours is read as max_cycles = 2; write that in its place: the next release refuses window_hours"
    ]
    chosen = evaluate(evidence, Policy(window_start=START + timedelta(hours=5)), at(41.0))
    assert any("begins at 2025-01-09 12:00 UTC, because [sla] window_start says so" in note for note in chosen.notes)
    assert not [text for text in chosen.warnings if "window_hours" in text]


def test_a_smaller_holdout_is_advised_once_latency_now_is_proven() -> None:
    """A third of the time until then, a tenth afterwards; not where it is a tenth already."""
    for holdout, kinds in ((1 / 3, [ReasonKind.SMALLER_HOLDOUT]), (0.1, [])):
        given = columns(sessions=9000, hours=30.0, holdout=holdout)
        evidence = Summary.from_arrays(
            **given | {"holdout": holdout, "slot_seconds": 60.0, "probability": 1 - holdout, "sample": 1.0}
        )
        verdict = evaluate(evidence, Policy(criteria=("latency_now",), intents=("price",)), at(31.0))
        assert verdict.criterion("latency_now").decision is Decision.GO
        assert [one.kind for one in verdict.reasons if one.role is Role.ADVICE] == kinds
