"""Long texts and integers deep in a state, found before they are copied.

Pickle encodes a text beyond ASCII, and an integer, as a whole before it says how long it is; and Python keeps the code
of a text with it. To look for them costs nearly half as much as the copy. They are looked for in the first snapshots of
a process, and in the next ones after each long text: where there is none, nobody pays for it, and where one comes all
of a sudden it is copied once.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import chain, islice
from typing import Any

from otel_shadow._runtime.snapshot.refusals import TooLargeError

_FIRST = 100
"""Snapshots of a process that are looked through."""
_NEXT = 1000
"""Snapshots that are looked through after a long text."""
LONG = 2**20
"""Bytes of a long text."""
_MOST = 10_000
"""Values that are looked at in one snapshot."""
_CONTAINERS = (list, tuple, set, frozenset)


class _Lookout:
    """The number of snapshots that are still to be looked through."""

    left = _FIRST

    def saw_long(self) -> None:
        """Note that a long text was copied, or bytes: the next may be longer."""
        self.left = _NEXT

    def refuse_long(self, value: Any, largest: int) -> None:
        """Refuse a ``value`` that holds a text or an integer of more than ``largest`` bytes.

        Raises:
            TooLargeError: it does.
        """
        self.left -= 1
        if _holds_long(value, largest):
            self.left = _NEXT
            raise TooLargeError


lookout = _Lookout()


def _holds_long(value: Any, largest: int) -> bool:
    """Look through ``value`` level by level, not by recursion."""
    level: list[Any] = [value]
    seen: set[int] = set()
    looked_at = 0
    while level:
        looked_at += len(level)
        inner: list[Any] = []
        for item in level:
            cls = type(item)
            if cls is str:
                if len(item) > largest // 4 and str.__sizeof__(item) > largest:
                    return True
            elif cls is int:
                if int.bit_length(item) > 8 * largest:
                    return True
            elif item is not None and id(item) not in seen and (room := _MOST - looked_at - len(inner)) > 0:
                seen.add(id(item))
                inner += _parts(item, cls, room)
        level = inner
    return False


def _parts(item: Any, cls: type, most: int) -> list[Any]:
    """Return at most ``most`` of the values that ``item`` holds."""
    if cls is dict:
        return list(islice(chain(item.keys(), item.values()), most))
    if cls in _CONTAINERS:
        return list(islice(item, most))
    if not issubclass(cls, type):
        with suppress(AttributeError, TypeError):
            return list(islice(object.__getattribute__(item, "__dict__").values(), most))
    return []
