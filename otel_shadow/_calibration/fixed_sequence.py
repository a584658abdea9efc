"""Learn then Test: the lowest threshold whose risk is at most α, with confidence 1 − δ.

Angelopoulos, Bates, Candès, Jordan & Lei, "Learn then Test" (arXiv 2110.01052), fixed sequence testing: each
threshold λ is a null hypothesis "the risk among decisions with confidence ≥ λ is above α"; its p-value is the binomial
tail P(Bin(accepted, α) ≤ errors), exact for 0/1 losses; hypotheses are tested in an order that the
labels had no part in, each at level δ, and testing stops at the first one that is not rejected.

Picking the lowest threshold whose *empirical* risk is at most α instead breaks α about half the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from otel_shadow.errors import require

START = 0.50
"""Coverage of the first threshold tested."""
STEPS = 50
"""Quantile-spaced thresholds from there to full coverage."""
USEFUL_SESSIONS = 1000
"""Below this many sessions a certificate holds but the threshold it allows is needlessly high, or there is none."""


@dataclass(frozen=True, slots=True)
class Tested:
    """One threshold and what the calibration sessions say of it.

    ``coverage`` is the share of sessions accepted, ``risk`` the share of those that are wrong, ``upper`` the exact
    upper confidence bound of that share (Clopper & Pearson 1934) at 1 − δ, taken alone.
    """

    threshold: float
    accepted: int
    wrong: int
    coverage: float
    risk: float
    upper: float
    p_value: float
    rejected: bool


@dataclass(frozen=True, slots=True)
class Certificate:
    """What fixed sequence testing says.

    ``threshold`` is None where nothing could be certified; then ``reason`` is ``few`` (more sessions could still
    change that) or ``risky`` (the most confident half is wrong too often). ``curve`` has every threshold of the
    sequence, also those behind the stop, which are for plots only.
    """

    threshold: float | None
    reason: str
    sessions: int
    alpha: float
    delta: float
    curve: tuple[Tested, ...]


def certify(
    confidence: Sequence[float], wrong: Sequence[bool], alpha: float, delta: float, *, start: float = START
) -> Certificate:
    """Return the lowest threshold with P(wrong | confidence ≥ threshold) ≤ ``alpha``, with confidence 1 − ``delta``.

    ``confidence`` in [0, 1] and ``wrong`` (the decision was wrong, or disagreed) have one value per session; ``alpha``
    and ``delta`` lie in (0, 1), ``start``, the coverage of the first threshold, in (0, 1]. Else a ValueError is raised.
    """
    numpy = require("numpy", "calibration")
    scores, errors = numpy.asarray(confidence, dtype=float), numpy.asarray(wrong, dtype=bool)
    _check(scores, errors, alpha, delta, start)
    curve: list[Tested] = []
    going = True
    for tested in _tests(numpy, scores, errors, start, alpha, delta):
        going = going and tested.p_value <= delta
        curve.append(replace(tested, rejected=going))
    passed = [tested.threshold for tested in curve if tested.rejected]
    reason = "certified" if passed else _why_not(curve, alpha, delta)
    return Certificate(min(passed, default=None), reason, len(scores), alpha, delta, tuple(curve))


def _check(scores: Any, errors: Any, alpha: float, delta: float, start: float) -> None:
    if scores.shape != errors.shape or scores.ndim != 1:
        raise ValueError(f"expected as many labels as confidences, got {errors.shape} and {scores.shape}")
    if not (0 < alpha < 1 and 0 < delta < 1 and 0 < start <= 1):
        raise ValueError(f"alpha={alpha}, delta={delta}: expected numbers between 0 and 1")
    if scores.size and not (scores.min() >= 0 and scores.max() <= 1):
        raise ValueError(f"confidences from {scores.min():g} to {scores.max():g}: expected numbers in [0, 1]")


def _tests(numpy: Any, scores: Any, errors: Any, start: float, alpha: float, delta: float) -> list[Tested]:
    """Return a test at each coverage from ``start`` to 1, the highest threshold first, each threshold once.

    Given the order statistic at a threshold, the scores above it are a fresh sample from there (David & Nagaraja,
    §2.5), so a quantile of the same data serves as well as a grid fixed beforehand.
    """
    if not scores.size:
        return []
    stats = require("scipy.stats", "calibration")
    order = numpy.argsort(-scores, kind="stable")
    falling, total = scores[order], len(scores)
    places = numpy.ceil(numpy.linspace(start, 1.0, STEPS + 1) * total).astype(int) - 1
    thresholds = numpy.array(list(dict.fromkeys(falling[places].tolist())))
    accepted = numpy.searchsorted(-falling, -thresholds, side="right")
    wrong = numpy.cumsum(errors[order])[accepted - 1]
    p_values = stats.binom.cdf(wrong, accepted, alpha)
    uppers = numpy.where(
        wrong < accepted, stats.beta.ppf(1 - delta, wrong + 1, numpy.maximum(accepted - wrong, 1)), 1.0
    )
    rows = zip(*(column.tolist() for column in (thresholds, accepted, wrong, p_values, uppers)), strict=True)
    return [
        Tested(threshold, count, bad, count / total, bad / count, upper, p_value, rejected=False)
        for threshold, count, bad, p_value, upper in rows
    ]


def _why_not(curve: Sequence[Tested], alpha: float, delta: float) -> str:
    """Return ``risky`` if the first threshold's risk is proven to be above α (or the sample is large), else ``few``."""
    if not curve:
        return "few"
    first = curve[0]
    risky = lower_bound(first.wrong, first.accepted, delta) > alpha
    return "risky" if risky or first.accepted >= START * USEFUL_SESSIONS else "few"


def upper_bound(wrong: int, count: int, delta: float) -> float:
    """Return the exact upper confidence bound of a share (Clopper & Pearson 1934), one-sided at 1 − ``delta``."""
    if wrong >= count:
        return 1.0
    return float(require("scipy.stats", "calibration").beta.ppf(1 - delta, wrong + 1, count - wrong))


def lower_bound(wrong: int, count: int, delta: float) -> float:
    """Return the exact lower confidence bound of a share, one-sided at 1 − ``delta``."""
    if wrong <= 0 or count <= 0:
        return 0.0
    return float(require("scipy.stats", "calibration").beta.ppf(delta, wrong, count - wrong + 1))
