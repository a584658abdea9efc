"""Which executions are judged, and closed sessions by block of the window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otel_shadow.verdict.dense_codes import dense
from otel_shadow.verdict.execution_kind import Unit
from otel_shadow.verdict.executions import Summary
from otel_shadow.verdict.latency import count_codes
from otel_shadow.verdict.rows import Rows, in_pieces
from otel_shadow.verdict.sequential import Counts

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Slice:
    """What is counted: which build, from when to when, and in which blocks. Times in ms since 1970.

    Sessions belong to the block of their first execution, numbered from the start; ``block`` is its length. The whole
    cycles end at ``go_end``. ``without_rate_limited``: V2s that were told 429 are left out of the handoff rate.
    """

    build: Unit
    start: int
    at: int
    idle: int
    block: int = 1
    go_end: int = 0
    without_rate_limited: bool = False


@dataclass(frozen=True, slots=True)
class Blocks:
    """Closed sessions by block, successes and turns. ``halves``: k counts half successes (relative parity)."""

    block: Ints
    k: Ints
    n: Ints
    sessions: NDArray[np.float64]
    halves: bool = False

    @classmethod
    def of(cls, block: Ints, k: Ints, n: Ints, halves: bool = False) -> Blocks:
        """Return blocks of sessions given one by one; those without turns are left out."""
        used = n > 0
        return cls._counted(block[used], k[used], n[used], None, halves)

    @classmethod
    def merged(cls, parts: Sequence[Blocks]) -> Blocks:
        """Return the sums of all parts."""
        block, k, n = (np.concatenate([getattr(part, name) for part in parts]) for name in ("block", "k", "n"))
        return cls._counted(block, k, n, np.concatenate([part.sessions for part in parts]), parts[0].halves)

    @classmethod
    def _counted(cls, block: Ints, k: Ints, n: Ints, weights: NDArray[np.float64] | None, halves: bool) -> Blocks:
        place, blocks = dense(block)
        k_size, n_size = int(k.max(initial=0)) + 1, int(n.max(initial=0)) + 1
        found, sessions = count_codes((place * k_size + k) * n_size + n, len(blocks) * k_size * n_size, weights)
        rest, turns = np.divmod(found, n_size)
        where, successes = np.divmod(rest, k_size)
        return cls(blocks[where], successes, turns, sessions, halves)

    def counts(self) -> Counts:
        """Return counts of all blocks."""
        return Counts.of(self.k * (0.5 if self.halves else 1.0), self.n, self.sessions)

    def by_block(self) -> tuple[Ints, Counts, NDArray[np.float64]]:
        """Return the blocks with evidence, their counts together, and the sessions of each cell (rows) and block."""
        width = int(self.n.max(initial=0)) + 1
        cells, cell = np.unique(self.k * width + self.n, return_inverse=True)
        place, blocks = dense(self.block)
        sessions = np.bincount(
            cell.ravel() * len(blocks) + place, weights=self.sessions, minlength=len(cells) * len(blocks)
        )
        k, n = np.divmod(cells, width)
        scale = 0.5 if self.halves else 1.0
        by_block = np.asarray(sessions.reshape(len(cells), len(blocks)), np.float64)
        return blocks, Counts(k * scale, n.astype(np.float64), by_block.sum(axis=1)), by_block


def within(summary: Summary, chosen: Slice) -> Rows:
    """Return the rows of a slice's build and time, ordered by session; no copy where it is all that there is.

    What a shadow run has caused is no traffic of production's. The rows that were asked for last are kept: one look
    asks for them several times.
    """
    key = chosen.build, chosen.start, chosen.at
    known = summary.cache.get("within")
    if known is None or known[0] != key:
        rows, mask = summary.rows, _within(summary, chosen)
        known = summary.cache["within"] = key, rows if mask.all() else rows.where(np.flatnonzero(mask))
    found: Rows = known[1]
    return found


def count_within(summary: Summary, chosen: Slice) -> int:
    """Return how many rows there are of a slice's build and time."""
    return int(np.count_nonzero(_within(summary, chosen)))


def _within(summary: Summary, chosen: Slice) -> NDArray[np.bool_]:
    wanted = np.array([item.unit == chosen.build and not item.caused_by_shadow for item in summary.signatures], bool)
    rows = summary.rows
    mask = (rows.time >= chosen.start) & (rows.time <= chosen.at)
    if not wanted.all():
        mask &= wanted[rows.kind]
    return np.asarray(mask, np.bool_)


def parts_within(summary: Summary, chosen: Slice) -> Sequence[Rows]:
    """Return the same in pieces of whole sessions, none of them empty."""
    return in_pieces(within(summary, chosen))
