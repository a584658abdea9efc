"""The looks of one test at the ends of whole cycles: what is proven, whether it still holds, and until when.

A GO needs of every test, at the look that gives it:

* proven: at this or an earlier look p was at most that look's level (:mod:`otel_shadow.verdict.alpha_spending`);
* it holds: p is at most alpha on this look's whole window ("proven once, for ever" certifies what has become worse);
* it is recent: the last cycle alone is no evidence against it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from otel_shadow.verdict.alpha_spending import PlannedLook, levels, quantile
from otel_shadow.verdict.quantile_ratio import Latencies, RatioLimits, ratio_limits
from otel_shadow.verdict.weighted_share import (
    SamplingClass,
    WeightedSessions,
    lower_limit,
    p_value,
    worst_turns,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AGAINST: Final = 0.10
"""The last cycle alone is evidence against a criterion where it rejects it at this level."""
_RATIO_REFERENCE: Final = 20.0
_ABOVE: Final = 0.05
_USUAL: Final = 0.05
"""The level at which a limit is worked out to foretell others."""
_MOST_SESSIONS: Final = 1_000_000


class CycleTest(Protocol):
    """A test whose evidence comes in cycles, numbered from 0."""

    bound: float
    """What is to be proven."""
    reference: float
    """Information at which half of alpha is spent."""

    def information(self, first: int, last: int) -> float:
        """Return the information of the cycles ``first`` … ``last``: sizes only, never outcomes."""

    def best_p(self, information: float) -> float:
        """Return the smallest p-value that any outcome could have."""

    def is_proven(self, first: int, last: int, level: float) -> bool:
        """Return whether the cycles ``first`` … ``last`` prove the criterion at ``level``."""

    def limit(self, first: int, last: int, level: float) -> float:
        """Return what they prove at ``level``: the share at least, the ratio at most."""

    def contradicts(self, cycle: int, level: float) -> bool:
        """Return whether this cycle alone is evidence against the criterion at ``level``."""

    def would_prove(self, first: int, last: int, times: float, level: float) -> bool:
        """Return whether so many ``times`` the evidence, with the same results, would prove the criterion."""


@dataclass(frozen=True, slots=True)
class LookResult:
    """One test at one look.

    Arguments:
        level: of this look.
        limit: what the window proves at this level.
        is_proven: whether this look or an earlier one has proven it.
        holds: whether the whole window supports it at alpha.
        is_recent: whether the last cycle is no evidence against it.
    """

    level: float
    limit: float
    is_proven: bool
    holds: bool
    is_recent: bool

    @property
    def allows_go(self) -> bool:
        """Whether the test is no obstacle to a GO at this look."""
        return self.is_proven and self.holds and self.is_recent


def look_at(test: CycleTest, cycles: int, max_cycles: int, alpha: float = 0.05) -> LookResult | None:
    """Return the test at the end of the last of ``cycles`` whole cycles; None before the first.

    Arguments:
        test: with the evidence.
        cycles: whole cycles since the window's anchor.
        max_cycles: the window's length; it grows up to it, then rolls, and keeps the level of that look.
        alpha: the chance that any look of the window errs.
    """
    if cycles < 1:
        return None
    windows = [(max(0, last + 1 - max_cycles), last) for last in range(cycles)]
    sizes = [test.information(*window) for window in windows]
    growing = levels([PlannedLook(size, test.best_p(size)) for size in sizes[:max_cycles]], test.reference, alpha)
    every = [*growing, *[growing[-1]] * (cycles - len(growing))]
    proven = any(level > 0.0 and test.is_proven(*window, level) for window, level in zip(windows, every, strict=True))
    window, level = windows[-1], every[-1]
    return LookResult(
        level,
        test.limit(*window, level) if level > 0.0 else math.nan,
        proven,
        proven and test.is_proven(*window, alpha),
        not test.contradicts(cycles - 1, AGAINST),
    )


@dataclass(frozen=True, slots=True)
class ShareCycle:
    """Evidence about a share from the sessions of one cycle.

    Arguments:
        sessions: closed, begun in this cycle.
        eligible: by class of the probability with which shadows ran (its power of two): the smallest probability in
            it, and the turns that could have been shadowed.
    """

    sessions: WeightedSessions
    eligible: Mapping[int, SamplingClass]


class ShareTest:
    """The test of "the share of successes is at least ``bound``".

    Arguments:
        cycles: the evidence, cycle by cycle.
        bound: in (0, 1).
        alpha: of the criterion.
    """

    def __init__(self, cycles: Sequence[ShareCycle], bound: float, alpha: float = 0.05) -> None:
        self._cycles, self.bound = cycles, bound
        self.reference = math.log(alpha) / math.log(bound)

    def information(self, first: int, last: int) -> float:
        """Return the weighted turns, in sessions of the worst length."""
        sessions, worst = self._window(first, last)
        return float(sessions.weight @ sessions.sessions) / worst if worst else 0.0

    def best_p(self, information: float) -> float:
        """Return the p-value of evidence without one failure."""
        return float(self.bound**information)

    def is_proven(self, first: int, last: int, level: float) -> bool:
        """Return whether the share is proven."""
        return p_value(self._window(first, last)[0], self.bound, self._window(first, last)[1]) <= level

    def limit(self, first: int, last: int, level: float) -> float:
        """Return the share that is proven."""
        return lower_limit(*self._window(first, last), level)

    def contradicts(self, cycle: int, level: float) -> bool:
        """Return whether the share of failures is proven to be above its bound."""
        sessions, worst = self._window(cycle, cycle)
        return p_value(sessions.mirrored(), 1.0 - self.bound, worst) <= level

    def would_prove(self, first: int, last: int, times: float, level: float) -> bool:
        """Return whether ``times`` as many sessions, with the same results, would prove the share."""
        sessions, worst = self._window(first, last)
        more = replace(sessions, sessions=sessions.sessions * times)
        return p_value(more, self.bound, worst) <= level

    def spotless(self, first: int, last: int, level: float) -> int | None:
        """Return how many more sessions without a failure would prove the share; None beyond a million."""
        sessions, worst = self._window(first, last)
        if not len(sessions.sessions):
            return None
        count = float(sessions.sessions.sum())
        mean = float(sessions.weight @ sessions.sessions) / count
        turns = float(sessions.turns @ sessions.sessions) / count

        def proves(more: int) -> bool:
            with_them = WeightedSessions(
                np.append(sessions.successes, mean),
                np.append(sessions.weight, mean),
                np.append(sessions.turns, turns),
                np.append(sessions.sessions, float(more)),
            )
            return p_value(with_them, self.bound, worst) <= level

        low, high = 0, 1
        while not proves(high):
            low, high = high, high * 2
            if high > _MOST_SESSIONS:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if proves(middle) else (middle, high)
        return high

    def _window(self, first: int, last: int) -> tuple[WeightedSessions, float]:
        chosen = self._cycles[first : last + 1]
        sessions = WeightedSessions(
            *(
                np.concatenate([getattr(cycle.sessions, name) for cycle in chosen])
                for name in ("successes", "weight", "turns", "sessions")
            )
        )
        if not len(sessions.sessions):
            return sessions, 0.0
        found: dict[int, SamplingClass] = {}
        for cycle in chosen:
            for power, one in cycle.eligible.items():
                known = found.get(power, SamplingClass(one.probability, 0.0))
                found[power] = SamplingClass(min(known.probability, one.probability), known.eligible + one.eligible)
        return sessions, worst_turns(sessions, tuple(found.values()))


@dataclass(frozen=True, slots=True)
class Lines:
    """Times of some executions.

    Arguments:
        unit: of each: the number of its block or session, the same on both sides of a ratio.
        time: of each.
        weight: of each.
    """

    unit: Ints
    time: Floats
    weight: Floats

    @classmethod
    def joined(cls, parts: Sequence[Lines]) -> Lines:
        """Return all of them."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("unit", "time", "weight")))


