"""From executions to the lines of the two ratios of times, cycle by cycle, the slowest of them sorted once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from otel_shadow.verdict import latency
from otel_shadow.verdict.cycle_rows import CyclePart, CycleRows
from otel_shadow.verdict.ratio_history import RatioCycle, RatioHistory
from otel_shadow.verdict.side_lines import SideLines, Units, unit_totals
from otel_shadow.verdict.slow_times import CycleTimes, percentiles

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Buckets = NDArray[np.int16]

_WIDE: Final = 1 << 16
Pieces = dict[int, Sequence[SideLines]]
"""Of each cycle's number its lines of one part, in one kind of units after the other."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """What the buckets of one side mean.

    Arguments:
        shift: of each node, in buckets: its times are told in units of this one; None: of all the same.
        low: the lowest bucket.
        table: times of the buckets from ``low`` on.
        floors: of each cycle's number the bucket from which on lines are kept; None: all are.
    """

    shift: Ints | None
    low: int
    table: Floats
    floors: dict[int, int] | None

    def pieces(
        self,
        part: CyclePart,
        at: Ints,
        buckets: Buckets,
        weight: Floats,
        units: Sequence[Units],
        like: Pieces | None = None,
    ) -> Pieces:
        """Return the lines of a part.

        Arguments:
            at: their places, ascending.
            buckets: of all rows of the part.
            weight: of each line.
            units: numbers of all rows' units, in one kind after the other.
            like: the other side, where it has the same places and weights.
        """
        bucket = buckets[at].astype(np.int32) - self.low
        if self.shift is not None:
            bucket -= self.shift[part.node[at]].astype(np.int32)
        downward = len(self.table) - 1 - bucket
        if len(self.table) <= _WIDE:
            downward = downward.astype(np.uint16)
        found: Pieces = {}
        for number, mine in part.by_cycle(at):
            floor = 0 if self.floors is None else self.floors[number] - self.low
            of_cycle, heavy = downward[mine], weight[mine]
            chosen = np.flatnonzero(of_cycle <= len(self.table) - 1 - floor)
            chosen = chosen[np.argsort(of_cycle[chosen], kind="stable")]
            time = self.table[len(self.table) - 1 - of_cycle[chosen].astype(np.int64)]
            sorted_weight = heavy[chosen]
            heaviest, lightest = float(heavy.max()), float(heavy.min())
            least = -np.inf if self.floors is None else float(self.table[floor])
            each = []
            for kind, unit in enumerate(units):
                own = unit[at[mine]]
                same = None if like is None else like[number][kind]
                totals = unit_totals(own, heavy) if same is None else (same.units, same.total)
                each.append(SideLines(own[chosen], time, sorted_weight, *totals, len(own), heaviest, lightest, least))
            found[number] = each
        return found


class RatioLines:
    """The times of all cycles, counted by bucket, and the histories of groups of nodes.

    Arguments:
        rows: of all cycles.
        again: makes the rows anew, for the few limits that lie far below the slowest lines.
        depth: how many of the slow lines are kept.
    """

    def __init__(self, rows: CycleRows, again: Callable[[], CycleRows], depth: int = 0) -> None:
        self._rows, self._table, self._again, self._depth = rows, rows.table, again, depth

    def arms(self, nodes: Mask | None, *, pooled: bool) -> tuple[RatioHistory, ...]:
        """Return V1's times, ordinary slots against holdout slots; in units of blocks and of sessions.

        Arguments:
            nodes: of the group, by their numbers; None: all.
            pooled: whether times are in units of each node's own 95th percentile.
        """
        rows, table = self._rows, self._table
        counts = [one.of_nodes(nodes) for one in self._of_arms]
        scales = _scales(rows, counts, self._depth, pooled=pooled)
        has_blocks = any(len(one.lines) for one in counts) and not self._untold(nodes)

        def lines(part: CyclePart) -> tuple[Pieces, Pieces]:
            units: list[Units] = [part.block, part.session] if has_blocks else [part.session]
            chosen = (part.closed(arm, nodes, part.timed) for arm in (table.ordinary, table.held))
            x, y = (
                scale.pieces(part, at, part.v1, part.arm_weight[at], units)
                for scale, at in zip(scales, chosen, strict=True)
            )
            return x, y

        parts = rows.each(lines)
        return tuple(
            self._history(parts, place, scales, _more_arms, nodes, pooled, together=has_blocks and not place)
            for place in range(1 + has_blocks)
        )

    def after(self, nodes: Mask | None, *, pooled: bool) -> RatioHistory:
        """Return V2's times and V1's of the same requests; the arguments are those of :meth:`arms`."""
        rows = self._rows
        counts = [one.of_nodes(nodes) for one in self._of_requests]
        scales = _scales(rows, counts, self._depth, pooled=pooled)

        def lines(part: CyclePart) -> tuple[Pieces, Pieces]:
            at = part.closed(self._table.same_request, nodes, part.both_timed)
            weight = 1.0 / part.probability[at]
            x = scales[0].pieces(part, at, part.v2, weight, [part.session])
            return x, scales[1].pieces(part, at, part.v1, weight, [part.session], like=x)

        return self._history(rows.each(lines), 0, scales, _more_after, nodes, pooled, together=False)

    def _history(
        self,
        parts: Sequence[tuple[Pieces, Pieces]],
        place: int,
        scales: Sequence[_Scale],
        more: Callable[..., RatioHistory],
        nodes: Mask | None,
        pooled: bool,
        *,
        together: bool,
    ) -> RatioHistory:
        """Return the history in one kind of units; ``together``: a unit may have lines in several pieces."""
        cycles: dict[int, RatioCycle] = {}
        for x, y in parts:
            for number in sorted(x.keys() | y.keys()):
                cycle = cycles.setdefault(number, RatioCycle([], []))
                cycle.x.append(x[number][place] if number in x else _NOTHING)
                cycle.y.append(y[number][place] if number in y else _NOTHING)
        is_whole = all(scale.floors is None for scale in scales)
        deeper = partial(more, self._again, self._depth + 1, place, nodes, pooled)
        return RatioHistory(
            cycles, apart=not together and len(self._rows.parts) > 1, with_more=None if is_whole else deeper
        )

    @cached_property
    def _of_arms(self) -> list[CycleTimes]:
        """Counts of V1's times in ordinary slots, and in holdout slots."""
        return [self._counted(arm, "v1", "timed") for arm in (self._table.ordinary, self._table.held)]

    @cached_property
    def _of_requests(self) -> list[CycleTimes]:
        """Counts of V2's times, and of V1's of the same requests."""
        return [self._counted(self._table.same_request, name, "both_timed") for name in ("v2", "v1")]

    def _counted(self, of_kind: Mask, column: str, timed: str) -> CycleTimes:
        return CycleTimes.of(
            self._rows, lambda part: (part.closed(of_kind, None, getattr(part, timed)), getattr(part, column))
        )

    def _untold(self, nodes: Mask | None) -> bool:
        """Return whether a line with a time does not tell its slots."""
        table = self._table
        untold = (table.ordinary | table.held) & ~table.slotted
        return bool(untold.any()) and any(self._rows.each(lambda part: len(part.closed(untold, nodes, part.timed)) > 0))


