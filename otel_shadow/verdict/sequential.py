"""Evidence that may be looked at at any time: e-processes for means in [0, 1], with fixed bets.

For observations x in [0, 1] and a bound m, the evidence that their running mean lies above m is
``E⁺(m) = mean over k of Π_i (1 + λ_k (x_i − m))`` with λ_k = f_k / m for a fixed grid of f, and below m the mirror
image. By Ville's inequality the chance that E ever reaches 1/α while the running mean of the conditional
expectations stays on the other side of m is at most α, under drift too: with μ_i = E[x_i | past],
M = Π (1 + λ(x_i − m)) / (1 + λ(μ_i − m)) is a martingale, and E ≤ M by the inequality of the means while the running
mean of μ is at most m. The bets must not adapt to the data: with drift, adaptive ones lose that inequality.

Sources: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", arXiv 2010.09686, sections
4 and B (hedged capital on a fixed grid); Howard, Ramdas, McAuliffe, Sekhon, arXiv 1810.08240 (Ville's inequality and
confidence sequences).

A session of n turns enters as a pair (a, b) with 0 ≤ b ≤ a ≤ 1 and the factor ``1 − f a + f b / m``:

* its mean: a = 1, b = k / n;
* its events, weighted: a = c n / T, b = c k / T with c = min(1, T / n), which is 1 + λ (k − m n) c with λ = f / (T m).

The product does not depend on the order, so that counts of (k, n) are all one needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UP: Final[Floats] = np.linspace(0.02, 0.95, 14)
"""Bets that the mean is higher: evenly spaced, because few are lost where agreement is near 1."""
DOWN: Final[Floats] = np.geomspace(0.004, 0.6, 14)
"""Bets that the mean is lower: spaced evenly in the logarithm, because a loss of 1 − m is small."""
_BISECTIONS = 40
_PRECISION = 5e-6


@dataclass(frozen=True, slots=True)
class Counts:
    """Closed sessions by (successes k, turns n): the sufficient statistic. ``k`` may be fractional (relative parity).

    Arguments:
        k: successes of a session, 0 ≤ k ≤ n.
        n: turns of a session, at least 1.
        sessions: how many sessions had this (k, n).
    """

    k: Floats
    n: Floats
    sessions: Floats

    @classmethod
    def of(cls, k: NDArray[np.generic], n: NDArray[np.generic], sessions: NDArray[np.generic] | None = None) -> Counts:
        """Return counts of sessions given one by one (or already counted); those without turns are left out."""
        successes, turns = np.asarray(k, np.float64), np.asarray(n, np.float64)
        weights = np.ones(len(turns)) if sessions is None else np.asarray(sessions, np.float64)
        used = (turns > 0) & (weights > 0)
        pairs, inverse = np.unique(turns[used] + 1j * successes[used], return_inverse=True)
        total = np.bincount(inverse.ravel(), weights=weights[used], minlength=len(pairs)).astype(np.float64)
        return cls(pairs.imag.copy(), pairs.real.copy(), total)

    @property
    def total(self) -> int:
        """Number of sessions."""
        return int(self.sessions.sum())

    @property
    def events(self) -> int:
        """Number of turns."""
        return int((self.n * self.sessions).sum())

    @property
    def successes(self) -> float:
        """Number of successes."""
        return float((self.k * self.sessions).sum())

    @property
    def event_mean(self) -> float:
        """Successes over turns; NaN without evidence."""
        return self.successes / self.events if self.events else float("nan")

    @property
    def session_mean(self) -> float:
        """Mean of the sessions' own means; NaN without evidence."""
        return float((self.k / self.n * self.sessions).sum() / self.total) if self.total else float("nan")

    def session_unit(self) -> Unit:
        """Return the session-mean test's view: every session weighs the same."""
        return Unit(np.ones_like(self.n), self.k / self.n, self.sessions)

    def event_unit(self, max_turns: int) -> Unit:
        """Return the event-weighted test's view: sessions weigh by their turns, at most ``max_turns``."""
        scale = np.minimum(1.0, max_turns / self.n) / max_turns
        return Unit(self.n * scale, self.k * scale, self.sessions)


