"""Each node's 95th percentile of its times, from how many of them fell into each bucket."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otel_shadow.verdict.latency import count_codes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Buckets = NDArray[np.int16]
_BITS = 16
_LOWEST = -(1 << 15)


@dataclass(frozen=True, slots=True)
class BucketCounts:
    """How many times fell into each bucket, apart for every cell (a node, or a node in one cycle).

    Arguments:
        cell, bucket: of each that occurs together, ascending by cell and bucket.
        lines: how many times.
    """

    cell: Ints
    bucket: Ints
    lines: Floats

    @classmethod
    def of(cls, cell: NDArray[np.integer], bucket: Buckets) -> BucketCounts:
        """Return the counts of times given one by one."""
        if not len(cell):
            return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
        code = cell.astype(np.int64)
        code <<= _BITS
        code += bucket
        low = int(code.min())
        code -= low
        found, lines = count_codes(code, int(code.max()) + 1)
        return cls._of_codes(found + low, lines)

    @classmethod
    def joined(cls, parts: Sequence[BucketCounts]) -> BucketCounts:
        """Return the sums of all parts."""
        if len(parts) == 1:
            return parts[0]
        code = np.concatenate([np.empty(0, np.int64), *((one.cell << _BITS) + one.bucket for one in parts)])
        lines = np.concatenate([np.empty(0), *(one.lines for one in parts)])
        found, place = np.unique(code, return_inverse=True)
        return cls._of_codes(found, np.asarray(np.bincount(place.ravel(), lines, len(found)), np.float64))

    @classmethod
    def _of_codes(cls, found: Ints, lines: Floats) -> BucketCounts:
        cell = (found - _LOWEST) >> _BITS
        return cls(cell, found - (cell << _BITS), lines)


def node_percentiles(node: Ints, bucket: Ints, lines: Floats, nodes: int) -> Ints:
    """Return the bucket of each node's 95th percentile; 0 where a node has no time.

    Arguments:
        node, bucket, lines: how many times of a node fell into a bucket, in any order.
        nodes: how many nodes there are.
    """
    found = np.zeros(nodes, np.int64)
    for place in np.unique(node).tolist():
        mine = node == place
        found[place] = _percentile(bucket[mine], lines[mine])
    return found


def _percentile(bucket: Ints, lines: Floats) -> int:
    """Return the lowest bucket up to which there are 95 % of some times, as NumPy's ``inverted_cdf`` has it."""
    order = np.argsort(bucket, kind="stable")
    until = np.cumsum(lines[order])
    before = math.ceil(float(until[-1]) * 0.95 - 1.0)
    return int(bucket[order][int(np.searchsorted(until, max(before, 0), side="right"))])
