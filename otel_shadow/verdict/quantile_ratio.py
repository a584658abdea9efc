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
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from otel_shadow.verdict.dense_codes import multiples
from otel_shadow.verdict.weighted_share import at_most_zero

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ABOVE: Final = 0.05
"""Share of the lines above the 95th percentile."""
_SLOWEST: Final = 8
"""One over the share of the lines that is sorted at first: a limit is seldom further from the percentile."""
_MANY: Final = 1 << 14
"""Sizes of units that are told apart."""
LEAST_UNITS: Final = 30
"""Units on each side below which there is no limit."""


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Units by their weight: where weights are few, so are the sizes, and one term stands for thousands of units.

    Arguments:
        of_unit: which size each unit has.
        values: weight of a unit of each size.
        counts: units of each size.
    """

    of_unit: Ints
    values: Floats
    counts: Floats

    @classmethod
    def of(cls, total: Floats, least: float) -> _Sizes:
        """Return the sizes of units; ``least`` is the smallest weight of a line."""
        code = multiples(total, least, _MANY)
        if code is None:
            if len(total) < 4 * _MANY:
                _, code = np.unique(total, return_inverse=True)
            if code is None or code.max() >= _MANY:
                # So finely that the means of the classes give the same chance to nine digits.
                ends = math.log(float(total[total > 0.0].min())), math.log(float(total.max()))
                with np.errstate(divide="ignore"):
                    part = (np.log(total) - ends[0]) / max(ends[1] - ends[0], 1e-300)
                code = np.where(total > 0.0, 1.0 + np.floor(np.maximum(part, 0.0) * _MANY), 0.0).astype(np.int64)
        counts = np.bincount(code).astype(np.float64)
        values = np.bincount(code, total) / np.maximum(counts, 1.0)
        return cls(code, values, counts)


class Latencies:
    """Times of one side.

    A limit is found among the slowest lines: only those are sorted, and the search goes outward from the percentile.

    Arguments:
        unit: of each line, 0 … ``units`` − 1; the same number on both sides is the same block or session.
        time: of each line, in any unit, positive.
        weight: of each line: one over the probability with which it is there.
        units: how many units both sides have together; some may have no line.
    """

    def __init__(self, unit: Ints, time: Floats, weight: Floats, units: int) -> None:
        self._lines = (unit, time, weight)
        self._units = units
        self._total = np.asarray(np.bincount(unit, weight, units), np.float64)
        self._whole = float(self._total.sum())
        self.present = int((np.bincount(unit, minlength=units) > 0).sum())
        """Units with a line."""
        self._star = float(weight.max(initial=0.0)) * max(1.0, len(time) / max(self.present, 1) / 2.0)
        self._size = _Sizes.of(self._total, float(weight.min(initial=math.inf)))
        self._p_values: dict[tuple[bool, int], float] = {}
        self._sort(len(time) // _SLOWEST)
        if self._place >= len(self._ends):
            self._sort(len(time))

    def _sort(self, lines: int) -> None:
        """Sort at least so many of the slowest lines, all of the last one's time among them."""
        unit, time, weight = self._lines
        chosen: Ints | slice = slice(None)
        if lines < len(time):
            chosen = np.flatnonzero(time >= np.partition(time, len(time) - lines - 1)[len(time) - lines - 1])
        order = np.argsort(-time[chosen], kind="stable")
        self._unit, self._time, self._weight = (part[chosen][order] for part in (unit, time, weight))
        new = self._time[1:] != self._time[:-1]
        self._ends = np.r_[np.flatnonzero(new) + 1, len(order)] if len(order) else np.empty(0, np.int64)
        """Of each time that occurs, from the slowest on, how many lines are no faster."""
        reached = np.cumsum(self._weight)[self._ends - 1] if len(order) else np.empty(0)
        # Sums in another order differ in their last bits: what is a twentieth but for those is a twentieth.
        self._place = int(np.searchsorted(reached, _ABOVE * self._whole * (1.0 + 1e-9), side="right"))
        if len(order) == len(time):
            self._place = min(self._place, len(self._ends) - 1)

    @property
    def p95(self) -> float:
        """The weighted 95th percentile; NaN without a line."""
        return self._time_at(self._place) if len(self._ends) else math.nan

    def upper(self, level: float) -> float:
        """Return the smallest time that is proven to have at most a twentieth above it; infinity if none is."""
        # From the percentile towards slower times: the fewer lines exceed a time, the stronger is the proof.
        failed, step = self._place + 1, 1
        place = self._place
        while place >= 0 and self._p(True, place) > level:
            failed, place, step = place, place - step, 2 * step
        proven = max(place, -1)
        while failed - proven > 1:
            middle = (proven + failed) // 2
            proven, failed = (middle, failed) if self._p(True, middle) <= level else (proven, middle)
        return self._time_at(proven) if proven >= 0 else math.inf

    def lower(self, level: float) -> float:
        """Return the largest time that is proven, at ``level``, to be reached by a twentieth at least; else 0."""
        failed, step = self._place - 1, 1
        place = self._place
        while self._has(place) and self._p(False, place) > level:
            failed, place, step = place, place + step, 2 * step
        proven = min(place, len(self._ends))
        while proven - failed > 1:
            middle = (failed + proven) // 2
            failed, proven = (failed, middle) if self._p(False, middle) <= level else (middle, proven)
        return self._time_at(proven) if proven < len(self._ends) else 0.0

    def exceedances(self) -> Floats:
        """Return, of each unit, the weighted lines above the percentile less their expected share."""
        return self._sums(self._above(self._place)) - _ABOVE * self._total

    def _has(self, place: int) -> bool:
        """Return whether so many different times occur; sorts all lines where the slowest were too few."""
        if place >= len(self._ends) and len(self._time) < len(self._lines[1]):
            self._sort(len(self._lines[1]))
        return place < len(self._ends)

    def _time_at(self, place: int) -> float:
        return float(self._time[self._ends[place] - 1])

    def _above(self, place: int) -> int:
        """Return how many lines are slower than the time at ``place``."""
        return int(self._ends[place - 1]) if place else 0

    def _sums(self, first: int) -> Floats:
        """Return each unit's weight among the ``first`` slowest lines."""
        return np.asarray(np.bincount(self._unit[:first], self._weight[:first], self._units), np.float64)

    def _p(self, upper: bool, place: int) -> float:
        """Return the p-value of "more than a twentieth is above the time at ``place``", or "less reaches it"."""
        if (upper, place) not in self._p_values:
            first = self._above(place) if upper else int(self._ends[place])
            star = (_ABOVE - 1.0 if upper else -_ABOVE) * self._star
            self._p_values[upper, place] = self._p_of(first, 1.0 if upper else -1.0, star)
        return self._p_values[upper, place]

    def _p_of(self, first: int, sign: float, star: float) -> float:
        """Return P(Σ sign (.05 N − A) G + star G* ≤ 0): units without a slow line differ in nothing but their size."""
        slow = self._sums(first)
        touched = np.flatnonzero(slow)
        others = self._size.counts - np.bincount(self._size.of_unit[touched], minlength=len(self._size.counts))
        own, alike = np.unique(sign * (_ABOVE * self._total[touched] - slow[touched]), return_counts=True)
        rest = sign * _ABOVE * self._size.values
        if float(own @ alike + rest @ others) <= 0.0:
            return 1.0
        return at_most_zero(np.concatenate([own, rest, [star]]), np.concatenate([alike, others, [1.0]]))


