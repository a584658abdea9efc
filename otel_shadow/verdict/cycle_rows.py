"""The rows of all cycles in the order of their sessions' cycles, in parts of whole sessions, with what they weigh.

A line that was shadowed with probability q stands for 1/q lines. Where a line does not tell q (it was written before
schema 2), it is estimated: the share of the node's executions of that hour that were shadowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from otel_shadow.record import Arm, Mode
from otel_shadow.verdict import latency
from otel_shadow.verdict.dense_codes import dense, split
from otel_shadow.verdict.execution_kind import ExecutionKind
from otel_shadow.verdict.executions import Summary
from otel_shadow.verdict.parallel import in_parallel
from otel_shadow.verdict.rows import Rows
from otel_shadow.verdict.session_counts import Slice, within
from otel_shadow.verdict.time_slots import block_numbers, washouts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Node = tuple[str, str]
"""A graph's name and a node's."""
Of = Callable[[ExecutionKind], Any]

HOUR: Final = 3_600_000
_OPEN: Final = -1
_LEAST_HOLDOUT: Final = 1e-4
"""One slot of the longest block."""
_PART: Final = 1 << 18
"""Rows of a part: what is worked out of them stays in the cache."""
_NEVER_SHADOWED = frozenset({"retry", "resumed_inside"})
"""Reasons of executions that no shadow could be of."""


@dataclass(frozen=True, slots=True)
class CycleSlice:
    """Which cycles: of which build, from when on, how long and how many. Times in ms since 1970.

    Arguments:
        chosen: build, anchor and time of the look; its edges are not used.
        cycle: length of a cycle.
        cycles: whole cycles since the anchor; the evidence of the running one follows theirs.
    """

    chosen: Slice
    cycle: int
    cycles: int


class KindTable:
    """What each kind of execution has, looked up once for all rows."""

    def __init__(self, summary: Summary, which: CycleSlice) -> None:
        kinds = self.kinds = summary.signatures
        left_out = which.chosen.without_rate_limited
        kept = ~np.array([bool(reason) for reason in summary.accepted], bool)
        self.nodes = sorted({(kind.graph, kind.node) for kind in kinds})
        code = {node: place for place, node in enumerate(self.nodes)}
        self.node: NDArray[np.integer] = np.array(
            [code[kind.graph, kind.node] for kind in kinds], np.int16 if len(code) < 1 << 15 else np.int64
        )
        self.compared = kept & self.has(lambda kind: kind.compared)
        self.noise = kept & self.has(lambda kind: kind.disagreement is not None)
        self.attempted = self.has(lambda kind: kind.attempted and not (left_out and kind.v2_rate_limited))
        self.could_be_shadowed = self.has(
            lambda kind: kind.mode == Mode.V2_SHADOW and kind.reason not in _NEVER_SHADOWED
        )
        self.live = self.has(lambda kind: kind.live)
        self.pair = self.has(lambda kind: kind.pair)
        self.ordinary = self.has(lambda kind: kind.latency_arm == Arm.SHADOWED)
        self.held = self.has(lambda kind: kind.latency_arm == Arm.HOLDOUT)
        self.slotted = self.has(lambda kind: kind.holdout and kind.slot_seconds)
        self.same_request = self.has(lambda kind: kind.same_request)
        self.untold = self.has(lambda kind: not kind.slot_seconds)
        self.holdout = self.of(lambda kind: kind.holdout and max(kind.holdout, _LEAST_HOLDOUT))
        self.sample = self.of(lambda kind: kind.sample if kind.sample is not None else 1.0)

    def of(self, of: Of) -> Floats:
        """Return a number of each kind."""
        return np.array([float(of(kind) or 0) for kind in self.kinds], np.float64)

    def has(self, of: Of) -> Mask:
        """Return whether each kind is so."""
        return np.array([bool(of(kind)) for kind in self.kinds], bool)

    @cached_property
    def configurations(self) -> tuple[Ints, list[ExecutionKind]]:
        """Which configuration of slots each kind has (−1: none), and a kind of each."""
        places: dict[tuple[str, float, float], int] = {}
        examples: list[ExecutionKind] = []
        found = np.full(len(self.kinds), -1, np.int64)
        for number, kind in enumerate(self.kinds):
            if kind.holdout and kind.slot_seconds:
                place = places.setdefault((kind.service, kind.holdout, kind.slot_seconds), len(places))
                if place == len(examples):
                    examples.append(kind)
                found[number] = place
        return found, examples


class CycleRows:
    """The rows of all cycles.

    Arguments:
        summary: the evidence.
        which: the cycles.
    """

    def __init__(self, summary: Summary, which: CycleSlice) -> None:
        self.table = KindTable(summary, which)
        rows = within(summary, which.chosen)
        starts = (
            np.flatnonzero(np.r_[True, rows.session[1:] != rows.session[:-1]]) if len(rows) else np.empty(0, np.int64)
        )
        sizes = np.diff(np.r_[starts, len(rows)])
        first, last = (
            (np.minimum.reduceat(rows.time, starts), np.maximum.reduceat(rows.time, starts))
            if len(rows)
            else (starts,) * 2
        )
        cycle = (first - which.chosen.start) // which.cycle
        cycle[(last > which.chosen.at - which.chosen.idle) | (cycle > which.cycles)] = _OPEN
        place, self.numbers = dense(cycle)
        self.start = which.chosen.start
        if len(place) and (place[1:] < place[:-1]).any():
            by_cycle = np.argsort(place.astype(np.int16) if len(self.numbers) < 1 << 15 else place, kind="stable")
            rows = _in_order(rows, starts[by_cycle], sizes[by_cycle])
            place, sizes = place[by_cycle], sizes[by_cycle]
        self.rows = rows
        self._ends = np.r_[0, np.cumsum(sizes)]
        """Of each session the place of its first row; at last the number of rows."""
        self._cycle_of = place
        """Of each session the place of its cycle in ``numbers``."""

    @cached_property
    def parts(self) -> Sequence[CyclePart]:
        """The rows in parts of whole sessions."""
        if not len(self.rows):
            return []
        begun = np.searchsorted(self._ends, np.arange(0, len(self.rows), _PART)).tolist()
        cuts = [*dict.fromkeys(begun), len(self._ends) - 1]
        return [CyclePart(self, first, last) for first, last in pairwise(cuts) if last > first]

    def each(self, do: Callable[[CyclePart], Any]) -> list[Any]:
        """Return ``do`` of every part."""
        return list(in_parallel(do, self.parts))

    def sessions(self, first: int, last: int) -> tuple[Ints, Ints]:
        """Return of some sessions the places of their first rows and the end of the last, and their cycles' places."""
        return self._ends[first : last + 1], self._cycle_of[first:last]

    @cached_property
    def hours(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Each row's node and hour, and each row's hour, as places among those that occur."""
        hours, found = dense((self.rows.time - self.start) // HOUR)
        cells, _ = dense(self.table.node[self.rows.kind].astype(np.int64) * len(found) + hours)
        return cells.astype(np.int32), hours.astype(np.int32)

    @cached_property
    def hour_count(self) -> int:
        """How many hours occur."""
        return int(self.hours[1].max()) + 1

    def by_cell(self, of_kind: Mask) -> Ints:
        """Return the executions of such kinds in each cell of ``hours``."""
        cells = self.hours[0]
        return np.bincount(cells[of_kind[self.rows.kind]], minlength=int(cells.max()) + 1)

    @cached_property
    def shadowed_share(self) -> Floats:
        """The share of a cell's executions that were shadowed, of those that don't tell their probability."""
        unknown = self.rows.probability <= 0.0
        could, cells = unknown & self.table.could_be_shadowed[self.rows.kind], self.hours[0]
        size = int(cells.max()) + 1
        every = np.bincount(cells[could], minlength=size)
        ran = np.bincount(cells[could & self.table.pair[self.rows.kind]], minlength=size)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(ran > 0, ran / every, 1.0)

    @cached_property
    def weight_by_cell(self) -> dict[bool, Floats]:
        """One over the share of its arm among the executions of a cell; of the holdout, and of ordinary slots."""
        every, found = self.by_cell(self.table.could_be_shadowed), {}
        for is_held, of_kind in ((True, self.table.held), (False, self.table.ordinary)):
            side = self.by_cell(of_kind)
            with np.errstate(invalid="ignore", divide="ignore"):
                found[is_held] = np.where(side > 0, every / side, 1.0)
        return found

    @cached_property
    def blocks(self) -> tuple[NDArray[np.int32], int]:
        """Each row's block of slots, numbered from 0, and how many there are."""
        of_kind, examples = self.table.configurations
        found, numbered = np.zeros(len(self.rows), np.int32), 0
        for place, at in _configured(of_kind, self.rows.kind):
            kind = examples[place]
            times = self.rows.time if isinstance(at, slice) else self.rows.time[at]
            number, known = dense(block_numbers(times, kind.holdout or 0.0, kind.slot_seconds or 0.0))
            found[at] = number + numbered
            numbered += len(known)
        return found, numbered


def _configured(of_kind: Ints, kind: NDArray[np.integer]) -> Iterator[tuple[int, Ints | slice]]:
    """Yield each configuration of slots with its rows."""
    if len(of_kind) and (of_kind == of_kind[0]).all():
        if of_kind[0] >= 0 and len(kind):
            yield int(of_kind[0]), slice(None)
        return
    for place, at in split(of_kind[kind]):
        if place >= 0:
            yield place, at


def _in_order(rows: Rows, starts: Ints, sizes: Ints) -> Rows:
    """Return the rows of sessions that begin at ``starts``; of the columns those that are used here."""
    ends = np.cumsum(sizes)
    order = np.repeat(starts - (ends - sizes), sizes) + np.arange(len(rows))
    none, number = np.empty(0, np.uint64), np.empty(0, np.uint32)
    names = ("time", "kind", "v1", "v2", "probability")
    time, kind, v1, v2, probability = in_parallel(lambda name: getattr(rows, name)[order], names)
    return Rows(none, none, time, kind, v1, v2, probability, none, number, np.empty(0, np.int16))


class CyclePart:
    """Rows of some sessions.

    Arguments:
        whole: all rows.
        first, last: the sessions.
    """

    def __init__(self, whole: CycleRows, first: int, last: int) -> None:
        self.whole, self.table = whole, whole.table
        ends, cycles = whole.sessions(first, last)
        self.rows: slice = slice(int(ends[0]), int(ends[-1]))
        rows = whole.rows
        self.time, self.kind = rows.time[self.rows], rows.kind[self.rows].astype(np.int64)
        self._masks: dict[bytes, Mask] = {}
        self.v1, self.v2, self.told = rows.v1[self.rows], rows.v2[self.rows], rows.probability[self.rows]
        self.session = np.repeat(np.arange(last - first, dtype=np.int32), np.diff(ends))
        """Of each row the number of its session in this part."""
        changes = np.flatnonzero(np.r_[True, cycles[1:] != cycles[:-1]])
        self.cycles = [int(place) for place in cycles[changes]]
        """Places of the cycles, those of open sessions left out."""
        self.cuts = np.append(ends[changes] - ends[0], len(self.kind))
        """Of each of these the first row, and the number of rows."""
        if self.whole.numbers[self.cycles[0]] == _OPEN:
            self.cycles, self.cuts = self.cycles[1:], self.cuts[1:]

    def __len__(self) -> int:
        return len(self.kind)

    def by_cycle(self, at: Ints) -> Iterator[tuple[int, slice]]:
        """Yield the number of each cycle with its part of the places ``at``, which are ascending."""
        ends = np.searchsorted(at, self.cuts).tolist()
        for place, first, last in zip(self.cycles, ends[:-1], ends[1:], strict=True):
            if last > first:
                yield int(self.whole.numbers[place]), slice(first, last)

    def closed(self, of_kind: Mask, members: Mask | None, also: Mask | None = None) -> Ints:
        """Return the places of rows of such kinds, of closed sessions.

        Arguments:
            members: nodes by their number; None: all.
            also: of each row, whether it may be among them; None: each may.
        """
        if not of_kind.any():
            return np.empty(0, np.int64)
        mask = self.has(of_kind)
        if members is not None:
            mask = mask & self._of_nodes(members)
        if also is not None:
            mask = mask & also
        found = np.flatnonzero(mask)
        start = int(self.cuts[0])
        return found[np.searchsorted(found, start) :] if start else found

    def has(self, of_kind: Mask) -> Mask:
        """Return whether each row is of such a kind; kept, because every group of nodes asks for the same ones."""
        key = of_kind.tobytes()
        if key not in self._masks:
            self._masks[key] = of_kind[self.kind]
        return self._masks[key]

    def _of_nodes(self, members: Mask) -> Mask:
        if np.count_nonzero(members) == 1:
            return np.asarray(self.node == np.flatnonzero(members)[0])
        return self.has(members[self.table.node])

    @cached_property
    def probability(self) -> Floats:
        """With which each row was shadowed; what V2 served live is always told."""
        told = self.told.astype(np.float64)
        unknown = self.told <= 0.0
        if unknown.any():
            told = np.where(unknown, self.whole.shadowed_share[self.whole.hours[0][self.rows]], told)
        if self.table.live.any():
            told[self.table.live[self.kind]] = 1.0
        return told

    @cached_property
    def one_probability(self) -> float | None:
        """With which all rows were shadowed; None where they differ."""
        low, high = float(self.probability.min()), float(self.probability.max())
        return low if low == high else None

    @cached_property
    def node(self) -> NDArray[np.integer]:
        """The number of each row's node."""
        found: NDArray[np.integer] = self.table.node[self.kind]
        return found

    @cached_property
    def timed(self) -> Mask:
        """Whether V1's time counts: measured, in an arm, and not too soon after a holdout slot's beginning or end."""
        timed: Mask = (self.v1 != latency.NONE) & self.has(self.table.ordinary | self.table.held)
        of_kind, examples = self.table.configurations
        for place, at in _configured(of_kind, self.kind):
            kind = examples[place]
            timed[at] &= ~washouts(self.time[at], kind.service, kind.holdout or 0.0, kind.slot_seconds or 0.0)
        return timed

    @cached_property
    def both_timed(self) -> Mask:
        """Whether the times of V1 and V2 are of the same request."""
        timed: Mask = (self.v1 != latency.NONE) & (self.v2 != latency.NONE)
        return timed & self.has(self.table.same_request)

    @cached_property
    def block(self) -> NDArray[np.int32]:
        """Each row's block of slots."""
        return self.whole.blocks[0][self.rows]

    @cached_property
    def arm_weight(self) -> Floats:
        """One over the probability that an execution is on its side; the sample's share is that of both."""
        table, kind = self.table, self.kind
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(table.held, table.holdout, 1.0 - table.holdout)
            weight = np.where(table.slotted, 1.0 / share, 1.0)[kind]
            adaptive = np.clip(self.told / (table.sample * (1.0 - table.holdout))[kind], 0.0, 1.0)
        is_told = self.has(table.slotted & table.ordinary & ~table.held) & (self.told > 0.0) & (adaptive > 0.0)
        np.divide(weight, adaptive, out=weight, where=is_told)
        if table.slotted.all():
            return weight
        cells = self.whole.hours[0][self.rows]
        by_hour = np.where(
            table.held[kind], self.whole.weight_by_cell[True][cells], self.whole.weight_by_cell[False][cells]
        )
        return np.where(table.slotted[kind], weight, by_hour)
