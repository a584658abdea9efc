"""Figures of a verdict's page, per node: bands over time and latency distributions."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from otel_shadow import semconv
from otel_shadow._report import theme
from otel_shadow._report.blocks import Cell, Column, Figure, Table
from otel_shadow.errors import require
from otel_shadow.evidence.view import BandPoint, EvidenceView, LatencyHistogram
from otel_shadow.verdict import titles, units
from otel_shadow.verdict.result import CriterionResult, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Side = tuple[str, str, str]
Hours = Sequence[tuple[datetime, float, int]]
"""Hours of a node: the middle of each, its share, and how many pairs made it."""
_MERGE = 12
"""Buckets of the evidence that make one on a plot: steps of 11 % instead of 0.9 %."""
_BASE = 1.15 ** (1 / 16)
_TABLE_ROWS = 12
_FEW_PAIRS = 20
"""Pairs below which the share of an hour says nothing."""
_FEW_SESSIONS = 10
"""Closed sessions below which an estimate is not drawn."""


# --- bands over time -------------------------------------------------------------------------------------------------
def bands(verdict: Verdict, evidence: EvidenceView, criterion: str, title: str = "") -> dict[str, Figure]:
    """Return the band of parity or handoff over time, by node; nodes with fewer than two points have none.

    A figure without ``title`` has the node's name.
    """
    points: dict[str, list[BandPoint]] = defaultdict(list)
    for point in sorted(evidence.bands, key=lambda point: point.at):
        if point.criterion == criterion:
            points[point.node].append(point)
    return {
        node.node: _band(verdict, evidence, node.criterion(criterion), f"{criterion}-{number}", points[node.node],
                         title or node.node)
        for number, node in enumerate(verdict.nodes)
        if len(points[node.node]) > 1
    }  # fmt: skip


def _band(
    verdict: Verdict,
    evidence: EvidenceView,
    result: CriterionResult,
    plot: str,
    points: Sequence[BandPoint],
    title: str,
) -> Figure:
    node, last, told = points[0].node, points[-1], partial(titles.value, result.quantity)
    name = titles.title(result.criterion)
    caption = (
        f"{name} of {node}: {told(last.estimate)} after {units.plural(last.sessions, 'closed session')}, band "
        f"{told(last.lower)} to {told(last.upper)}, bound {result.direction.replace('_', ' ')} {told(result.bound)}."
    )
    hours = _hours(evidence, node, result.criterion == semconv.CRITERION_PARITY) if result.quantity == "share" else ()
    cycles = _cycles(verdict, points)
    step = max(1, math.ceil(len(points) / _TABLE_ROWS))
    rows = [(units.moment(point.at), told(point.estimate), f"{told(point.lower)} … {told(point.upper)}",
             units.count(point.sessions)) for point in [*points[step - 1 : -1 : step], last]]  # fmt: skip
    drawn = theme.drawn(
        plot, caption, lambda axes, small: _draw_band(axes, small, points, result, cycles, hours, told)
    )  # fmt: skip
    heads = ("Time", name, "Always-valid band", "Closed sessions")
    return Figure(*drawn, caption, title, _numbers(heads, rows, f"{name} of {node}"))


def _numbers(heads: Sequence[str], rows: Iterable[Sequence[str]], label: str) -> Table:
    columns = tuple(Column(head, number=place > 0) for place, head in enumerate(heads))
    return Table(columns, tuple(tuple(map(Cell, row)) for row in rows), label=f"{label}: numbers")


def _hours(evidence: EvidenceView, node: str, parity: bool) -> Hours:
    """Return the raw shares by hour; hours with few pairs are joined."""
    found, begun, part, whole = [], None, 0, 0
    for point in sorted((one for one in evidence.parity if one.node == node), key=lambda one: one.hour):
        begun = begun or point.hour
        part += point.matches if parity else point.failures
        whole += point.comparisons if parity else point.executions
        if whole >= _FEW_PAIRS:
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


def _draw_band(
    axes: Axes,
    small: bool,
    points: Sequence[BandPoint],
    result: CriterionResult,
    cycles: Sequence[datetime],
    hours: Hours,
    told: Callable[[float | None], str],
) -> None:
    dates = require("matplotlib.dates", "analysis")
    times = dates.date2num([point.at for point in points])
    estimates = [point.estimate if point.sessions >= _FEW_SESSIONS else None for point in points]
    above = result.direction == "at_least"
    axes.fill_between(
        times, [point.lower for point in points], [point.upper for point in points],
        color=theme.BAND, alpha=0.22, linewidth=0, label="always-valid band",
    )  # fmt: skip
    drawn = [math.nan if estimate is None else estimate for estimate in estimates]
    axes.plot(times, drawn, color=theme.V2, linewidth=2, label="estimate")
    axes.axhline(result.bound, color=theme.BOUND, linewidth=1.4, dashes=(5, 3), label=f"bound {told(result.bound)}")
    for number, cycle in enumerate(map(dates.date2num, cycles), 1):
        axes.axvline(cycle, color=theme.MUTED, linewidth=0.8, dashes=(1, 3))
        axes.annotate(
            f"cycle {number}", (cycle, 0.0 if above else 0.9), xycoords=("data", "axes fraction"), xytext=(-4, 4),
            textcoords="offset points", fontsize=8, color=theme.MUTED, ha="right",
        )  # fmt: skip
    low, high = _limits([estimate for estimate in estimates if estimate is not None], result.bound, above)
    if hours:
        most = max(pairs for _, _, pairs in hours)
        axes.scatter(
            dates.date2num([time for time, _, _ in hours]), [min(high, max(low, share)) for _, share, _ in hours],
            s=[4 + 14 * pairs / most for _, _, pairs in hours], color=theme.V1, alpha=0.75, linewidths=0,
            label="single hours", clip_on=False, zorder=2,
        )  # fmt: skip
    locator = dates.AutoDateLocator(minticks=3, maxticks=7 if small else 9)  # with fewer than 7 some spans have no step
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    axes.set_xlim(times[0], max(times[-1], times[0] + 1 / 1440))
    axes.set_ylim(low, high)
    axes.yaxis.set_major_formatter(lambda value, _: told(value))
    theme.legend(axes, 2 if small else 4, small)


def _limits(estimates: Sequence[float], bound: float, above: bool) -> tuple[float, float]:
    """Return room for the estimate and the bound; a band that is still wide may leave the picture."""
    settled = estimates[len(estimates) // 4 :]
    reach = max([0.05, *(abs(value - bound) * 1.6 for value in settled)])
    if above:
        return max(0.0, bound - reach), min(1.002, max(bound + reach, 1.0 if bound > 0.9 else 0.0))
    return -0.002 if bound - reach <= 0 else bound - reach, min(1.0, bound + reach)


# --- latency distributions -------------------------------------------------------------------------------------------
def latencies(evidence: EvidenceView, kind: str, first: Side, second: Side, title: str = "") -> dict[str, Figure]:
    """Return two latency distributions in one figure, by node; nodes that lack one of them have none.

    Arguments:
        kind: tells the figures of one comparison from those of another.
        first, second: version, arm, and name in the legend.
        title: default: the node's name.
    """
    found = {(one.node, one.version, one.arm): one for one in evidence.latency if sum(one.counts)}
    drawn = {}
    for number, node in enumerate(evidence.nodes):
        sides = [(name, found.get((node, version, arm))) for version, arm, name in (first, second)]
        known = [(name, side) for name, side in sides if side is not None]
        if len(known) == 2:
            drawn[node] = _latency(f"latency-{kind}-{number}", node, title or node, known)
    return drawn


def _latency(plot: str, node: str, title: str, sides: Sequence[tuple[str, LatencyHistogram]]) -> Figure:
    told = ", ".join(f"{label} {units.latency(side.p95_ms)}" for label, side in sides)
    caption = f"Latency of {node}; 95th percentile: {told}."
    rows = [
        (label, units.count(sum(side.counts)), units.latency(side.p50_ms), units.latency(side.p95_ms))
        for label, side in sides
    ]
    drawn = theme.drawn(plot, caption, lambda axes, small: _draw_latencies(axes, small, sides))
    return Figure(*drawn, caption, title, _numbers(("", "Executions", "p50", "p95"), rows, f"Latency of {node}"))


def _draw_latencies(axes: Axes, small: bool, sides: Sequence[tuple[str, LatencyHistogram]]) -> None:
    axes.set_xscale("log")
    for (name, side), colour, dashes in zip(sides, (theme.V1, theme.V2), ((2, 2), (5, 2)), strict=True):
        shares, edges = _merged(side)
        axes.stairs(shares, edges, fill=True, color=colour, alpha=0.16, linewidth=0)
        axes.stairs(shares, edges, color=colour, linewidth=1.6,
                    label=name if side.p95_ms is None else f"{name} (p95 {units.latency(side.p95_ms)})")  # fmt: skip
        if side.p95_ms is not None:
            axes.axvline(side.p95_ms, color=colour, linewidth=1.4, dashes=dashes)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: units.percent(value, 0))
    ticker = require("matplotlib.ticker", "analysis")
    axes.xaxis.set_major_locator(ticker.LogLocator(10, subs=(1.0, 2.0, 5.0), numticks=6 if small else 12))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: units.latency(value))
    axes.set_xlabel("latency of one execution (logarithmic)")
    theme.legend(axes, 1 if small else 2, small)


def _merged(histogram: LatencyHistogram) -> tuple[list[float], list[float]]:
    """Return shares and edges of fewer, wider buckets, on a grid that all histograms share."""
    start = round(math.log(histogram.edges_ms[0], _BASE))
    sums: dict[int, int] = defaultdict(int)
    for place, count in enumerate(histogram.counts, start):
        sums[place // _MERGE] += count
    total = sum(histogram.counts)
    edges = [_BASE ** (group * _MERGE) for group in (*sums, max(sums) + 1)]
    return [count / total for count in sums.values()], edges
