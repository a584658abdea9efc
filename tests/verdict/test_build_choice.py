"""Which evidence is judged, and what is said of that which is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from otel_shadow.slots import slot_at
from otel_shadow.verdict import Policy, Summary, Verdict, evaluate
from otel_shadow.verdict.evidence_faults import evidence_faults
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role
from otel_shadow.verdict.window import frame

START = datetime(2026, 3, 2, tzinfo=UTC)
POLICY = Policy(max_turns=1, criteria=("parity", "handoff"))


def run(begin: float, hours: float, count: int, name: str, match: float = 1.0, **more: Any) -> Summary:
    """Executions of a build: so many, evenly over ``hours`` from hour ``begin`` on, each a session of its own."""
    times = [START + timedelta(hours=begin + hours * place / count) for place in range(count)]
    targets = np.array(["left", "right"])[np.arange(count) % 2]
    return Summary.from_arrays(
        node="ask", session=[f"{name}-{begin}-{place}" for place in range(count)], timestamp=times,
        match=np.arange(count) < match * count, v2_latency_ms=1.0, v1_latency_ms=1.0, original_target=targets,
        shadow_target=targets, build=name, **more,
    )  # fmt: skip


def judged(*parts: Summary, at: float | None = None) -> Verdict:
    moment = None if at is None else START + timedelta(hours=at)
    return evaluate(Summary().merge(*parts), POLICY, moment)


def of(verdict: Verdict, kind: ReasonKind) -> list[Reason]:
    return [one for one in verdict.reasons if one.kind is kind]


def build(verdict: Verdict) -> tuple[str, float, int]:
    """Name, first hour and executions of what is judged."""
    assert verdict.build is not None
    return verdict.build.build, round((verdict.build.first - START) / timedelta(hours=1), 1), verdict.build.events


def test_a_build_that_comes_back_is_judged_from_its_return() -> None:
    """A, B, A."""
    parts = run(0, 24, 1200, "A"), run(24.2, 3, 150, "B"), run(27.5, 36, 1800, "A")
    assert build(judged(*parts)) == ("A", 27.5, 1800)
    assert build(judged(*parts[:2])) == ("B", 24.2, 150)


def test_a_build_that_was_rolled_back_is_not_the_newest_any_more() -> None:
    """A canary beside A that has ended: A was never away, and is judged on all of it."""
    assert build(judged(run(0, 48, 2400, "A"), run(10, 2, 30, "B"))) == ("A", 0.0, 2400)


def test_a_canary_beside_the_old_build_is_the_newest() -> None:
    """Few executions among many are no run that ended, nor do its pauses begin a new one."""
    verdict = judged(run(0, 48, 4800, "A"), run(1, 47, 300, "B"))
    assert build(verdict) == ("B", 1.0, 300)


def test_a_night_without_traffic_begins_no_new_run() -> None:
    """Nothing else ran meanwhile."""
    old, days = run(0, 3, 200, "old"), [run(10 + 24 * day, 10, 500, "A") for day in range(2)]
    assert build(judged(old, *days)) == ("A", 10.0, 1000)


def test_a_clock_that_was_wrong_begins_no_window() -> None:
    """One line of 1970: the window would be of half a century."""
    verdict = judged(run(-490_000, 1, 1, "A"), run(0, 48.4, 900, "A"))
    assert build(verdict) == ("A", 0.0, 900)
    assert [one.have for one in of(verdict, ReasonKind.EARLIER)] == [1]


def test_no_go_by_leaving_the_larger_part_of_the_same_hours_out() -> None:
    """One replica of ten has another configuration: told first."""
    verdict = judged(run(0, 48.4, 9000, "A", 0.7, digest="old"), run(0.1, 48.3, 1000, "A", digest="new"))
    (reason,) = of(verdict, ReasonKind.BESIDE)
    assert (reason.role, reason.of, verdict.missing[0][:8]) == (Role.BLOCKER, 1000, "V2 build")
    assert verdict.decision != "GO"
    assert "choose with --service, --build or --digest" in verdict.missing[0]


def test_a_rolling_deployment_is_no_fault() -> None:
    """For half an hour both builds run."""
    verdict = judged(run(0, 24, 1200, "A"), run(23.5, 48.4, 2400, "B"))
    assert (build(verdict)[0], of(verdict, ReasonKind.BESIDE)) == ("B", [])


def test_of_two_services_the_larger_is_judged_and_the_other_told() -> None:
    """In one file; each is a workflow of its own."""
    verdict = judged(run(0, 48.4, 3000, "1", service="shop"), run(5, 40, 1500, "1", service="bank"))
    assert verdict.build is not None
    assert verdict.build.service == "shop"
    assert [(one.role, one.names[1:]) for one in of(verdict, ReasonKind.BESIDE)] == [
        (Role.WARNING, ("1 / (no digest) of bank",))
    ]


def test_a_smaller_service_that_runs_on_is_told_too() -> None:
    """The larger one ended before: what runs now is the other."""
    verdict = judged(run(0, 36, 3000, "1", service="shop"), run(36.5, 12, 700, "1", 0.5, service="bank"), at=49)
    assert [(one.role, one.have) for one in of(verdict, ReasonKind.BESIDE)] == [(Role.WARNING, 700)]


def test_one_configuration_chosen_by_name_stands_alone() -> None:
    """What was asked for is no evidence left out by chance."""
    whole = Summary().merge(run(0, 48.4, 9000, "A", digest="old"), run(0.1, 48.3, 1000, "A", digest="new"))
    verdict = evaluate(whole.where(digest="new"), POLICY)
    assert (build(verdict)[2], of(verdict, ReasonKind.BESIDE)) == (1000, [])


def test_evidence_that_ended_a_cycle_ago_gives_no_go() -> None:
    """What runs now may be another thing; an hour of silence is a warning."""
    evidence = run(0, 48.4, 3000, "A")
    assert judged(evidence, at=49).decision == "GO"
    assert judged(evidence, at=60).decision == "GO"
    verdict = judged(evidence, at=73)
    assert (verdict.decision, [one.role for one in of(verdict, ReasonKind.STALE)]) == ("WAIT", [Role.BLOCKER])


def test_a_trickle_is_told_and_forbids_a_go_where_it_is_against() -> None:
    """23 sessions in 23 hours that all differ, then a busy hour without a fault."""
    busy = run(23, 1, 900, "A")
    bad, good = run(0, 23, 23, "A", 0.0), run(0, 23, 23, "A")
    verdict = judged(bad, busy, at=24.6)
    assert verdict.decision != "GO"
    assert of(verdict, ReasonKind.HOURS_AGAINST)
    assert [one.role for one in of(judged(good, busy, at=24.6), ReasonKind.TRICKLE)] == [Role.WARNING]
    assert of(judged(good, busy, at=24.6), ReasonKind.HOURS_AGAINST) == []


def test_a_block_of_the_day_that_is_bad_on_both_days_forbids_a_go() -> None:
    """Few sessions a night, too few of one night to say anything."""
    days = [run(6 + 24 * day, 18, 1500, "A") for day in range(2)]
    nights = [run(24 * day, 6, 9, "A", 0.5) for day in range(2)]
    verdict = judged(*days, *nights, at=49)
    assert [one.needed for one in of(verdict, ReasonKind.HOURS_AGAINST)][:1] == [0.0]


def test_the_same_hours_unseen_are_told() -> None:
    """From two to four all shadows are shed, each day."""
    seen = [
        run(24 * day + first, length, int(50 * length), "A") for day in range(2) for first, length in ((0, 2), (4, 20))
    ]
    shed = [run(24 * day + 2, 2, 100, "A", status=None, reason="shed:queue") for day in range(2)]
    (reason,) = of(judged(*seen, *shed, at=49), ReasonKind.UNSEEN_HOURS)
    assert (reason.role, reason.names, reason.have, reason.of) == (
        Role.WARNING, ("02:00", "04:00", "shed:queue"), 0, 200,
    )  # fmt: skip


def arms(
    slot_seconds: float | None, holdout: float | None, lost_from: float, kept: float, seed: int = 1
) -> list[Reason]:
    """A third of the slots, or a tenth of the sessions, held out; from an hour on a share of these lines stays."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 48.4, 8_000))
    rows = []
    for hour in times.tolist():
        at = START + timedelta(hours=hour)
        if slot_seconds is None or holdout is None:
            held = bool(rng.random() < 0.1)
        else:
            held = slot_at(at.timestamp(), "shop", slot_seconds, holdout).is_holdout
        if not held or hour < lost_from or rng.random() < kept:
            rows.append((at, held))
    held_out = np.array([held for _, held in rows])
    targets = np.array(["left", "right"])[np.arange(len(rows)) % 2]
    more = {"slot_seconds": slot_seconds, "holdout": holdout} if slot_seconds else {}
    summary = Summary.from_arrays(
        node="ask", session=np.arange(len(rows)), timestamp=[at for at, _ in rows], match=True,
        v1_latency_ms=rng.lognormal(4, 0.3, len(rows)), v2_latency_ms=rng.lognormal(3.9, 0.3, len(rows)),
        arm=np.where(held_out, "holdout", "shadowed"), original_target=targets, shadow_target=targets,
        build="1", service="shop", **more,
    )  # fmt: skip
    return told_of_arms(summary)


def told_of_arms(summary: Summary) -> list[Reason]:
    found = frame(summary, POLICY, START + timedelta(hours=49))
    assert found is not None
    faults = evidence_faults(summary, POLICY, found, START + timedelta(hours=49))
    return [one for one in faults if one.kind is ReasonKind.ARMS]


def test_shares_of_the_arms_that_can_not_be_chance_forbid_a_go() -> None:
    """Nine of ten held-out lines of the second day are gone: by sessions, and by slots."""
    for design in ((None, None), (60.0, 1 / 3)):
        (reason,) = arms(*design, lost_from=24, kept=0.1)
        assert reason.role is Role.BLOCKER
        assert reason.have != reason.needed


def test_shares_that_are_chance_are_no_fault() -> None:
    """Twenty logs that lost nothing."""
    for seed in range(20):
        assert arms(None, None, 99, 1.0, seed) == []
        assert arms(60.0, 1 / 3, 99, 1.0, seed) == []