@dataclass(frozen=True, slots=True)
class RatioCycle:
    """Times of one cycle: the side that is to be no slower, and the side that it is compared with."""

    x: Lines
    y: Lines


class RatioTest:
    """The test of "p95(x) / p95(y) is at most ``bound``".

    Arguments:
        cycles: the evidence, cycle by cycle.
        bound: above 1.
        paired: whether x and y are two times of the same requests.
    """

    reference = _RATIO_REFERENCE

    def __init__(self, cycles: Sequence[RatioCycle], bound: float, *, paired: bool) -> None:
        self._cycles, self.bound, self._paired = cycles, bound, paired

    def information(self, first: int, last: int) -> float:
        """Return the lines above the percentile, as many as both sides together are worth."""
        x, y = (sum(len(getattr(cycle, side).time) for cycle in self._cycles[first : last + 1]) for side in "xy")
        if self._paired:
            return _ABOVE / 2.0 * x
        return _ABOVE * x * y / (x + y) if x and y else 0.0

    def best_p(self, information: float) -> float:
        """Return the p-value of a limit at the most extreme line."""
        return float((1.0 - _ABOVE) ** (2.0 * information / _ABOVE))

    def is_proven(self, first: int, last: int, level: float) -> bool:
        """Return whether the ratio is proven."""
        return self.limit(first, last, level) <= self.bound

    def limit(self, first: int, last: int, level: float) -> float:
        """Return the ratio above which it is not."""
        return self._limits(first, last, level).upper

    def contradicts(self, cycle: int, level: float) -> bool:
        """Return whether the ratio is proven to be above its bound."""
        return self._limits(cycle, cycle, level).lower > self.bound

    def would_prove(self, first: int, last: int, times: float, level: float) -> bool:
        """Return whether ``times`` as many lines would prove the ratio: the limit's distance falls with their root."""
        limits = self._limits(first, last, _USUAL)
        if not math.isfinite(limits.upper) or level <= 0.0:
            return False
        distance = math.log(limits.upper / limits.estimate) * quantile(level) / quantile(_USUAL) / math.sqrt(times)
        return math.log(limits.estimate) + distance <= math.log(self.bound)

    def _limits(self, first: int, last: int, level: float) -> RatioLimits:
        x, y = (Lines.joined([getattr(cycle, side) for cycle in self._cycles[first : last + 1]]) for side in "xy")
        units, of_line = np.unique(np.r_[x.unit, y.unit], return_inverse=True)
        cut = len(x.unit)
        return ratio_limits(
            Latencies(of_line[:cut], x.time, x.weight, len(units)),
            Latencies(of_line[cut:], y.time, y.weight, len(units)),
            level,
        )


