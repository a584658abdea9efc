"""A clock that is told the time: two days of traffic, with days and nights, played in a minute."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

_DAY_S = 86_400.0
_TURN_S = 25.0
_NIGHT_SHARE = 0.15
"""Rate of the quietest hour (03:00 UTC) over the rate of the busiest (15:00 UTC)."""


class SimulatedClock:
    """Epoch seconds that move only when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The simulated time, in epoch seconds."""
        return self.now


def session_starts(count: int, window: timedelta, end: datetime, seed: int) -> list[float]:
    """Start times of ``count`` sessions over ``window`` before ``end``, in order: many by day, few at night.

    A thinned Poisson process (Lewis & Shedler 1979) with a daily sine as its rate; the first session opens the window,
    the last closes it.

    Returns:
        Epoch seconds.
    """
    source = random.Random(seed)  # noqa: S311 - a simulation, repeatable by its seed
    start = end.timestamp() - window.total_seconds()
    starts = [start, end.timestamp()][:count]
    while len(starts) < count:
        moment = source.uniform(start, end.timestamp())
        if source.random() < _rate(moment):
            starts.append(moment)
    return sorted(starts)


def turn_times(start: float, turns: int, source: random.Random) -> list[float]:
    """Epoch seconds of the turns of a session that starts at ``start``."""
    times, moment = [], start
    for _ in range(turns):
        times.append(moment)
        moment += _TURN_S * source.uniform(0.4, 2.0)
    return times


def _rate(moment: float) -> float:
    phase = (moment % _DAY_S) / _DAY_S * 2 * math.pi
    return _NIGHT_SHARE + (1 - _NIGHT_SHARE) * (1 - math.cos(phase - math.pi / 4)) / 2


def this_minute() -> datetime:
    """Now, in UTC, to the minute."""
    return datetime.now(UTC).replace(second=0, microsecond=0)
