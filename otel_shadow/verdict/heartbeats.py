"""What processes told of their own lines: totals by node and event, the latest of each process."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

NO_PROCESS = 0
"""Identity of the process of a line that names none."""


BeatKey: TypeAlias = tuple[int, str, str, str, str, str, bool]


@dataclass(frozen=True, slots=True, order=True)
class Beat:
    """The totals of one node in one process, as its heartbeat line told them.

    Arguments:
        process: identity (``hashes.text_hash``) of the process.
        time: milliseconds since 1970 (UTC).
        handed_over: executions that a line was due of, so far.
        totals: lines written so far by event.
        last: whether the process ended.
    """

    process: int
    service: str
    graph: str
    node: str
    build: str
    digest: str
    handed_over: int
    totals: tuple[tuple[str, int], ...]
    last: bool
    time: int
    coded: bool = False

    @property
    def key(self) -> BeatKey:
        """Whose totals these are."""
        return self.process, self.service, self.graph, self.node, self.build, self.digest, self.coded


def latest(*beats: Beat) -> Beat:
    """Return the one that tells most: totals only grow."""
    return max(beats, key=_told)


def _told(beat: Beat) -> tuple[int, int, bool, int, tuple[tuple[str, int], ...]]:
    return beat.handed_over, sum(count for _, count in beat.totals), beat.last, beat.time, beat.totals


def merged(*several: Iterable[Beat]) -> tuple[Beat, ...]:
    """Return the latest beat of each process, node and build."""
    found: dict[BeatKey, Beat] = {}
    for beats in several:
        for beat in beats:
            found[beat.key] = latest(found.get(beat.key, beat), beat)
    return tuple(sorted(found.values()))
