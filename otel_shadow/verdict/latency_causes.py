"""Why V1 is slower with shadows: our own time on its path, V1 itself by hour, contention, or what a request shares.

Nothing is decided here: the verdict fails by its own tests, and this says where to look.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from otel_shadow.record import Arm, Mode
from otel_shadow.verdict import latency
from otel_shadow.verdict.execution_kind import ExecutionKind
from otel_shadow.verdict.executions import Summary
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role
from otel_shadow.verdict.rows import Rows
from otel_shadow.verdict.session_counts import Slice, within
from otel_shadow.verdict.time_slots import held_out

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_HOUR: Final = 3_600_000
_FEW: Final = 20
"""Executions below which a percentile says nothing."""


def added_time(summary: Summary, chosen: Slice) -> Reason | None:
    """Return the time that shadowing added to V1's executions with a shadow: ``have`` on average, ``needed`` its p95.

    Arguments:
        summary: the evidence.
        chosen: the build and window.
    """
    rows = within(summary, chosen)
    told = (rows.overhead != latency.NONE) & _by_kind(summary, rows, lambda kind: kind.pair)
    if not told.any():
        return None
    times = _milliseconds(rows.overhead[told])
    p95 = float(np.percentile(times, 95.0, method="inverted_cdf"))
    return Reason(Role.NOTE, ReasonKind.ADDED_TIME, have=float(times.mean()), needed=p95, of=int(told.sum()))


def slowed_by(summary: Summary, chosen: Slice, places: Collection[tuple[str, str]], bound: float) -> Reason | None:
    """Return what makes V1 slower in ordinary slots than in the holdout's; None where there is too little to tell.

    Arguments:
        summary: the evidence.
        chosen: the build and window.
        places: graphs and names of the nodes.
        bound: ratio of 95th percentiles that is exceeded.
    """
    key = ("slowed by", chosen, frozenset(places), bound)
    if key not in summary.cache:
        sides = _sides(summary, chosen, frozenset(places))
        summary.cache[key] = None if sides is None else _cause(sides, bound)
    found: Reason | None = summary.cache[key]
    return found


def _cause(sides: _SlowedSides, bound: float) -> Reason:
    slots = sides.p95(sides.ordinary) / sides.p95(sides.held)
    if sides.p95(sides.ordinary, own=False) / sides.p95(sides.held, own=False) <= bound < slots:
        return _because(ReasonKind.OWN_TIME, have=slots, needed=bound)
    if sides.has_slots:
        by_hour = sides.p95(sides.ordinary, like=sides.held) / sides.p95(sides.held, like=sides.ordinary)
        if by_hour <= bound < slots:
            return _because(ReasonKind.V1_BY_HOUR, have=slots, needed=by_hour)
        if sides.without.sum() < _FEW:
            return _because(ReasonKind.CONTENTION, have=slots)
        inside = sides.p95(sides.shadowed) / sides.p95(sides.without)
        if inside <= bound:
            return _because(ReasonKind.CONTENTION, have=slots, needed=inside)
        slots = inside
    return _because(ReasonKind.OWN_SHADOW, have=slots)


def _because(kind: ReasonKind, have: float, needed: float | None = None) -> Reason:
    return Reason(Role.WHY, kind, have=have, needed=needed, quantity="ratio")


@dataclass(frozen=True, slots=True)
class _SlowedSides:
    """V1's executions of some nodes, in units of each node's own 95th percentile.

    Arguments:
        time: of V1; ``added``: the part of it that is ours.
        hour: of each.
        held, ordinary: which ran in the holdout, and which in ordinary slots, shed shadows included.
        shadowed, without: of those in ordinary slots, which had a shadow and which had none.
        has_slots: whether the holdout is slots of time.
    """

    time: Floats
    added: Floats
    hour: NDArray[np.int64]
    held: Mask
    ordinary: Mask
    shadowed: Mask
    without: Mask
    has_slots: bool

    def p95(self, mask: Mask, *, own: bool = True, like: Mask | None = None) -> float:
        """Return the 95th percentile.

        Arguments:
            own: whether our own part of the time counts.
            like: executions whose hours the result is weighted to; hours that one of both lacks are left out.
        """
        times = self.time[mask] if own else np.maximum(self.time[mask] - self.added[mask], 0.0)
        if like is None:
            return float(np.percentile(times, 95.0))
        size = int(self.hour.max()) + 1
        mine, theirs = (np.bincount(self.hour[side], minlength=size) for side in (mask, like))
        smaller = np.minimum(mine, theirs)
        weight = (smaller / np.maximum(mine, 1))[self.hour[mask]]
        order = np.argsort(times, kind="stable")
        total = np.cumsum(weight[order])
        if not total[-1] > 0.0:
            return float("nan")
        return float(times[order][np.searchsorted(total, 0.95 * total[-1])])


def _sides(summary: Summary, chosen: Slice, places: frozenset[tuple[str, str]]) -> _SlowedSides | None:
    rows = within(summary, chosen)
    mine = _by_kind(summary, rows, lambda kind: (kind.graph, kind.node) in places) & (rows.v1 != latency.NONE)
    rows = rows.where(mine)
    held = _by_kind(summary, rows, lambda kind: kind.latency_arm == Arm.HOLDOUT)
    ordinary = _by_kind(summary, rows, lambda kind: kind.latency_arm == Arm.SHADOWED)
    if held.sum() < _FEW or ordinary.sum() < _FEW:
        return None
    bare = _by_kind(summary, rows, lambda kind: not kind.pair and kind.mode == Mode.V2_SHADOW)
    unit = _units(summary, rows, held | ordinary)
    added = np.where(rows.overhead == latency.NONE, 0.0, _milliseconds(rows.overhead))
    slots = [kind for kind in summary.signatures if kind.unit == chosen.build and kind.slot_seconds and kind.holdout]
    return _SlowedSides(
        time=_milliseconds(rows.v1) / unit,
        added=added / unit,
        hour=(rows.time - rows.time.min()) // _HOUR,
        held=held,
        ordinary=ordinary,
        shadowed=ordinary & ~bare,
        without=bare & ~held & ~_in_holdout_slots(summary, rows),
        has_slots=bool(slots),
    )


def _units(summary: Summary, rows: Rows, used: Mask) -> Floats:
    """Return, of each row, its node's 95th percentile in milliseconds."""
    names = [(kind.graph, kind.node) for kind in summary.signatures]
    known = sorted(set(names))
    node = np.array([known.index(name) for name in names], np.int64)[rows.kind]
    found = np.ones(len(known))
    for place in np.unique(node).tolist():
        times = _milliseconds(rows.v1[used & (node == place)])
        if len(times):
            found[place] = np.percentile(times, 95.0)
    return np.asarray(found[node])


def _in_holdout_slots(summary: Summary, rows: Rows) -> Mask:
    """Return which executions ran in a holdout slot, whatever kept them from a shadow."""
    found = np.zeros(len(rows), bool)
    configurations = [(kind.service, kind.holdout, kind.slot_seconds) for kind in summary.signatures]
    for which in set(configurations):
        service, holdout, slot_seconds = which
        if holdout and slot_seconds:
            at = np.array([one == which for one in configurations], bool)[rows.kind]
            found[at] = held_out(rows.time[at], service, holdout, slot_seconds)
    return found


def _by_kind(summary: Summary, rows: Rows, of: Callable[[ExecutionKind], bool]) -> Mask:
    return np.asarray(np.array([of(kind) for kind in summary.signatures], bool)[rows.kind], np.bool_)


def _milliseconds(buckets: NDArray[np.int16]) -> Floats:
    """Return times in milliseconds, from the middle of their buckets."""
    return np.asarray(latency.BASE ** (buckets.astype(np.float64) + 0.5))
