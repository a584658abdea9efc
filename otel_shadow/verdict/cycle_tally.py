"""From executions to the evidence of whole cycles: what the tests of a GO look at, for each node and for all together.

A line that was shadowed with probability q stands for 1/q lines. Where a line does not tell q (it was written before
schema 2), it is estimated: the share of the node's executions of that hour that were shadowed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from otel_shadow.record import Arm, Mode, Status
from otel_shadow.verdict import latency
from otel_shadow.verdict.cycle_looks import NO_LINES, Lines, RatioCycle, RatioHistory, ShareCycle, ShareHistory
from otel_shadow.verdict.dense_codes import dense, multiples, split
from otel_shadow.verdict.execution_kind import ExecutionKind
from otel_shadow.verdict.executions import Rows, Summary
from otel_shadow.verdict.session_counts import Slice, within
from otel_shadow.verdict.time_slots import block_numbers, washouts
from otel_shadow.verdict.weighted_share import SamplingClass, WeightedSessions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Buckets = NDArray[np.int16]
_Side = tuple[Ints, Floats, Floats]
Node = tuple[str, str]
"""A graph's name and a node's."""

HOUR: Final = 3_600_000
_OPEN: Final = -1
_LEAST_HOLDOUT: Final = 1e-4
"""One slot of the longest block."""
_DIGITS: Final = 6
"""Decimals to which weighted sums of a session are told apart."""
_FEW: Final = 1 << 12
"""Values up to which a table of them is worth its memory."""
_NEVER_SHADOWED = frozenset({"retry", "resumed_inside"})
"""Reasons of executions that no shadow could be of."""


@dataclass(frozen=True, slots=True)
class CycleEvidence:
    """Evidence about a group of nodes, cycle by cycle since the window's anchor.

    Arguments:
        parity, relative, handoff: of shares: matches, agreement beyond V1's own noise, executions without a failure.
        arms: V1's times in ordinary slots and in holdout slots; in units of blocks, where there are slots, and of
            sessions.
        after: V2's times and V1's of the same requests, in units of sessions.
        errors, rate_limits: of each block of slots, V1's error rate in ordinary slots less that in the holdout slot;
            of errors of any kind, and of those that a service answered with 429.
        shares_differ: whether the arms' shares were not told, and differ between hours by more than twice.
    """

    parity: ShareHistory
    relative: ShareHistory
    handoff: ShareHistory
    arms: tuple[RatioHistory, ...]
    after: RatioHistory
    errors: Floats
    rate_limits: Floats
    shares_differ: bool


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


def cycle_evidence(
    summary: Summary, which: CycleSlice, groups: Sequence[Collection[Node]]
) -> tuple[CycleEvidence, ...]:
    """Return the evidence about each group of nodes. Kept in the summary until it changes.

    Arguments:
        summary: the evidence.
        which: the cycles.
        groups: nodes by graph and name; a session's executions at all nodes of a group belong together.
    """
    key = ("cycles", which, tuple(frozenset(group) for group in groups))
    if key not in summary.cache:
        everything = _Everything(summary, which, within(summary, which.chosen))
        summary.cache[key] = tuple(everything.of(frozenset(group)) for group in groups)
    found: tuple[CycleEvidence, ...] = summary.cache[key]
    return found


class _Everything:
    """The rows of all cycles, with what they weigh."""

    def __init__(self, summary: Summary, which: CycleSlice, rows: Rows) -> None:
        self.kinds, self.which, self.rows = summary.signatures, which, rows
        new = np.r_[True, rows.session[1:] != rows.session[:-1]] if len(rows) else np.empty(0, bool)
        starts = np.flatnonzero(new)
        self.session = np.cumsum(new) - 1
        last = np.maximum.reduceat(rows.time, starts) if len(starts) else np.empty(0, np.int64)
        first = np.minimum.reduceat(rows.time, starts) if len(starts) else np.empty(0, np.int64)
        cycle = (first - which.chosen.start) // which.cycle
        cycle[(last > which.chosen.at - which.chosen.idle) | (cycle > which.cycles)] = _OPEN
        place, self.numbers = dense(cycle)
        self.cycle = place[self.session]
        """Place of each row's cycle in ``numbers``."""
        self.is_closed = (cycle != _OPEN)[self.session]
        self.nodes = sorted({(kind.graph, kind.node) for kind in self.kinds})
        code = {node: place for place, node in enumerate(self.nodes)}
        self.node = np.array([code[kind.graph, kind.node] for kind in self.kinds], np.int64)[rows.kind]
        accepted = np.array([bool(reason) for reason in summary.accepted], bool)
        self.is_kept = ~accepted[rows.kind]
        self.probability = self._probability()

    def of_kind(self, of: Callable[[ExecutionKind], float | bool | None]) -> Floats:
        """Return what each kind of execution has."""
        return np.array([float(of(kind) or 0) for kind in self.kinds], np.float64)

    def has(self, of: Callable[[ExecutionKind], object]) -> Mask:
        """Return whether each row is of such a kind."""
        return np.array([bool(of(kind)) for kind in self.kinds], bool)[self.rows.kind]

    def of(self, group: frozenset[Node]) -> CycleEvidence:
        """Return the evidence about one group."""
        mine = self.is_closed & self.has(lambda kind: (kind.graph, kind.node) in group)
        eligible = self._eligible(mine)
        agreement = (1.0 - self.of_kind(lambda kind: kind.disagreement)) / 2.0
        return CycleEvidence(
            parity=self.share(mine & self._compared, self.of_kind(lambda kind: kind.matched), eligible),
            relative=self.share(mine & self._noise, agreement, eligible),
            handoff=self.share(mine & self._attempted, 1.0 - self.of_kind(lambda kind: kind.failed), eligible),
            arms=self.arms(mine, pooled=len(group) > 1),
            after=self.after(mine, pooled=len(group) > 1),
            errors=self.block_differences(mine, lambda kind: kind.v1_status == Status.ERROR),
            rate_limits=self.block_differences(mine, lambda kind: kind.v1_rate_limited),
            shares_differ=self.shares_differ(mine),
        )

    @cached_property
    def _compared(self) -> Mask:
        return np.asarray(self.is_kept & self.has(lambda kind: kind.compared), np.bool_)

    @cached_property
    def _noise(self) -> Mask:
        return np.asarray(self.is_kept & self.has(lambda kind: kind.disagreement is not None), np.bool_)

    @cached_property
    def _attempted(self) -> Mask:
        left_out = self.which.chosen.without_rate_limited
        return self.has(lambda kind: kind.attempted and not (left_out and kind.v2_rate_limited))

    @cached_property
    def _could_be_shadowed(self) -> Mask:
        return self.has(lambda kind: kind.mode == Mode.V2_SHADOW and kind.reason not in _NEVER_SHADOWED)

    @cached_property
    def _may_be_shadowed(self) -> Mask:
        return self._could_be_shadowed | self.has(lambda kind: kind.live)

    @cached_property
    def _ordinary(self) -> Mask:
        return self.has(lambda kind: kind.latency_arm == Arm.SHADOWED)

    @cached_property
    def _held(self) -> Mask:
        return self.has(lambda kind: kind.latency_arm == Arm.HOLDOUT)

    @cached_property
    def _slotted(self) -> Mask:
        return self.has(lambda kind: kind.holdout and kind.slot_seconds)

    @cached_property
    def _timed(self) -> Mask:
        """Whether V1's time counts: measured, in an arm, and not too soon after a holdout slot's beginning or end."""
        timed: Mask = (self.rows.v1 != latency.NONE) & (self._ordinary | self._held)
        for kind, at in self._configurations:
            seconds, holdout = kind.slot_seconds or 0.0, kind.holdout or 0.0
            timed[at[washouts(self.rows.time[at], kind.service, holdout, seconds)]] = False
        return timed

    @cached_property
    def _both_timed(self) -> Mask:
        timed: Mask = (self.rows.v1 != latency.NONE) & (self.rows.v2 != latency.NONE)
        return timed & self.has(lambda kind: kind.same_request)

    @cached_property
    def _hours(self) -> tuple[Ints, Ints]:
        """Each row's node and hour, and each row's hour, as places among those that occur."""
        hours, found = dense((self.rows.time - self.which.chosen.start) // HOUR)
        cells, _ = dense(self.node * len(found) + hours)
        return cells, hours

    # --- shares ------------------------------------------------------------------------------------------------------
    def _probability(self) -> Floats:
        """Return with which probability each row was shadowed; what V2 served live is always told."""
        told = self.rows.probability.astype(np.float64)
        unknown = told <= 0.0
        if unknown.any():
            could = unknown & self._could_be_shadowed
            cells = self._hours[0]
            size = int(cells.max()) + 1
            every = np.bincount(cells[could], minlength=size)
            ran = np.bincount(cells[could & self.has(lambda kind: kind.pair)], minlength=size)
            with np.errstate(invalid="ignore", divide="ignore"):
                share = np.where(ran > 0, ran / every, 1.0)
            told = np.where(unknown, share[cells], told)
        told[self.has(lambda kind: kind.live)] = 1.0
        return told

    def _eligible(self, mine: Mask) -> dict[int, dict[int, SamplingClass]]:
        """Return, by cycle, the executions that could have been shadowed, by class of their probability."""
        could = np.flatnonzero(mine & self._may_be_shadowed)
        probability, cycle = self.probability[could], self.cycle[could]
        if not len(could):
            return {}
        power = np.frexp(probability)[1] - 1
        lowest = int(power.min())
        classes = int(power.max()) - lowest + 1
        code = cycle * classes + (power - lowest)
        counts = np.bincount(code)
        least = np.full(len(counts), np.inf)
        np.minimum.at(least, code, probability)
        found: dict[int, dict[int, SamplingClass]] = {}
        for one in np.flatnonzero(counts).tolist():
            place, of_class = divmod(one, classes)
            number = int(self.numbers[place])
            found.setdefault(number, {})[of_class + lowest] = SamplingClass(float(least[one]), float(counts[one]))
        return found

    def share(self, used: Mask, successes: Floats, eligible: Mapping[int, Mapping[int, SamplingClass]]) -> ShareHistory:
        """Return the sessions' weighted sums of the rows that are ``used``, cycle by cycle.

        Arguments:
            successes: of each kind of execution.
        """
        found = {number: ShareCycle(_NOBODY, classes) for number, classes in eligible.items()}
        at = np.flatnonzero(used)
        if not len(at):
            return ShareHistory(found)
        session, weight = self.session[at], 1.0 / self.probability[at]
        starts = np.flatnonzero(np.r_[True, session[1:] != session[:-1]])
        turns = np.diff(np.r_[starts, len(at)]).astype(np.float64)
        sums = [np.add.reduceat(part, starts) for part in (weight * successes[self.rows.kind[at]], weight)]
        cycles, sessions = _alike(self.cycle[at[starts]], [*sums, turns], float(weight.min()) / 2.0)
        for place, mine in split(cycles):
            number = int(self.numbers[place])
            classes = eligible.get(number, {})
            found[number] = ShareCycle(WeightedSessions(*(column[mine] for column in sessions)), classes)
        return ShareHistory(found)

    # --- ratios ------------------------------------------------------------------------------------------------------
    def arms(self, mine: Mask, *, pooled: bool) -> tuple[RatioHistory, ...]:
        """Return V1's times, ordinary slots against holdout slots; in units of blocks and of sessions."""
        timed = mine & self._timed
        x, y = np.flatnonzero(timed & self._ordinary), np.flatnonzero(timed & self._held)
        shift = self._node_percentiles([(self.rows.v1, timed)]) if pooled else None

        def side(at: Ints, *, held: bool) -> _Side:
            return at, self._times(self.rows.v1, at, shift), self._weight_of_arm(at, held=held)

        sides = side(x, held=False), side(y, held=True)
        units = [self.session]
        if (len(x) or len(y)) and self._slotted[x].all() and self._slotted[y].all():
            units.insert(0, self._blocks)
        return tuple(self._ratio(*sides, unit) for unit in units)

    def after(self, mine: Mask, *, pooled: bool) -> RatioHistory:
        """Return V2's times and V1's of the same requests."""
        both = mine & self._both_timed
        at = np.flatnonzero(both)
        shift = self._node_percentiles([(self.rows.v1, both), (self.rows.v2, both)]) if pooled else None
        weight = 1.0 / self.probability[at]
        x, y = ((at, self._times(part, at, shift), weight) for part in (self.rows.v2, self.rows.v1))
        return self._ratio(x, y, self.session)

    def block_differences(self, mine: Mask, failed: Callable[[ExecutionKind], bool]) -> Floats:
        """Return, of each block with V1s in both kinds of slots, how much more often those in ordinary ones fail."""
        at = np.flatnonzero(mine & self._slotted & (self._ordinary | self._held))
        if not len(at) or not any(failed(kind) for kind in self.kinds):
            return self._no_differences(at)
        held, (block, found) = self._held[at], dense(self._blocks[at])
        wrong, size = self.of_kind(failed)[self.rows.kind[at]], len(found)
        whole = [np.bincount(block[held == side], minlength=size) for side in (False, True)]
        bad = [np.bincount(block[held == side], wrong[held == side], size) for side in (False, True)]
        both = (whole[0] > 0) & (whole[1] > 0)
        return np.asarray(bad[0][both] / whole[0][both] - bad[1][both] / whole[1][both], np.float64)

    def _no_differences(self, at: Ints) -> Floats:
        """Return a zero for each block with V1s in both kinds of slots: none failed."""
        held, block = self._held[at], self._blocks[at] if len(at) else at
        return np.zeros(len(np.intersect1d(block[held], block[~held])))

    def shares_differ(self, mine: Mask) -> bool:
        """Return whether, of lines that don't tell the slots, two hours hold arms of surely other shares."""
        untold = mine & self.has(lambda kind: not kind.slot_seconds)
        arms = [np.flatnonzero(untold & arm) for arm in (self._held, self._ordinary)]
        if not len(arms[0]) and not len(arms[1]):
            return False
        hours = self._hours[1]
        size = int(hours.max()) + 1
        held, ordinary = (np.bincount(hours[at], minlength=size) for at in arms)
        whole = held + ordinary
        sizes = whole[whole > 0].astype(np.float64)
        lower, upper = _wilson(held[whole > 0] / sizes, sizes)
        with np.errstate(divide="ignore"):
            least, most = np.log(lower / (1.0 - lower)), np.log(upper / (1.0 - upper))
        return bool(least.max() - most.min() > np.log(2.0))

    def _ratio(self, x: _Side, y: _Side, unit: Ints) -> RatioHistory:
        """Return the history of a ratio, of both sides' rows, times and weights."""
        sides = [self._by_cycle(*side, unit) for side in (x, y)]
        return RatioHistory(
            {
                number: RatioCycle(*(side.get(number, NO_LINES) for side in sides))
                for number in sorted(sides[0].keys() | sides[1].keys())
            }
        )

    def _by_cycle(self, at: Ints, time: Floats, weight: Floats, unit: Ints) -> dict[int, Lines]:
        return {
            int(self.numbers[place]): Lines(unit[at[mine]], time[mine], weight[mine])
            for place, mine in split(self.cycle[at])
        }

    def _times(self, buckets: Buckets, at: Ints, shift: Ints | None) -> Floats:
        """Return the times of some rows; of several nodes, each in units of the node's own 95th percentile."""
        if not len(at):
            return np.empty(0, np.float64)
        found = buckets[at].astype(np.int64)
        if shift is not None:
            found -= shift[self.node[at]]
        low = int(found.min())
        table = latency.BASE ** np.arange(low, int(found.max()) + 1, dtype=np.float64)
        return np.asarray(table[found - low], np.float64)

    def _node_percentiles(self, given: Sequence[tuple[Buckets, Mask]]) -> Ints:
        """Return the bucket of each node's 95th percentile."""
        found = np.zeros(len(self.nodes), np.int64)
        chosen = [(buckets[used], self.node[used]) for buckets, used in given]
        for place in range(len(found)):
            times = np.concatenate([buckets[node == place] for buckets, node in chosen])
            if len(times):
                found[place] = round(float(np.percentile(times, 95.0, method="inverted_cdf")))
        return found

    def _weight_of_arm(self, at: Ints, *, held: bool) -> Floats:
        """Return one over the probability that an execution is on its side; the sample's share is that of both."""
        kind = self.rows.kind[at]
        slots = self._slotted[at]
        holdout = self.of_kind(lambda kind: kind.holdout and max(kind.holdout, _LEAST_HOLDOUT))[kind]
        if held:
            weight = 1.0 / np.where(slots, holdout, 1.0)
        else:
            sample = self.of_kind(lambda kind: kind.sample if kind.sample is not None else 1.0)[kind]
            told = self.rows.probability[at]
            with np.errstate(invalid="ignore", divide="ignore"):
                weight = 1.0 / (1.0 - holdout)
                adaptive = np.clip(told / (sample * (1.0 - holdout)), 0.0, 1.0)
            is_told = slots & (told > 0.0) & (adaptive > 0.0)
            weight = np.where(is_told, weight / np.where(is_told, adaptive, 1.0), weight)
        return weight if slots.all() else np.where(slots, weight, self._weight_by_hour(at, held=held))

    def _weight_by_hour(self, at: Ints, *, held: bool) -> Floats:
        """Return one over the share of its arm among the executions of its node and hour."""
        cells = self._hours[0]
        size = int(cells.max()) + 1
        every = np.bincount(cells[self._could_be_shadowed], minlength=size)
        side = np.bincount(cells[self._held if held else self._ordinary], minlength=size)
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = np.where(side > 0, every / side, 1.0)[cells[at]]
        return found

    @cached_property
    def _configurations(self) -> list[tuple[ExecutionKind, Ints]]:
        """The configurations of slots that occur, each with its rows."""
        places: dict[tuple[str, float, float], int] = {}
        of_kind = [
            places.setdefault((kind.service, kind.holdout, kind.slot_seconds), len(places))
            if kind.holdout and kind.slot_seconds
            else -1
            for kind in self.kinds
        ]
        example = dict(zip(of_kind, self.kinds, strict=True))
        found = split(np.array(of_kind, np.int64)[self.rows.kind])
        return [(example[place], at) for place, at in found if place >= 0]

    @cached_property
    def _blocks(self) -> Ints:
        """Each row's block of slots, numbered from 0."""
        found, numbered = np.zeros(len(self.rows), np.int64), 0
        for kind, at in self._configurations:
            place, numbers = dense(block_numbers(self.rows.time[at], kind.holdout or 0.0, kind.slot_seconds or 0.0))
            found[at] = place + numbered
            numbered += len(numbers)
        return found


def _wilson(share: Floats, of: Floats, z: float = 4.0) -> tuple[Floats, Floats]:
    """Return the limits of shares (Wilson 1927), so wide that none of hundreds is missed; strictly inside (0, 1)."""
    middle = (share + z * z / (2.0 * of)) / (1.0 + z * z / of)
    half = z / (1.0 + z * z / of) * np.sqrt(share * (1.0 - share) / of + z * z / (4.0 * of * of))
    return np.clip(middle - half, 1e-9, 1.0), np.clip(middle + half, 0.0, 1.0 - 1e-9)


def _alike(cycle: Ints, sums: Sequence[Floats], unit: float) -> tuple[Ints, tuple[Floats, ...]]:
    """Return sessions of the same cycle and sums once: their cycles; their sums, and how many there are."""
    code = cycle.astype(np.int64)
    columns = [_coded(column, step) for column, step in zip(sums, (unit, unit, 1.0), strict=True)]
    size = int(code.max()) + 1
    for of_session, values in columns:
        code = code * len(values) + of_session
        size *= len(values)
    found, sessions = latency.count_codes(code, size)
    kept: list[Floats] = []
    for _, values in reversed(columns):
        found, place = np.divmod(found, len(values))
        kept.insert(0, values[place])
    return found, (*kept, sessions)


def _coded(values: Floats, unit: float) -> tuple[Ints, Floats]:
    """Return which value each is, and the values: multiples of ``unit`` where they all are and few, else sorted."""
    code = multiples(values, unit, _FEW)
    if code is not None:
        return code, np.round(np.arange(int(code.max()) + 1) * unit, _DIGITS)
    found, place = np.unique(np.round(values, _DIGITS), return_inverse=True)
    return place.ravel(), found


_NONE = np.empty(0, np.float64)
_NOBODY: Final = WeightedSessions(_NONE, _NONE, _NONE, _NONE)
