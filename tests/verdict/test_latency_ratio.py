"""Latency buckets and the evidence about the ratio of two percentiles, against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_shadow.verdict.latency import BASE, LEVEL, NONE, PER_115, Ranks, Ratio, band_of, buckets, edge_ms, shift
from otel_shadow.verdict.sequential import DOWN, UP

arms = st.lists(st.tuples(st.integers(0, 8), st.integers(-5, 25)), min_size=1, max_size=60)


def by_definition(arm: list[tuple[int, int]], q: int, up: bool) -> float:
    """E about the share at or below bucket q: per-session means, fixed bets, one of them idle."""
    sessions: dict[int, list[int]] = {}
    for session, bucket in arm:
        sessions.setdefault(session, []).append(bucket <= q)
    total = 1.0 / 16.0
    for f in UP if up else DOWN:
        product = 1.0
        for hits in sessions.values():
            x = sum(hits) / len(hits)
            product *= 1 + f / LEVEL * (x - LEVEL) if up else 1 - f / (1 - LEVEL) * (x - LEVEL)
        total += 15.0 / 16.0 * product / len(UP)
    return total


def ranks(arm: list[tuple[int, int]]) -> Ranks:
    session, bucket = (np.array(values) for values in zip(*arm, strict=True))
    return Ranks.of(session, bucket)


@settings(max_examples=60)
@given(arms)
def test_curves_are_the_definition_at_every_quantile(arm: list[tuple[int, int]]) -> None:
    """One count of ranks holds the evidence at every q, below the data and above it too."""
    q = np.arange(-10, 30)
    for up in (False, True):
        found = ranks(arm).bets(up).curve().over(int(q[0]), len(q))
        expected = [math.log(by_definition(arm, int(place), up)) for place in q]
        np.testing.assert_allclose(found, expected, atol=1e-9)


@settings(max_examples=40)
@given(arms, arms, st.integers(-20, 20), st.booleans())
def test_the_ratio_is_the_minimum_over_all_quantiles(
    left: list[tuple[int, int]], right: list[tuple[int, int]], by: int, paired: bool
) -> None:
    """GO and NO-GO evidence by their formulas; a bucket's width is counted against either claim."""
    ratio = Ratio.of(ranks(left), ranks(right), paired=paired)
    join = (lambda a, b: (a + b) / 2) if paired else (lambda a, b: a * b)
    q = range(-80, 80)
    at_most = min(join(by_definition(left, b, False), by_definition(right, b + by - 1, True)) for b in q)
    above = min(join(by_definition(left, b - 1, True), by_definition(right, b + by, False)) for b in q)
    assert ratio.log_at_most(by) == pytest.approx(math.log(at_most), abs=1e-9)
    assert ratio.log_above(by) == pytest.approx(math.log(above), abs=1e-9)


@settings(max_examples=40)
@given(arms, st.integers(1, 5))
def test_ranks_merge_by_session(arm: list[tuple[int, int]], parts: int) -> None:
    """Whole sessions may be counted anywhere and merged in any order."""
    shards = [[item for item in arm if item[0] % parts == part] for part in range(parts)]
    merged = Ranks.merged([ranks(shard) for shard in shards if shard][::-1])
    whole = ranks(arm)
    for up in (False, True):
        np.testing.assert_allclose(merged.bets(up).capital, whole.bets(up).capital, atol=1e-9)
    assert merged.percentile_ms() == pytest.approx(whole.percentile_ms())


def test_a_ratio_of_one_point_fifteen_is_a_whole_number_of_buckets() -> None:
    """The base is chosen for it; rounding does not lose one."""
    assert shift(1.15) == PER_115
    values = np.array([1.0, 3.7, 40.0, 812.0, 5000.0])
    assert (buckets(values * 1.15) - buckets(values) == PER_115).all()
    assert edge_ms(PER_115) == pytest.approx(1.15)


def test_buckets_hold_their_latencies() -> None:
    """Every latency lies between its bucket's edges; what is none is marked."""
    values = np.r_[np.geomspace(0.01, 1e6, 500), 1.0, BASE**7]
    found = buckets(values).astype(float)
    assert (BASE**found <= values * (1 + 1e-8)).all()
    assert (values < BASE ** (found + 1) * (1 + 1e-8)).all()
    assert buckets(np.array([np.nan, np.inf, -1.0])).tolist() == [NONE] * 3
    assert buckets(np.array([0.0]))[0] != NONE


def test_percentile_is_weighted_by_session() -> None:
    """A session of a hundred slow requests weighs like one of a single fast one."""
    slow = [(0, 200)] * 100
    fast = [(session, 10) for session in range(1, 100)]
    assert ranks(slow + fast).percentile_ms(0.95) < edge_ms(12)
    assert ranks(slow + fast).percentile_ms(0.999) >= edge_ms(200)


def test_the_band_of_the_ratio_covers_the_truth_and_shrinks() -> None:
    """Two arms, ratio 1.3: the band holds it, and with more sessions both ends come closer."""
    rng = np.random.default_rng(3)
    widths = []
    for size in (3000, 30_000):
        x = rng.lognormal(3, 0.4, size)
        held = rng.random(size) < 0.3
        bucket = buckets(np.where(held, x, 1.3 * x)).astype(np.int64)
        session = np.arange(size)
        ratio = Ratio.of(Ranks.of(session[held], bucket[held]), Ranks.of(session[~held], bucket[~held]), paired=False)
        lower, upper = band_of(ratio, math.log(20), math.log(20))
        assert lower < 1.3 < upper
        widths.append(upper - lower)
    assert widths[1] < widths[0]
