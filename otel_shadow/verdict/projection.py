"""When a proof is to be expected: the evidence so far, continued at its rate and with results like those so far."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from otel_shadow.verdict.alpha_spending import PlannedLook, levels, spent
from otel_shadow.verdict.cycle_looks import CycleTest

FARTHEST: Final = 60
"""Cycles beyond which nothing is foretold."""
_BARELY: Final = 1.01
"""More than levels are off on their grid."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be expected of one test.

    Arguments:
        cycles: whole cycles since the anchor at whose end it would be proven within the window; None: not within it.
        longer: the least ``max_cycles`` with which it would be, where the window is too short; None: with none.
        level: of the window's last look.
    """

    cycles: int | None
    longer: int | None
    level: float


def outlook(test: CycleTest, done: int, elapsed: float, max_cycles: int, alpha: float) -> Outlook:
    """Return when ``test`` is to be expected to be proven.

    Arguments:
        test: with the evidence, the running cycle's as its last.
        done: whole cycles since the anchor.
        elapsed: cycles since the anchor, the part of the running one included.
        max_cycles: the window's length.
        alpha: of the criterion.
    """
    first = max(0, done - max_cycles)
    span = max(elapsed - first, 1e-6)
    now = test.information(first, done)
    sizes = [test.information(0, last) for last in range(min(done, FARTHEST))]
    taken = [PlannedLook(size, test.best_p(size)) for size in sizes]

    def looks_until(cycles: int, held: int) -> list[PlannedLook]:
        ahead = [now * count / span for count in range(done + 1, min(cycles, held) + 1)]
        return [*taken[:held], *(PlannedLook(size, test.best_p(size)) for size in ahead)]

    def level_of(cycles: int, held: int) -> float:
        planned = looks_until(cycles, held)
        return levels(planned, test.reference, alpha)[-1] if planned else 0.0

    def proven_at(cycles: int, held: int) -> bool:
        times = (cycles - max(0, cycles - held)) / span
        most = max((look.information for look in looks_until(cycles, held)), default=0.0)
        # No look's level is above what all looks have spent together, and that is known at once.
        if not test.would_prove(first, done, times, _BARELY * spent(most, test.reference, alpha)):
            return False
        level = level_of(cycles, held)
        return level > 0.0 and test.would_prove(first, done, times, level)

    within = _first(lambda cycles: proven_at(cycles, max_cycles), done + 1, max(max_cycles, done + 1))
    last = level_of(max(max_cycles, done + 1), max_cycles)
    if within is not None:
        return Outlook(within, None, last)
    return Outlook(None, _first(lambda cycles: proven_at(cycles, cycles), max_cycles + 1, FARTHEST), last)


def _first(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """Return the first number from ``low`` to ``high`` that holds, by halves: more evidence proves more."""
    if low > high or not holds(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def cycles_until(wanted: float, seen: float, elapsed: float, done: int) -> int | None:
    """Return the whole cycles at whose end ``wanted`` of something is there, of which ``seen`` was in ``elapsed``."""
    if seen <= 0.0 or elapsed <= 0.0:
        return None
    cycles = max(math.ceil(wanted / seen * elapsed - 1e-9), done + 1)
    return cycles if cycles <= FARTHEST * 10 else None
