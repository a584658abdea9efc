"""Values that an object computes once, without a lock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from typing import Any, TypeVar

T = TypeVar("T")


class cached(cached_property[T]):
    """A cached property whose value two threads may compute at once, and both the same.

    That of Python 3.11 holds one lock for all objects of a class: for ever, in a process that is forked while a thread
    of its parent computes such a value.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        super().__init__(function)
        self.lock = nullcontext()
