"""Executions as columns: joined, chosen from, put in the order of their sessions, and cut into pieces."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from otel_shadow.verdict.hashes import NO_PAIR
from otel_shadow.verdict.parallel import in_parallel

_NONE: Final = slice(0, 0)


@dataclass(frozen=True, slots=True)
class Rows:
    """Executions as columns of equal length.

    Arguments:
        pair: identity of the pair and the kind of its line; 0 has none and is never a duplicate.
        session: identity of the session.
        time: milliseconds since 1970 (UTC) of V1's start.
        kind: index into the summary's signatures.
        v1, v2: latency buckets (``latency.buckets``), ``latency.NONE`` where there is none.
        probability: with which such an execution was shadowed; 0 where it was not told.
        process: identity of the process that wrote the line; 0 where it was not told.
        sequence: number of the line among those of its process, graph, node and event; 0 where it was not told.
        overhead: latency bucket of the time that shadowing added on V1's path; ``latency.NONE`` where it was not told.
    """

    pair: NDArray[np.uint64]
    session: NDArray[np.uint64]
    time: NDArray[np.int64]
    kind: NDArray[np.int32]
    v1: NDArray[np.int16]
    v2: NDArray[np.int16]
    probability: NDArray[np.float32]
    process: NDArray[np.uint64]
    sequence: NDArray[np.uint32]
    overhead: NDArray[np.int16]

    @classmethod
    def empty(cls) -> Rows:
        """Return rows of no execution."""
        ids = np.empty(0, np.uint64)
        none = np.empty(0, np.int16)
        return cls(
            ids, ids, np.empty(0, np.int64), np.empty(0, np.int32), none, none, np.empty(0, np.float32), ids,
            np.empty(0, np.uint32), none,
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Return all rows of ``parts``."""
        if len(parts) < 2:
            return parts[0] if parts else cls.empty()

        def column(name: str) -> NDArray[Any]:
            return np.concatenate([getattr(part, name) for part in parts])

        return cls(*in_parallel(column, [item.name for item in fields(cls)]))

    def where(self, mask: NDArray[Any] | slice, only: Collection[str] | None = None) -> Rows:
        """Return the rows that ``mask`` (or an index) chooses; of other columns than ``only`` none."""
        names = [item.name for item in fields(self)]
        return Rows(*(getattr(self, name)[mask if only is None or name in only else _NONE] for name in names))

    def __len__(self) -> int:
        return len(self.time)


def numbers(given: NDArray[Any]) -> NDArray[np.uint32]:
    """Return sequence numbers as a column of :class:`Rows`: what is none, or no such number, was not told."""
    with np.errstate(invalid="ignore"):
        return np.where((given >= 1.0) & (given < 2.0**32), given, 0.0).astype(np.uint32)


def probabilities(given: NDArray[Any]) -> NDArray[np.float32]:
    """Return probabilities as a column of :class:`Rows`: what is none, or not in (0, 1], was not told."""
    with np.errstate(invalid="ignore"):
        return np.where((given > 0.0) & (given <= 1.0), given, 0.0).astype(np.float32)


_PIECE: Final = 1 << 19
"""Rows of a piece: small pieces of memory that are used again are the fast ones."""


def in_pieces(rows: Rows) -> Sequence[Rows]:
    """Return rows, which are ordered by session, in pieces of whole sessions; none of them is empty."""
    ends = [0]
    for place in range(_PIECE, len(rows), _PIECE):
        ends.append(int(np.searchsorted(rows.session, rows.session[place])))
    ends = [*dict.fromkeys(ends), len(rows)]
    return [rows.where(slice(first, last)) for first, last in pairwise(ends) if last > first]


def by_session(parts: Sequence[Rows]) -> Rows:
    """Return all rows ordered by session: by ranges of the identities, which are hashes, and each range by itself."""
    count = 1 << max(sum(map(len, parts)) // _PIECE, 0).bit_length()
    if count == 1:
        rows = Rows.joined(parts)
        return rows.where(np.argsort(rows.session, kind="stable"))
    owners = [(part.session >> np.uint64(64 - count.bit_length() + 1)).astype(np.uint16) for part in parts]
    sizes = sum(np.bincount(owner, minlength=count) for owner in owners)
    ends = np.r_[0, np.cumsum(sizes)]
    found = Rows(*(np.empty(int(ends[-1]), getattr(parts[0], item.name).dtype) for item in fields(Rows)))

    def fill(place: int) -> None:
        mine = [np.flatnonzero(owner == place) for owner in owners]
        order = np.argsort(np.concatenate([part.session[at] for part, at in zip(parts, mine, strict=True)]))
        for item in fields(Rows):
            column = np.concatenate([getattr(part, item.name)[at] for part, at in zip(parts, mine, strict=True)])
            getattr(found, item.name)[ends[place] : ends[place + 1]] = column[order]

    in_parallel(fill, range(count))
    return found


_RANGES = 16


def repeat_a_pair(pairs: Sequence[NDArray[np.uint64]]) -> bool:
    """Return whether any pair occurs twice: sorted piece by piece, then compared range by range, on all cores."""
    told = in_parallel(_sorted, pairs)
    bounds = np.array([(place << 64) // _RANGES for place in range(1, _RANGES)], np.uint64)
    cuts = [(piece, np.r_[0, np.searchsorted(piece, bounds), len(piece)]) for piece in told]

    def repeats(place: int) -> bool:
        together = np.concatenate([piece[cut[place] : cut[place + 1]] for piece, cut in cuts])
        together.sort(kind="stable")  # it finds the sorted runs
        return bool(np.any(together[1:] == together[:-1]))

    return bool(cuts) and any(in_parallel(repeats, range(_RANGES)))


def _sorted(pair: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the pairs that have an identity, ascending."""
    return np.sort(pair[pair != NO_PAIR])
