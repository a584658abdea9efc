"""Evidence about a ratio of two 95th percentiles, cycle by cycle, and the test of whole cycles on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from otel_shadow.verdict.alpha_spending import quantile
from otel_shadow.verdict.cycle_looks import Cycles
from otel_shadow.verdict.quantile_ratio import BeyondSlowestError, PercentileRatio
from otel_shadow.verdict.side_lines import ABOVE, SideLines

_REFERENCE: Final = 20.0
_USUAL: Final = 0.05
"""The level at which a limit is worked out to foretell others."""


@dataclass(frozen=True, slots=True)
class RatioCycle:
    """Times of one cycle, in pieces: the side that is to be no slower, and the side that it is compared with."""

    x: list[SideLines]
    y: list[SideLines]


RatioCycles = Mapping[int, RatioCycle]


class RatioHistory:
    """Times cycle by cycle, and the limits of the windows that were asked for.

    Arguments:
        cycles: those with evidence, by their number since the window's anchor.
        apart: whether each piece has units of its own, the same on both sides.
        with_more: returns the cycles with more of their slow lines kept; None where all are.
    """

    def __init__(
        self, cycles: RatioCycles, *, apart: bool = False, with_more: Callable[[], RatioHistory] | None = None
    ) -> None:
        self._cycles = Cycles(cycles)
        self._apart, self._with_more = apart, with_more
        self._known: dict[tuple[str, int, int, float], float] = {}
        self._latest: tuple[tuple[int, int], PercentileRatio] | None = None

    def lines(self, first: int, last: int) -> tuple[int, int]:
        """Return the lines of both sides in the cycles ``first`` … ``last``."""
        chosen = self._cycles.within(first, last)
        return sum(one.lines for cycle in chosen for one in cycle.x), sum(
            one.lines for cycle in chosen for one in cycle.y
        )

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
            try:
                self._known[key] = of(self._ratio(first, last), level)
            except BeyondSlowestError:
                self._keep_more()
                return self._once(what, first, last, level, of)
        return self._known[key]

    def _keep_more(self) -> None:
        assert self._with_more is not None
        found = self._with_more()
        self._cycles, self._apart, self._with_more = found._cycles, found._apart, found._with_more
        self._latest = None

    def _ratio(self, first: int, last: int) -> PercentileRatio:
        # Only one is kept: it holds tables of all times of its window.
        if self._latest is None or self._latest[0] != (first, last):
            chosen = self._cycles.within(first, last)
            sides = [one for cycle in chosen for one in cycle.x], [one for cycle in chosen for one in cycle.y]
            self._latest = (first, last), PercentileRatio(*sides, apart=self._apart)
        return self._latest[1]


class RatioTest:
    """The test of "p95(x) / p95(y) is at most ``bound``".

    Arguments:
        evidence: cycle by cycle; a history remembers what was worked out for another test.
        bound: above 1.
        paired: whether x and y are two times of the same requests.
    """

    reference = _REFERENCE

    def __init__(self, evidence: Sequence[RatioCycle] | RatioHistory, bound: float, *, paired: bool) -> None:
        self._history = evidence if isinstance(evidence, RatioHistory) else RatioHistory(dict(enumerate(evidence)))
        self.bound, self._paired = bound, paired

    def information(self, first: int, last: int) -> float:
        """Return the lines above the percentile, as many as both sides together are worth."""
        x, y = self._history.lines(first, last)
        if self._paired:
            return ABOVE / 2.0 * x
        return ABOVE * x * y / (x + y) if x and y else 0.0

    def best_p(self, information: float) -> float:
        """Return the p-value of a limit at the most extreme line."""
        return float((1.0 - ABOVE) ** (2.0 * information / ABOVE))

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
