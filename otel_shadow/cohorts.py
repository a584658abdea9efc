"""Consistent hashing of sessions: the same session gets the same numbers in every process, for ever."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

_SCALE = 1.0 / 2**53


class Cohorts(NamedTuple):
    """Four independent numbers in [0, 1) of one session.

    ``rollout`` decides who is served V2, ``holdout`` who has no shadow, ``sample`` whose shadow runs, ``noise`` on whom
    V1 runs twice. They are disjoint parts of one digest, so none says anything of another.
    """

    rollout: float
    holdout: float
    sample: float
    noise: float


def cohorts(session_id: str) -> Cohorts:
    """Return the numbers of ``session_id``: 53 bits each of its BLAKE2b digest (RFC 7693), uniform and keyless."""
    digest = blake2b(session_id.encode("utf-8", "surrogatepass"), digest_size=32, person=b"otel-shadow").digest()
    a, b, c, d = (int.from_bytes(digest[start : start + 8]) >> 11 for start in (0, 8, 16, 24))
    return Cohorts(a * _SCALE, b * _SCALE, c * _SCALE, d * _SCALE)
