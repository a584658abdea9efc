"""The verdict's rules, one by one, on made-up evidence that breaks one of them at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pytest
from streams import START, at, columns, summary

from otel_shadow.policy import Bounds
from otel_shadow.verdict import Decision, Policy, Summary, evaluate
from otel_shadow.verdict.reasons import ReasonKind, Role
from otel_shadow.verdict.titles import title

GO, NO_GO, WAIT = Decision.GO, Decision.NO_GO, Decision.WAIT


def test_good_evidence_over_whole_cycles_is_a_go() -> None:
    """Every criterion is proven, nothing is missing, the exit code is 0."""
    verdict = evaluate(summary(nodes=("greeting", "scheduling"), sessions=6000, holdout=0.25), at=at(49))
    assert [row.decision for row in verdict.criteria] == [GO] * 6
    assert (verdict.decision, verdict.exit_code, verdict.missing, verdict.eta) == (GO, 0, (), None)
    assert verdict.window is not None
    assert (verdict.window.start, verdict.window.whole_cycles) == (START, 2)


def test_there_is_no_go_before_a_whole_cycle_however_strong_the_evidence() -> None:
    """At 23.9 hours it waits and names the hour; at 24 it is a GO."""
    evidence = summary(sessions=8000, hours=24.0)
    early = evaluate(evidence, at=at(23.9))
    assert early.decision is WAIT
    assert early.missing == ("1 whole cycle of traffic (24 h), complete at 2025-01-10 07:00 UTC",)
    assert early.eta == START + timedelta(hours=24)
    assert evaluate(evidence, at=at(24)).decision is GO


def test_evidence_that_ended_early_makes_no_whole_cycle_later() -> None:
    """Twenty hours of evidence are twenty hours, a week later too."""
    verdict = evaluate(summary(hours=20.0, sessions=8000), at=at(200))
    assert verdict.decision is WAIT
    assert verdict.window is not None
    assert verdict.window.whole_cycles == 0


def test_a_go_is_judged_on_whole_cycles_only() -> None:
    """After 36 hours the evidence of the second, unfinished day adds nothing to a GO."""
    good_after_a_day = columns(sessions=3000, match=1.0)
    late = good_after_a_day["timestamp"] > at(24).timestamp()
    rng = np.random.default_rng(2)
    shown = np.isfinite(good_after_a_day["match"])
    good_after_a_day["match"] = np.where(shown & ~late, rng.random(len(late)) < 0.953, good_after_a_day["match"])
    verdict = evaluate(Summary.from_arrays(**good_after_a_day), at=at(47))
    parity = verdict.criterion("parity")
    assert parity.decision is WAIT
    assert parity.estimate is not None
    assert parity.estimate > 0.96
    assert parity.proven is not None
    assert parity.proven < 0.95
    assert parity.proven_at == START + timedelta(hours=24)
    assert parity.missing[0].endswith(
        "more sessions with results like those so far, at 1,335 a day: 2025-01-11 07:00 UTC"
    )


def test_a_broken_bound_is_a_no_go_from_thirty_sessions_on_and_so_far_before_a_day() -> None:
    """It needs no whole cycle, says "so far", and not one session less than the policy asks for."""
    evidence = summary(match=0.5, hours=48.0, sessions=960)
    verdict = evaluate(evidence, at=at(3))
    assert (verdict.decision, verdict.exit_code) == (NO_GO, 1)
    assert verdict.criterion("parity").so_far
    assert "so far" in verdict.reason
    assert evaluate(evidence, at=at(1.6)).decision is WAIT
    assert not evaluate(evidence, at=at(49)).criterion("parity").so_far


@pytest.mark.parametrize(
    ("change", "criterion"),
    [
        ({"match": 0.90}, "parity"),
        ({"failure": 0.08}, "handoff"),
        ({"shadow_ratio": 1.5}, "latency_now"),
        ({"v2_ratio": 1.5}, "latency_after"),
    ],
)
def test_each_statistical_criterion_can_say_no_go(change: dict[str, float], criterion: str) -> None:
    """And only the one that is broken says it."""
    verdict = evaluate(summary(sessions=6000, **change), at=at(49))
    assert {row.criterion for row in verdict.criteria if row.decision is NO_GO} == {criterion}
    assert verdict.decision is NO_GO
    # Of latency now a second reason says whose fault it is.
    times = 2 if criterion == "latency_now" else 1
    assert [one.criterion for one in verdict.reasons if one.role is Role.WHY] == [criterion] * times
    assert verdict.reason.startswith(f"{title(criterion)} in greeting is ")


def test_one_answer_that_was_not_v1s_own_is_a_no_go() -> None:
    """Zero production impact has no tolerance and no least number of sessions."""
    served = np.ones(12_000, bool)
    served[77] = False
    verdict = evaluate(summary(v1_served=served), at=at(49))
    row = verdict.criterion("v1_served")
    assert (verdict.decision, row.decision) == (NO_GO, NO_GO)
    assert (row.counts["served"], row.counts["recorded"]) == (11_999, 12_000)


def test_v1s_errors_are_shown_by_arm() -> None:
    """A shadow that makes V1 fail shows as a difference between the arms."""
    verdict = evaluate(
        summary(v1_status=lambda rng, length: np.where(np.arange(length) % 6 == 0, "error", "success")), at=at(49)
    )
    details = verdict.criterion("v1_served").details
    assert details["v1_error_rate_shadowed"] == pytest.approx(1 / 6, abs=0.01)
    assert details["v1_error_rate_holdout"] == pytest.approx(1 / 6, abs=0.01)


def test_shadows_that_did_not_run_make_the_rest_unrepresentative() -> None:
    """Executed over eligible below its bound waits; it is no fault of V2's."""

    def shed(rng: np.random.Generator, length: int) -> np.ndarray:
        return np.where(rng.random(length) < 0.2, "", "success")

    verdict = evaluate(summary(status=shed, holdout=0.0, match=1.0), at=at(49))
    row = verdict.criterion("coverage")
    assert row.decision is WAIT
    assert row.estimate == pytest.approx(0.8, abs=0.02)
    assert verdict.decision is WAIT


