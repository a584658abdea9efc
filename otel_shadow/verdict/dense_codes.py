"""Whole numbers with holes (cycles, hours, blocks of slots) numbered anew: tables of them are as long as the evidence.

A calendar is longer than any evidence: between a line of 1970 and one of 2190 lie two million hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
_FEW = 16
"""Codes up to which they are looked for one by one."""
_ROOMY = 4
"""Times as many numbers as values up to which a table of all numbers is worth its memory."""


def dense(values: NDArray[Any]) -> tuple[Ints, Ints]:
    """Return, of each value, its place among those that occur, and these, ascending.

    Arguments:
        values: whole numbers.
    """
    if not len(values):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    low, high = int(values.min()), int(values.max())
    if high - low > _ROOMY * len(values) + 1024:
        found, place = np.unique(values, return_inverse=True)
        return place.ravel().astype(np.int64), found.astype(np.int64)
    shifted = values.astype(np.int64) - low
    present = np.bincount(shifted) > 0
    return (np.cumsum(present) - 1)[shifted], np.flatnonzero(present) + low


def multiples(values: NDArray[np.float64], unit: float, most: int) -> Ints | None:
    """Return which multiple of ``unit`` each value is; None where one is none, or one is ``most`` times or more."""
    multiple = values / unit
    code = np.rint(multiple)
    if code.max(initial=0.0) >= most or (np.abs(multiple - code) > 1e-6 * np.maximum(code, 1.0)).any():
        return None
    return code.astype(np.int64)


def split(codes: NDArray[Any]) -> Iterator[tuple[int, Ints]]:
    """Yield each code that occurs, ascending, with the places where it stands, ascending."""
    if not len(codes):
        return
    low, high = int(codes.min()), int(codes.max())
    if high - low < _FEW:
        for code in range(low, high + 1):
            if len(at := np.flatnonzero(codes == code)):
                yield code, at
        return
    order = np.argsort(codes, kind="stable")
    ends = np.r_[np.flatnonzero(np.diff(codes[order])) + 1, len(order)]
    for start, end in zip(np.r_[0, ends[:-1]].tolist(), ends.tolist(), strict=True):
        yield int(codes[order[start]]), order[start:end]
