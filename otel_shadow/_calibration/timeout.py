"""``V2_TIMEOUT_MS`` from V2's latencies: a limit under which V2 falls back at most 3 % of the time, with confidence.

The limit is an order statistic: with X_(1) ≤ … ≤ X_(n), one request per session, the interval (−∞, X_(r)] covers at
least a share q of the distribution with confidence c if BinomCDF(r − 1; n, q) ≥ c (Wilks 1941; David & Nagaraja, *Order
Statistics*, 3rd ed., §7.2). It assumes no shape of the distribution.

What fell back anyway is counted as slower than any limit: a run that failed, and a run that was cut off at the limit
in force (censored: it would have taken longer, nobody knows how much). Errors so use up their part of the 3 % exactly,
instead of by a bound subtracted from it. Where X_(r) is such a run there is no proposal: collect under a longer limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from otel_shadow._calibration.fixed_sequence import upper_bound
from otel_shadow.errors import require

BUDGET = 0.03
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class TimeoutProposal:
    """A time limit, or why there is none.

    Arguments:
        timeout_ms: the limit in whole milliseconds, rounded up to two digits; None where there is none.
        reason: ``proposed``; ``few`` (fewer sessions than the order statistic needs: ``needed``); ``censored`` (too
            many runs were cut off: collect under a longer limit); ``failing`` (errors alone use up the budget).
        rank: r of X_(r), 1 is the fastest.
        sessions, failed, censored: runs that were counted, that failed, that were cut off.
        failed_upper: upper confidence bound of the error rate.
        collected_under_ms: the longest latency of a run that was cut off: the limit in force; None if none was.
        p50_ms, p95_ms, p99_ms: of all runs; None where that one was cut off or failed.
    """

    timeout_ms: int | None
    reason: str
    rank: int | None
    needed: int
    sessions: int
    failed: int
    censored: int
    failed_upper: float
    budget: float
    confidence: float
    collected_under_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


def propose_timeout(
    latencies_ms: Sequence[float],
    failed: Sequence[bool],
    censored: Sequence[bool],
    *,
    budget: float = BUDGET,
    confidence: float = CONFIDENCE,
) -> TimeoutProposal:
    """Return the shortest limit under which, with ``confidence``, at most ``budget`` of the requests fall back.

    There is one latency of V2 per session, and whether that run failed, or was cut off (``censored``) by the limit in
    force. Lists of different lengths, and shares outside (0, 1), are a ValueError.
    """
    if not len(latencies_ms) == len(failed) == len(censored):
        raise ValueError("expected one latency, one failed and one censored per run")
    if not (0 < budget < 1 and 0 < confidence < 1):
        raise ValueError(f"budget={budget}, confidence={confidence}: expected numbers between 0 and 1")
    runs = zip(latencies_ms, failed, censored, strict=True)
    late = sorted(math.inf if bad or cut else taken for taken, bad, cut in runs)
    place = rank(len(late), 1 - budget, confidence)
    limit = late[place - 1] if place else math.inf
    errors, cuts = sum(failed), sum(censored)
    return TimeoutProposal(
        timeout_ms=_round_up(limit) if math.isfinite(limit) else None,
        reason=_reason(len(late), place, limit, errors),
        rank=place,
        needed=least_sessions(1 - budget, confidence),
        sessions=len(late),
        failed=errors,
        censored=cuts,
        failed_upper=upper_bound(errors, len(late), 1 - confidence),
        budget=budget,
        confidence=confidence,
        collected_under_ms=max((ms for ms, cut in zip(latencies_ms, censored, strict=True) if cut), default=None),
        p50_ms=_quantile(late, 0.50),
        p95_ms=_quantile(late, 0.95),
        p99_ms=_quantile(late, 0.99),
    )


def rank(count: int, share: float, confidence: float) -> int | None:
    """Return min{r: BinomCDF(r − 1; count, share) ≥ confidence}; None where even the slowest run is not slow enough."""
    binom = require("scipy.stats", "calibration").binom
    found = int(binom.ppf(confidence, count, share)) + 1 if count else 1
    return found if found <= count else None


def least_sessions(share: float, confidence: float) -> int:
    """Return runs from which there is a rank: share^n ≤ 1 − confidence (99 for 97 % at 95 %)."""
    return math.ceil(math.log(1 - confidence) / math.log(share))


def _reason(count: int, place: int | None, limit: float, errors: int) -> str:
    if place is None:
        return "few"
    if math.isfinite(limit):
        return "proposed"
    return "failing" if errors > count - place else "censored"


def _quantile(late: Sequence[float], share: float) -> float | None:
    value = late[min(math.ceil(share * len(late)), len(late)) - 1] if late else math.inf
    return value if math.isfinite(value) else None


def _round_up(milliseconds: float) -> int:
    """Return the limit in two significant digits, rounded up: a longer limit keeps the promise."""
    unit = 10 ** max(math.floor(math.log10(max(milliseconds, 1.0))) - 1, 0)
    return int(max(math.ceil(milliseconds / unit) * unit, 1))