def _more_arms(
    again: Callable[[], CycleRows], depth: int, place: int, nodes: Mask | None, pooled: bool
) -> RatioHistory:
    return RatioLines(again(), again, depth).arms(nodes, pooled=pooled)[place]


def _more_after(
    again: Callable[[], CycleRows], depth: int, place: int, nodes: Mask | None, pooled: bool
) -> RatioHistory:
    return RatioLines(again(), again, depth).after(nodes, pooled=pooled)


def _scales(rows: CycleRows, counts: Sequence[CycleTimes], depth: int, *, pooled: bool) -> list[_Scale]:
    """Return the scales of both sides, whose buckets are told by the same table."""
    shift = percentiles(counts, len(rows.table.nodes)) if pooled else None
    told = counts if shift is None else [one.shifted(shift) for one in counts]
    buckets = np.concatenate([one.bucket for one in told])
    if not len(buckets):
        return [_Scale(shift, 0, np.ones(1), None)] * len(told)
    low, high = int(buckets.min()), int(buckets.max())
    table = latency.BASE ** np.arange(low, high + 1, dtype=np.float64)
    floors = [one.floors(depth) for one in told]
    return [
        _Scale(shift, low, table, None if floor is None else {int(rows.numbers[at]): one for at, one in floor.items()})
        for floor in floors
    ]


_NOTHING: Final = SideLines.of(np.empty(0, np.int32), np.empty(0), np.empty(0))
