"""The fixed-sample test of a ratio of 95th percentiles."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest

from otel_shadow.verdict.quantile_ratio import Percentile, PercentileRatio
from otel_shadow.verdict.side_lines import SideLines
from otel_shadow.verdict.weighted_share import at_most_zero


class Limits(NamedTuple):
    """The ratio that was seen, and its limits."""

    estimate: float
    lower: float
    upper: float


def ratio_limits(x: SideLines, y: SideLines, level: float) -> Limits:
    """Return the limits of p95(x) / p95(y), each at ``level``."""
    ratio = PercentileRatio([x], [y])
    return Limits(ratio.estimate, ratio.lower(level), ratio.upper(level))


def side(times: np.ndarray, first: int, per_unit: int = 1) -> SideLines:
    """Return times as ``per_unit`` lines of each unit, the units numbered from ``first`` on."""
    return SideLines.of(first + np.arange(len(times)) // per_unit, times, np.ones(len(times)))


def test_no_slower_than_itself() -> None:
    """The same times on both sides have ratio 1, between limits on both sides of it."""
    times = np.random.default_rng(1).lognormal(3.0, 0.5, 2000)
    found = ratio_limits(side(times, 0), side(times, 2000), 0.05)
    assert found.estimate == 1.0
    assert 0.85 < found.lower < 1.0 < found.upper < 1.15


def test_few_units_have_no_limit() -> None:
    """Fewer than thirty units on one side prove nothing, however many lines they have."""
    times = np.random.default_rng(2).lognormal(3.0, 0.1, 29 * 100)
    found = ratio_limits(side(times, 0, per_unit=100), side(times, 29, per_unit=100), 0.05)
    assert (found.lower, found.upper) == (0.0, math.inf)


def test_units_in_common_narrow_the_limits() -> None:
    """Where both sides share their load block by block, it cancels."""
    rng = np.random.default_rng(3)
    load = np.exp(rng.normal(0.0, 0.5, 300)).repeat(20)
    x, y = (load * rng.lognormal(3.0, 0.2, 6000) for _ in range(2))
    paired = ratio_limits(side(x, 0, per_unit=20), side(y, 0, per_unit=20), 0.05)
    apart = ratio_limits(side(x, 0, per_unit=20), side(y, 300, per_unit=20), 0.05)
    assert paired.upper < apart.upper
    assert paired.lower > apart.lower


def test_weights_stand_for_lines() -> None:
    """Half of the lines with twice the weight have the percentile of all of them."""
    times = np.arange(1.0, 1001.0)
    units = np.arange(500)
    halved = SideLines.of(units, times[::2], np.full(500, 2.0))
    assert Percentile([halved], 500).value == pytest.approx(Percentile([side(times, 0)], 1000).value, abs=1.0)


@pytest.mark.parametrize(("ratio", "false_side"), [(1.16, "upper"), (1.14, "lower")])
def test_a_false_proof_is_as_rare_as_the_level(ratio: float, false_side: str) -> None:
    """Either limit is on the wrong side of 1.15 in 5 % of the samples at most, lines in correlated sessions."""
    rng = np.random.default_rng(4)
    wrong, rounds = 0, 400
    for _ in range(rounds):
        own = np.exp(rng.normal(0.0, 0.3, 400)).repeat(4)
        x = ratio * own[:800] * rng.lognormal(3.0, 0.4, 800)
        y = own[800:] * rng.lognormal(3.0, 0.4, 800)
        found = ratio_limits(side(x, 0, per_unit=4), side(y, 200, per_unit=4), 0.05)
        wrong += found.upper <= 1.15 if false_side == "upper" else found.lower > 1.15
    assert wrong / rounds <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / rounds)


def plain_limits(unit: np.ndarray, time: np.ndarray, weight: np.ndarray, level: float) -> tuple[float, float]:
    """Return both limits of a percentile by trying every time, unit by unit: slow, and easy to see through."""
    units = int(unit.max()) + 1
    total = np.bincount(unit, weight, units)
    star = weight.max() * max(1.0, len(time) / len(np.unique(unit)) / 2.0)

    def p(sums: np.ndarray, extra: float) -> float:
        return 1.0 if sums.sum() <= 0.0 else at_most_zero(np.append(sums, extra), np.ones(units + 1))

    upper, lower = math.inf, 0.0
    for at in np.unique(time).tolist():
        above, reached = (np.bincount(unit, weight * chosen, units) for chosen in (time > at, time >= at))
        if p(0.05 * total - above, -0.95 * star) <= level:
            upper = min(upper, at)
        if p(reached - 0.05 * total, -0.05 * star) <= level:
            lower = max(lower, at)
    return lower, upper


@pytest.mark.parametrize("kind", ["one", "few", "many"])
def test_the_fast_search_finds_what_trying_every_time_finds(kind: str) -> None:
    """Limits are those of the definition, whatever the weights, with times that occur once or often."""
    rng = np.random.default_rng(5)
    for lines in (80, 400, 1200):
        unit, time = rng.integers(0, 120, lines), np.round(rng.lognormal(3.0, 0.5, lines), 2 if lines < 1000 else 0)
        weight = {"one": np.ones(lines), "few": rng.choice([1.5, 3.0, 24.0], lines), "many": rng.uniform(1, 9, lines)}[
            kind
        ]
        found = Percentile([SideLines.of(unit, time, weight)], 120)
        assert (found.lower(0.05), found.upper(0.05)) == plain_limits(unit, time, weight, 0.05)
