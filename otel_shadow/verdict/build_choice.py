"""Which evidence is judged: one service, V2 build and configuration, in its latest run.

A build that was replaced and comes back (A, B, A) is judged from its return; a build that was rolled back is not the
newest any more, however late it began.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """Executions of a unit by minute: numbers of minutes with any, how many in each, and its service's others."""

    unit: Unit
    minutes: Ints
    counts: Ints
    others: Ints

    @property
    def start(self) -> int:
        """The minute in which its latest run began: after the last silence in which only others ran, or of a month."""
        at = np.flatnonzero(self.counts)
        seen = np.r_[0, np.cumsum(self.others)]
        meanwhile = seen[at[1:]] - seen[at[:-1] + 1]
        beside = int(seen[at[-1] + 1] - seen[at[0]])
        total = int(self.counts.sum())
        share = total / np.maximum(total + beside - meanwhile, 1)
        silence = np.diff(self.minutes[at])
        breaks = (silence > _LONGEST) | ((silence > _BREAK) & (meanwhile * share >= _EXPECTED))
        return int(self.minutes[at[np.flatnonzero(breaks)[-1] + 1]]) if breaks.any() else int(self.minutes[at[0]])

    @property
    def over(self) -> bool:
        """Whether it runs no more, while others of its service do."""
        at = np.flatnonzero(self.counts)
        beside, after = int(self.others[at[0] : at[-1] + 1].sum()), int(self.others[at[-1] + 1 :].sum())
        total = int(self.counts.sum())
        return after * total / (total + beside) >= _EXPECTED


def choose(summary: Summary, at: int) -> Choice | None:
    """Return what is judged at ``at`` (ms since 1970); None without evidence by then.

    The service with the most executions, its lines with a verified code if there are any, and of its builds that still
    run the one whose latest run began last.
    """
    units = list(dict.fromkeys(kind.unit for kind in summary.signatures))
    of_kind = np.array([units.index(kind.unit) for kind in summary.signatures], np.int64)
    builds = {unit: _build(summary, of_kind == place, unit, at, None) for place, unit in enumerate(units)}
    present = {unit: build for unit, build in builds.items() if build.events}
    if not present:
        return None
    longest = max(build.last - build.first for build in present.values()).total_seconds() / 60.0
    if len(present) == 1 and longest <= _LONGEST:
        unit, build = next(iter(present.items()))
        return Choice(build, unit, ())
    activities = _activities(summary, of_kind, units, at)
    unit = _newest([one for one in activities if one.unit in present], present)
    start = next(one.start for one in activities if one.unit == unit)
    chosen = _build(summary, of_kind == units.index(unit), unit, at, start * _MINUTE)
    others = sorted((build for other, build in present.items() if other != unit), key=lambda one: one.first)
    return Choice(chosen, unit, tuple(reversed(others)))


def _newest(activities: list[_Activity], present: dict[Unit, Build]) -> Unit:
    sizes: dict[str, int] = {}
    for unit, build in present.items():
        sizes[unit[0]] = sizes.get(unit[0], 0) + build.events
    service = max(sizes, key=lambda name: (sizes[name], name))
    of_service = [one for one in activities if one.unit[0] == service]
    coded = [one for one in of_service if one.unit[3]] or of_service
    running = [one for one in coded if not one.over] or coded
    return max(running, key=lambda one: (one.start, present[one.unit].first, present[one.unit].last, one.unit)).unit


def _activities(summary: Summary, of_kind: Ints, units: list[Unit], at: int) -> list[_Activity]:
    """Return what ran in each minute in which anything did."""
    keys = []
    for rows in summary.parts:
        known = rows.time <= at
        keys.append((rows.time[known] // _MINUTE) * len(units) + of_kind[rows.kind[known]])
    cells, counts = np.unique(np.concatenate(keys), return_counts=True)
    minute, place = np.divmod(cells, len(units))
    minutes, column = np.unique(minute, return_inverse=True)
    table = np.zeros((len(units), len(minutes)), np.int64)
    table[place, column.ravel()] = counts
    of_service = {unit[0]: np.zeros(len(minutes), np.int64) for unit in units}
    for unit, row in zip(units, table, strict=True):
        of_service[unit[0]] = of_service[unit[0]] + row
    return [
        _Activity(unit, minutes, row, of_service[unit[0]] - row)
        for unit, row in zip(units, table, strict=True)
        if row.any()
    ]


def _build(summary: Summary, wanted: NDArray[np.bool_], unit: Unit, at: int, since: int | None) -> Build:
    """Return the executions of a unit up to ``at``, from ``since`` on."""
    events, first, last = 0, 0, 0
    for rows in summary.parts:
        mask = rows.time <= at
        if since is not None:
            mask &= rows.time >= since
        if not wanted.all():
            mask &= wanted[rows.kind]
        times = rows.time if mask.all() else rows.time[mask]
        if len(times):
            low, high = int(times.min()), int(times.max())
            first, last = (min(first, low), max(last, high)) if events else (low, high)
            events += len(times)
    service, build, digest, coded = unit
    return Build(build, digest, events, moment(first), moment(last), service, coded)
