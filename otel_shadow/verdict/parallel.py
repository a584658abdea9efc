"""Pieces of work on all cores: numpy lets other threads run while it sorts and adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Work = TypeVar("Work")
Done = TypeVar("Done")
_THREADS = 4
"""Beyond these it is the memory that is busy; on fewer cores they take turns."""


def in_parallel(do: Callable[[Work], Done], pieces: Sequence[Work]) -> Iterable[Done]:
    """Return ``do`` of every piece, in their order."""
    if len(pieces) < 2:
        return [do(piece) for piece in pieces]
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(do, pieces))
