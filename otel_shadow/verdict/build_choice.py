"""Which evidence is judged: one service, V2 build and configuration, in its latest run.

A build that was replaced and comes back (A, B, A) is judged from its return; a build that was rolled back is not the
newest any more, however late it began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otel_shadow.verdict.dense_codes import dense, split
from otel_shadow.verdict.execution_kind import Unit
from otel_shadow.verdict.executions import Summary, moment
from otel_shadow.verdict.result import Build

_MINUTE = 60_000
_BREAK = 10
"""Minutes of silence from which on a run may have ended."""
_LONGEST = 31 * 24 * 60
"""Minutes of silence that end every run: before it lies another deployment, or a clock that was wrong (1970)."""
_EXPECTED = 20.0
"""Executions that a build would have had in a silence, by its share of the service's others: it was not deployed."""
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Choice:
    """The build that is judged, since its latest run began, and the others."""

    build: Build
    unit: Unit
    left_out: tuple[Build, ...]


@dataclass(frozen=True, slots=True)
class _Activity:
    """Executions of a unit by minute: numbers of minutes with any, how many in each, and those of its service so far.

    Arguments:
        seen_before, seen: executions of the service before the end of the minute before, and of each minute.
    """

    unit: Unit
    minutes: Ints
    counts: Ints
    seen_before: Ints
    seen: Ints
    seen_at_all: int

    @property
    def start(self) -> int:
        """The minute in which its latest run began: after the last silence in which only others ran, or of a month."""
        meanwhile = self.seen_before[1:] - self.seen[:-1]
        total = int(self.counts.sum())
        beside = int(self.seen[-1] - self.seen_before[0]) - total
        share = total / np.maximum(total + beside - meanwhile, 1)
        silence = np.diff(self.minutes)
        breaks = (silence > _LONGEST) | ((silence > _BREAK) & (meanwhile * share >= _EXPECTED))
        return int(self.minutes[np.flatnonzero(breaks)[-1] + 1]) if breaks.any() else int(self.minutes[0])

    @property
    def over(self) -> bool:
        """Whether it runs no more, while others of its service do."""
        own, after = int(self.counts.sum()), self.seen_at_all - int(self.seen[-1])
        return after * own / int(self.seen[-1] - self.seen_before[0]) >= _EXPECTED


def choose(summary: Summary, at: int) -> Choice | None:
    """Return what is judged at ``at`` (ms since 1970); None without evidence by then.

    The service with the most executions, and of its builds that still run the one whose latest run began last. Lines
    without a verified code choose nothing while there is one with it: whoever wrote them has no say.
    """
    places: dict[Unit, int] = {}
    of_kind = np.array([places.setdefault(kind.unit, len(places)) for kind in summary.signatures], np.int64)
    units = list(places)
    present = _builds(summary, of_kind, units, at, None)
    if not present:
        return None
    longest = max(build.last - build.first for build in present.values()).total_seconds() / 60.0
    if len(present) == 1 and longest <= _LONGEST:
        unit, build = next(iter(present.items()))
        return Choice(build, unit, ())
    trusted = {unit: build for unit, build in present.items() if unit[3]} or present
    activities = _activities(summary, of_kind, units, at, trusted)
    unit = _newest(activities, trusted)
    start = next(one.start for one in activities if one.unit == unit)
    chosen = _builds(summary, of_kind, units, at, start * _MINUTE)[unit]
    others = sorted((build for other, build in present.items() if other != unit), key=lambda one: one.first)
    return Choice(chosen, unit, tuple(reversed(others)))


def _newest(activities: list[_Activity], present: Mapping[Unit, Build]) -> Unit:
    sizes: dict[str, int] = {}
    for unit, build in present.items():
        sizes[unit[0]] = sizes.get(unit[0], 0) + build.events
    service = max(sizes, key=lambda name: (sizes[name], name))
    of_service = [one for one in activities if one.unit[0] == service]
    running = [one for one in of_service if not one.over] or of_service
    return max(running, key=lambda one: (one.start, present[one.unit].first, present[one.unit].last, one.unit)).unit


def _activities(
    summary: Summary, of_kind: Ints, units: list[Unit], at: int, trusted: Mapping[Unit, Build]
) -> list[_Activity]:
    """Return what of the ``trusted`` units ran in each minute in which any did."""
    rows = summary.rows
    counting = np.array([unit in trusted for unit in units], bool)[of_kind[rows.kind]]
    known = np.flatnonzero(counting & (rows.time <= at))
    minute, minutes = dense(rows.time[known] // _MINUTE)
    services = list(dict.fromkeys(unit[0] for unit in units))
    service = np.array([services.index(unit[0]) for unit in units], np.int64)
    unit_of = of_kind[rows.kind[known]]
    seen = {
        place: np.r_[0, np.cumsum(np.bincount(minute[mine], minlength=len(minutes)))]
        for place, mine in split(service[unit_of])
    }
    found = []
    for place, mine in split(unit_of):
        at_minutes, counts = np.unique(minute[mine], return_counts=True)
        so_far = seen[int(service[place])]
        found.append(
            _Activity(
                units[place], minutes[at_minutes], counts, so_far[at_minutes], so_far[at_minutes + 1], int(so_far[-1])
            )
        )
    return found


def _builds(summary: Summary, of_kind: Ints, units: list[Unit], at: int, since: int | None) -> dict[Unit, Build]:
    """Return the executions of each unit that has any up to ``at``, from ``since`` on."""
    rows = summary.rows
    mask = rows.time <= at
    if since is not None:
        mask &= rows.time >= since
    unit_of, times = (of_kind[rows.kind], rows.time) if mask.all() else (of_kind[rows.kind[mask]], rows.time[mask])
    events = np.bincount(unit_of, minlength=len(units))
    first, last = np.full(len(units), np.iinfo(np.int64).max), np.full(len(units), np.iinfo(np.int64).min)
    np.minimum.at(first, unit_of, times)
    np.maximum.at(last, unit_of, times)
    return {
        unit: Build(unit[1], unit[2], count, moment(since_), moment(until), unit[0], unit[3])
        for unit, count, since_, until in zip(units, events.tolist(), first.tolist(), last.tolist(), strict=True)
        if count
    }