def test_no_holdout_is_no_evidence_of_latency_now() -> None:
    """A policy asking for what the evidence can't show: said plainly, never a GO."""
    verdict = evaluate(summary(holdout=0.0), at=at(49))
    assert verdict.decision is WAIT
    assert not verdict.criterion("latency_now").measured
    assert "[arms] holdout" in verdict.missing[0]


def test_criteria_that_are_not_asked_for_are_shown_and_not_counted() -> None:
    """``Policy.criteria`` is how one asks for less; the rows are there all the same."""
    verdict = evaluate(summary(holdout=0.0), Policy(criteria=("parity", "handoff")), at(49))
    assert verdict.decision is GO
    assert not verdict.criterion("latency_now").required


def test_a_constant_decision_is_not_certified_unless_more_is_compared() -> None:
    """A node that always ends certifies nothing by ending again."""
    constant = evaluate(summary(original_target="__end__", shadow_target="__end__"), at=at(49))
    assert constant.decision is WAIT
    assert not constant.criterion("parity").certified
    assert "one and the same decision" in constant.criterion("parity").reason
    varied = np.where(np.arange(12_000) % 2 == 0, "a", "b")
    assert evaluate(summary(original_target=varied, shadow_target=varied), at=at(49)).decision is GO
    for more in ({"fields_compared": True}, {"steps_match": True}):
        assert evaluate(summary(original_target="__end__", **more), at=at(49)).decision is GO


def test_too_few_sessions_wait_however_good_they_are() -> None:
    """200 closed sessions are not 201, where so many are asked for."""
    few = summary(sessions=200, turns=20, match=1.0, holdout=0.0)
    policy = Policy(criteria=("parity",), min_sessions=201)
    assert evaluate(few, policy, at(49)).missing == (
        "Functional parity (greeting): 1 more closed session (200 of 201 so far), at 99 a day: 2025-01-12 07:00 UTC",
    )
    assert evaluate(few, policy.model_copy(update={"min_sessions": 200}), at(49)).decision is GO


def test_open_sessions_are_left_out_until_they_close() -> None:
    """A session counts half an hour after its last execution anywhere in the workflow."""
    evidence = Summary.from_arrays(["a", "b", "a"], [1, 1, 2], [0.0, 1000.0, 0.0], True)
    open_, closed = (evaluate(evidence, at=START.fromtimestamp(s, START.tzinfo)) for s in (1801, 2801))
    assert [node.open_sessions for node in open_.nodes] == [1, 1]
    assert [node.sessions for node in open_.nodes] == [1, 0]
    assert [node.sessions for node in closed.nodes] == [2, 1]


