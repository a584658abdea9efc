"""64-bit identities of sessions and pairs: the same in every process, so that summaries can be merged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
NO_PAIR = 0
"""Identity of a pair that has no id: it is never a duplicate."""


def text_hash(text: str) -> int:
    """Return the first eight bytes of the MD5 of ``text``, little endian. No secret depends on it."""
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8], "little")


def text_hashes(texts: Iterable[str]) -> Hashes:
    """Return ``text_hash`` of each, worked out once per distinct text."""
    known: dict[str, int] = {}
    values = []
    for text in texts:
        found = known.get(text)
        if found is None:
            found = known[text] = text_hash(text)
        values.append(found)
    return np.array(values, dtype=np.uint64)


def number_hashes(numbers: NDArray[np.generic]) -> Hashes:
    """Return a bijection of 64-bit integers that spreads them (splitmix64: Steele, Lea, Flood, OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        x = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(x ^ (x >> np.uint64(31)))


def identities(values: object, length: int) -> Hashes:
    """Return identities of an array-like of integers or texts."""
    array = np.asarray(values)
    if array.ndim == 0:
        array = np.broadcast_to(array, (length,))
    if array.dtype.kind in "iu":
        return number_hashes(array)
    return text_hashes(str(value) for value in array.tolist())