class PercentileRatio:
    """p95(x) / p95(y) and its limits.

    Arguments:
        x: the side that is to be no slower.
        y: the side that it is compared with; units with the same number belong together.
    """

    def __init__(self, x: Latencies, y: Latencies) -> None:
        self._x, self._y = x, y
        self._present = min(x.present, y.present)

    @property
    def sides(self) -> tuple[float, float]:
        """The weighted 95th percentiles of x and y; NaN where a side has no line."""
        return self._x.p95, self._y.p95

    @property
    def estimate(self) -> float:
        """What was seen; NaN where a side has no line."""
        return self._x.p95 / self._y.p95 if self._present else math.nan

    @cached_property
    def _together(self) -> float:
        return _correlation(self._x.exceedances(), self._y.exceedances())

    def upper(self, level: float) -> float:
        """Return the ratio above which it is not, one-sided; infinity where units are too few or none is proven."""
        if self._present < LEAST_UNITS:
            return math.inf
        x, y = self._x, self._y
        above = _log(x.upper(level), x.p95)
        return self._from_estimate(above, math.inf if math.isinf(above) else _log(y.p95, y.lower(level)), 1.0)

    def lower(self, level: float) -> float:
        """Return the ratio below which it is not, one-sided; 0 where units are too few or none is proven."""
        if self._present < LEAST_UNITS:
            return 0.0
        x, y = self._x, self._y
        below = _log(x.p95, x.lower(level))
        return self._from_estimate(below, math.inf if math.isinf(below) else _log(y.upper(level), y.p95), -1.0)

    def _from_estimate(self, a: float, b: float, sign: float) -> float:
        apart = math.inf if math.isinf(a) or math.isinf(b) else _joined(a, b, self._together)
        return self.estimate * math.exp(sign * apart)


def _log(more: float, less: float) -> float:
    return math.inf if less <= 0.0 or math.isinf(more) else math.log(more / less)


def _joined(a: float, b: float, correlation: float) -> float:
    return math.sqrt(max(a * a + b * b - 2.0 * correlation * a * b, 0.0))


def _correlation(x: Floats, y: Floats) -> float:
    """Return the units' correlation, 0 where it is negative: only what they share may narrow the limits."""
    deviations = float(np.sqrt((x @ x) * (y @ y)))
    return max(float(x @ y) / deviations, 0.0) if deviations else 0.0
