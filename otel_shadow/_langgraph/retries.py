"""A retry is no new pair: the same prepared task called again. A resume prepares it anew, under the same id."""

from __future__ import annotations

import weakref
from collections import deque
from functools import partial
from typing import Any

_CALLED: dict[int, weakref.ref[deque[Any]]] = {}


def called_before(writes: deque[Any]) -> bool:
    """Whether a task with this very queue of writes was called before: a retry uses it again, nothing else does."""
    key = id(writes)
    known = _CALLED.get(key)
    if known is not None and known() is writes:
        return True
    _CALLED[key] = weakref.ref(writes, partial(_forget, key))
    return False


def _forget(key: int, gone: weakref.ref[deque[Any]]) -> None:
    if _CALLED.get(key) is gone:
        _CALLED.pop(key, None)
