"""Learn then Test: what is certified holds, in every setting, as often as promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_shadow._calibration.fixed_sequence import certify, lower_bound, upper_bound
from tests.calibration.simulation import naive_outcome, outcomes


@pytest.mark.slow
def test_violations_stay_below_delta() -> None:
    """In every simulated setting a certified threshold or time limit breaks its bound in at most δ of the streams (and
    the Monte Carlo error of 200 streams, three standard errors)."""
    for outcome in outcomes(200):
        assert outcome.rate <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5, outcome


def test_the_lowest_threshold_with_empirical_risk_below_alpha_breaks_it_half_the_time() -> None:
    """What the method is for: the naive choice is wrong in more than a third of the streams."""
    assert naive_outcome(100).rate > 1 / 3


def test_a_certificate_is_an_unbroken_run_from_the_top() -> None:
    """Testing stops at the first threshold that is not rejected, whatever lies behind it."""
    source = np.random.default_rng(3)
    score = source.random(2000)
    wrong = source.random(2000) < np.where((score > 0.35) & (score < 0.45), 0.5, 0.0)
    curve = certify(score, wrong, 0.05, 0.05).curve
    rejected = [tested.rejected for tested in curve]
    assert rejected == sorted(rejected, reverse=True)
    assert [tested.threshold for tested in curve] == sorted((tested.threshold for tested in curve), reverse=True)
    assert curve[0].coverage >= 0.5


def test_nothing_is_certified_without_data() -> None:
    """No session: not enough data, and no threshold."""
    certificate = certify([], [], 0.05, 0.05)
    assert (certificate.threshold, certificate.reason, certificate.curve) == (None, "few", ())


def test_few_and_risky_are_told_apart() -> None:
    """58 sessions without an error certify nothing at 5 %, 59 do; half of them wrong are too risky, not too few."""
    assert certify([0.9] * 58, [False] * 58, 0.05, 0.05).reason == "few"
    assert certify([0.9] * 59, [False] * 59, 0.05, 0.05).threshold == 0.9
    assert certify([0.9] * 58, [True, False] * 29, 0.05, 0.05).reason == "risky"


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=150),
    st.floats(0.01, 0.5),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40)
def test_order_does_not_matter_and_a_looser_bound_allows_no_less(rows, alpha, source) -> None:
    """Shuffled sessions give the same certificate; twice the α never gives a higher threshold."""
    shuffled = rows[:]
    source.shuffle(shuffled)
    first, second = (certify(*zip(*each, strict=True), alpha, 0.05) for each in (rows, shuffled))
    assert first == second
    looser = certify(*zip(*rows, strict=True), min(2 * alpha, 0.99), 0.05)
    if first.threshold is not None:
        assert looser.threshold is not None
        assert looser.threshold <= first.threshold


@pytest.mark.parametrize(
    ("scores", "alpha", "told"),
    [([1.2], 0.05, "numbers in"), ([0.5], 1.0, "between 0 and 1"), ([0.5, 0.5], 0.05, "as many labels")],
)
def test_numbers_out_of_range_are_refused(scores: list[float], alpha: float, told: str) -> None:
    """A confidence above 1, an α of 1 and a missing label each raise with what was expected."""
    with pytest.raises(ValueError, match=told):
        certify(scores, [False], alpha, 0.05)


def test_exact_bounds_of_a_share() -> None:
    """Clopper–Pearson: no error in 59 gives at most 5 % (the rule of three), and the bounds enclose the share."""
    assert upper_bound(0, 59, 0.05) == pytest.approx(1 - 0.05 ** (1 / 59))
    assert lower_bound(5, 100, 0.05) < 0.05 < upper_bound(5, 100, 0.05)
    assert (lower_bound(0, 10, 0.05), upper_bound(10, 10, 0.05)) == (0.0, 1.0)
