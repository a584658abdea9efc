"""The fixed-sample test of a share, against exact laws and against its own promise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from otel_shadow.verdict.weighted_share import (
    SamplingClass,
    WeightedSessions,
    at_most_zero,
    lower_limit,
    p_value,
    worst_turns,
)


def unweighted(successes: Sequence[float], turns: Sequence[float]) -> WeightedSessions:
    """Return sessions that were all shadowed with certainty, given one by one."""
    k, n = np.asarray(successes, np.float64), np.asarray(turns, np.float64)
    return WeightedSessions(k, n.copy(), n, np.ones(len(n)))


def one_turn(successes: int, failures: int) -> WeightedSessions:
    """Return sessions of one turn each."""
    sessions = successes + failures
    return unweighted([1.0] * successes + [0.0] * failures, [1.0] * sessions)


@pytest.mark.parametrize(
    ("failures", "sessions", "p"),
    [
        (5, 200, sum(math.comb(200, k) * 0.05**k * 0.95 ** (200 - k) for k in range(6))),
        (14, 500, sum(math.comb(500, k) * 0.05**k * 0.95 ** (500 - k) for k in range(15))),
        (0, 72, 0.95**72),
    ],
)
def test_with_one_turn_a_session_it_is_clopper_and_pearsons(failures: int, sessions: int, p: float) -> None:
    """The p-value of single turns, all of them shadowed, is the binomial one, to a hundredth of itself."""
    seen = one_turn(sessions - failures, failures)
    assert p_value(seen, 0.95, worst_turns(seen)) == pytest.approx(p, rel=0.01)


@pytest.mark.parametrize(("failures", "sessions", "p"), [(5, 200, 0.0624), (14, 500, 0.0108)])
def test_the_p_value_is_that_of_the_design(failures: int, sessions: int, p: float) -> None:
    """The two numbers by which an implementation is checked, to all their digits."""
    seen = one_turn(sessions - failures, failures)
    assert round(p_value(seen, 0.95, worst_turns(seen)), 4) == p


def test_the_saddlepoint_agrees_with_the_exact_law() -> None:
    """P(Σ c G ≤ 0) agrees with a simulation of the sum, with weights of any kind."""
    rng = np.random.default_rng(4)
    c = np.r_[rng.uniform(0.0, 2.0, 12), -rng.uniform(0.0, 2.0, 3), -4.0]
    drawn = rng.standard_exponential((400_000, len(c))) @ c
    assert at_most_zero(c, np.ones(len(c))) == pytest.approx(float((drawn <= 0.0).mean()), abs=0.004)


def test_no_evidence_proves_nothing() -> None:
    """Without sessions, or with a share below the bound, nothing is proven; without a failure nothing contradicts."""
    nothing = unweighted([], [])
    assert p_value(nothing, 0.95, 1.0) == 1.0
    assert lower_limit(nothing, 1.0, 0.05) == 0.0
    assert p_value(one_turn(94, 6), 0.95, 1.0) == 1.0


def test_what_is_proven_is_where_the_p_value_meets_the_level() -> None:
    """``lower_limit`` inverts the test."""
    seen = one_turn(196, 4)
    limit = lower_limit(seen, worst_turns(seen), 0.025)
    assert p_value(seen, limit, worst_turns(seen)) == pytest.approx(0.025, rel=1e-3)
    assert limit == pytest.approx(0.9496, abs=5e-4)  # Clopper and Pearson's, one-sided 97.5 %


def test_order_and_merging_change_nothing() -> None:
    """The histogram of sessions gives the p-value of the sessions one by one."""
    rng = np.random.default_rng(5)
    n = rng.integers(1, 9, 300)
    k = rng.binomial(n, 0.98)
    each = unweighted(k, n)
    cells, count = np.unique(np.c_[k, n], axis=0, return_counts=True)
    merged = WeightedSessions(*(cells[:, i].astype(float) for i in (0, 1, 1)), count.astype(float))
    assert p_value(merged, 0.95, worst_turns(merged)) == pytest.approx(p_value(each, 0.95, worst_turns(each)), rel=1e-9)


def test_a_bad_time_of_which_little_was_sampled_does_not_vanish() -> None:
    """A time of 400 turns, of which one in fifty was shadowed, weighs as the 400 turns that it was."""
    good, few = one_turn(400, 0), one_turn(8, 0)
    together = WeightedSessions(
        np.r_[good.successes, few.successes * 50], np.r_[good.weight, few.weight * 50],
        np.r_[good.turns, few.turns], np.r_[good.sessions, few.sessions],
    )  # fmt: skip
    classes = (SamplingClass(1.0, 400.0), SamplingClass(0.02, 400.0))
    assert worst_turns(together, classes) == 50.0
    assert p_value(good, 0.95, worst_turns(good)) < 1e-8
    assert p_value(together, 0.95, worst_turns(together, classes)) > 0.2


def test_a_false_proof_is_as_rare_as_the_level() -> None:
    """At a true share of 94.9 % in correlated sessions of 1 to 18 turns, 5 % of the proofs at most are false."""
    rng = np.random.default_rng(6)
    proven, windows, spread = 0, 2000, 0.7 / 0.3
    for _ in range(windows):
        n = rng.integers(1, 19, 120)
        k = rng.binomial(n, rng.beta(0.949 * spread, 0.051 * spread, 120))
        seen = unweighted(k, n)
        proven += p_value(seen, 0.95, worst_turns(seen)) <= 0.05
    assert proven / windows <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / windows)
