"""Latency in logarithmic buckets, and evidence about the ratio of two 95th percentiles.

The base is 1.15^(1/64), so that a ratio of 1.15 is a shift of exactly 64 buckets (what is shown has a quarter of them).
Bucket b holds the latencies x with ``BASE^b ≤ x < BASE^(b+1)`` milliseconds.

The ratio. With q the 95th percentile of the reference, "the other's is more than r times as long" says that at q the
reference has at least 95 % at or below q, and the other less than 95 % at or below r q. So for every q the product of
the evidence that the reference's share at q lies *below* 0.95 and the evidence that the other's share at r q lies
*above* 0.95 is evidence against it, and the minimum over q is evidence against it whatever q is. NO-GO is the mirror
image. The shares are means over sessions of the share of a session's executions at or below q. Each factor has one idle
bet (λ = 0, weight 1/16), so that a q far from the percentile costs little.

Where both times are of the same request, the two are not independent and the mean takes the product's place.

Buckets make q uncertain by one bucket; it is counted against the claim, for GO and for NO-GO alike. With 64 it costs
1.6 % of the margin, with 16 it would be 6 %.

Sources: Waudby-Smith & Ramdas, arXiv 2010.09686 (betting); Howard & Ramdas, "Sequential estimation of quantiles",
arXiv 1906.09712 (quantiles through the mean of an indicator); minimum over q: a union of nulls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from otel_shadow.verdict.sequential import DOWN, UP, Floats

PER_115: Final = 64
BASE: Final = 1.15 ** (1.0 / PER_115)
NONE: Final = np.iinfo(np.int16).min
"""The bucket of a latency that was not measured."""
LEVEL: Final = 0.95
_LOG_BASE = float(np.log(BASE))
_IDLE = 1.0 / 16.0
_LOG_2 = float(np.log(2.0))
_DENSE = 1 << 20
"""Cells up to which a table of kinds and buckets is worth its memory."""


def buckets(latency_ms: NDArray[np.generic] | Floats) -> NDArray[np.int16]:
    """Return buckets of latencies in milliseconds; NaN, infinite and negative ones are ``NONE``, 0 is a microsecond."""
    values = np.asarray(latency_ms, float)
    usable = np.isfinite(values) & (values >= 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.floor(np.log(np.maximum(values, 1e-3)) / _LOG_BASE + 1e-9)
    return np.where(usable, np.clip(np.where(usable, found, 0.0), -32000, 32000), NONE).astype(np.int16)


def edge_ms(bucket: float) -> float:
    """Return the lower edge of a bucket in milliseconds."""
    return float(BASE**bucket)


def shift(ratio: float) -> int:
    """Return the buckets that a ratio is worth, rounded down."""
    return int(np.floor(np.log(ratio) / _LOG_BASE + 1e-6))


@dataclass(frozen=True, slots=True)
class Ranks:
    """Executions of one arm, ranked inside their sessions: the sufficient statistic of every share at once.

    Arguments:
        rank, size: the kinds of execution: the ``rank``-th fastest (1 is first) of ``size`` in its session.
        bucket, kind, count: how many executions of a kind (index into ``rank``) fell into a bucket.
        sessions: number of sessions.
    """

    rank: NDArray[np.int64]
    size: NDArray[np.int64]
    bucket: NDArray[np.int64]
    kind: NDArray[np.int64]
    count: Floats
    sessions: float

    @classmethod
    def of(cls, session: NDArray[np.integer], bucket: NDArray[np.integer]) -> Ranks:
        """Return ranks of executions given one by one.

        Arguments:
            session: index of the session, at least 0.
            bucket: its bucket, never ``NONE``.
        """
        if not len(session):
            return NO_RANKS
        lowest = int(bucket.min())
        bits = (int(bucket.max()) - lowest).bit_length()
        # One sort of one number, as short as it can be.
        short = (int(session.max()) + 1) << bits <= 1 << 31
        key: NDArray[Any] = session.astype(np.int32 if short else np.int64)
        key <<= bits
        key += (bucket.astype(np.int32) - lowest).astype(key.dtype, copy=False)
        key.sort()
        owner = key >> bits
        starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
        sizes = np.diff(np.r_[starts, len(owner)])
        longest = int(sizes.max())
        size = longest * longest << bits
        code = np.repeat((sizes - 1) * longest - starts, sizes) + np.arange(len(owner))
        code = code.astype(np.int32 if size <= 1 << 31 else np.int64, copy=False)
        code <<= bits
        code += key & ((1 << bits) - 1)
        found, count = count_codes(code, size)
        return cls._of_codes(found.astype(np.int64), count, longest, lowest, 1 << bits, len(starts))

    @classmethod
    def merged(cls, parts: Sequence[Ranks]) -> Ranks:
        """Return the ranks of other sessions too."""
        parts = [part for part in parts if part.sessions]
        if len(parts) <= 1:
            return parts[0] if parts else NO_RANKS
        bucket = np.concatenate([part.bucket for part in parts])
        rank = np.concatenate([part.rank[part.kind] for part in parts])
        size = np.concatenate([part.size[part.kind] for part in parts])
        lowest, longest = int(bucket.min()), int(size.max())
        width = int(bucket.max()) - lowest + 1
        counts = np.concatenate([part.count for part in parts])
        code = ((size - 1) * longest + rank - 1) * width + (bucket - lowest)
        found, count = count_codes(code, longest * longest * width, counts)
        return cls._of_codes(found, count, longest, lowest, width, sum(part.sessions for part in parts))

    @classmethod
    def _of_codes(
        cls, found: NDArray[np.int64], count: Floats, longest: int, lowest: int, width: int, sessions: float
    ) -> Ranks:
        places, level = np.divmod(found, width)
        kinds, kind = np.unique(places, return_inverse=True)
        size, rank = np.divmod(kinds, longest)
        return cls(rank + 1, size + 1, level + lowest, kind.ravel(), count, sessions)

    @property
    def events(self) -> int:
        """Number of executions."""
        return int(self.count.sum())

    def bets(self, up: bool) -> Bets:
        """Return the bets that the share at or below q lies above (``up``) or below 0.95."""
        sizes = np.r_[0.0, UP / LEVEL] if up else np.r_[0.0, -DOWN / (1.0 - LEVEL)]
        return Bets(self.lowest - 1, self.capital(sizes))

    @property
    def lowest(self) -> int:
        """The lowest bucket that was seen."""
        return int(self.bucket.min())

    def capital(self, bets: Floats) -> Floats:
        """Return the log capital of every bet (rows) at q = lowest − 1, lowest, … highest bucket (columns).

        It starts from the capital where no execution is at or below q; each execution that is adds its gain.
        """
        steps = np.log1p(bets[:, None] * (self.rank / self.size - LEVEL))
        steps -= np.log1p(bets[:, None] * ((self.rank - 1) / self.size - LEVEL))
        place = self.bucket - self.lowest + 1
        width = int(place.max()) + 1
        if len(self.rank) * width <= _DENSE:
            by_kind = np.bincount(self.kind * width + place, weights=self.count, minlength=len(self.rank) * width)
            gained = steps @ by_kind.reshape(len(self.rank), width)
        else:
            gained = np.stack([np.bincount(place, weights=step[self.kind] * self.count) for step in steps])
        return self.sessions * np.log1p(-bets * LEVEL)[:, None] + np.cumsum(gained, axis=1)

    def percentile_ms(self, level: float = LEVEL) -> float:
        """Return the session-weighted percentile in milliseconds, interpolated in its bucket; NaN without evidence."""
        if not self.sessions:
            return float("nan")
        mass = np.bincount(self.bucket - self.lowest, weights=self.count / self.size[self.kind])
        share = np.cumsum(mass) / self.sessions
        place = min(int(np.searchsorted(share, level)), len(share) - 1)
        before = float(share[place - 1]) if place else 0.0
        inside = (level - before) / (float(share[place]) - before) if share[place] > before else 0.0
        return edge_ms(self.lowest + place + min(max(inside, 0.0), 1.0))


_NOTHING = np.empty(0, np.int64)
NO_RANKS: Final = Ranks(_NOTHING, _NOTHING, _NOTHING, _NOTHING, np.empty(0), 0)
"""No execution."""


@dataclass(frozen=True, slots=True)
class Bets:
    """log capital of bets (rows, the idle one first) at buckets from ``low`` on (columns)."""

    low: int
    capital: Floats

    def curve(self) -> Curve:
        """Return log E for every bucket."""
        count = len(self.capital) - 1
        weights = np.log(np.r_[_IDLE, np.full(count, (1.0 - _IDLE) / count)])
        weighted = self.capital + weights[:, None]
        highest = weighted.max(axis=0)
        return Curve(self.low, highest + np.log(np.exp(weighted - highest).sum(axis=0)))


@dataclass(frozen=True, slots=True)
class Curve:
    """A value for every bucket: constant before ``low`` and after the last."""

    low: int
    values: Floats

    @property
    def high(self) -> int:
        """The bucket from which on nothing changes."""
        return self.low + len(self.values) - 1

    def over(self, first: int, count: int) -> Floats:
        """Return the values at ``count`` buckets from ``first`` on."""
        before = min(max(self.low - first, 0), count)
        start = max(first - self.low, 0)
        inside = self.values[start : start + count - before]
        found = np.empty(count)
        found[:before] = self.values[0]
        found[before : before + len(inside)] = inside
        found[before + len(inside) :] = self.values[-1]
        return found


@dataclass(frozen=True, slots=True)
class Ratio:
    """Evidence about p95(other) / p95(reference). Build it with ``Ratio.of``."""

    reference_below: Curve
    reference_above: Curve
    other_above: Curve
    other_below: Curve
    paired: bool

    @classmethod
    def of(cls, reference: Ranks, other: Ranks, *, paired: bool) -> Ratio:
        """Return evidence from two arms with at least one session each.

        Arguments:
            reference, other: executions of the two arms, or of V1 and V2.
            paired: both are of the same requests: the mean replaces the product.
        """
        bets = reference.bets(False), reference.bets(True), other.bets(True), other.bets(False)
        below, above, other_above, other_below = (bet.curve() for bet in bets)
        return cls(below, above, other_above, other_below, paired)

    def log_at_most(self, by: int) -> float:
        """Return log E that the ratio is at most ``BASE ** by``; q: its bucket's upper edge, r q rounded down."""
        first, count = self._buckets(by)
        return self._least(self.reference_below.over(first, count), self.other_above.over(first + by - 1, count))

    def log_above(self, by: int) -> float:
        """Return log E that the ratio is above ``BASE ** by``; q: its bucket's lower edge, r q rounded up."""
        first, count = self._buckets(by)
        return self._least(self.reference_above.over(first - 1, count), self.other_below.over(first + by, count))

    def _buckets(self, by: int) -> tuple[int, int]:
        """Return the first bucket q that is looked at, and how many; beyond them nothing changes."""
        low = min(self.reference_below.low, self.other_above.low - by) - 1
        return low, max(self.reference_below.high, self.other_above.high - by) + 2 - low

    def _least(self, left: Floats, right: Floats) -> float:
        """Return the smallest log of the product over all q; of the mean where both are of the same requests."""
        if not self.paired:
            return float((left + right).min())
        highest = np.maximum(left, right)  # at most log 2 above the log of the mean
        candidates = np.flatnonzero(highest <= highest.min() + _LOG_2)
        return float(np.logaddexp(left[candidates], right[candidates]).min()) - _LOG_2


