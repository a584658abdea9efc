"""The lines of one side of a ratio, as far as the limits of its 95th percentile can reach: the slowest of them.

A limit asks how much of each unit (a block of time, a session) is slower than some time near the percentile, and how
large the units are. So of all lines the slowest are kept, sorted once, and of the others what their units add up to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from otel_shadow.verdict.dense_codes import multiples

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Units = NDArray[np.integer]

ABOVE: Final = 0.05
"""Share of the lines above the 95th percentile."""
_MANY: Final = 1 << 14
"""Sizes of units that are told apart."""
_REMEMBERED: Final = 1 << 12
"""Terms up to which those of a time are kept for the next window that asks for it."""

Terms = tuple[Floats, Floats]
"""What units contribute, and how many contribute so much."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Units by their weight: where weights are few, so are the sizes, and one term stands for thousands of units.

    Arguments:
        of_unit: which size each unit has.
        values: weight of a unit of each size.
        counts: units of each size.
    """

    of_unit: Ints
    values: Floats
    counts: Floats

    @classmethod
    def of(cls, total: Floats, least: float) -> Sizes:
        """Return the sizes of units; ``least`` is the smallest weight of a line."""
        code = multiples(total, least, _MANY)
        if code is None:
            if len(total) < 4 * _MANY:
                _, code = np.unique(total, return_inverse=True)
            if code is None or code.max() >= _MANY:
                # So finely that the means of the classes give the same chance to nine digits.
                ends = math.log(float(total[total > 0.0].min())), math.log(float(total.max()))
                with np.errstate(divide="ignore"):
                    part = (np.log(total) - ends[0]) / max(ends[1] - ends[0], 1e-300)
                code = np.where(total > 0.0, 1.0 + np.floor(np.maximum(part, 0.0) * _MANY), 0.0).astype(np.int64)
        counts = np.bincount(code).astype(np.float64)
        values = np.bincount(code, total) / np.maximum(counts, 1.0)
        return cls(code, values, counts)


@dataclass(frozen=True)
class SideLines:
    """One side's lines of some units: the slowest, from the slowest on, and the sums of all.

    Arguments:
        unit: of each line that is kept: the number of its block or session, the same on both sides of a ratio.
        time: of each, in any unit.
        weight: of each: one over the probability with which it is there.
        units: numbers of the units with a line, kept or not, ascending.
        total: weight of each of these.
        lines: how many there are, kept or not.
        heaviest, lightest: largest and smallest weight of a line.
        floor: no line is missing that takes so long.
    """

    unit: Units
    time: Floats
    weight: Floats
    units: Units
    total: Floats
    lines: int
    heaviest: float
    lightest: float
    floor: float = -math.inf

    @classmethod
    def of(cls, unit: Units, time: Floats, weight: Floats) -> SideLines:
        """Return all lines of some units, in any order."""
        order = np.argsort(-time, kind="stable")
        ends = float(weight.max(initial=0.0)), float(weight.min(initial=math.inf))
        return cls(unit[order], time[order], weight[order], *unit_totals(unit, weight), len(time), *ends)

    @classmethod
    def joined(cls, pieces: Sequence[SideLines]) -> SideLines:
        """Return the lines of all pieces, whose units may be the same."""
        floor = max(piece.floor for piece in pieces)
        unit, time, weight = (
            np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("unit", "time", "weight")
        )
        order = np.argsort(-time, kind="stable")
        if not math.isinf(floor):
            order = order[time[order] >= floor]
        units, total = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("units", "total"))
        return cls(
            unit[order],
            time[order],
            weight[order],
            *unit_totals(units, total),
            sum(piece.lines for piece in pieces),
            max(piece.heaviest for piece in pieces),
            min(piece.lightest for piece in pieces),
            floor,
        )

    @cached_property
    def _ends(self) -> Ints:
        """Of each time that occurs, from the slowest on, how many lines are no faster."""
        if not len(self.time):
            return np.empty(0, np.int64)
        return np.append(np.flatnonzero(self.time[1:] != self.time[:-1]) + 1, len(self.time)).astype(np.int64)

    @cached_property
    def times(self) -> Floats:
        """The times that occur, from the slowest on."""
        return np.asarray(self.time[self._ends - 1])

    @cached_property
    def _reached(self) -> Floats:
        return np.asarray(np.cumsum(self.weight)[self._ends - 1])

    def until(self, times: Floats) -> tuple[Ints, Floats]:
        """Return, of each time, how many lines are no faster, and what they weigh; both are cumulative."""
        if times is self.times:
            return self._ends, self._reached
        place = np.searchsorted(-self.times, -times, side="right")
        return np.r_[0, self._ends][place], np.r_[0.0, self._reached][place]

    @cached_property
    def alone(self) -> UnitsApart:
        """The units, where no other lines belong to them."""
        return UnitsApart(self)


def unit_totals(unit: Units, weight: Floats) -> tuple[Units, Floats]:
    """Return the units that have a line, ascending, and the weight of each."""
    if not len(unit):
        return unit, np.empty(0)
    low, of_all = unit.min(), float(weight.min())
    total = np.bincount(unit - low, weight) if weight.max() > of_all else np.bincount(unit - low) * of_all
    units = np.flatnonzero(total)
    return (units + low).astype(unit.dtype), np.asarray(total[units], np.float64)


class UnitsApart:
    """Units whose lines are all on one piece of a side.

    Units are numbered by their slowest line: the slowest lines belong to the first units.
    """

    def __init__(self, side: SideLines) -> None:
        self._weight = side.weight
        sizes = Sizes.of(side.total, side.lightest) if len(side.units) else None
        self.values, self.counts = (sizes.values, sizes.counts) if sizes else (np.empty(0), np.empty(0))
        """Weight of a unit of each size, and the units of each size."""
        place = np.searchsorted(side.units, side.unit)
        first = np.full(len(side.units), len(place), np.int64)
        first[place[::-1]] = np.arange(len(place))[::-1]
        found = place[first[place] == np.arange(len(place))]
        number = np.empty(len(side.units), np.int64)
        number[found] = np.arange(len(found))
        self._unit, self._total = number[place], side.total[found]
        self._size = sizes.of_unit[found] if sizes else np.empty(0, np.int64)
        codes = multiples(side.weight, side.lightest, _MANY) if len(place) else None
        self._step = (
            side.lightest if codes is not None and multiples(side.total, side.lightest, _MANY) is not None else 0.0
        )
        self._known: dict[int, tuple[Terms, Floats]] = {}

    def terms(self, first: int) -> tuple[Terms, Floats]:
        """Return .05 N − A of the units of the ``first`` slowest lines A, and how many units of each size the others
        are."""
        if first in self._known:
            return self._known[first]
        slow = np.asarray(np.bincount(self._unit[:first], self._weight[:first]) if first else np.empty(0), np.float64)
        size, total = self._size[: len(slow)], self._total[: len(slow)]
        others = self.counts - np.bincount(size, minlength=len(self.counts))
        found = self._terms(size, total, slow), others
        if len(found[0][0]) <= _REMEMBERED:
            self._known[first] = found
        return found

    def _terms(self, size: Ints, total: Floats, slow: Floats) -> Terms:
        if self._step and len(slow):
            code = np.rint(slow / self._step).astype(np.int64)
            width = int(code.max()) + 1
            counts = np.bincount(size * width + code)
            used = np.flatnonzero(counts)
            of_size, of_code = np.divmod(used, width)
            return ABOVE * self.values[of_size] - of_code * self._step, counts[used].astype(np.float64)
        own, alike = np.unique(ABOVE * total - slow, return_counts=True)
        return own, alike.astype(np.float64)
