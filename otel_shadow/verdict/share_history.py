"""Evidence about a share of turns, cycle by cycle, and the test of whole cycles on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import numpy as np

from otel_shadow.verdict.cycle_looks import Cycles
from otel_shadow.verdict.weighted_share import (
    SamplingClass,
    WeightedSessions,
    lower_limit,
    p_value,
    worst_turns,
)

_T = TypeVar("_T")
_NO_SESSION: Final = np.empty(0, np.float64)
_MOST_SESSIONS: Final = 1_000_000


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


class ShareHistory:
    """Evidence about a share cycle by cycle, and what was worked out about its windows.

    Arguments:
        cycles: those with evidence, by their number since the window's anchor.
    """

    def __init__(self, cycles: Mapping[int, ShareCycle]) -> None:
        self._cycles = Cycles(cycles)
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
