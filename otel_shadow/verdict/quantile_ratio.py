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
from collections.abc import Sequence
from functools import cached_property
from typing import Final

import numpy as np

from otel_shadow.verdict.side_lines import ABOVE, Floats, SideLines, Sizes, Terms
from otel_shadow.verdict.weighted_share import at_most_zero

_JOINED: Final = 1 << 14
"""Lines up to which pieces are joined and sorted once more: each limit looks at one piece then."""
LEAST_UNITS: Final = 30
"""Units on each side below which there is no limit."""


class BeyondSlowestError(Exception):
    """A percentile or limit lies among lines that were not kept."""


class Percentile:
    """The 95th percentile of one side and its limits.

    A limit is found outward from the percentile, in the order of the times that occur.

    Arguments:
        pieces: of the lines.
        size: one more than the highest number of a unit, where units may have lines in several pieces; None where each
            piece has units of its own.
    """

    def __init__(self, pieces: Sequence[SideLines], size: int | None) -> None:
        if size is not None and len(pieces) > 1 and sum(len(piece.time) for piece in pieces) <= _JOINED:
            pieces = [SideLines.joined(pieces)]
        self.pieces = pieces
        self._whole = sum(float(piece.total.sum()) for piece in pieces)
        self._units = _UnitsTogether(pieces, size) if size is not None else _UnitsOfPieces(pieces)
        self.present = self._units.present
        """Units with a line."""
        lines = sum(piece.lines for piece in pieces)
        self._star = max((piece.heaviest for piece in pieces), default=0.0) * max(
            1.0, lines / max(self.present, 1) / 2.0
        )
        self._floor = max((piece.floor for piece in pieces), default=-math.inf)
        self._p_values: dict[tuple[bool, int], float] = {}
        if len(pieces) == 1:
            self._times = pieces[0].times
        else:
            self._times = np.unique(np.concatenate([np.empty(0), *(piece.times for piece in pieces)]))[::-1]
            self._times = self._times[self._times >= self._floor]
        until = [piece.until(self._times) for piece in pieces]
        self._lines = [lines for lines, _ in until]
        reached = sum((weights for _, weights in until), np.zeros(len(self._times)))
        # Sums in another order differ in their last bits: what is a twentieth but for those is a twentieth.
        self._place = int(np.searchsorted(reached, ABOVE * self._whole * (1.0 + 1e-9), side="right"))
        if self._place >= len(self._times):
            if not math.isinf(self._floor):
                raise BeyondSlowestError
            self._place = len(self._times) - 1

    @property
    def value(self) -> float:
        """The weighted 95th percentile; NaN without a line."""
        return self._time_at(self._place) if len(self._times) else math.nan

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
        last = len(self._times) - 1
        failed, step = self._place - 1, 1
        place = self._place
        while place <= last and self._p(False, place) > level:
            failed, place, step = place, place + step, 2 * step
        proven = min(place, last + 1)
        if proven > last and not math.isinf(self._floor) and (failed == last or self._p(False, last) > level):
            raise BeyondSlowestError
        while proven - failed > 1:
            middle = (failed + proven) // 2
            failed, proven = (failed, middle) if self._p(False, middle) <= level else (middle, proven)
        return self._time_at(proven) if proven <= last else 0.0

    def _time_at(self, place: int) -> float:
        return float(self._times[place])

    def slower(self) -> list[int]:
        """Return of each piece how many lines are slower than the percentile."""
        return self._above(self._place)

    def _above(self, place: int) -> list[int]:
        return self._until(place - 1) if place else [0] * len(self.pieces)

    def _until(self, place: int) -> list[int]:
        return [int(lines[place]) for lines in self._lines]

    def _p(self, upper: bool, place: int) -> float:
        """Return the p-value of "more than a twentieth is above the time at ``place``", or "less reaches it"."""
        if (upper, place) not in self._p_values:
            firsts = self._above(place) if upper else self._until(place)
            star = (ABOVE - 1.0 if upper else -ABOVE) * self._star
            self._p_values[upper, place] = self._p_of(firsts, 1.0 if upper else -1.0, star)
        return self._p_values[upper, place]

    def _p_of(self, firsts: Sequence[int], sign: float, star: float) -> float:
        """Return P(Σ sign (.05 N − A) G + star G* ≤ 0): units without a slow line differ in nothing but their size."""
        values, counts = self._units.terms(firsts)
        values = sign * values
        if float(values @ counts) <= 0.0:
            return 1.0
        return at_most_zero(np.append(values, star), np.append(counts, 1.0))


class _UnitsOfPieces:
    """Units each of which has all its lines in one piece."""

    def __init__(self, pieces: Sequence[SideLines]) -> None:
        self._pieces = pieces
        self.present = sum(len(piece.units) for piece in pieces)

    def terms(self, firsts: Sequence[int]) -> Terms:
        """Return .05 N − A of all units, where A are so many of the slowest lines of each piece."""
        values, counts = [], []
        for piece, first in zip(self._pieces, firsts, strict=True):
            (own, alike), others = piece.alone.terms(first)
            values += [own, ABOVE * piece.alone.values]
            counts += [alike, others]
        return np.concatenate(values), np.concatenate(counts)


