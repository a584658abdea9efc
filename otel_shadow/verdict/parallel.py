"""Pieces of work on all cores: numpy lets other threads run while it sorts and adds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Work = TypeVar("Work")
Done = TypeVar("Done")
_MOST = 4
"""Threads: beyond these it is the memory that is busy."""


def in_parallel(do: Callable[[Work], Done], pieces: Sequence[Work]) -> Iterable[Done]:
    """``do`` of every piece, in their order."""
    if len(pieces) < 2:
        return [do(piece) for piece in pieces]
    with ThreadPoolExecutor(min(_MOST, os.cpu_count() or 1)) as pool:
        return list(pool.map(do, pieces))
