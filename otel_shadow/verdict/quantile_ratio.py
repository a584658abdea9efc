"""The fixed-sample test of a ratio of two 95th percentiles, whose units (blocks of time, sessions) hold several lines.

Each percentile gets one-sided limits by the test of :mod:`otel_shadow.verdict.weighted_share` on "above t", at the
order statistics t. The limits of both are joined by the method of variance estimates recovery (MOVER):

    log upper = log(q_x / q_y) + √(a² + b² − 2 ρ a b),   a = log(u_x / q_x),  b = log(q_y / l_y)

Sources: Woodruff, "Confidence intervals for medians and other position measures", JASA 47 (1952); Newcombe, "Interval
estimation for the difference between independent proportions", Statistics in Medicine 17 (1998); Zou & Donner,
"Construction of confidence limits about effect measures", Statistics in Medicine 27 (2008).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from otel_shadow.verdict.weighted_share import at_most_zero

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ABOVE: Final = 0.05
"""Share of the lines above the 95th percentile."""
LEAST_UNITS: Final = 30
"""Units on each side below which there is no limit."""


class Latencies:
    """Times of one side.

    Arguments:
        unit: of each line, 0 … ``units`` − 1; the same number on both sides is the same block or session.
        time: of each line, in any unit, positive.
        weight: of each line: one over the probability with which it is there.
        units: how many units both sides have together.
    """

    def __init__(self, unit: Ints, time: Floats, weight: Floats, units: int) -> None:
        order = np.argsort(-time, kind="stable")
        self._unit, self._time, self._weight = unit[order], time[order], weight[order]
        self._units = units
        self._total = np.bincount(unit, weight, units)
        self._above = np.cumsum(self._weight)
        present = int((np.bincount(unit, minlength=units) > 0).sum())
        self.present = present
        """Units with a line."""
        self._star = float(weight.max(initial=0.0)) * max(1.0, len(time) / max(present, 1) / 2.0)

    @property
    def p95(self) -> float:
        """The weighted 95th percentile; NaN without a line."""
        if not len(self._time):
            return math.nan
        place = int(np.searchsorted(self._above, _ABOVE * float(self._above[-1]), side="right"))
        return float(self._time[min(place, len(self._time) - 1)])

    def upper(self, level: float) -> float:
        """Return the smallest time that is proven to have at most a twentieth above it; infinity if none is."""
        # Ranks from the slowest on: the further up, the fewer exceed it, and the stronger is the proof.
        proven, unproven = -1, len(self._time)
        while unproven - proven > 1:
            middle = (proven + unproven) // 2
            proven, unproven = (middle, unproven) if self._p_upper(middle) <= level else (proven, middle)
        return float(self._time[proven]) if proven >= 0 else math.inf

    def lower(self, level: float) -> float:
        """Return the largest time that is proven, at ``level``, to be reached by a twentieth at least; else 0."""
        unproven, proven = -1, len(self._time)
        while proven - unproven > 1:
            middle = (proven + unproven) // 2
            unproven, proven = (unproven, middle) if self._p_lower(middle) <= level else (middle, proven)
        return float(self._time[proven]) if proven < len(self._time) else 0.0

    def exceedances(self) -> Floats:
        """Return, of each unit, the weighted lines above the percentile less their expected share."""
        return self._sums(int(np.searchsorted(-self._time, -self.p95, side="left"))) - _ABOVE * self._total

    def _p_upper(self, rank: int) -> float:
        above = int(np.searchsorted(-self._time, -self._time[rank], side="left"))
        return self._p(_ABOVE * self._total - self._sums(above), (_ABOVE - 1.0) * self._star)

    def _p_lower(self, rank: int) -> float:
        reached = int(np.searchsorted(-self._time, -self._time[rank], side="right"))
        return self._p(self._sums(reached) - _ABOVE * self._total, -_ABOVE * self._star)

    def _sums(self, first: int) -> Floats:
        """Return each unit's weight among the ``first`` slowest lines."""
        return np.asarray(np.bincount(self._unit[:first], self._weight[:first], self._units), np.float64)

    def _p(self, contributions: Floats, star: float) -> float:
        if float(contributions.sum()) <= 0.0:
            return 1.0
        return at_most_zero(np.append(contributions, star), np.ones(self._units + 1))


@dataclass(frozen=True, slots=True)
class RatioLimits:
    """One-sided limits of p95(x) / p95(y).

    Arguments:
        estimate: the ratio that was seen; NaN without lines.
        lower: below which it is not, at the level.
        upper: above which it is not, at the level.
    """

    estimate: float
    lower: float
    upper: float


UNKNOWN: Final = RatioLimits(math.nan, 0.0, math.inf)


def ratio_limits(x: Latencies, y: Latencies, level: float) -> RatioLimits:
    """Return the limits of p95(x) / p95(y), each at ``level``.

    Arguments:
        x: the side that is to be no slower.
        y: the side that it is compared with; units with the same number belong together.
        level: one-sided, in (0, 1).

    Returns:
        Limits; 0 and infinity where a side has fewer than ``LEAST_UNITS`` units, or no limit at this level.
    """
    if min(x.present, y.present) < 1:
        return UNKNOWN
    estimate = x.p95 / y.p95
    if min(x.present, y.present) < LEAST_UNITS:
        return RatioLimits(estimate, 0.0, math.inf)
    together = _correlation(x.exceedances(), y.exceedances())
    up = _joined(_log(x.upper(level), x.p95), _log(y.p95, y.lower(level)), together)
    down = _joined(_log(x.p95, x.lower(level)), _log(y.upper(level), y.p95), together)
    return RatioLimits(estimate, estimate * math.exp(-down), estimate * math.exp(up))


def _log(more: float, less: float) -> float:
    return math.inf if less <= 0.0 or math.isinf(more) else math.log(more / less)


def _joined(a: float, b: float, correlation: float) -> float:
    if math.isinf(a) or math.isinf(b):
        return math.inf
    return math.sqrt(max(a * a + b * b - 2.0 * correlation * a * b, 0.0))


def _correlation(x: Floats, y: Floats) -> float:
    """Return the units' correlation, 0 where it is negative: only what they share may narrow the limits."""
    deviations = float(np.sqrt((x @ x) * (y @ y)))
    return max(float(x @ y) / deviations, 0.0) if deviations else 0.0
