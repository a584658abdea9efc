"""The looks of one test at the ends of whole cycles: what is proven, whether it still holds, and until when.

A GO needs of every test, at the look that gives it:

* proven: p was at most the look's level (:mod:`otel_shadow.verdict.alpha_spending`), at this look or at an earlier one
  that shares evidence with it;
* it holds: p is at most alpha on this look's whole window ("proven once, for ever" certifies what has become worse);
* it is recent: the last cycle alone is no evidence against it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from otel_shadow.verdict.alpha_spending import PlannedLook, levels, quantile
from otel_shadow.verdict.quantile_ratio import Latencies, PercentileRatio
from otel_shadow.verdict.weighted_share import (
    SamplingClass,
    WeightedSessions,
    lower_limit,
    p_value,
    worst_turns,
)

_T = TypeVar("_T")
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AGAINST: Final = 0.10
"""The last cycle alone is evidence against a criterion where it rejects it at this level."""
_RATIO_REFERENCE: Final = 20.0
_ABOVE: Final = 0.05
_NO_SESSION: Final = np.empty(0, np.float64)
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

    def contradicts(self, first: int, last: int, level: float) -> bool:
        """Return whether the cycles ``first`` … ``last`` are evidence against the criterion at ``level``."""

    def would_prove(self, first: int, last: int, times: float, level: float) -> bool:
        """Return whether so many ``times`` the evidence, with the same results, would prove the criterion."""

    def foretells(self, first: int, last: int) -> bool:
        """Return whether the evidence is enough to say what more of it would prove."""


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
    sizes = [test.information(0, last) for last in range(min(cycles, max_cycles))]
    growing = levels([PlannedLook(size, test.best_p(size)) for size in sizes], test.reference, alpha)
    window, level = (max(0, cycles - max_cycles), cycles - 1), growing[-1]
    # The last look first: where it proves, the earlier ones need not be worked out. Looks are as old as the evidence
    # they share with this one: at most as many as the window holds.
    earlier = [
        ((max(0, last + 1 - max_cycles), last), growing[min(last, len(growing) - 1)])
        for last in range(cycles - 1, max(cycles - 1 - max_cycles, -1), -1)
    ]
    proven = any(level > 0.0 and test.is_proven(*window, level) for window, level in earlier)
    return LookResult(
        level,
        test.limit(*window, level) if level > 0.0 else math.nan,
        proven,
        proven and test.is_proven(*window, alpha),
        not test.contradicts(cycles - 1, cycles - 1, AGAINST),
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


class _Cycles(Generic[_T]):
    """Evidence of cycles, ascending; those without any cost nothing, however many they are."""

    def __init__(self, cycles: Mapping[int, _T]) -> None:
        self._numbers = sorted(cycles)
        self._cycles = [cycles[number] for number in self._numbers]

    def within(self, first: int, last: int) -> Sequence[_T]:
        """Return those from ``first`` to ``last``."""
        return self._cycles[bisect_left(self._numbers, first) : bisect_right(self._numbers, last)]


class ShareHistory:
    """Evidence about a share cycle by cycle, and what was worked out about its windows.

    Arguments:
        cycles: those with evidence, by their number since the window's anchor.
    """

    def __init__(self, cycles: Mapping[int, ShareCycle]) -> None:
        self._cycles = _Cycles(cycles)
        self._windows: dict[tuple[int, int], tuple[WeightedSessions, float]] = {}
        self._known: dict[Hashable, Any] = {}

    def information(self, first: int, last: int) -> float:
        """Return the weighted turns of the cycles ``first`` … ``last``, in sessions of the worst length."""

        def information(sessions: WeightedSessions, worst: float) -> float:
            return float(sessions.weight @ sessions.sessions) / worst if worst else 0.0

        return self._once(("information", first, last), information)

    def share(self, first: int, last: int) -> float:
        """Return the weighted share of successes; NaN without any turn."""
        return self._once(("share", first, last), lambda sessions, _: sessions.share)

    def p_at_most(self, first: int, last: int, m: float, times: float = 1.0) -> float:
        """Return the p-value of "the share is at most ``m``", were there ``times`` as many sessions."""

        def p(sessions: WeightedSessions, worst: float) -> float:
            return p_value(replace(sessions, sessions=sessions.sessions * times), m, worst)

        return self._once(("at most", first, last, m, times), p)

    def p_at_least(self, first: int, last: int, m: float) -> float:
        """Return the p-value of "the share is at least ``m``"."""
        key = "at least", first, last, m
        return self._once(key, lambda sessions, worst: p_value(sessions.mirrored(), 1.0 - m, worst))

    def limit(self, first: int, last: int, level: float) -> float:
        """Return the share that is proven at ``level``."""
        return self._once(("limit", first, last, level), lambda sessions, worst: lower_limit(sessions, worst, level))

    def spotless(self, first: int, last: int, m: float, level: float) -> int | None:
        """Return how many more sessions without a failure would prove more than ``m``; None beyond a million."""
        key = "spotless", first, last, m, level
        return self._once(key, lambda sessions, worst: _spotless(sessions, worst, m, level))

    def _once(self, key: tuple[str, int, int, *tuple[float, ...]], of: Callable[[WeightedSessions, float], _T]) -> _T:
        if key not in self._known:
            self._known[key] = of(*self.window(key[1], key[2]))
        found: _T = self._known[key]
        return found

    def window(self, first: int, last: int) -> tuple[WeightedSessions, float]:
        """Return the sessions of the cycles ``first`` … ``last``, and the weighted turns of the worst one."""
        if (first, last) not in self._windows:
            self._windows[first, last] = _together(self._cycles.within(first, last))
        return self._windows[first, last]


def _spotless(sessions: WeightedSessions, worst: float, m: float, level: float) -> int | None:
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
        return p_value(with_them, m, worst) <= level

    low, high = 0, 1
    while not proves(high):
        low, high = high, high * 2
        if high > _MOST_SESSIONS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proves(middle) else (middle, high)
    return high


def _together(cycles: Sequence[ShareCycle]) -> tuple[WeightedSessions, float]:
    """Return the sessions of all cycles, and the weighted turns of the worst one."""
    sessions = WeightedSessions(
        *(
            np.concatenate([_NO_SESSION, *(getattr(cycle.sessions, name) for cycle in cycles)])
            for name in ("successes", "weight", "turns", "sessions")
        )
    )
    if not len(sessions.sessions):
        return sessions, 0.0
    found: dict[int, SamplingClass] = {}
    for cycle in cycles:
        for power, one in cycle.eligible.items():
            known = found.get(power, SamplingClass(one.probability, 0.0))
            found[power] = SamplingClass(min(known.probability, one.probability), known.eligible + one.eligible)
    return sessions, worst_turns(sessions, tuple(found.values()))


class ShareTest:
    """The test of "the share of successes is at least ``bound``".

    Arguments:
        evidence: cycle by cycle; a history remembers what was worked out for another test.
        bound: in (0, 1).
        alpha: of the criterion.
    """

    def __init__(self, evidence: Sequence[ShareCycle] | ShareHistory, bound: float, alpha: float = 0.05) -> None:
        self._history = evidence if isinstance(evidence, ShareHistory) else ShareHistory(dict(enumerate(evidence)))
        self.bound = bound
        self.reference = math.log(alpha) / math.log(bound)

    def information(self, first: int, last: int) -> float:
        """Return the weighted turns, in sessions of the worst length."""
        return self._history.information(first, last)

    def best_p(self, information: float) -> float:
        """Return the p-value of evidence without one failure."""
        return float(self.bound**information)

    def is_proven(self, first: int, last: int, level: float) -> bool:
        """Return whether the share is proven."""
        return self._history.p_at_most(first, last, self.bound) <= level

    def limit(self, first: int, last: int, level: float) -> float:
        """Return the share that is proven."""
        return self._history.limit(first, last, level)

    def contradicts(self, first: int, last: int, level: float) -> bool:
        """Return whether the share of failures is proven to be above its bound."""
        return self._history.p_at_least(first, last, self.bound) <= level

    def would_prove(self, first: int, last: int, times: float, level: float) -> bool:
        """Return whether ``times`` as many sessions, with the same results, would prove the share."""
        return self._history.p_at_most(first, last, self.bound, times) <= level

    def foretells(self, first: int, last: int) -> bool:
        """Return True: any sessions can be taken many times."""
        return True

    def spotless(self, first: int, last: int, level: float) -> int | None:
        """Return how many more sessions without a failure would prove the share; None beyond a million."""
        return self._history.spotless(first, last, self.bound, level)


@dataclass(frozen=True, slots=True)
class Lines:
    """Times of some executions.

    Arguments:
        unit: of each: the number of its block or session, from 0, the same on both sides of a ratio; the numbers
            have few holes.
        time: of each.
        weight: of each.
    """

    unit: Ints
    time: Floats
    weight: Floats

    @classmethod
    def joined(cls, parts: Sequence[Lines]) -> Lines:
        """Return all of them."""
        if len(parts) < 2:
            return parts[0] if parts else NO_LINES
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("unit", "time", "weight")))


NO_LINES: Final = Lines(np.empty(0, np.int64), _NO_SESSION, _NO_SESSION)


@dataclass(frozen=True, slots=True)
class RatioCycle:
    """Times of one cycle: the side that is to be no slower, and the side that it is compared with."""

    x: Lines
    y: Lines


class RatioHistory:
    """Times cycle by cycle, and the limits of the windows that were asked for.

    Arguments:
        cycles: those with evidence, by their number since the window's anchor.
    """

    def __init__(self, cycles: Mapping[int, RatioCycle]) -> None:
        self._cycles = _Cycles(cycles)
        self._known: dict[tuple[str, int, int, float], float] = {}
        self._latest: tuple[tuple[int, int], PercentileRatio] | None = None

    def lines(self, first: int, last: int) -> tuple[int, int]:
        """Return the lines of both sides in the cycles ``first`` … ``last``."""
        chosen = self._cycles.within(first, last)
        return sum(len(cycle.x.time) for cycle in chosen), sum(len(cycle.y.time) for cycle in chosen)

    def sides(self, first: int, last: int) -> tuple[float, float]:
        """Return the weighted 95th percentiles of x and y; NaN where a side has no line."""
        x = self._once("x", first, last, 0.0, lambda of, _: of.sides[0])
        return x, self._once("y", first, last, 0.0, lambda of, _: of.sides[1])

    def estimate(self, first: int, last: int) -> float:
        """Return the ratio that was seen; NaN where a side has no line."""
        return self._once("estimate", first, last, 0.0, lambda of, _: of.estimate)

    def upper(self, first: int, last: int, level: float) -> float:
        """Return the ratio above which it is not, at ``level``."""
        return self._once("upper", first, last, level, PercentileRatio.upper)

    def lower(self, first: int, last: int, level: float) -> float:
        """Return the ratio below which it is not, at ``level``."""
        return self._once("lower", first, last, level, PercentileRatio.lower)

    def _once(
        self, what: str, first: int, last: int, level: float, of: Callable[[PercentileRatio, float], float]
    ) -> float:
        key = what, first, last, level
        if key not in self._known:
            self._known[key] = of(self._ratio(first, last), level)
        return self._known[key]

    def _ratio(self, first: int, last: int) -> PercentileRatio:
        # Only one is kept: it holds all lines of its window.
        if self._latest is None or self._latest[0] != (first, last):
            chosen = self._cycles.within(first, last)
            x, y = Lines.joined([cycle.x for cycle in chosen]), Lines.joined([cycle.y for cycle in chosen])
            units = max(int(side.unit.max(initial=-1)) for side in (x, y)) + 1
            ratio = PercentileRatio(*(Latencies(side.unit, side.time, side.weight, units) for side in (x, y)))
            self._latest = (first, last), ratio
        return self._latest[1]


class RatioTest:
    """The test of "p95(x) / p95(y) is at most ``bound``".

    Arguments:
        evidence: cycle by cycle; a history remembers what was worked out for another test.
        bound: above 1.
        paired: whether x and y are two times of the same requests.
    """

    reference = _RATIO_REFERENCE

    def __init__(self, evidence: Sequence[RatioCycle] | RatioHistory, bound: float, *, paired: bool) -> None:
        self._history = evidence if isinstance(evidence, RatioHistory) else RatioHistory(dict(enumerate(evidence)))
        self.bound, self._paired = bound, paired

    def information(self, first: int, last: int) -> float:
        """Return the lines above the percentile, as many as both sides together are worth."""
        x, y = self._history.lines(first, last)
        if self._paired:
            return _ABOVE / 2.0 * x
        return _ABOVE * x * y / (x + y) if x and y else 0.0

    def best_p(self, information: float) -> float:
        """Return the p-value of a limit at the most extreme line."""
        return float((1.0 - _ABOVE) ** (2.0 * information / _ABOVE))

    def is_proven(self, first: int, last: int, level: float) -> bool:
        """Return whether the ratio is proven; no limit is below what was seen."""
        return self._history.estimate(first, last) <= self.bound and self.limit(first, last, level) <= self.bound

    def limit(self, first: int, last: int, level: float) -> float:
        """Return the ratio above which it is not."""
        return self._history.upper(first, last, level)

    def contradicts(self, first: int, last: int, level: float) -> bool:
        """Return whether the ratio is proven to be above its bound."""
        return self._history.estimate(first, last) > self.bound < self._history.lower(first, last, level)

    def would_prove(self, first: int, last: int, times: float, level: float) -> bool:
        """Return whether ``times`` as many lines would prove the ratio: the limit's distance falls with their root."""
        seen, upper = self._history.estimate(first, last), self._history.upper(first, last, _USUAL)
        if not math.isfinite(upper) or level <= 0.0:
            return False
        distance = math.log(upper / seen) * quantile(level) / quantile(_USUAL) / math.sqrt(times)
        return math.log(seen) + distance <= math.log(self.bound)

    def foretells(self, first: int, last: int) -> bool:
        """Return whether there is a limit, whose distance can be made smaller."""
        return math.isfinite(self._history.upper(first, last, _USUAL))


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

    def contradicts(self, first: int, last: int, level: float) -> bool:
        """Return whether every test contradicts it: what depends on the unit is no evidence."""
        return all(test.contradicts(first, last, level) for test in self._tests)

    def would_prove(self, first: int, last: int, times: float, level: float) -> bool:
        """Return whether so many times the evidence would prove it in every unit."""
        return all(test.would_prove(first, last, times, level) for test in self._tests)

    def foretells(self, first: int, last: int) -> bool:
        """Return whether the evidence says so in every unit."""
        return all(test.foretells(first, last) for test in self._tests)
