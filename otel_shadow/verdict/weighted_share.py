"""The fixed-sample test of a share of turns: the Dirichlet bound with a worst-case pseudo-session.

Turns of a session depend on each other, sessions differ in length, and a line that was shadowed with probability q
stands for 1/q. Session i contributes ``c_i = Σ w (x − m)``, w = 1/q, and one pseudo-session as long as any that the
sample may have missed contributes the worst, ``−m n*``. With G independent standard exponentials,

    p(m) = P(Σ c_i G_i − m n* G* ≤ 0)

is the p-value of "the share is at most m". For sessions of one turn and q = 1 it is Clopper and Pearson's.

Sources: Gaffke, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable",
Mathematical Methods of Statistics 14 (2005); Learned-Miller & Thomas, arXiv 1905.06208 (the bound for any support);
Lugannani & Rice, "Saddle point approximation for the distribution of the sum of independent random variables", Advances
in Applied Probability 12 (1980).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LONGEST: Final = 1.5
"""Times the size-weighted mean length that a session counts as at most."""
_NEAR_ZERO: Final = 1e-4
_STEPS: Final = 200
_MANY: Final = 1 << 13
"""Classes of contributions of one sign."""
_RANGE: Final = 20.0
"""Natural logarithm of the largest contribution over the smallest that has a class of its own."""


@dataclass(frozen=True, slots=True)
class WeightedSessions:
    """Closed sessions, each with how often it occurred: the sufficient statistic, which is summed in any order.

    Arguments:
        successes: weighted successes of a session, Σ w x.
        weight: weighted turns of a session, Σ w.
        turns: turns of a session, at least 1.
        sessions: how many sessions were so.
    """

    successes: Floats
    weight: Floats
    turns: Floats
    sessions: Floats

    @property
    def share(self) -> float:
        """Weighted successes over weighted turns; NaN without any."""
        total = float((self.weight * self.sessions).sum())
        return float((self.successes * self.sessions).sum()) / total if total else math.nan

    @property
    def longest(self) -> float:
        """Turns of a session that the sample may have missed: the longest, but not far beyond the usual turn's."""
        weight = self.weight * self.sessions
        usual = float(weight @ self.turns) / float(weight.sum())
        return min(float(self.turns.max()), _LONGEST * usual)

    def mirrored(self) -> WeightedSessions:
        """Return failures in place of successes."""
        return WeightedSessions(self.weight - self.successes, self.weight, self.turns, self.sessions)


@dataclass(frozen=True, slots=True)
class SamplingClass:
    """Turns that were shadowed with about the same probability: within one power of two.

    Arguments:
        probability: the smallest probability in it, in (0, 1].
        eligible: turns that could have been shadowed with it, whether they were or not.
    """

    probability: float
    eligible: float


CERTAIN: Final = (SamplingClass(1.0, math.inf),)
"""Every turn was shadowed."""


def worst_turns(sessions: WeightedSessions, classes: Sequence[SamplingClass] = CERTAIN) -> float:
    """Return the weighted turns n* of the worst-case pseudo-session.

    A session that few of its like were sampled for stands for many; it can't stand for more turns than there were.

    Arguments:
        sessions: what was observed; not empty.
        classes: the probabilities with which shadows ran, with the turns that they ran for.

    Returns:
        Weighted turns.
    """
    longest = sessions.longest
    least = longest * float((sessions.weight / sessions.turns).min())
    return max([least, *(min(longest / each.probability, each.eligible) for each in classes)])


def p_value(sessions: WeightedSessions, m: float, worst: float) -> float:
    """Return the p-value of "the share is at most ``m``".

    Arguments:
        sessions: what was observed; empty: 1.
        m: the bound, in (0, 1).
        worst: weighted turns of the pseudo-session, of :func:`worst_turns`.

    Returns:
        A probability; 1 where the observed share is not above ``m``.
    """
    if not len(sessions.sessions) or not sessions.share > m:
        return 1.0
    contributions = np.append(sessions.successes - m * sessions.weight, -m * worst)
    return at_most_zero(contributions, np.append(sessions.sessions, 1.0))


def lower_limit(sessions: WeightedSessions, worst: float, level: float) -> float:
    """Return the share that is proven at ``level``: the m whose p-value is ``level``; 0 where none is.

    Arguments:
        sessions: what was observed.
        worst: weighted turns of the pseudo-session.
        level: one-sided, in (0, 1).

    Returns:
        A share, to six decimals.
    """
    if not len(sessions.sessions):
        return 0.0
    low, high = 0.0, min(sessions.share, 1.0)
    while high - low > 1e-7:
        middle = (low + high) / 2
        low, high = (middle, high) if p_value(sessions, middle, worst) <= level else (low, middle)
    return low


def at_most_zero(contributions: Floats, counts: Floats) -> float:
    """Return P(Σ c G ≤ 0) for independent standard exponentials G, by the saddlepoint of Lugannani and Rice.

    Arguments:
        contributions: the c.
        counts: how many G have each c.

    Returns:
        A probability; its relative error falls with the number of contributions.
    """
    used = (contributions != 0.0) & (counts > 0.0)
    c, n = _fewer(contributions[used], counts[used])
    if not len(c) or c.min() >= 0.0:
        return 0.0
    if c.max() <= 0.0:
        return 1.0
    s = _saddlepoint(c, n)
    r = math.copysign(math.sqrt(max(2.0 * float(n @ np.log1p(-s * c)), 0.0)), s)
    if abs(r) < _NEAR_ZERO:
        return 0.5
    u = s * math.sqrt(float(n @ (c / (1.0 - s * c)) ** 2))
    density = math.exp(-r * r / 2.0) / math.sqrt(2.0 * math.pi)
    return min(max(normal_cdf(r) + density * (1.0 / r - 1.0 / u), 0.0), 1.0)


def _fewer(c: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Return at most so many contributions, means of classes so narrow that the chance is the same to seven digits."""
    if len(c) <= 2 * _MANY:
        return c, n
    size = np.log(np.abs(c))
    place = np.ceil((size - size.max()) * (_MANY / _RANGE)).astype(np.int64) + _MANY
    code = 2 * np.maximum(place, 0) + (c > 0.0)
    counts = np.bincount(code, n)
    used = counts > 0.0
    return np.bincount(code, n * c)[used] / counts[used], counts[used].astype(np.float64)


def _saddlepoint(c: Floats, n: Floats) -> float:
    """Return s with Σ n c / (1 − s c) = 0: Newton's steps, halved where they leave the bracket."""
    low, high = 1.0 / float(c.min()), 1.0 / float(c.max())
    s = 0.0
    for _ in range(_STEPS):
        terms = c / (1.0 - s * c)
        slope = float(n @ terms)
        low, high = (low, s) if slope > 0.0 else (s, high)
        step = slope / float(n @ terms**2)
        following = s - step
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - s) <= 1e-14 * (abs(s) + 1e-300) or following == s:
            return following
        s = following
    return s


def normal_cdf(z: float) -> float:
    """Return the standard normal distribution function, exact in its lower tail."""
    return math.erfc(-z / math.sqrt(2.0)) / 2.0
