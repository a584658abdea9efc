"""Which executions are the same one: a retry calls the same prepared task again, a resume prepares it anew."""

from __future__ import annotations

import itertools
import weakref
from collections import deque
from functools import partial
from typing import Any

_NEXT = itertools.count().__next__
_GENERATIONS: dict[int, tuple[weakref.ref[deque[Any]], int]] = {}


def generation(writes: deque[Any]) -> int:
    """A number per prepared task: a retry reuses the task's queue of writes, any other execution has a new one."""
    key = id(writes)
    known = _GENERATIONS.get(key)
    if known is not None and known[0]() is writes:
        return known[1]
    number = _NEXT()
    _GENERATIONS[key] = (weakref.ref(writes, partial(_forget, key, number)), number)
    return number


def _forget(key: int, number: int, _: Any) -> None:
    if (known := _GENERATIONS.get(key)) is not None and known[1] == number:
        _GENERATIONS.pop(key, None)
