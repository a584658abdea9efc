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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from otel_shadow.verdict.alpha_spending import PlannedLook, levels

_T = TypeVar("_T")

AGAINST: Final = 0.10
"""The last cycle alone is evidence against a criterion where it rejects it at this level."""


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


class Cycles(Generic[_T]):
    """Evidence of cycles, ascending; those without any cost nothing, however many they are."""

    def __init__(self, cycles: Mapping[int, _T]) -> None:
        self._numbers = sorted(cycles)
        self._cycles = [cycles[number] for number in self._numbers]

    def within(self, first: int, last: int) -> Sequence[_T]:
        """Return those from ``first`` to ``last``."""
        return self._cycles[bisect_left(self._numbers, first) : bisect_right(self._numbers, last)]
