"""Time limits from order statistics: what they promise, and when there is none."""

from __future__ import annotations

import pytest

from otel_shadow._calibration.timeout import least_sessions, propose_timeout, rank


def propose(latencies: list[float], failed: int = 0, censored: int = 0, **more: float):
    """A proposal in which the first ``failed`` runs raised and the last ``censored`` were cut off."""
    count = len(latencies)
    bad = [place < failed for place in range(count)]
    cut = [place >= count - censored for place in range(count)]
    return propose_timeout(latencies, bad, cut, **more)


def test_ninety_nine_sessions_are_the_least() -> None:
    """0.97^99 ≤ 5 % < 0.97^98: 99 runs certify with the slowest, 98 with none."""
    assert least_sessions(0.97, 0.95) == 99
    assert rank(99, 0.97, 0.95) == 99
    assert rank(98, 0.97, 0.95) is None
    few = propose([10.0] * 98)
    assert (few.timeout_ms, few.reason, few.needed) == (None, "few", 99)


def test_the_rank_is_the_least_that_the_binomial_allows() -> None:
    """r = min{r: BinomCDF(r − 1; n, q) ≥ confidence}, checked against the definition."""
    from scipy.stats import binom

    for count in (99, 100, 150, 1000, 4321):
        least = next(r for r in range(1, count + 1) if binom.cdf(r - 1, count, 0.97) >= 0.95)
        assert rank(count, 0.97, 0.95) == least


def test_the_limit_is_rounded_up_to_two_digits() -> None:
    """A longer limit keeps the promise; a shorter one would not."""
    assert propose([float(ms) for ms in range(1, 1001)]).timeout_ms == 980
    assert propose([ms + 0.2 for ms in range(1, 1001)]).timeout_ms == 990
    assert propose([0.01] * 99).timeout_ms == 1


def test_errors_use_up_their_part_of_the_budget() -> None:
    """With 1 % of the runs failing the limit moves to a later run; above 3 % there is no limit at all."""
    latencies = [float(ms) for ms in range(1, 1001)]
    without, with_errors = propose(latencies), propose(latencies, failed=10)
    assert with_errors.timeout_ms > without.timeout_ms
    broken = propose(latencies, failed=40)
    assert (broken.timeout_ms, broken.reason) == (None, "failing")
    assert broken.failed_upper > 0.04


def test_cut_off_runs_count_as_later_than_any_limit() -> None:
    """A few may be cut off; where X_(r) itself was, the answer is to collect under a longer limit."""
    latencies = [float(ms) for ms in range(1, 981)] + [1000.0] * 20
    assert propose(latencies, censored=20).timeout_ms == 980
    too_many = propose([*latencies[:960], *[1000.0] * 40], censored=40)
    assert (too_many.timeout_ms, too_many.reason, too_many.collected_under_ms) == (None, "censored", 1000.0)
    assert too_many.p99_ms is None


def test_wrong_numbers_are_refused() -> None:
    """Lists of different lengths and a budget of 1 raise."""
    with pytest.raises(ValueError, match="one latency"):
        propose_timeout([1.0], [], [])
    with pytest.raises(ValueError, match="budget"):
        propose([1.0], budget=1.0)
