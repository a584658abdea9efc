"""Which plots the page shows, drawn from the evidence: bands over time and latency distributions, per node."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from otel_shadow import semconv
from otel_shadow._report import plots
from otel_shadow._report.plots import Plot
from otel_shadow.evidence.view import BandPoint, EvidenceView, LatencyHistogram
from otel_shadow.verdict import units as words
from otel_shadow.verdict import wording
from otel_shadow.verdict.result import CriterionResult, Verdict

_MERGE = 12
"""Buckets of the evidence that make one on a plot: steps of 11 % instead of 0.9 %."""
_BASE = 1.15 ** (1 / 16)
_TABLE_ROWS = 12
_FEW = 20
"""Pairs below which the share of an hour says nothing."""
_FIRST = 10
"""Closed sessions below which an estimate is not drawn."""


@dataclass(frozen=True)
class Drawing:
    """One plot with its text: a caption and the same numbers as a table of three columns."""

    plot: Plot
    caption: str
    heads: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Figures:
    """Drawings by node."""

    parity: Mapping[str, Drawing] = field(default_factory=dict)
    handoff: Mapping[str, Drawing] = field(default_factory=dict)
    after: Mapping[str, Drawing] = field(default_factory=dict)
    """V2 against V1 on the same requests."""
    now: Mapping[str, Drawing] = field(default_factory=dict)
    """V1 with its shadow against V1 in the holdout."""


def figures(verdict: Verdict, evidence: EvidenceView) -> Figures:
    """Every drawing there is evidence for.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    return Figures(
        parity=_bands(verdict, evidence, semconv.CRITERION_PARITY),
        handoff=_bands(verdict, evidence, semconv.CRITERION_HANDOFF),
        after=_latencies(evidence, ("v1", "shadowed", "V1"), ("v2", "shadowed", "V2"), "after"),
        now=_latencies(evidence, ("v1", "holdout", "V1 without shadow"), ("v1", "shadowed", "V1 with shadow"), "now"),
    )


def _bands(verdict: Verdict, evidence: EvidenceView, criterion: str) -> dict[str, Drawing]:
    points: dict[str, list[BandPoint]] = defaultdict(list)
    for point in evidence.bands:
        if point.criterion == criterion:
            points[point.node].append(point)
    return {
        node.node: _band(verdict, evidence, node.criterion(criterion), number, points[node.node])
        for number, node in enumerate(verdict.nodes)
        if len(points[node.node]) > 1
    }


def _band(
    verdict: Verdict, evidence: EvidenceView, result: CriterionResult, number: int, points: Sequence[BandPoint]
) -> Drawing:
    points = sorted(points, key=lambda point: point.at)
    node, last, told = points[0].node, points[-1], partial(wording.value, result.quantity)
    above, title = result.direction == "at_least", wording.title(result.criterion)
    absolute = result.quantity == "share"
    caption = (
        f"{title} of {node}: {told(last.estimate)} after {words.plural(last.sessions, 'closed session')}, band "
        f"{told(last.lower)} to {told(last.upper)}, bound {'at least' if above else 'at most'} {told(result.bound)}."
    )
    plot = plots.band(
        f"{result.criterion}-{number}",
        caption,
        [plots.Moment(point.at, _drawn(point), point.lower, point.upper) for point in points],
        result.bound,
        _cycles(verdict, points),
        above=above,
        hours=_hours(evidence, node, result.criterion == semconv.CRITERION_PARITY) if absolute else (),
        told=told,
    )
    table = tuple(
        (words.moment(point.at), told(point.estimate), f"{told(point.lower)} … {told(point.upper)}",
         words.count(point.sessions)) for point in _thinned(points)
    )  # fmt: skip
    return Drawing(plot, caption, ("Time", title, "Always-valid band", "Closed sessions"), table)


def _drawn(point: BandPoint) -> float | None:
    return point.estimate if point.sessions >= _FIRST else None


def _thinned(points: Sequence[BandPoint]) -> list[BandPoint]:
    """A dozen of ``points``, the last among them."""
    step = max(1, math.ceil(len(points) / _TABLE_ROWS))
    return [*points[step - 1 : -1 : step], points[-1]]


def _hours(evidence: EvidenceView, node: str, parity: bool) -> list[tuple[datetime, float, int]]:
    """The middle of each hour, its raw share and how many pairs made it; hours with few pairs are joined."""
    found, begun, part, whole = [], None, 0, 0
    for point in sorted((one for one in evidence.parity if one.node == node), key=lambda one: one.hour):
        begun = begun or point.hour
        part += point.matches if parity else point.failures
        whole += point.comparisons if parity else point.executions
        if whole >= _FEW:
            end = point.hour + timedelta(hours=1)
            found.append((begun + (end - begun) / 2, part / whole, whole))
            begun, part, whole = None, 0, 0
    return found


def _cycles(verdict: Verdict, points: Sequence[BandPoint]) -> list[datetime]:
    if verdict.window is None:
        return []
    length = timedelta(hours=verdict.policy.cycle_hours)
    ends = [verdict.window.start + length * (number + 1) for number in range(verdict.window.whole_cycles)]
    return [end for end in ends if points[0].at <= end <= points[-1].at]


def _latencies(
    evidence: EvidenceView, first: tuple[str, str, str], second: tuple[str, str, str], kind: str
) -> dict[str, Drawing]:
    found = {(one.node, one.version, one.arm): one for one in evidence.latency}
    drawn = {}
    for number, node in enumerate(evidence.nodes):
        sides = found.get((node, *first[:2])), found.get((node, *second[:2]))
        if sides[0] and sides[1] and sum(sides[0].counts) and sum(sides[1].counts):
            drawn[node] = _latency(f"latency-{kind}-{number}", node, (sides[0], first[2]), (sides[1], second[2]))
    return drawn


def _latency(name: str, node: str, *sides: tuple[LatencyHistogram, str]) -> Drawing:
    merged = [_merged(histogram, label) for histogram, label in sides]
    told = [f"{label} {_ms(histogram.p95_ms)}" for histogram, label in sides]
    caption = f"Latency of {node}; 95th percentile: {', '.join(told)}."
    table = tuple(
        (label, words.count(sum(histogram.counts)), _ms(histogram.p50_ms), _ms(histogram.p95_ms))
        for histogram, label in sides
    )
    return Drawing(plots.latencies(name, caption, *merged), caption, ("", "Executions", "p50", "p95"), table)


def _merged(histogram: LatencyHistogram, label: str) -> plots.Latencies:
    """Fewer, wider buckets on a grid that every histogram shares, so that two of them line up."""
    sums: dict[int, int] = defaultdict(int)
    for low, high, count in zip(histogram.edges_ms, histogram.edges_ms[1:], histogram.counts, strict=False):
        middle = math.sqrt(max(low, 1e-6) * high) / 1000.0
        sums[math.floor(math.log(middle, _BASE) / _MERGE)] += count
    first, last = min(sums), max(sums)
    edges = [_BASE ** (index * _MERGE) for index in range(first, last + 2)]
    p95 = None if histogram.p95_ms is None else histogram.p95_ms / 1000.0
    return plots.Latencies(label, edges, [sums.get(index, 0) for index in range(first, last + 1)], p95)


def _ms(value: float | None) -> str:
    return words.milliseconds(None if value is None else value / 1000.0)
