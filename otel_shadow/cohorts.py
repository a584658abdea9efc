"""Consistent hashing of sessions: the same session gets the same numbers in every process, for ever."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

_SCALE = 1.0 / 2**53


_MANY, _OFTEN = 20, 100
"""Executions of one session at one node: more than a conversation has in turns, and more than any has."""


def is_crowd(executions: int, of: int) -> bool:
    """Return whether one session has so many of a node's executions that it is hardly one conversation's.

    It has more than 20 and half of them, or more than 100 and a tenth of them.
    """
    return (executions > _MANY and executions > 0.5 * of) or (executions > _OFTEN and executions > 0.1 * of)


class Cohorts(NamedTuple):
    """Three independent numbers in [0, 1) of one session.

    ``rollout`` decides who is served V2, ``sample`` whose shadow runs, ``noise`` on whom V1 runs twice. They are
    disjoint parts of one digest, so none says anything of another.
    """

    rollout: float
    sample: float
    noise: float


_NO_IDS = frozenset({"null", "none", "undefined", "nan"})
"""What programs write where they have no id: JSON, Python, JavaScript, a table's empty cell."""


def is_id(session_id: str | None) -> bool:
    """Return whether ``session_id`` names a session: it is neither empty nor a word for nothing, such as ``null``."""
    if session_id is None or not session_id or session_id.isspace():
        return False
    return len(session_id) > _LONGEST_NO_ID or session_id.strip().lower() not in _NO_IDS


_LONGEST_NO_ID = 12


def cohorts(session_id: str) -> Cohorts:
    """Return the numbers of ``session_id``: 53 bits each of its BLAKE2b digest (RFC 7693), uniform and keyless."""
    digest = blake2b(session_id.encode("utf-8", "surrogatepass"), digest_size=32, person=b"otel-shadow").digest()
    rollout, sample, noise = (int.from_bytes(digest[start : start + 8]) >> 11 for start in (0, 16, 24))
    return Cohorts(rollout * _SCALE, sample * _SCALE, noise * _SCALE)
