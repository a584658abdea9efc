"""The figures of a verdict's page, per node: bands over time and latency distributions, from the evidence."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from otel_shadow import semconv
from otel_shadow._report import plots
from otel_shadow._report.blocks import Cell, Column, Figure, Table
from otel_shadow.evidence.view import BandPoint, EvidenceView, LatencyHistogram
from otel_shadow.verdict import units, wording
from otel_shadow.verdict.result import CriterionResult, Verdict

Side = tuple[str, str, str]
_MERGE = 12
"""Buckets of the evidence that make one on a plot: steps of 11 % instead of 0.9 %."""
_BASE = 1.15 ** (1 / 16)
_TABLE_ROWS = 12
_FEW = 20
"""Pairs below which the share of an hour says nothing."""


def bands(verdict: Verdict, evidence: EvidenceView, criterion: str, title: str = "") -> dict[str, Figure]:
    """Return the band of parity or handoff over time of every node with evidence, by node.

    Arguments:
        title: default: the node's name.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    points: dict[str, list[BandPoint]] = defaultdict(list)
    for point in evidence.bands:
        if point.criterion == criterion:
            points[point.node].append(point)
    return {
        node.node: _band(verdict, evidence, node.criterion(criterion), number, points[node.node], title or node.node)
        for number, node in enumerate(verdict.nodes)
        if len(points[node.node]) > 1
    }


def latencies(evidence: EvidenceView, kind: str, first: Side, second: Side, title: str = "") -> dict[str, Figure]:
    """Return two latency distributions in one figure, for every node that has both, by node.

    Arguments:
        kind: tells the figures of one comparison from those of another.
        first, second: version, arm, and name in the legend.
        title: default: the node's name.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    found = {(one.node, one.version, one.arm): one for one in evidence.latency}
    drawn = {}
    for number, node in enumerate(evidence.nodes):
        sides = [(name, found.get((node, version, arm))) for version, arm, name in (first, second)]
        known = [(name, side) for name, side in sides if side is not None and sum(side.counts) > 0]
        if len(known) == 2:
            drawn[node] = _latency(f"latency-{kind}-{number}", node, title or node, known)
    return drawn


def _band(
    verdict: Verdict,
    evidence: EvidenceView,
    result: CriterionResult,
    number: int,
    points: Sequence[BandPoint],
    title: str,
) -> Figure:
    points = sorted(points, key=lambda point: point.at)
    node, last, told = points[0].node, points[-1], partial(wording.value, result.quantity)
    name, above = wording.title(result.criterion), result.direction == "at_least"
    caption = (
        f"{name} of {node}: {told(last.estimate)} after {units.plural(last.sessions, 'closed session')}, band "
        f"{told(last.lower)} to {told(last.upper)}, bound {'at least' if above else 'at most'} {told(result.bound)}."
    )
    hours = _hours(evidence, node, result.criterion == semconv.CRITERION_PARITY) if result.quantity == "share" else ()
    plot = plots.band(f"{result.criterion}-{number}", caption, points, result.bound, _cycles(verdict, points),
                      above=above, hours=hours, told=told)  # fmt: skip
    rows = [(units.moment(point.at), told(point.estimate), f"{told(point.lower)} … {told(point.upper)}",
             units.count(point.sessions)) for point in _thinned(points)]  # fmt: skip
    heads = ("Time", name, "Always-valid band", "Closed sessions")
    return Figure(*plot, caption, title, _numbers(heads, rows, f"{name} of {node}"))


def _numbers(heads: Sequence[str], rows: Iterable[Sequence[str]], label: str) -> Table:
    columns = tuple(Column(head, number=place > 0) for place, head in enumerate(heads))
    return Table(columns, tuple(tuple(map(Cell, row)) for row in rows), label=f"{label}: numbers")


def _thinned(points: Sequence[BandPoint]) -> list[BandPoint]:
    """Return a dozen of ``points``, the last among them."""
    step = max(1, math.ceil(len(points) / _TABLE_ROWS))
    return [*points[step - 1 : -1 : step], points[-1]]


def _hours(evidence: EvidenceView, node: str, parity: bool) -> list[tuple[datetime, float, int]]:
    """Return the middle of each hour, its raw share and how many pairs made it; hours with few pairs are joined."""
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


def _latency(name: str, node: str, title: str, sides: Sequence[tuple[str, LatencyHistogram]]) -> Figure:
    told = ", ".join(f"{label} {units.latency(side.p95_ms)}" for label, side in sides)
    caption = f"Latency of {node}; 95th percentile: {told}."
    rows = [
        (label, units.count(sum(side.counts)), units.latency(side.p50_ms), units.latency(side.p95_ms))
        for label, side in sides
    ]
    plot = plots.latencies(name, caption, *((label, _merged(side)) for label, side in sides))
    return Figure(*plot, caption, title, _numbers(("", "Executions", "p50", "p95"), rows, f"Latency of {node}"))


def _merged(histogram: LatencyHistogram) -> LatencyHistogram:
    """Return the histogram with fewer, wider buckets on a grid that all share, so that two of them line up."""
    sums: dict[int, int] = defaultdict(int)
    for low, high, count in zip(histogram.edges_ms, histogram.edges_ms[1:], histogram.counts, strict=False):
        sums[math.floor(math.log(math.sqrt(max(low, 1e-6) * high) / 1000.0, _BASE) / _MERGE)] += count
    first, last = min(sums), max(sums)
    edges = tuple(1000.0 * _BASE ** (index * _MERGE) for index in range(first, last + 2))
    return replace(histogram, edges_ms=edges, counts=tuple(sums.get(index, 0) for index in range(first, last + 1)))
