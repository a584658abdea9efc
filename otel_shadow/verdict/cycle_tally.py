"""From executions to the evidence of whole cycles: what the tests of a GO look at, for each node and for all together.

A line that was shadowed with probability q stands for 1/q lines. Where a line does not tell q (it was written before
schema 2), it is estimated: the share of the node's executions of that hour that were shadowed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from otel_shadow.record import Arm, Mode, Status
from otel_shadow.verdict import latency
from otel_shadow.verdict.cycle_looks import Lines, RatioCycle, RatioHistory, ShareCycle, ShareHistory
from otel_shadow.verdict.execution_kind import ExecutionKind
from otel_shadow.verdict.executions import Rows, Summary
from otel_shadow.verdict.session_counts import Slice, parts_within
from otel_shadow.verdict.time_slots import block_numbers, washouts
from otel_shadow.verdict.weighted_share import SamplingClass, WeightedSessions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Node = tuple[str, str]
"""A graph's name and a node's."""

HOUR: Final = 3_600_000
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
        rows = Rows.joined(parts_within(summary, which.chosen))
        everything = _Everything(summary, which, rows)
        summary.cache[key] = tuple(everything.only(frozenset(group)).of(frozenset(group)) for group in groups)
    found: tuple[CycleEvidence, ...] = summary.cache[key]
    return found


class _Everything:
    """The rows of all cycles, with what they weigh."""

    def __init__(self, summary: Summary, which: CycleSlice, rows: Rows) -> None:
        self.kinds, self.which = summary.signatures, which
        self.accepted = np.array([bool(reason) for reason in summary.accepted], bool)
        order = np.argsort(rows.session, kind="stable")
        self.rows = rows = rows.where(order)
        new = np.r_[True, rows.session[1:] != rows.session[:-1]] if len(rows) else np.empty(0, bool)
        starts = np.flatnonzero(new)
        self.session = np.cumsum(new) - 1
        last = np.maximum.reduceat(rows.time, starts) if len(starts) else np.empty(0, np.int64)
        first = np.minimum.reduceat(rows.time, starts) if len(starts) else np.empty(0, np.int64)
        cycle = (first - which.chosen.start) // which.cycle
        cycle[(last > which.chosen.at - which.chosen.idle) | (cycle > which.cycles)] = -1
        self.cycle = cycle[self.session] if len(rows) else cycle
        self.node = self.of_kind(lambda kind: self._nodes.index((kind.graph, kind.node)))
        self.probability = self._probability()

    def _left_out(self, kind: ExecutionKind) -> bool:
        """Return whether it is left out of the handoff rate."""
        return self.which.chosen.without_rate_limited and kind.v2_rate_limited

    @property
    def _nodes(self) -> list[Node]:
        return sorted({(kind.graph, kind.node) for kind in self.kinds})

    def of_kind(self, of: Callable[[ExecutionKind], float | bool | None]) -> Floats:
        """Return what each row has by its kind."""
        values = np.array([float(of(kind) or 0) for kind in self.kinds], np.float64)
        return values[self.rows.kind]

    def only(self, group: frozenset[Node]) -> _Everything:
        """Return the rows of one group: what is worked out for one node need not be worked out for all rows."""
        mine = self.of_kind(lambda kind: (kind.graph, kind.node) in group) > 0.0
        if mine.all():
            return self
        part = copy(self)
        part.rows = self.rows.where(mine)
        part.session, part.cycle = self.session[mine], self.cycle[mine]
        part.node, part.probability = self.node[mine], self.probability[mine]
        return part

    def of(self, group: frozenset[Node]) -> CycleEvidence:
        """Return the evidence about one group."""
        mine = self.of_kind(lambda kind: (kind.graph, kind.node) in group) > 0.0
        mine &= self.cycle >= 0
        kept = ~self.accepted[self.rows.kind]
        compared = mine & kept & (self.of_kind(lambda kind: kind.compared) > 0.0)
        noise = mine & kept & (self.of_kind(lambda kind: kind.disagreement is not None) > 0.0)
        attempted = mine & (self.of_kind(lambda kind: kind.attempted and not self._left_out(kind)) > 0.0)
        eligible = self._eligible(mine)
        return CycleEvidence(
            parity=self.share(compared, self.of_kind(lambda kind: kind.matched), eligible),
            relative=self.share(noise, (1.0 - self.of_kind(lambda kind: kind.disagreement)) / 2.0, eligible),
            handoff=self.share(attempted, 1.0 - self.of_kind(lambda kind: kind.failed), eligible),
            arms=self.arms(mine, pooled=len(group) > 1),
            after=self.after(mine, pooled=len(group) > 1),
            errors=self.block_differences(mine, lambda kind: kind.v1_status == Status.ERROR),
            rate_limits=self.block_differences(mine, lambda kind: kind.v1_rate_limited),
            shares_differ=self.shares_differ(mine),
        )

    # --- shares ------------------------------------------------------------------------------------------------------
    def _probability(self) -> Floats:
        """Return with which probability each row was shadowed; what V2 served live is always told."""
        told = self.rows.probability.astype(np.float64)
        unknown = told <= 0.0
        if unknown.any():
            could = unknown & (self._could_be_shadowed() > 0.0)
            hours = (self.rows.time - self.which.chosen.start) // HOUR
            place = self.node.astype(np.int64) * (int(hours.max()) + 1) + hours
            size = int(place.max()) + 1
            every = np.bincount(place[could], minlength=size)
            ran = np.bincount(place[could], self.of_kind(lambda kind: kind.pair)[could], minlength=size)
            with np.errstate(invalid="ignore", divide="ignore"):
                share = np.where(ran > 0.0, ran / every, 1.0)
            told[unknown] = share[place[unknown]]
        told[self.of_kind(lambda kind: kind.live) > 0.0] = 1.0
        return told

    def _could_be_shadowed(self) -> Floats:
        return self.of_kind(lambda kind: kind.mode == Mode.V2_SHADOW and kind.reason not in _NEVER_SHADOWED)

    def _eligible(self, mine: NDArray[np.bool_]) -> list[dict[int, SamplingClass]]:
        """Return, cycle by cycle, the executions that could have been shadowed, by class of their probability."""
        could = mine & ((self._could_be_shadowed() + self.of_kind(lambda kind: kind.live)) > 0.0)
        probability, cycle = self.probability[could], self.cycle[could]
        power = np.floor(np.log2(probability)).astype(np.int64)
        found: list[dict[int, SamplingClass]] = [{} for _ in range(self.which.cycles + 1)]
        for one in np.unique(power).tolist():
            in_class = power == one
            counts = np.bincount(cycle[in_class], minlength=self.which.cycles + 1)
            for place in np.flatnonzero(counts).tolist():
                least = float(probability[in_class & (cycle == place)].min())
                found[place][one] = SamplingClass(least, float(counts[place]))
        return found

    def share(
        self, used: NDArray[np.bool_], successes: Floats, eligible: Sequence[Mapping[int, SamplingClass]]
    ) -> ShareHistory:
        """Return the sessions' weighted sums of the rows that are ``used``, cycle by cycle."""
        at = np.flatnonzero(used)
        session, cycle, weight = self.session[at], self.cycle[at], 1.0 / self.probability[at]
        starts = np.flatnonzero(np.r_[True, session[1:] != session[:-1]]) if len(at) else np.empty(0, np.int64)
        if not len(starts):
            return ShareHistory([ShareCycle(_NOBODY, classes) for classes in eligible])
        sums = [np.add.reduceat(part, starts) for part in (weight * successes[at], weight, np.ones(len(at)))]
        cycles, sessions = _alike(cycle[starts], sums, float(weight.min()) / 2.0)
        return ShareHistory(
            [
                ShareCycle(WeightedSessions(*(column[cycles == place] for column in sessions)), classes)
                for place, classes in enumerate(eligible)
            ]
        )

    # --- ratios ------------------------------------------------------------------------------------------------------
    def arms(self, mine: NDArray[np.bool_], *, pooled: bool) -> tuple[RatioHistory, ...]:
        """Return V1's times, ordinary slots against holdout slots; in units of blocks and of sessions."""
        arms = {arm: self.of_kind(lambda kind, arm=arm: kind.latency_arm == arm) > 0.0 for arm in Arm}  # type: ignore[misc]
        timed = mine & (self.rows.v1 != latency.NONE) & (arms[Arm.SHADOWED] | arms[Arm.HOLDOUT])
        slots = self.of_kind(lambda kind: bool(kind.holdout and kind.slot_seconds)) > 0.0
        timed &= ~(slots & self._washed_out(timed & slots))
        weight = self._weight_of_arm(slots, arms[Arm.HOLDOUT])
        time = self._times(self.rows.v1, timed, pooled)
        x, y = timed & arms[Arm.SHADOWED], timed & arms[Arm.HOLDOUT]
        units = [self.session]
        if slots[timed].all() and timed.any():
            units.insert(0, self._blocks(timed))
        return tuple(self._ratio((x, time), (y, time), unit, weight) for unit in units)

    def after(self, mine: NDArray[np.bool_], *, pooled: bool) -> RatioHistory:
        """Return V2's times and V1's of the same requests."""
        both = mine & (self.of_kind(lambda kind: kind.same_request) > 0.0)
        both &= (self.rows.v1 != latency.NONE) & (self.rows.v2 != latency.NONE)
        units = self._node_percentiles([(self.rows.v1, both), (self.rows.v2, both)]) if pooled else 0
        x, y = (latency.BASE ** (part.astype(np.float64) - units) for part in (self.rows.v2, self.rows.v1))
        return self._ratio((both, x), (both, y), self.session, 1.0 / self.probability)

    def block_differences(self, mine: NDArray[np.bool_], failed: Callable[[ExecutionKind], bool]) -> Floats:
        """Return, of each block with V1s in both kinds of slots, how much more often those in ordinary ones fail."""
        slots = self.of_kind(lambda kind: bool(kind.holdout and kind.slot_seconds and kind.latency_arm)) > 0.0
        at = np.flatnonzero(mine & slots)
        if not len(at):
            return np.empty(0, np.float64)
        held = self.of_kind(lambda kind: kind.latency_arm == Arm.HOLDOUT)[at] > 0.0
        block = self._blocks(mine & slots)[at]
        wrong, size = self.of_kind(failed)[at], int(block.max()) + 1
        whole = [np.bincount(block[held == side], minlength=size) for side in (False, True)]
        bad = [np.bincount(block[held == side], wrong[held == side], size) for side in (False, True)]
        both = (whole[0] > 0) & (whole[1] > 0)
        found: Floats = bad[0][both] / whole[0][both] - bad[1][both] / whole[1][both]
        return found

    def shares_differ(self, mine: NDArray[np.bool_]) -> bool:
        """Return whether, of lines that don't tell the slots, two hours hold arms of surely other shares."""
        arms = {arm: self.of_kind(lambda kind, arm=arm: kind.latency_arm == arm) > 0.0 for arm in Arm}  # type: ignore[misc]
        untold = mine & (self.of_kind(lambda kind: kind.slot_seconds) <= 0.0)
        hours = (self.rows.time - self.which.chosen.start) // HOUR
        held = np.bincount(hours[untold & arms[Arm.HOLDOUT]], minlength=1)
        ordinary = np.bincount(hours[untold & arms[Arm.SHADOWED]], minlength=len(held))
        held = np.pad(held, (0, len(ordinary) - len(held)))
        whole = held + ordinary
        sizes = whole[whole > 0].astype(np.float64)
        if not len(sizes):
            return False
        lower, upper = _wilson(held[whole > 0] / sizes, sizes)
        with np.errstate(divide="ignore"):
            least, most = np.log(lower / (1.0 - lower)), np.log(upper / (1.0 - upper))
        return bool(least.max() - most.min() > np.log(2.0))

    def _ratio(
        self, x: tuple[NDArray[np.bool_], Floats], y: tuple[NDArray[np.bool_], Floats], unit: Ints, weight: Floats
    ) -> RatioHistory:
        def side(of: tuple[NDArray[np.bool_], Floats], place: int) -> Lines:
            rows = np.flatnonzero(of[0] & (self.cycle == place))
            return Lines(unit[rows], of[1][rows], weight[rows])

        return RatioHistory([RatioCycle(side(x, place), side(y, place)) for place in range(self.which.cycles + 1)])

    def _times(self, buckets: NDArray[np.int16], used: NDArray[np.bool_], pooled: bool) -> Floats:
        """Return times; of several nodes, each in units of the node's own 95th percentile."""
        shift = self._node_percentiles([(buckets, used)]) if pooled else 0
        times: Floats = np.power(latency.BASE, buckets - shift)
        return times

    def _node_percentiles(self, given: Sequence[tuple[NDArray[np.int16], NDArray[np.bool_]]]) -> Floats:
        """Return, of each row, the bucket of its node's 95th percentile."""
        found = np.zeros(len(self._nodes))
        for place in range(len(found)):
            mine = self.node == place
            times = np.concatenate([buckets[used & mine] for buckets, used in given])
            if len(times):
                found[place] = np.percentile(times, 95.0, method="inverted_cdf")
        return np.asarray(found[self.node.astype(np.int64)], np.float64)

    def _weight_of_arm(self, slots: NDArray[np.bool_], held: NDArray[np.bool_]) -> Floats:
        """Return one over the probability that an execution is on its side; the sample's share is that of both."""
        holdout = self.of_kind(lambda kind: kind.holdout)
        sample = self.of_kind(lambda kind: kind.sample if kind.sample is not None else 1.0)
        ordinary = 1.0 - holdout
        with np.errstate(invalid="ignore", divide="ignore"):
            adaptive = np.clip(self.rows.probability / (sample * ordinary), 0.0, 1.0)
        told = slots & (self.rows.probability > 0.0) & (adaptive > 0.0)
        weight = np.where(held, 1.0 / np.where(slots, holdout, 1.0), 1.0 / ordinary)
        weight = np.where(told & ~held, weight / np.where(told, adaptive, 1.0), weight)
        return np.where(slots, weight, self._weight_by_hour(held))

    def _weight_by_hour(self, held: NDArray[np.bool_]) -> Floats:
        """Return one over the share of its arm among the executions of its node and hour."""
        arm = self.of_kind(lambda kind: kind.latency_arm is not None) > 0.0
        hours = (self.rows.time - self.which.chosen.start) // HOUR
        place = self.node.astype(np.int64) * (int(hours.max(initial=0)) + 1) + hours
        size = int(place.max(initial=0)) + 1
        could = self._could_be_shadowed() > 0.0
        every = np.bincount(place[could], minlength=size)
        sides = [np.bincount(place[arm & (held == side)], minlength=size) for side in (False, True)]
        with np.errstate(invalid="ignore", divide="ignore"):
            weights = [np.where(side > 0, every / side, 1.0) for side in sides]
        found: Floats = np.where(held, weights[1][place], weights[0][place])
        return found

    def _configurations(self) -> list[tuple[ExecutionKind, NDArray[np.bool_]]]:
        """Return the configurations of slots that occur, each with its rows."""
        places: dict[tuple[str, float, float], list[int]] = {}
        for place, kind in enumerate(self.kinds):
            if kind.holdout and kind.slot_seconds:
                places.setdefault((kind.service, kind.holdout, kind.slot_seconds), []).append(place)
        return [(self.kinds[found[0]], np.isin(self.rows.kind, found)) for found in places.values()]

    def _washed_out(self, used: NDArray[np.bool_]) -> NDArray[np.bool_]:
        found = np.zeros(len(self.rows), bool)
        for kind, rows in self._configurations():
            at = np.flatnonzero(rows & used)
            found[at] = washouts(self.rows.time[at], kind.service, kind.holdout or 0.0, kind.slot_seconds or 0.0)
        return found

    def _blocks(self, used: NDArray[np.bool_]) -> Ints:
        """Return each row's block, numbered from 0."""
        found, numbered = np.zeros(len(self.rows), np.int64), 0
        for kind, rows in self._configurations():
            at = np.flatnonzero(rows & used)
            if len(at):
                numbers = block_numbers(self.rows.time[at], kind.holdout or 0.0, kind.slot_seconds or 0.0)
                found[at] = numbers - numbers.min() + numbered
                numbered += int(numbers.max() - numbers.min()) + 1
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
    multiple = values / unit
    code = np.rint(multiple)
    if code.max() < _FEW and (np.abs(multiple - code) <= 1e-6 * np.maximum(code, 1.0)).all():
        return code.astype(np.int64), np.round(np.arange(int(code.max()) + 1) * unit, _DIGITS)
    found, place = np.unique(np.round(values, _DIGITS), return_inverse=True)
    return place.ravel(), found


_NONE = np.empty(0, np.float64)
_NOBODY: Final = WeightedSessions(_NONE, _NONE, _NONE, _NONE)