def test_a_block_in_no_go_blocks_a_go() -> None:
    """Six bad hours in two good days are seen by themselves."""
    given = columns(sessions=6000, match=0.995)
    hour = (given["timestamp"] - START.timestamp()) / 3600.0
    bad = (hour >= 30) & (hour < 36) & np.isfinite(given["match"])
    rng = np.random.default_rng(3)
    given["match"] = np.where(bad, rng.random(len(bad)) < 0.85, given["match"])
    parity = evaluate(Summary.from_arrays(**given), at=at(49)).criterion("parity")
    assert parity.log_e_go is not None
    assert parity.threshold_go is not None
    assert parity.log_e_go > parity.threshold_go
    assert parity.decision is WAIT
    assert [part.label for part in parity.parts if part.decision is NO_GO] == ["2025-01-10T13:00:00Z"]


def test_an_intent_in_no_go_blocks_a_go() -> None:
    """A tenth of the traffic that is wrong half the time hides in the mean, and is found."""
    intents = np.where(np.arange(36_000) // 6 % 20 == 3, "complaint", "price")
    given = columns(sessions=6000, match=0.999, intent=intents)
    rng = np.random.default_rng(3)
    wrong = (intents == "complaint") & np.isfinite(given["match"])
    given["match"] = np.where(wrong, rng.random(36_000) < 0.6, given["match"])
    parity = evaluate(Summary.from_arrays(**given), at=at(49)).criterion("parity")
    assert parity.decision is WAIT
    bad = [part for part in parity.parts if part.decision is NO_GO and part.kind == "intent"]
    assert [part.label for part in bad] == ["complaint"]


def test_a_declared_intent_needs_its_own_sessions() -> None:
    """Nobody asked about refunds: that part of the workflow is not certified."""
    intents = np.where(np.arange(12_000) // 6 % 200 == 3, "refund", "price")
    verdict = evaluate(summary(intent=intents), Policy(intents=("price", "refund", "visit")), at(49))
    assert verdict.decision is WAIT
    assert "20 more closed sessions (10 of 30 so far) with the intent 'refund'" in verdict.missing
    assert "30 more closed sessions (0 of 30 so far) with the intent 'visit'" in verdict.missing
    assert evaluate(summary(intent=intents), Policy(intents=("price",)), at(49)).decision is GO


def test_a_window_is_one_build() -> None:
    """The newest build is judged, the others are left out and named."""
    old = columns(match=0.5, build="1.0", digest="aaa")
    new = columns(
        match=0.98, build="1.1", digest="aaa", pair=np.arange(12_000) + 50_000, session=np.arange(12_000) // 6
    )
    new["timestamp"] = new["timestamp"] + 48 * 3600
    verdict = evaluate(Summary.from_arrays(**old).merge(Summary.from_arrays(**new)), at=at(97))
    assert verdict.decision is GO
    assert verdict.build is not None
    assert (verdict.build.build, [build.build for build in verdict.left_out]) == ("1.1", ["1.0"])
    assert any(
        "1.0 / aaa was left out, because one build is judged at a time: 12,000 executions" in note
        for note in verdict.notes
    )


def test_replicas_with_different_keys_are_noticed() -> None:
    """One session would count as several: no GO, and the remedy is named."""
    keys = np.where(np.arange(12_000) % 2 == 0, "k1", "k2")
    verdict = evaluate(summary(key_id=keys), at=at(49))
    assert verdict.decision is WAIT
    assert verdict.key_ids == ("k1", "k2")
    assert "OTEL_SHADOW_HASH_KEY" in verdict.blockers[0]


def test_the_verdict_says_how_much_traffic_has_no_session_id() -> None:
    """A third of the executions came without an id: a warning with the share, as data and in words."""
    verdict = evaluate(summary(anonymous=np.arange(12_000) % 3 == 0), at=at(49))
    (found,) = [one for one in verdict.reasons if one.kind is ReasonKind.NO_SESSION_ID]
    assert (found.role, found.have, found.of) == (Role.WARNING, 1 / 3, 12_000)
    assert [told for told in verdict.warnings if told.startswith("33.3 % of 12,000 executions had no session id")]


def test_one_id_for_everything_is_noticed() -> None:
    """A fifth of the executions share one id: a warning with the share; ordinary sessions are none."""
    given = columns()
    sessions = np.where(np.arange(12_000) % 5 == 0, 1, given["session"])
    verdict = evaluate(Summary.from_arrays(**given | {"session": sessions}), at=at(49))
    (found,) = [one for one in verdict.reasons if one.kind is ReasonKind.ONE_SESSION]
    assert (found.role, found.node, found.of) == (Role.WARNING, "greeting", 12_000)
    assert found.have == pytest.approx(0.2, abs=0.001)
    assert not [one for one in evaluate(summary(), at=at(49)).reasons if one.kind is ReasonKind.ONE_SESSION]


def test_the_verdict_says_where_loops_end_too_early() -> None:
    """A tenth of the executions was cut off by the end of an event loop: a warning that names the remedy."""
    reasons = np.where(np.arange(12_000) % 8 == 0, "cancelled:loop_ended", "")
    cut = reasons != ""
    verdict = evaluate(summary(reason=reasons, status=np.where(cut, "cancelled", "success")), at=at(49))
    (found,) = [one for one in verdict.reasons if one.kind is ReasonKind.CUT_OFF]
    assert (found.node, found.have, found.of) == ("greeting", 0.125, 12_000)
    assert [told for told in verdict.warnings if 'executor = "process"' in told]
    assert not [one for one in evaluate(summary(), at=at(49)).reasons if one.kind is ReasonKind.CUT_OFF]


def test_a_window_with_a_gap_is_never_a_go() -> None:
    """Eight silent hours in busy traffic."""
    given = columns(sessions=4000)
    hour = (given["timestamp"] - START.timestamp()) / 3600.0
    kept = (hour < 20) | (hour > 28)
    verdict = evaluate(Summary.from_arrays(**{name: values[kept] for name, values in given.items()}), at=at(49))
    assert verdict.decision is WAIT
    assert "no execution for 8 h from 2025-01-10 02:59" in verdict.blockers[0]


def test_a_policy_for_a_node_without_evidence_is_never_a_go() -> None:
    """A misspelt or unused node in the policy is said."""
    verdict = evaluate(summary(), Policy(nodes={"greetings": Bounds(parity=0.9)}), at(49))
    assert verdict.decision is WAIT
    assert "[sla.nodes] of shadow.toml names the node 'greetings', of which there is no evidence" in verdict.blockers


def test_nodes_have_their_own_bounds() -> None:
    """What a node's table leaves out is the general value."""
    policy = Policy(nodes={"greeting": Bounds(parity=0.85)})
    verdict = evaluate(summary(match=0.92, sessions=4000), policy, at(49))
    assert verdict.criterion("parity").bound == 0.85
    assert verdict.decision is GO
    assert evaluate(summary(match=0.92, sessions=4000), at=at(49)).decision is NO_GO


@dataclass(frozen=True)
class Known:
    reason: str = "V2 asks for the age first"
    expires: date = date(2025, 6, 1)
    node: str | None = None
    fields: tuple[str, ...] = ()
    targets: tuple[str, ...] = ("a->b",)
    steps: tuple[str, ...] = ()


@pytest.mark.parametrize(("share", "decision"), [(0.08, GO), (0.15, WAIT)])
def test_accepted_differences_leave_the_denominator_up_to_a_cap(share: float, decision: Decision) -> None:
    """Accepting is for exceptions: above the cap the verdict waits."""
    given = columns(sessions=4000, match=0.99)
    rng = np.random.default_rng(9)
    known = (rng.random(24_000) < share) & np.isfinite(given["match"])
    given["match"] = np.where(known, 0.0, given["match"])
    other = np.where(np.arange(24_000) % 2 == 0, "c", "d")
    given |= {"original_target": np.where(known, "a", other), "shadow_target": np.where(known, "b", other)}
    evidence = Summary.from_arrays(**given, decisions_match=given["match"])
    assert evaluate(evidence, at=at(49)).decision is (NO_GO if share > 0.04 else GO)
    verdict = evaluate(evidence.accepting([Known()], at(49)), at=at(49))
    assert verdict.decision is decision
    parity = verdict.criterion("parity")
    assert parity.estimate == pytest.approx(0.99, abs=0.005)
    assert parity.counts["accepted"] == int(known.sum())
    assert any("V2 asks for the age first" in note for note in verdict.notes)


def test_a_v1_that_disagrees_with_itself_is_judged_against_its_own_noise() -> None:
    """At 9 % self-disagreement the absolute rule never says GO even for V2 equal to V1; the relative one does."""
    given = columns(sessions=4000, match=0.91, self_match=lambda rng, length: (rng.random(length) < 0.91).astype(float))
    verdict = evaluate(Summary.from_arrays(**given), at=at(49))
    parity = verdict.criterion("parity")
    assert parity.quantity == "excess"
    assert (parity.bound, parity.direction, parity.decision) == (0.02, "at_most", GO)
    assert parity.details["self_disagreement"] == pytest.approx(0.09, abs=0.01)
    assert verdict.nodes[0].relative_parity
    assert "V1 differs from itself" in verdict.nodes[0].notes[0]
    worse = columns(sessions=4000, match=0.80, self_match=lambda rng, length: (rng.random(length) < 0.91).astype(float))
    assert evaluate(Summary.from_arrays(**worse), at=at(49)).criterion("parity").decision is NO_GO


def test_a_steady_v1_is_judged_absolutely_even_where_noise_is_measured() -> None:
    """One per cent of self-disagreement switches nothing."""
    given = columns(sessions=4000, match=0.98, self_match=lambda rng, length: (rng.random(length) < 0.99).astype(float))
    parity = evaluate(Summary.from_arrays(**given), at=at(49)).criterion("parity")
    assert (parity.quantity, parity.decision) == ("share", GO)


def test_live_fallbacks_count_as_handoffs() -> None:
    """In live mode the handoff rate is that of real fallbacks."""
    fallback = np.where(np.arange(12_000) % 10 == 0, "timeout", "")
    served = np.where(fallback == "", "v2", "v1")
    verdict = evaluate(
        summary(mode="v2_live", fallback_reason=fallback, served=served, v1_served=np.nan, holdout=0.0), at=at(49)
    )
    row = verdict.criterion("handoff")
    assert row.estimate == pytest.approx(0.1, abs=1e-9)
    assert (row.decision, row.counts["live"], row.counts["fallback"]) == (NO_GO, 12_000, 1200)


def test_small_traffic_is_told_early_when_a_go_can_come_and_what_can_be_decided() -> None:
    """Fifty conversations a day: the date, and first the criterion for which they are too few, with what would do."""
    verdict = evaluate(summary(sessions=50, hours=24.0, match=1.0, seed=4), at=at(24.6))
    assert verdict.decision is WAIT
    assert verdict.missing[0].startswith("this traffic can't prove within 7 cycles: latency impact now (greeting) (at ")
    assert "a wider margin in writing ([sla] latency_margin), more of the traffic in shadow" in verdict.missing[0]
    assert "at 45 a day: 2025-01-12 07:00 UTC" in verdict.criterion("parity").missing[0]
    assert verdict.criterion("parity").eta == START + timedelta(days=3)
    assert "can't prove the bound within 7 cycles (at 50 sessions a day)" in verdict.criterion("latency_now").missing[0]


def test_the_earliest_go_is_about_when_it_comes() -> None:
    """What the first day predicts is what the following days bring, to a cycle."""
    policy = Policy(max_cycles=10, criteria=("parity",))
    evidence = summary(sessions=1000, hours=240.0, match=0.972, holdout=0.0)
    predicted = evaluate(evidence, policy, at(30)).eta
    assert predicted is not None
    came = next(day for day in range(1, 11) if evaluate(evidence, policy, at(24 * day + 0.6)).decision is GO)
    assert abs((predicted - START) / timedelta(days=1) - came) <= 2


def test_the_window_slides_by_whole_cycles() -> None:
    """Of five days the last two whole ones and the running one are judged; what came before is counted and named."""
    verdict = evaluate(summary(sessions=5000, hours=120.0), Policy(max_cycles=2), at(110))
    assert verdict.window is not None
    assert verdict.window.start == START + timedelta(hours=48)
    assert verdict.window.whole_cycles == 2
    assert any("before the window" in note for note in verdict.notes)


def test_executions_after_the_time_of_the_verdict_are_not_seen() -> None:
    """Asking about the past gives the answer of the past."""
    given = columns(sessions=2000)
    seen = given["timestamp"] <= at(30).timestamp()
    past = Summary.from_arrays(**{name: values[seen] for name, values in given.items()})
    then, now = evaluate(past, at=at(30)), evaluate(Summary.from_arrays(**given), at=at(30))
    assert then.nodes == now.nodes
    assert any("later than" in warning for warning in now.warnings)


def test_two_graphs_may_have_a_node_of_one_name() -> None:
    """They are two nodes, told apart by their graph."""
    verdict = evaluate(summary(graph=np.where(np.arange(12_000) % 2 == 0, "enrolment", "support")), at=at(49))
    assert [node.node for node in verdict.nodes] == ["enrolment/greeting", "support/greeting"]


def test_no_evidence_is_a_wait_with_every_criterion() -> None:
    """An empty summary, and one that lies in the future."""
    for verdict in (evaluate(Summary(), at=at(0)), evaluate(summary(), at=at(-5))):
        assert (verdict.decision, verdict.exit_code, len(verdict.criteria)) == (WAIT, 3, 6)
        assert verdict.to_dict()["decision"] == "WAIT"


def test_a_time_without_a_zone_is_refused() -> None:
    """Whose midnight would it be?"""
    with pytest.raises(ValueError, match="no time zone"):
        evaluate(summary(), at=datetime(2025, 1, 11))  # noqa: DTZ001 - the point of the test


def test_no_go_shares_alpha_among_the_tests_and_go_does_not() -> None:
    """Four criteria of two nodes are eight chances of a false NO-GO."""
    one, two = (evaluate(summary(nodes=nodes), at=at(49)).criterion("parity") for nodes in (("a",), ("a", "b")))
    assert one.threshold_go == two.threshold_go == pytest.approx(np.log(20))
    assert one.threshold_no_go == pytest.approx(np.log(20 * 4))
    assert two.threshold_no_go == pytest.approx(np.log(20 * 8))
    assert (one.tests, two.tests) == (4, 8)


def test_times_that_were_never_given_are_not_judged_unless_asked_for() -> None:
    """Arrays without latencies can be a GO for the rest, and the verdict says what it left out."""
    given = columns()
    given.pop("v2_latency_ms")
    verdict = evaluate(Summary.from_arrays(**given), at=at(49))
    assert verdict.decision is GO
    assert [row.criterion for row in verdict.criteria if not row.required] == ["latency_after"]
    assert "Latency impact after was not judged: no v2_latency_ms was given" in verdict.warnings
    given.pop("v1_latency_ms")
    verdict = evaluate(Summary.from_arrays(**given), at=at(49))
    assert verdict.decision is GO
    assert [row.criterion for row in verdict.criteria if not row.required] == ["latency_now", "latency_after"]
    asked = Policy(criteria=("parity", "handoff", "latency_now", "latency_after"))
    assert evaluate(Summary.from_arrays(**given), asked, at(49)).decision is WAIT


def test_a_first_session_a_minute_late_does_not_cost_a_day() -> None:
    """Nobody knows when observation began before the first execution: five minutes of a day are forgiven, not ten."""
    for late, cycles in ((60.0, 2), (600.0, 1)):
        given = columns(hours=47.5)
        given["timestamp"] = given["timestamp"] + late
        verdict = evaluate(Summary.from_arrays(**given), at=at(48))
        assert verdict.window is not None
        assert verdict.window.whole_cycles == cycles


def test_a_quiet_night_of_small_traffic_is_no_gap() -> None:
    """Eight silent hours of fifty conversations a day are a night; the policy can call them a gap."""
    given = columns(sessions=100, hours=48.0)
    hour = (given["timestamp"] - START.timestamp()) / 3600.0 % 24.0
    day = Summary.from_arrays(**{name: values[hour < 16] for name, values in given.items()})
    assert evaluate(day, at=at(49)).blockers == ()
    assert len(evaluate(day, Policy(max_gap_hours=6), at(49)).blockers) == 1
