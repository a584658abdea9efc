"""From executions to the evidence of whole cycles: what the tests of a GO look at, by node and together."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from otel_shadow.record import Status
from otel_shadow.verdict import latency
from otel_shadow.verdict.cycle_rows import CyclePart, CycleRows, CycleSlice, Node
from otel_shadow.verdict.dense_codes import multiples, split
from otel_shadow.verdict.executions import Summary
from otel_shadow.verdict.ratio_history import RatioHistory
from otel_shadow.verdict.ratio_lines import RatioLines
from otel_shadow.verdict.share_history import ShareCycle, ShareHistory
from otel_shadow.verdict.weighted_share import SamplingClass, WeightedSessions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_DIGITS: Final = 6
"""Decimals to which weighted sums of a session are told apart."""
_FEW: Final = 1 << 12
"""Values up to which a table of them is worth its memory."""


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
        # Of a long evidence each look's is large: those of the last two times are kept.
        for older in [known for known in summary.cache if known[0] == key[0]][:-1]:
            del summary.cache[older]
        tally = _CycleTally(CycleRows(summary, which), partial(CycleRows, summary, which))
        summary.cache[key] = tuple(tally.of(frozenset(group)) for group in groups)
    found: tuple[CycleEvidence, ...] = summary.cache[key]
    return found


class _CycleTally:
    """Sums of the rows of all cycles.

    Arguments:
        rows: they are not kept by what is made of them.
        again: makes the rows anew, for the few limits that lie far below the slowest lines.
    """

    def __init__(self, rows: CycleRows, again: Callable[[], CycleRows]) -> None:
        self.rows, self.table = rows, rows.table
        self.lines = RatioLines(rows, again)

    def of(self, group: frozenset[Node]) -> CycleEvidence:
        """Return the evidence about one group."""
        table = self.table
        members = np.array([node in group for node in table.nodes], bool)
        nodes = None if members.all() else members
        eligible = self._eligible(nodes)
        agreement = (1.0 - table.of(lambda kind: kind.disagreement)) / 2.0
        matched, kept = table.of(lambda kind: kind.matched), 1.0 - table.of(lambda kind: kind.failed)
        errors = table.of(lambda kind: kind.v1_status == Status.ERROR)
        rate_limits = table.of(lambda kind: kind.v1_rate_limited)
        differences = self._block_differences(nodes, [errors, rate_limits])
        return CycleEvidence(
            parity=self._share(table.compared, nodes, matched, eligible),
            relative=self._share(table.noise, nodes, agreement, eligible),
            handoff=self._share(table.attempted, nodes, kept, eligible),
            arms=self.lines.arms(nodes, pooled=len(group) > 1),
            after=self.lines.after(nodes, pooled=len(group) > 1),
            errors=differences[0],
            rate_limits=differences[1],
            shares_differ=self._shares_differ(nodes),
        )

    # --- shares ------------------------------------------------------------------------------------------------------
    def _eligible(self, nodes: Mask | None) -> dict[int, dict[int, SamplingClass]]:
        """Return, by cycle, the executions that could have been shadowed, by class of their probability."""
        may = self.table.could_be_shadowed | self.table.live

        def count(part: CyclePart) -> list[tuple[int, int, SamplingClass]]:
            at = part.closed(may, nodes)
            return [
                (number, power, one) for number, mine in part.by_cycle(at) for power, one in _classes(part, at[mine])
            ]

        found: dict[int, dict[int, SamplingClass]] = {}
        for number, power, one in (each for parts in self.rows.each(count) for each in parts):
            known = found.setdefault(number, {}).get(power, SamplingClass(one.probability, 0.0))
            least = min(known.probability, one.probability)
            found[number][power] = SamplingClass(least, known.eligible + one.eligible)
        return found

    def _share(
        self, used: Mask, nodes: Mask | None, successes: Floats, eligible: Mapping[int, Mapping[int, SamplingClass]]
    ) -> ShareHistory:
        """Return the sessions' weighted sums of the rows that are ``used``, cycle by cycle.

        Arguments:
            used: of each kind of execution.
            successes: likewise.
        """

        def sums(part: CyclePart) -> list[tuple[int, tuple[Floats, ...]]]:
            at = part.closed(used, nodes)
            if not len(at):
                return []
            session, good = part.session[at], successes[part.kind[at]]
            starts = np.append(0, np.flatnonzero(session[1:] != session[:-1]) + 1)
            ends = np.append(starts[1:], len(at))
            turns = (ends - starts).astype(np.float64)
            if part.one_probability is not None:
                weight = np.array([1.0 / part.one_probability])
                each = [weight * np.diff(np.cumsum(good)[ends - 1], prepend=0.0), weight * turns]
            else:
                weight = 1.0 / part.probability[at]
                each = [np.add.reduceat(one, starts) for one in (weight * good, weight)]
            cycle = np.empty(len(starts), np.int64)
            for number, mine in part.by_cycle(at[starts]):
                cycle[mine] = number
            cycles, sessions = _alike(cycle, [*each, turns], float(weight.min()) / 2.0)
            return [(number, tuple(column[mine] for column in sessions)) for number, mine in split(cycles)]

        found = {number: ShareCycle(_NOBODY, classes) for number, classes in eligible.items()}
        cycles: dict[int, list[tuple[Floats, ...]]] = {}
        for number, columns in (each for parts in self.rows.each(sums) for each in parts):
            cycles.setdefault(number, []).append(columns)
        for number, parts in cycles.items():
            found[number] = ShareCycle(_merged(parts), eligible.get(number, {}))
        return ShareHistory(found)

    # --- blocks and hours --------------------------------------------------------------------------------------------
    def _block_differences(self, nodes: Mask | None, failed: Sequence[Floats]) -> list[Floats]:
        """Return, of each block with V1s in both kinds of slots, how much more often those in ordinary ones fail.

        Arguments:
            failed: of each kind of execution whether it has, one way after the other.
        """
        table = self.table
        counted = table.slotted & (table.ordinary | table.held)
        if not counted.any():
            return [np.empty(0)] * len(failed)
        size = 2 * self.rows.blocks[1]

        def count(part: CyclePart) -> list[Ints]:
            at = part.closed(counted, nodes)
            kind = part.kind[at]
            side = 2 * part.block[at] + part.has(table.held)[at]
            wrong = (np.bincount(side[np.flatnonzero(bad[kind])], minlength=size) for bad in ways)
            return [np.bincount(side, minlength=size), *wrong]

        ways = [bad > 0.0 for bad in failed if (bad > 0.0).any()]
        parts = self.rows.each(count)
        whole, *wrong = (sum(each) for each in zip(*parts, strict=True)) if parts else (np.zeros(size),)
        whole = np.asarray(whole).reshape(-1, 2)
        both = (whole > 0).all(axis=1)
        found = iter(np.asarray(bad).reshape(-1, 2)[both] / whole[both] for bad in wrong)
        rates = [next(found) if (bad > 0.0).any() else np.zeros((int(both.sum()), 2)) for bad in failed]
        return [np.asarray(rate[:, 0] - rate[:, 1], np.float64) for rate in rates]

    def _shares_differ(self, nodes: Mask | None) -> bool:
        """Return whether, of lines that don't tell the slots, two hours hold arms of surely other shares."""
        table, rows = self.table, self.rows
        kinds = [table.untold & arm for arm in (table.held, table.ordinary)]
        if not any(of_kind.any() for of_kind in kinds):
            return False

        def count(part: CyclePart) -> list[Ints]:
            hours = rows.hours[1][part.rows]
            return [np.bincount(hours[part.closed(of_kind, nodes)], minlength=rows.hour_count) for of_kind in kinds]

        parts = rows.each(count)
        held, ordinary = (np.sum(side, axis=0) for side in zip(*parts, strict=True))
        whole = held + ordinary
        if not whole.any():
            return False
        sizes = whole[whole > 0].astype(np.float64)
        lower, upper = _wilson(held[whole > 0] / sizes, sizes)
        with np.errstate(divide="ignore"):
            least, most = np.log(lower / (1.0 - lower)), np.log(upper / (1.0 - upper))
        return bool(least.max() - most.min() > np.log(2.0))


