"""Times of a ratio's two sides, in stretches of time that are judged apart.

While V1's own speed changes together with the share of the time that is held out, the two sides of the whole window
hold different times of it: at equal speeds 7 % of the windows were a NO-GO. Within a stretch of one share they don't.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from otel_shadow.verdict.latency import Ranks, Ratio, band_of

_LOG_4: Final = float(np.log(4.0))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Times of one side while one share of the time was held out.

    Arguments:
        ranks: of its closed sessions.
        first: ms since 1970 of the first execution.
    """

    ranks: Ranks
    first: int

    @classmethod
    def merged(cls, parts: Sequence[Stretch]) -> Stretch:
        """Return the times of all."""
        return cls(Ranks.merged([part.ranks for part in parts]), min(part.first for part in parts))


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a ratio of times.

    Arguments:
        sessions, events: closed sessions with a time, and their times.
        stretches: by the share of the time that was held out; 0 where the lines tell none.
    """

    sessions: int
    events: int
    stretches: Mapping[float, Stretch]

    @classmethod
    def merged(cls, parts: Sequence[Side]) -> Side:
        """Return the sums over other sessions too."""
        by_share: dict[float, list[Stretch]] = {}
        for part in parts:
            for share, stretch in part.stretches.items():
                by_share.setdefault(share, []).append(stretch)
        return cls(
            sum(part.sessions for part in parts),
            sum(part.events for part in parts),
            {share: Stretch.merged(found) for share, found in by_share.items()},
        )


NO_SIDE: Final = Side(0, 0, {})
"""No time."""


@dataclass(frozen=True, slots=True)
class Ratios:
    """Evidence about a ratio, from stretches in the order in which both sides came to have times.

    The j-th stretch has the part 3/4^j of the capital, and what has not begun keeps its own: the sum is evidence
    again, and a window of one share, which most are, pays a fourth. Where there can be one only, it has the whole.

    Arguments:
        stretches: the share of the time held out, and the evidence, of each.
        paired: whether both sides are of the same requests: then there is one stretch.
    """

    stretches: tuple[tuple[float, Ratio], ...]
    paired: bool

    @classmethod
    def of(cls, reference: Side, other: Side, *, paired: bool) -> Ratios | None:
        """Return the evidence; None where no stretch has times on both sides."""
        both = reference.stretches.keys() & other.stretches.keys()

        def began(share: float) -> tuple[int, float]:
            return max(reference.stretches[share].first, other.stretches[share].first), share

        found = [
            (share, Ratio.of(reference.stretches[share].ranks, other.stretches[share].ranks, paired=paired))
            for share in sorted(both, key=began)
        ]
        return cls(tuple(found), paired) if found else None

    def told(self) -> Ratios:
        """Return the evidence of the lines that tell the share held out."""
        return Ratios(tuple(one for one in self.stretches if one[0] > 0.0), self.paired)

    def log_above(self, by: int) -> float:
        """Return log E that the ratio of some stretch is above ``latency.BASE ** by``."""
        if self.paired:
            return self.stretches[0][1].log_above(by)
        parts = [ratio.log_above(by) for _, ratio in self.stretches]
        capital = np.log(3.0) - np.arange(1.0, len(parts) + 1.0) * _LOG_4
        return float(np.logaddexp.reduce([*(parts + capital), -len(parts) * _LOG_4]))

    def log_at_most(self, by: int) -> float:
        """Return log E that the ratio of every stretch is at most ``latency.BASE ** by``."""
        return min(ratio.log_at_most(by) for _, ratio in self.stretches)

    def band(self, log_go: float, log_no_go: float, seen: float) -> tuple[float, float]:
        """Return the (lower, upper) end of the band, which holds what was seen; 0 and infinity while it is open.

        Arguments:
            log_go, log_no_go: what log E must reach on either side.
            seen: the ratio.
        """
        lower, upper = band_of(self, log_go, log_no_go, seen)
        return min(lower, seen), max(upper, seen)
