"""Levels of the looks of one test: alpha is spent in proportion to the information that was there, never to outcomes.

At information I the tests of a criterion may have erred with a chance of ``α f(I / I_ref)`` altogether, with
f(t) = t / (1 + t) from t = 1 on and t² / (1 + t²) before: little evidence spends little, and no look spends all. The
level of one look follows from the joint law of all looks, whose statistics are normal with correlation √(I_j / I_k).

Sources: Lan & DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70 (1983); Jennison & Turnbull,
"Group Sequential Methods with Applications to Clinical Trials" (2000), chapter 19 (the recursion).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from otel_shadow.verdict.weighted_share import normal_cdf

Floats = NDArray[np.float64]

_REACH = 8.5
"""Standard deviations that are integrated over."""
_POINTS = 1201
_BISECTIONS = 60
_ROWS = 32
_NOTHING_BEYOND = 12.0
"""Standard deviations beyond which a normal density is 10⁻³² and less: no sum of doubles holds it."""


@dataclass(frozen=True, slots=True)
class PlannedLook:
    """A look that was taken.

    Arguments:
        information: at that time; sizes only, never outcomes.
        best_p: the smallest p-value that any outcome could have had; where it is above the look's level, nothing is
            spent on it.
    """

    information: float
    best_p: float = 0.0


def spent(information: float, reference: float, alpha: float = 0.05) -> float:
    """Return the chance of a false positive that may be used up at ``information``.

    Arguments:
        information: any unit.
        reference: the information at which half of ``alpha`` is spent, in the same unit.
        alpha: the whole.
    """
    t = max(information, 0.0) / reference
    return alpha * (t / (1.0 + t) if t >= 1.0 else t * t / (1.0 + t * t))


def levels(looks: Sequence[PlannedLook], reference: float, alpha: float = 0.05) -> tuple[float, ...]:
    """Return the one-sided level of each look, given those before it.

    Arguments:
        looks: in the order in which they were taken. One without more information than an earlier one has that one's
            level: there is nothing new to test.
        reference: see :func:`spent`.
        alpha: the chance that any look errs.

    Returns:
        A level per look; 0 for a look that can prove nothing.
    """
    return _after(tuple(looks), reference, alpha).levels


@dataclass(frozen=True, slots=True)
class _Spent:
    """What some looks have used up.

    Arguments:
        levels: of each.
        law: on the way that none has stopped; None before the first that spent.
        used: of alpha.
        highest: information of the last look that spent.
        last: its level.
    """

    levels: tuple[float, ...] = ()
    law: _Continued | None = None
    used: float = 0.0
    highest: float = 0.0
    last: float = 0.0


@lru_cache(maxsize=512)
def _after(looks: tuple[PlannedLook, ...], reference: float, alpha: float) -> _Spent:
    """Return what the looks have used up; kept, because every look goes on from the one before."""
    if not looks:
        return _Spent()
    before, look = _after(looks[:-1], reference, alpha), looks[-1]
    if look.information <= before.highest:
        return replace(before, levels=(*before.levels, before.last))
    extra = spent(look.information, reference, alpha) - before.used
    law = _Continued.first(look.information) if before.law is None else before.law.advanced(look.information)
    level = law.level(extra)
    if level <= 0.0 or look.best_p > level:
        return replace(before, levels=(*before.levels, 0.0))
    left = law.stopped_above(level)
    return _Spent((*before.levels, level), left, before.used + extra, look.information, level)


@dataclass(frozen=True, slots=True)
class _Continued:
    """The law of the score Z √I on the way that no look has stopped, on an even grid.

    Arguments:
        information: at the look.
        score: the grid.
        mass: of each grid cell.
    """

    information: float
    score: Floats
    mass: Floats

    @classmethod
    def first(cls, information: float) -> _Continued:
        """Return the law at the first look."""
        return cls(0.0, np.zeros(1), np.ones(1)).advanced(information)

    def advanced(self, information: float) -> _Continued:
        """Return the law at a later look: independent increments of variance I_k − I_(k−1)."""
        score = math.sqrt(information) * np.linspace(-_REACH, _REACH, _POINTS)
        deviation = math.sqrt(information - self.information)
        mass = _spread(score / deviation, self.score / deviation, self.mass)
        return _Continued(information, score, mass * (score[1] - score[0]) / (deviation * math.sqrt(2.0 * math.pi)))

    def level(self, extra: float) -> float:
        """Return the nominal level at which a look errs for the first time with chance ``extra``."""
        if extra <= 0.0:
            return 0.0
        above = np.cumsum(self.mass[::-1])[::-1]
        # Between two points the chance above is interpolated in the logarithm.
        place = int(np.searchsorted(-above, -extra))
        if place == 0:
            return 0.0
        edges = self.score - (self.score[1] - self.score[0]) / 2.0
        if place >= len(above):
            z = edges[-1]
        else:
            high, low = math.log(above[place - 1]), math.log(max(float(above[place]), 1e-300))
            z = edges[place - 1] + (edges[place] - edges[place - 1]) * (high - math.log(extra)) / (high - low)
        return normal_cdf(-float(z) / math.sqrt(self.information))

    def stopped_above(self, level: float) -> _Continued:
        """Return the law without the ways that this look has stopped."""
        bound = quantile(level) * math.sqrt(self.information)
        step = self.score[1] - self.score[0]
        kept = np.clip((bound - (self.score - step / 2.0)) / step, 0.0, 1.0)
        used = kept > 0.0
        return _Continued(self.information, self.score[used], (self.mass * kept)[used])


def _spread(to: Floats, sources: Floats, mass: Floats) -> Floats:
    """Return Σ mass exp(−(to − source)² / 2) at each place: rows that stay in the cache, and no source out of reach.

    Arguments:
        to, sources: places in standard deviations, both ascending.
        mass: of each source.
    """
    found = np.empty(len(to))
    for start in range(0, len(to), _ROWS):
        rows = to[start : start + _ROWS]
        first, last = np.searchsorted(sources, (rows[0] - _NOTHING_BEYOND, rows[-1] + _NOTHING_BEYOND))
        exponent = np.subtract.outer(rows, sources[first:last])
        exponent *= exponent
        exponent *= -0.5
        # By einsum: threads of a BLAS wait for each other on a busy machine.
        found[start : start + _ROWS] = np.einsum("ij,j", np.exp(exponent, out=exponent), mass[first:last])
    return found


def quantile(level: float) -> float:
    """Return z with P(Z > z) = ``level``."""
    low, high = -_REACH, _REACH
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if normal_cdf(-middle) > level else (low, middle)
    return (low + high) / 2
