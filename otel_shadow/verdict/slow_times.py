"""Which times count as slow: from which bucket on the lines of each cycle are kept, and each node's 95th percentile."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from otel_shadow.verdict.cycle_rows import CyclePart, CycleRows
from otel_shadow.verdict.node_percentiles import BucketCounts, node_percentiles

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Buckets = NDArray[np.int16]

_FEW: Final = 1 << 14
"""Lines of all cycles up to which all are kept."""
_DEPTHS: Final = (0.05, 0.25, 1.0)
"""Share of a cycle's lines that is kept; each more where a limit lies below the one before."""
_BEYOND: Final = 8.0
"""Roots of the number of lines that are kept beyond a twentieth: limits lie a few from it."""
_SMALL: Final = 0.05
"""Part of the mean cycle's lines below which a cycle says nothing of how slow the others' limits may be."""
EVERYTHING: Final = len(_DEPTHS) - 1
"""The depth at which all lines are kept."""


@dataclass(frozen=True, slots=True)
class CycleTimes:
    """How many lines of one side fell into each bucket, by cycle and node.

    Arguments:
        cycle, node, bucket: places and numbers; of each that occurs together.
        lines: how many.
    """

    cycle: Ints
    node: Ints
    bucket: Ints
    lines: Floats

    @classmethod
    def of(cls, rows: CycleRows, chosen: Callable[[CyclePart], tuple[Ints, Buckets]]) -> CycleTimes:
        """Return the counts of the rows that ``chosen`` returns of each part: their places, and the buckets of all."""
        nodes = len(rows.table.nodes)

        def count(part: CyclePart) -> BucketCounts:
            at, buckets = chosen(part)
            cell = part.node[at].astype(np.int32)
            for number, mine in part.by_cycle(at):
                cell[mine] += int(np.searchsorted(rows.numbers, number)) * nodes
            return BucketCounts.of(cell, buckets[at])

        found = BucketCounts.joined(rows.each(count))
        cycle, node = np.divmod(found.cell, max(nodes, 1))
        return cls(cycle, node, found.bucket, found.lines)

    def of_nodes(self, members: NDArray[np.bool_] | None) -> CycleTimes:
        """Return the counts of some nodes; None: of all."""
        if members is None:
            return self
        mine = members[self.node]
        return CycleTimes(self.cycle[mine], self.node[mine], self.bucket[mine], self.lines[mine])

    def shifted(self, shift: Ints) -> CycleTimes:
        """Return the counts of buckets less each node's ``shift``."""
        return CycleTimes(self.cycle, self.node, self.bucket - shift[self.node], self.lines)

    def floors(self, depth: int) -> dict[int, int] | None:
        """Return of each cycle the bucket from which on lines are kept; None where all are."""
        if depth == EVERYTHING or self.lines.sum() <= _FEW:
            return None
        own, sizes = {}, {}
        for cycle in np.unique(self.cycle).tolist():
            mine = self.cycle == cycle
            lines = float(self.lines[mine].sum())
            own[cycle] = _reached(
                self.bucket[mine], self.lines[mine], _DEPTHS[depth] * lines + _BEYOND * math.sqrt(lines)
            )
            sizes[cycle] = lines
        # In a cycle that is slower than the others more lines are as slow as the percentile of all.
        told = [own[cycle] for cycle, lines in sizes.items() if lines >= _SMALL * sum(sizes.values()) / len(sizes)]
        least = max(min(told), _reached(self.bucket, self.lines, _DEPTHS[1] * float(self.lines.sum())))
        return {cycle: min(floor, least) for cycle, floor in own.items()}


def _reached(bucket: Ints, lines: Floats, wanted: float) -> int:
    """Return the highest bucket from which on there are so many lines."""
    order = np.argsort(-bucket, kind="stable")
    place = int(np.searchsorted(np.cumsum(lines[order]), min(wanted, float(lines.sum()))))
    return int(bucket[order][min(place, len(order) - 1)])


def percentiles(counts: Sequence[CycleTimes], nodes: int) -> Ints:
    """Return the bucket of each node's 95th percentile, of all sides together."""
    columns = (np.concatenate([getattr(one, name) for one in counts]) for name in ("node", "bucket", "lines"))
    node, bucket, lines = columns
    return node_percentiles(node, bucket, lines, nodes)
