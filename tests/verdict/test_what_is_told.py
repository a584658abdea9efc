"""What a verdict tells: what is proven so far, what is missing first and when it comes, and what can be decided."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from streams import START, at, columns, summary

from otel_shadow._report import terminal
from otel_shadow._report.verdict_document import verdict_document
from otel_shadow.evidence import view_of
from otel_shadow.verdict import Decision, Policy, Summary, evaluate
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role
from otel_shadow.verdict.wording import sentences

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
    assert (each.judge, each.pooled) == ("node", ("greeting", "scheduling"))


def test_where_the_traffic_is_too_small_that_comes_first_with_what_can_be_decided() -> None:
    """No advice to look for another V2: a wider margin, the workflow, more traffic or a longer window."""
    evidence = summary(sessions=36, turns=4, hours=72.0, match=1.0, **BOTH)
    verdict = evaluate(evidence, Policy(judge="node", max_cycles=3, criteria=("parity", "handoff")), at(60.0))
    first = missing(verdict)[0]
    assert first.kind is ReasonKind.OUT_OF_WINDOW
    text = verdict.missing[0]
    assert text.startswith(
        "this traffic can't prove within 3 cycles: functional parity (greeting) (at 11 sessions a day), "
    )
    assert "a wider margin in writing ([sla] parity, handoff), " in text
    assert 'the workflow instead of each node ([sla] judge = "graph")' in text
    assert "more of the traffic in shadow ([nodes.NAME] sample, where it is below 1), or a longer window" in text
    assert len([one for one in verdict.missing if "what can be decided" in one]) == 1
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
    text = next(one for one in verdict.missing if "for each node by itself" in one)
    assert text.startswith("Functional parity: a proof of ≥ 90 % for each node by itself; so far scheduling ≥ ")


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


def test_what_single_nodes_lack_is_one_sentence_to_a_criterion_the_weakest_first() -> None:
    """Of four nodes of different traffic: one guard, each node with what it has proven, and what is outside."""
    given = columns(sessions=200, hours=47.0, turns=6, match=0.93, **BOTH)
    given["node"] = np.array(["a", "b", "b", "c", "c", "d"])[np.arange(len(given["node"])) % 6]
    given["original_target"] = np.where(np.arange(len(given["node"])) % 5, "x", "y")
    verdict = evaluate(Summary.from_arrays(**given), Policy(criteria=("parity",)), at(40.0))
    lacking = [one for one in missing(verdict) if one.kind is ReasonKind.GUARD]
    told = [text for text in verdict.missing if "for each node by itself" in text]
    assert len(lacking) > 1
    assert len(told) == 1
    assert told[0].startswith("Functional parity: a proof of ≥ 90 % for each node by itself; so far ")
    weakest_first = sorted(lacking, key=lambda one: (one.of is None, one.have or 0.0))
    places = [told[0].index(f" {one.node} ≥ ") for one in weakest_first]
    assert places == sorted(places)
    outside = {one.node for one in missing(verdict) if one.kind is ReasonKind.OUTSIDE}
    assert outside
    assert {word.split()[0] for word in told[0].split("outside ≥ 95 %: ")[1].split("; ")[0].split(", ")} == outside


def test_the_table_comes_before_the_rest_and_nothing_is_told_twice() -> None:
    """On the terminal: decision, first reason and date, table, what is missing, what is to know; each sentence once."""
    evidence = summary(sessions=60, turns=4, hours=47.0, match=0.9, **BOTH)
    verdict = evaluate(evidence, Policy(max_cycles=3), at(40.0))
    out = io.StringIO()
    terminal.show(verdict_document(verdict, view_of(evidence, verdict), page=False), terminal.console(out, 80))
    text = out.getvalue()
    places = [text.index(head) for head in ("WAIT  ", "The next look is at", "Criteria", "Missing for a GO", "To know")]
    assert places == sorted(places)
    flat = " ".join(text.split())
    assert [one for one in verdict.missing if flat.count(one) != 1] == []
    assert max(map(len, text.splitlines())) <= 80


def told_on_the_terminal(evidence: Summary, verdict: Any) -> str:
    out = io.StringIO()
    terminal.show(verdict_document(verdict, view_of(evidence, verdict), page=False), terminal.console(out, 200))
    return " ".join(out.getvalue().split())


@pytest.mark.parametrize(("sessions", "hours"), [(1200, 48.6), (60, 48.6), (60, 400.0), (20, 30.0)])
def test_no_date_is_in_the_past(sessions: int, hours: float) -> None:
    """Where the evidence ended before the next cycle did, no look and no GO is promised for a time that is over."""
    evidence = summary(sessions=sessions, hours=min(hours, 47.0) - 0.3, match=0.99, **BOTH)
    verdict = evaluate(evidence, Policy(), at(hours))
    rows = [*verdict.criteria, *(row for node in verdict.nodes for row in node.criteria)]
    dates = [verdict.next_look, verdict.eta, *(row.eta for row in rows)]
    dates += [one.by for one in verdict.reasons if one.role is Role.MISSING]
    assert [date for date in dates if date is not None and date <= verdict.at] == []
    assert verdict.window is not None
    if verdict.window.next_cycle <= verdict.at:
        text = told_on_the_terminal(evidence, verdict)
        assert "The next look needs evidence from after 2025-01-11 07:00 UTC." in text


def test_what_forbids_a_go_is_no_lack_of_evidence() -> None:
    """Evidence that ended long ago is told as such, once, with the remedy."""
    evidence = summary(sessions=3000, hours=47.9, match=0.99, **BOTH)
    text = told_on_the_terminal(evidence, evaluate(evidence, Policy(), at(400.0)))
    assert text.startswith("WAIT No GO on this evidence: the evidence ended 15 days ago, at 2025-01-11")
    assert "give the newest log" in text
    assert text.count("the evidence end") == 1


def test_lines_that_are_missing_are_one_sentence_with_the_remedy() -> None:
    """Several nodes, one remedy."""
    counts = (("a", 7), ("b", 1))
    lost = [Reason(Role.BLOCKER, ReasonKind.LOST, node=name, have=number, of=90) for name, number in counts]
    ((_, told),) = sentences(lost)
    assert told.startswith("7 of 90 lines of a are missing; 1 of 90 lines of b is missing: the processes numbered them")
    assert told.count("[sla] window_start") == 1


def test_blocks_against_the_bound_are_one_sentence() -> None:
    """Each with its estimate."""
    blocks = [
        Reason(Role.MISSING, ReasonKind.BLOCK, "parity", "a", have=share, quantity="share", since=at(hours))
        for share, hours in ((0.9, 6.0), (0.88, 12.0))
    ]
    ((_, told),) = sentences(blocks)
    assert told == (
        "Functional parity (a): better results in the hours from 2025-01-09 13:00 UTC (90 %), 2025-01-09 19:00 UTC "
        "(88 %): alone against the bound"
    )


def test_nothing_is_foretold_of_too_few_times() -> None:
    """Within the first cycle, 28 sessions without a shadow give no limit yet: that is no "never"."""
    evidence = summary(sessions=900, turns=2, hours=10.0, holdout=0.03)
    verdict = evaluate(evidence, Policy(criteria=("latency_now",)), at(12.0))
    kinds = [one.kind for one in missing(verdict) if one.criterion == "latency_now"]
    assert ReasonKind.OUT_OF_WINDOW not in kinds
    assert ReasonKind.TOO_FEW_TO_TELL in kinds


def test_each_node_proves_its_shares_and_together_they_prove_the_latencies() -> None:
    """With ``judge = "node"`` a quarter of the times need not prove what a user feels of all four."""
    names = ("a", "b", "c", "d")
    decisions = {"original_target": lambda _, n: np.where(np.arange(n) // 4 % 5, "x", "y")}
    evidence = summary(sessions=2400, turns=4, hours=47.0, match=1.0, holdout=1 / 3, nodes=names, **decisions)
    verdicts = {judge: evaluate(evidence, Policy(judge=judge), at(49.0)) for judge in ("graph", "node")}
    for name in ("latency_now", "latency_after"):
        together, each = (verdicts[judge].criterion(name) for judge in ("graph", "node"))
        assert (together.proven, together.sessions) == (each.proven, each.sessions)
        assert each.proven is not None
    together, each = (verdicts[judge].criterion("parity") for judge in ("graph", "node"))
    assert each.sessions < together.sessions or each.events < together.events
    assert each.weakest in names


def test_sessions_that_are_all_open_are_what_is_missing() -> None:
    """In the first half hour nothing is wrong with the arms or the times: no session is closed yet."""
    evidence = summary(sessions=90, turns=2, hours=0.2)
    verdict = evaluate(evidence, Policy(), at(0.25))
    kinds = {one.kind for one in missing(verdict) if one.criterion in ("handoff", "latency_now", "latency_after")}
    assert kinds == {ReasonKind.SESSIONS}
    assert any("30 more closed sessions (0 of 30 so far)" in told for told in verdict.missing)
    assert "0 a day" not in "".join(verdict.missing)