def _classes(part: CyclePart, at: Ints) -> list[tuple[int, SamplingClass]]:
    """Return some executions of a part by class of their probability: its power of two."""
    if part.one_probability is not None:
        return [(math.frexp(part.one_probability)[1] - 1, SamplingClass(part.one_probability, float(len(at))))]
    probability = part.probability[at]
    power = np.frexp(probability)[1] - 1
    low, high = int(power.min()), int(power.max())
    if low == high:
        return [(low, SamplingClass(float(probability.min()), float(len(probability))))]
    classes = ((one, probability[power == one]) for one in range(low, high + 1))
    return [(one, SamplingClass(float(mine.min()), float(len(mine)))) for one, mine in classes if len(mine)]


def _merged(parts: Sequence[tuple[Floats, ...]]) -> WeightedSessions:
    """Return the sessions of all parts of a cycle, those of the same sums once."""
    if len(parts) == 1:
        return WeightedSessions(*parts[0])
    *sums, sessions = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort(sums)
    sums = [column[order] for column in sums]
    new = np.flatnonzero(np.r_[True, np.any([column[1:] != column[:-1] for column in sums], axis=0)])
    successes, weight, turns = (column[new] for column in sums)
    return WeightedSessions(successes, weight, turns, np.add.reduceat(sessions[order], new))


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