class _UnitsTogether:
    """Units that may have lines in several pieces."""

    def __init__(self, pieces: Sequence[SideLines], size: int) -> None:
        self._pieces = pieces
        self._total = np.zeros(size)
        for piece in pieces:
            self._total[piece.units] += piece.total  # of one piece each unit once
        self.present = int(np.count_nonzero(self._total))
        self._least = min((piece.lightest for piece in pieces), default=math.inf)

    @cached_property
    def _sizes(self) -> Sizes:
        return Sizes.of(self._total, self._least)

    def terms(self, firsts: Sequence[int]) -> Terms:
        """Return .05 N − A of all units, where A are so many of the slowest lines of each piece."""
        slow, sizes = _slow(self._pieces, firsts, len(self._total)), self._sizes
        touched = np.flatnonzero(slow)
        others = sizes.counts - np.bincount(sizes.of_unit[touched], minlength=len(sizes.counts))
        own, alike = np.unique(ABOVE * self._total[touched] - slow[touched], return_counts=True)
        return np.concatenate([own, ABOVE * sizes.values]), np.concatenate([alike, others])


def _slow(pieces: Sequence[SideLines], firsts: Sequence[int], size: int) -> Floats:
    """Return each unit's weight among so many of the slowest lines of each piece."""
    if len(pieces) == 1:
        only = pieces[0]
        return np.asarray(np.bincount(only.unit[: firsts[0]], only.weight[: firsts[0]], size), np.float64)
    found = np.zeros(size)
    for piece, first in zip(pieces, firsts, strict=True):
        found += np.bincount(piece.unit[:first], piece.weight[:first], size)
    return found


class PercentileRatio:
    """p95(x) / p95(y) and its limits.

    Arguments:
        x: pieces of the side that is to be no slower.
        y: pieces of the side that it is compared with; units with the same number belong together.
        apart: whether each piece has units of its own, the same on both sides.
    """

    def __init__(self, x: Sequence[SideLines], y: Sequence[SideLines], *, apart: bool = False) -> None:
        size = None if apart else 1 + max((int(side.units[-1]) for side in (*x, *y) if len(side.units)), default=-1)
        self._x, self._y, self._size = Percentile(x, size), Percentile(y, size), size
        self._present = min(self._x.present, self._y.present)

    @property
    def sides(self) -> tuple[float, float]:
        """The weighted 95th percentiles of x and y; NaN where a side has no line."""
        return self._x.value, self._y.value

    @property
    def estimate(self) -> float:
        """What was seen; NaN where a side has no line."""
        return self._x.value / self._y.value if self._present else math.nan

    @cached_property
    def _together(self) -> float:
        """The units' correlation, 0 where it is negative: only what they share may narrow the limits."""
        x, y, size = self._x, self._y, self._size
        slower = x.slower(), y.slower()
        if size is not None:
            products = _products(
                *(_exceedances(side.pieces, first, size) for side, first in zip((x, y), slower, strict=True))
            )
        else:
            products = np.zeros(3)
            for one, other, *firsts in zip(x.pieces, y.pieces, *slower, strict=True):
                size = 1 + max((int(side.units[-1]) for side in (one, other) if len(side.units)), default=-1)
                sides = (_exceedances([side], [first], size) for side, first in zip((one, other), firsts, strict=True))
                products += _products(*sides)
        deviations = math.sqrt(products[0] * products[1])
        return max(float(products[2]) / deviations, 0.0) if deviations else 0.0

    def upper(self, level: float) -> float:
        """Return the ratio above which it is not, one-sided; infinity where units are too few or none is proven."""
        if self._present < LEAST_UNITS:
            return math.inf
        x, y = self._x, self._y
        above = _log(x.upper(level), x.value)
        return self._from_estimate(above, math.inf if math.isinf(above) else _log(y.value, y.lower(level)), 1.0)

    def lower(self, level: float) -> float:
        """Return the ratio below which it is not, one-sided; 0 where units are too few or none is proven."""
        if self._present < LEAST_UNITS:
            return 0.0
        x, y = self._x, self._y
        below = _log(x.value, x.lower(level))
        return self._from_estimate(below, math.inf if math.isinf(below) else _log(y.upper(level), y.value), -1.0)

    def _from_estimate(self, a: float, b: float, sign: float) -> float:
        apart = math.inf if math.isinf(a) or math.isinf(b) else _joined(a, b, self._together)
        return self.estimate * math.exp(sign * apart)


def _exceedances(pieces: Sequence[SideLines], firsts: Sequence[int], size: int) -> Floats:
    """Return, of each unit, the weighted lines above the percentile less their expected share."""
    found = _slow(pieces, firsts, size)
    for piece in pieces:
        found[piece.units] -= ABOVE * piece.total
    return found


def _products(x: Floats, y: Floats) -> Floats:
    # By einsum: threads of a BLAS wait for each other on a busy machine.
    return np.array([np.einsum("i,i", one, other) for one, other in ((x, x), (y, y), (x, y))])


def _log(more: float, less: float) -> float:
    return math.inf if less <= 0.0 or math.isinf(more) else math.log(more / less)


def _joined(a: float, b: float, correlation: float) -> float:
    return math.sqrt(max(a * a + b * b - 2.0 * correlation * a * b, 0.0))
