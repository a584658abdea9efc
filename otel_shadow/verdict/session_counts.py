"""Which executions are judged, and closed sessions by slot of the window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otel_shadow.verdict.execution_kind import Unit
from otel_shadow.verdict.executions import Rows, Summary
from otel_shadow.verdict.latency import count_codes
from otel_shadow.verdict.sequential import Counts

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Slice:
    """What is counted: which build, from when to when, and where the slots begin. Times in ms since 1970.

    A slot is a stretch of the window; sessions belong to the slot of their first execution. ``edges`` are the starts
    of the slots after the first; ``go_slots`` is how many slots the whole cycles hold. ``without_rate_limited``: V2s
    that were told 429 are left out of the handoff rate.
    """

    build: Unit
    start: int
    at: int
    idle: int
    edges: tuple[int, ...]
    go_slots: int
    without_rate_limited: bool = False


@dataclass(frozen=True, slots=True)
class Slots:
    """Closed sessions by slot, successes and turns. ``halves``: k counts half successes (relative parity)."""

    slot: Ints
    k: Ints
    n: Ints
    sessions: NDArray[np.float64]
    halves: bool = False

    @classmethod
    def of(cls, slot: Ints, k: Ints, n: Ints, halves: bool = False) -> Slots:
        """Return slots of sessions given one by one; those without turns are left out."""
        used = n > 0
        return cls._counted(slot[used], k[used], n[used], None, halves)

    @classmethod
    def merged(cls, parts: Sequence[Slots]) -> Slots:
        """Return the sums of all parts."""
        slot, k, n = (np.concatenate([getattr(part, name) for part in parts]) for name in ("slot", "k", "n"))
        return cls._counted(slot, k, n, np.concatenate([part.sessions for part in parts]), parts[0].halves)

    @classmethod
    def _counted(cls, slot: Ints, k: Ints, n: Ints, weights: NDArray[np.float64] | None, halves: bool) -> Slots:
        k_size, n_size = int(k.max(initial=0)) + 1, int(n.max(initial=0)) + 1
        size = (int(slot.max(initial=0)) + 1) * k_size * n_size
        found, sessions = count_codes((slot * k_size + k) * n_size + n, size, weights)
        rest, turns = np.divmod(found, n_size)
        where, successes = np.divmod(rest, k_size)
        return cls(where, successes, turns, sessions, halves)

    def counts(self, chosen: NDArray[np.bool_] | None = None) -> Counts:
        """Return counts of all slots, or of the chosen rows."""
        rows = slice(None) if chosen is None else chosen
        scale = 0.5 if self.halves else 1.0
        return Counts.of(self.k[rows] * scale, self.n[rows], self.sessions[rows])

    def before(self, slot: int) -> Counts:
        """Return counts of the slots before ``slot``."""
        return self.counts(self.slot < slot)

    def by_group(self, groups: Sequence[Sequence[int]]) -> tuple[Counts, NDArray[np.float64]]:
        """Return counts of all groups of slots together, and the sessions of each cell (rows) and group (columns)."""
        width = int(self.n.max(initial=0)) + 1
        cells, cell = np.unique(self.k * width + self.n, return_inverse=True)
        owner = np.full(int(self.slot.max(initial=0)) + 1, -1)
        for group, slots in enumerate(groups):
            owner[[slot for slot in slots if slot < len(owner)]] = group
        mine = owner[self.slot]
        used = mine >= 0
        place = cell.ravel()[used] * len(groups) + mine[used]
        sessions = np.bincount(place, weights=self.sessions[used], minlength=len(cells) * len(groups))
        k, n = np.divmod(cells, width)
        scale = 0.5 if self.halves else 1.0
        by_group = np.asarray(sessions.reshape(len(cells), len(groups)), np.float64)
        return Counts(k * scale, n.astype(np.float64), by_group.sum(axis=1)), by_group


def within(summary: Summary, chosen: Slice) -> Rows:
    """Return the rows of a slice's build and time."""
    return Rows.joined(parts_within(summary, chosen))


def parts_within(summary: Summary, chosen: Slice) -> list[Rows]:
    """Return the rows of a slice's build and time in pieces, none of them empty."""
    wanted = np.array([item.unit == chosen.build for item in summary.signatures], bool)

    def part_of(rows: Rows) -> Rows:
        mask = (rows.time >= chosen.start) & (rows.time <= chosen.at)
        if not wanted.all():
            mask &= wanted[rows.kind]
        return rows if mask.all() else rows.where(mask)

    return [part for part in map(part_of, summary.parts) if len(part)]
