"""A short version of the bars of a GO: few made-up weeks of each kind, of which the truth is known."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from benchmarks import bars
from benchmarks.looks import AFTER, ALL, HANDOFF, NOW, PARITY, CycleLooks, go_of_verdicts, make_quick
from benchmarks.turns import DAY, START, by_day, columns, constant, geometric, one_turn, outcomes, times, traffic
from otel_shadow.policy import Policy
from otel_shadow.verdict import Decision, Summary, alpha_spending, evaluate, time_slots

STREAMS = 6


def at_day(days: float) -> datetime:
    return datetime.fromtimestamp(START + days * DAY, UTC)


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alpha_spending, "_POINTS", alpha_spending._POINTS)
    monkeypatch.setattr(time_slots, "holdout_place", time_slots.holdout_place)
    make_quick()


def false_go(window: object) -> int:
    return sum(window(np.random.default_rng([7, one])) for one in range(STREAMS))  # type: ignore[operator]


@pytest.mark.parametrize("criterion", [PARITY, HANDOFF])
@pytest.mark.parametrize("kind", ["correlated", "whole", "longest"])
def test_a_share_just_outside_is_no_go(criterion: str, kind: str) -> None:
    """Parity .949 and handoff .031 are hardly ever a GO, however the failures fall on sessions."""
    share = constant(0.949 if criterion == PARITY else 0.969)
    assert false_go(bars.of_share(share, criterion, 60.0, kind)) <= 1


def test_what_was_sampled_little_while_it_was_bad_does_not_vanish() -> None:
    """A bad day of which a tenth was sampled, before a good one: no GO while the mean is outside."""
    assert false_go(bars.of_share(bars.bad_hours(24.0), sample=bars.until(24.0, 0.1, 1.0))) <= 1


def test_a_rare_slow_node_keeps_the_workflow_from_a_go() -> None:
    """A node of a twentieth of the turns whose V2 is 1.5 times as slow is not hidden by the others."""
    assert false_go(bars.of_weak_node(AFTER, 0.05, 1.5, 150.0)) <= 1


def test_a_node_that_is_outside_by_chance_does_not_hold_up_the_others() -> None:
    """Four nodes at equal speeds, one of which was seen beyond +15 % by chance on the first day: a GO."""
    rng = np.random.default_rng([22, 0])
    turns = traffic(rng, 1, 700.0, geometric(4.0), holdout=constant(1 / 3), node_shares=(0.25,) * 4)
    good, policy = np.ones(len(turns), bool), Policy(criteria=(NOW,))
    given = columns(turns, good, good, times(rng, turns), times(rng, turns))
    verdict = evaluate(Summary.from_arrays(**given), policy, at_day(1.0 + 1.0 / 24.0))
    assert max(node.criterion(NOW).estimate or 0.0 for node in verdict.nodes) > 1.15
    assert verdict.criterion(NOW).decision is Decision.GO


def test_shadows_that_run_when_the_load_is_low_do_not_hide_a_slow_down() -> None:
    """The whole verdict: V1 is 1.3 times as slow in ordinary slots, and the probability of a shadow falls with load."""
    window = bars.of_ratio(
        constant(1.3), NOW, sessions=1200.0, cycles=2, adaptive=bars.falls_with_load, load_sd=0.5, whole_verdict=True
    )
    assert sum(window(np.random.default_rng([8, one])) for one in range(3)) == 0


def test_a_good_workflow_is_a_go_and_the_whole_verdict_agrees() -> None:
    """Equal speeds, parity .995: GO within three cycles, by the tests of cycles and by the whole verdict alike."""
    rng = np.random.default_rng(9)
    turns = traffic(rng, 3, 400.0, geometric(4.0), holdout=constant(1 / 3), node_shares=(0.5, 0.5))
    match = outcomes(rng, turns, np.full(len(turns), 0.995))
    given = columns(turns, match, None, times(rng, turns), times(rng, turns))
    policy = Policy(criteria=(PARITY, HANDOFF, NOW, AFTER))
    looks = CycleLooks(given, policy, 3, is_exact=True)
    assert looks.all_go(3)
    assert go_of_verdicts(given, policy, 3) == {
        name: [looks.says_go(name, look) for look in (1, 2, 3)] for name in policy.criteria
    }


@pytest.mark.parametrize("seed", range(13))
@pytest.mark.parametrize("kind", ["good", "ramp", "load", "each node"])
def test_the_simulated_looks_are_those_of_the_verdict(kind: str, seed: int) -> None:
    """In 52 windows near the bounds, look by look and criterion by criterion: the bars are bars of ``evaluate``."""
    rng = np.random.default_rng([10, seed])
    policy = Policy(criteria=ALL, judge="node" if kind == "each node" else "graph")
    third, sessions = constant(1 / 3), rng.uniform(100.0, 300.0)
    if kind == "ramp":
        turns = traffic(
            rng, 2, sessions, one_turn, holdout=by_day([1 / 3, 0.1]), sample=by_day([0.3, 1.0]),
            node_shares=(0.4, 0.3, 0.3),
        )  # fmt: skip
    elif kind == "load":
        turns = traffic(
            rng, 2, sessions, geometric(4.0), holdout=third, adaptive=bars.falls_with_load, load_sd=0.5,
            node_shares=(0.95, 0.05),
        )  # fmt: skip
    else:
        turns = traffic(rng, 2, sessions, geometric(4.0), holdout=third, node_shares=(0.5, 0.5))
    match, fine = (outcomes(rng, turns, constant(share)(turns.at)) for share in (0.985, 0.99))
    given = columns(turns, match, fine, times(rng, turns), times(rng, turns))
    looks = CycleLooks(given, policy, 2, is_exact=True)
    said = {name: [looks.says_go(name, look) for look in (1, 2)] for name in policy.criteria}
    assert said == go_of_verdicts(given, policy, 2)


def test_the_made_up_traffic_is_what_it_says() -> None:
    """A third of the time is held out, a quarter of the sessions sampled on the first day, all on the second."""
    turns = traffic(np.random.default_rng(1), 2, 4000.0, one_turn, holdout=constant(1 / 3), sample=by_day([0.25, 1.0]))
    assert turns.held.mean() == pytest.approx(1 / 3, abs=0.02)
    first = turns.at < 1.0
    assert turns.shadowed[first & ~turns.held].mean() == pytest.approx(0.25, abs=0.03)
    assert turns.shadowed[~first & ~turns.held].all()


def test_what_is_told_counts_what_was_not_sampled() -> None:
    """Parity .80 on a day of which a tenth of the sessions was sampled, .99 on the next: told is the mean, not .98."""
    rng = np.random.default_rng(1)
    turns = traffic(rng, 2, 400.0, geometric(4.0), sample=by_day([0.1, 1.0]))
    match = outcomes(rng, turns, by_day([0.80, 0.99])(turns.begun))
    verdict = evaluate(Summary.from_arrays(**columns(turns, match)), Policy(criteria=(PARITY,)), at_day(2.1))
    assert verdict.criterion(PARITY).estimate == pytest.approx(0.90, abs=0.04)