class RatioEvidence(Protocol):
    """Evidence about a ratio, on either side of it."""

    def log_at_most(self, by: int) -> float:
        """Return log E that the ratio is at most ``BASE ** by``."""

    def log_above(self, by: int) -> float:
        """Return log E that the ratio is above ``BASE ** by``."""


def band_of(evidence: RatioEvidence, log_go: float, log_no_go: float, near: float = 1.0) -> tuple[float, float]:
    """Return the (lower, upper) end of the confidence sequence of a ratio; 0 and infinity while it is open.

    Arguments:
        evidence: about it.
        log_go, log_no_go: what log E must reach on either side.
        near: where to begin to look for the ends: the ratio that was seen.
    """
    start = shift(near) if 0.0 < near < float("inf") else 0
    upper = _first(lambda by: evidence.log_at_most(by) >= log_go, start)
    lower = _first(lambda by: evidence.log_above(by) < log_no_go, start)
    proven = float(BASE**upper) if upper <= _REACH else float("inf")
    broken = float(BASE ** (lower - 1)) if lower > -_REACH else 0.0
    return broken, max(broken, proven)


_REACH = 20 * PER_115
"""Ratios looked at: 1.15^±20, which is 0.06 to 16."""


def _first(holds: Callable[[int], bool], near: int = 0) -> int:
    """Return the first shift for which a monotone condition holds; one past the reach if none does.

    Arguments:
        near: where to begin.
    """
    low, high = -_REACH, _REACH + 1
    place, step = min(max(near, low), high - 1), 4
    while low < high:
        if holds(place):
            high = place
            place = place - step
        else:
            low = place + 1
            place = place + step
        step *= 4
        if not low <= place < high:
            break
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def count_codes(code: NDArray[np.int64], size: int, weights: Floats | None = None) -> tuple[NDArray[np.int64], Floats]:
    """Return the distinct codes (each below ``size``), ascending, and how often each occurs, or its sum of weights."""
    if size <= max(4 * len(code), _DENSE):
        counts = np.bincount(code, weights=weights, minlength=size)
        found = np.flatnonzero(counts)
        return found, counts[found].astype(float)
    if weights is None:
        found, count = np.unique(code, return_counts=True)
        return found, count.astype(float)
    found, inverse = np.unique(code, return_inverse=True)
    return found, np.bincount(inverse.ravel(), weights=weights).astype(float)
