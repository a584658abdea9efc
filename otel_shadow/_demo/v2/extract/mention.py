"""What every extractor returns, and the rules that it is found by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V")
R = TypeVar("R")


@dataclass(frozen=True)
class Mention(Generic[V]):
    """A value, where it stands in the text (end exclusive), and how sure the pattern is, in [0, 1]."""

    value: V
    start: int
    end: int
    score: float = 0.9

    def overlaps(self, other: Mention[V]) -> bool:
        """Whether both cover a common character."""
        return self.start < other.end and other.start < self.end


def first_disjoint(mentions: list[Mention[V]]) -> list[Mention[V]]:
    """Keep, of mentions in order of preference, those that overlap none kept before; return them in text order."""
    kept: list[Mention[V]] = []
    for mention in mentions:
        if not any(mention.overlaps(other) for other in kept):
            kept.append(mention)
    return sorted(kept, key=lambda mention: mention.start)


def rule(read: R, score: float, *pieces: str) -> tuple[re.Pattern[str], R, float]:
    """Return a pattern made of `pieces`, what reads its matches, and the score of what is read."""
    return re.compile("".join(pieces)), read, score