@dataclass(frozen=True, slots=True)
class Unit:
    """Sessions as pairs (a, b) of the module's docstring, with their counts."""

    a: Floats
    b: Floats
    sessions: Floats

    def mirrored(self) -> Unit:
        """Return failures in place of successes: evidence below m is evidence of the mirror image above 1 − m."""
        return Unit(self.a, self.a - self.b, self.sessions)

    def log_up(self, m: float) -> float:
        """Return log E⁺(m): evidence that the mean is above ``m``."""
        return log_mean_exp(self._capital(m, UP))

    def log_down(self, m: float) -> float:
        """Return log E⁻(m): evidence that the mean is below ``m``."""
        return log_mean_exp(self.mirrored()._capital(1.0 - m, DOWN))

    def log_up_of(self, m: float, sessions: Floats) -> Floats:
        """Return ``log_up`` of several groups at once.

        Arguments:
            sessions: how many of each pair (a, b) (rows) each group (columns) has.
        """
        return _log_mean_exps(_growth(self.a, self.b, m, UP) @ sessions)

    def log_down_of(self, m: float, sessions: Floats) -> Floats:
        """Return ``log_down`` of several groups at once."""
        return _log_mean_exps(_growth(self.a, self.a - self.b, 1.0 - m, DOWN) @ sessions)

    def capital_up(self, m: float) -> Floats:
        """Return the log capital of each bet of ``UP`` against ``m``; it grows in proportion to the evidence."""
        return self._capital(m, UP)

    @property
    def mean(self) -> float:
        """The mean that the tests are about."""
        return float((self.b * self.sessions).sum() / (self.a * self.sessions).sum())

    def lower(self, log_threshold: float) -> float:
        """Return the lower end of the confidence sequence: the smallest m that is not rejected from below."""
        return crossing(self.log_up, self.mean, 0.0, log_threshold) if len(self.a) else 0.0

    def upper(self, log_threshold: float) -> float:
        """Return the upper end of the confidence sequence."""
        return crossing(self.log_down, self.mean, 1.0, log_threshold) if len(self.a) else 1.0

    def _capital(self, m: float, bets: Floats) -> Floats:
        return _growth(self.a, self.b, m, bets) @ self.sessions


def _growth(a: Floats, b: Floats, m: float, bets: Floats) -> Floats:
    return np.asarray(np.log1p(bets[:, None] * (b / m - a)))


def log_mean_exp(values: Floats) -> float:
    """Return the log of the mean of exp(values), without overflow."""
    highest = float(values.max())
    if not math.isfinite(highest):
        return highest
    return highest + math.log(float(np.exp(values - highest).sum()) / len(values))


def _log_mean_exps(capital: Floats) -> Floats:
    """Return :func:`log_mean_exp` of every column."""
    return np.asarray(np.logaddexp.reduce(capital, axis=0) - math.log(len(capital)))


def running(a: Floats, b: Floats, m: float, bets: Floats) -> Floats:
    """Return log E after each session, for sessions in the order in which they closed.

    Arguments:
        a, b: sessions as pairs of the module's docstring along the last axis; further axes are further streams.
        m: the bound; for the evidence below it give ``a − b``, ``1 − m`` and ``DOWN``.
        bets: the fixed grid.
    """
    highest = np.full(np.shape(b), -np.inf)
    paths = [np.cumsum(np.log1p(bet * (b / m - a)), axis=-1) for bet in bets]
    for path in paths:
        np.maximum(highest, path, out=highest)
    total = np.zeros_like(highest)
    for path in paths:
        total += np.exp(path - highest)
    return np.asarray(highest + np.log(total / len(bets)))


def crossing(evidence: Callable[[float], float], mean: float, end: float, log_threshold: float) -> float:
    """Return where evidence that grows from ``mean`` towards ``end`` (0 or 1) reaches the threshold.

    Arguments:
        evidence: log E against a bound; monotone on the way from ``mean`` to ``end``.
        mean: what was seen: no evidence against it.
        end: the furthest bound.
        log_threshold: what E must reach.

    Returns:
        The first bound that is rejected, to five decimals; ``end`` if none is.
    """
    if abs(mean - end) < 1e-12:
        return end
    weak, step, below = mean, 1.0 / 256.0, evidence(mean)
    while True:
        last = step >= 1.0
        strong = end + (mean - end) * 1e-9 if last else mean + step * (end - mean)
        above = evidence(strong)
        if above >= log_threshold:
            break
        if last:
            return end
        weak, below, step = strong, above, min(step * 4.0, 1.0)
    held = 0  # how often in a row the weak end has moved; less than 0: the strong one
    while (width := abs(strong - weak)) > _PRECISION:
        # Along the chord, but never so near to an end that the other one stays where it is.
        nearest = min(_PRECISION / 2 / width, 0.5)
        share = min(max((log_threshold - below) / (above - below), nearest), 1.0 - nearest)
        middle = weak + share * (strong - weak)
        found = evidence(middle)
        # Illinois: an end that stays where it is twice counts with half its distance from the threshold.
        if found >= log_threshold:
            strong, above, held = middle, found, min(held, 0) - 1
            below = (below + log_threshold) / 2 if held < -1 else below
        else:
            weak, below, held = middle, found, max(held, 0) + 1
            above = (above + log_threshold) / 2 if held > 1 else above
    return strong


def sessions_needed(capital: Floats, sessions: int, log_threshold: float) -> float | None:
    """Return how many sessions like those seen make log E reach the threshold; None if these never do.

    The log capital of every bet grows in proportion to the sessions, so E is scaled by bisection.
    """
    if sessions == 0 or capital.max() <= 1e-9 * sessions:
        return None
    low, high = 0.0, (log_threshold + np.log(len(capital))) / float(capital.max())
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if log_mean_exp(capital * middle) < log_threshold else (low, middle)
    return float(high * sessions)