class StricterTest:
    """One criterion tested in several kinds of units: what all of them prove is proven.

    Arguments:
        tests: of the same lines, bound and reference.
    """

    def __init__(self, tests: Sequence[RatioTest]) -> None:
        self._tests = tests
        self.bound, self.reference = tests[0].bound, tests[0].reference

    def information(self, first: int, last: int) -> float:
        """Return the information, which is that of the lines."""
        return self._tests[0].information(first, last)

    def best_p(self, information: float) -> float:
        """Return the smallest p-value that any outcome could have."""
        return self._tests[0].best_p(information)

    def is_proven(self, first: int, last: int, level: float) -> bool:
        """Return whether every test proves it."""
        return all(test.is_proven(first, last, level) for test in self._tests)

    def limit(self, first: int, last: int, level: float) -> float:
        """Return the largest limit."""
        return max(test.limit(first, last, level) for test in self._tests)

    def contradicts(self, cycle: int, level: float) -> bool:
        """Return whether every test contradicts it: what depends on the unit is no evidence."""
        return all(test.contradicts(cycle, level) for test in self._tests)

    def would_prove(self, first: int, last: int, times: float, level: float) -> bool:
        """Return whether so many times the evidence would prove it in every unit."""
        return all(test.would_prove(first, last, times, level) for test in self._tests)
