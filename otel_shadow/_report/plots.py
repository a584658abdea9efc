"""The plots of a verdict's page: a band over time, and two latency distributions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from otel_shadow._report import theme
from otel_shadow.errors import require
from otel_shadow.evidence.view import BandPoint, LatencyHistogram
from otel_shadow.verdict.units import latency, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEPS_H = (1 / 12, 0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 96, 168)


_FIRST = 10
"""Closed sessions below which an estimate is not drawn."""


def band(
    name: str,
    label: str,
    points: Sequence[BandPoint],
    bound: float,
    cycles: Sequence[datetime],
    above: bool = True,
    hours: Sequence[tuple[datetime, float, int]] = (),
    told: Callable[[float], str] = percent,
) -> tuple[str, str]:
    """Return the plot of a quantity over time: estimate, band and the bound it is held to.

    Arguments:
        name, label: as in ``theme.drawn``.
        points: in the order of their times.
        cycles: ends of whole cycles, marked on the time axis.
        above: whether GO lies above the bound (parity) or below it (handoff rate).
        hours: raw shares by hour as (middle of the hour, share, pairs): a night that is worse is seen at once.
        told: the quantity in words.
    """
    estimates = [point.estimate if point.sessions >= _FIRST else None for point in points]

    def draw(axes: Axes, small: bool) -> None:
        _band(axes, points, estimates, bound, told(bound))
        _time_axis(axes, points, cycles, 0.0 if above else 0.9, small)
        low, high = _limits([estimate for estimate in estimates if estimate is not None], bound, above)
        _points(axes, hours, low, high)
        axes.set_ylim(low, high)
        axes.yaxis.set_major_formatter(lambda value, _: told(value))
        legend(axes, 2 if small else 4, small)

    return theme.drawn(name, label, draw)


def latencies(name: str, label: str, *sides: tuple[str, LatencyHistogram]) -> tuple[str, str]:
    """Return the plot of two latency distributions (each with its name) on a logarithmic axis, with their p95."""
    return theme.drawn(name, label, lambda axes, small: _latencies(axes, sides, small))


def _band(axes: Axes, points: Sequence[BandPoint], estimates: Sequence[float | None], bound: float, told: str) -> None:
    times = [_hours(point.at) for point in points]
    axes.fill_between(
        times, [point.lower for point in points], [point.upper for point in points],
        color=theme.BAND, alpha=0.22, linewidth=0, label="always-valid band",
    )  # fmt: skip
    drawn = [math.nan if estimate is None else estimate for estimate in estimates]
    axes.plot(times, drawn, color=theme.V2, linewidth=2, label="estimate")
    axes.axhline(bound, color=theme.BOUND, linewidth=1.4, dashes=(5, 3), label=f"bound {told}")


def _points(axes: Axes, hours: Sequence[tuple[datetime, float, int]], low: float, high: float) -> None:
    """Draw raw shares by hour; those beyond the picture sit on its edge."""
    if not hours:
        return
    most = max(pairs for _, _, pairs in hours)
    axes.scatter(
        [_hours(time) for time, _, _ in hours], [min(high, max(low, share)) for _, share, _ in hours],
        s=[4 + 14 * pairs / most for _, _, pairs in hours], color=theme.V1, alpha=0.75, linewidths=0,
        label="single hours", clip_on=False, zorder=2,
    )  # fmt: skip


def _time_axis(axes: Axes, points: Sequence[BandPoint], cycles: Sequence[datetime], height: float, small: bool) -> None:
    first, last = points[0].at, points[-1].at
    for number, cycle in enumerate(cycles, 1):
        axes.axvline(_hours(cycle), color=theme.MUTED, linewidth=0.8, dashes=(1, 3))
        axes.annotate(f"cycle {number}", (_hours(cycle), height), xycoords=("data", "axes fraction"), xytext=(-4, 4),
                      textcoords="offset points", fontsize=8, color=theme.MUTED, ha="right")  # fmt: skip
    ticks = _ticks(first, last, 5 if small else 9)
    axes.set_xticks([_hours(tick) for tick in ticks], [_tick(tick, ticks) for tick in ticks])
    axes.set_xlim(_hours(first), _hours(max(last, first + timedelta(minutes=1))))


def _hours(time: datetime) -> float:
    """Return hours since the epoch: plain numbers, so that ticks and labels are ours."""
    return time.timestamp() / 3600


def _ticks(first: datetime, last: datetime, most: int) -> list[datetime]:
    """Return round hours between ``first`` and ``last``, at most ``most`` of them."""
    span_h = max((last - first).total_seconds() / 3600, 1 / 60)
    step = next((hours for hours in _STEPS_H if span_h / hours <= most), _STEPS_H[-1])
    midnight = first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    number = math.ceil((first - midnight).total_seconds() / 3600 / step)
    ticks = []
    while (tick := midnight + timedelta(hours=number * step)) <= last:
        ticks.append(tick)
        number += 1
    return ticks or [first]


def _tick(time: datetime, ticks: Sequence[datetime]) -> str:
    time = time.astimezone(UTC)
    with_date = time == ticks[0] or (time.hour, time.minute) == (0, 0)
    return f"{time:%H:%M}\n{time:%d %b}" if with_date else f"{time:%H:%M}"


def _limits(estimates: Sequence[float], bound: float, above: bool) -> tuple[float, float]:
    """Return room for the estimate and the bound; a band that is still wide may leave the picture."""
    settled = estimates[len(estimates) // 4 :]
    reach = max([0.05, *(abs(value - bound) * 1.6 for value in settled)])
    if above:
        return max(0.0, bound - reach), min(1.002, max(bound + reach, 1.0 if bound > 0.9 else 0.0))
    return -0.002 if bound - reach <= 0 else bound - reach, min(1.0, bound + reach)


def _latencies(axes: Axes, sides: Sequence[tuple[str, LatencyHistogram]], small: bool) -> None:
    axes.set_xscale("log")
    for (name, side), colour, dashes in zip(sides, (theme.V1, theme.V2), ((2, 2), (5, 2)), strict=True):
        total = sum(side.counts) or 1
        shares, edges = [count / total for count in side.counts], list(side.edges_ms)
        axes.stairs(shares, edges, fill=True, color=colour, alpha=0.16, linewidth=0)
        axes.stairs(shares, edges, color=colour, linewidth=1.6,
                    label=name if side.p95_ms is None else f"{name} (p95 {latency(side.p95_ms)})")  # fmt: skip
        if side.p95_ms is not None:
            axes.axvline(side.p95_ms, color=colour, linewidth=1.4, dashes=dashes)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: percent(value, 0))
    ticker = require("matplotlib.ticker", "analysis")
    axes.xaxis.set_major_locator(ticker.LogLocator(10, subs=(1.0, 2.0, 5.0), numticks=6 if small else 12))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: latency(value))
    axes.set_xlabel("latency of one execution (logarithmic)")
    legend(axes, 1 if small else 2, small)


def legend(axes: Axes, columns: int, small: bool) -> None:
    """Put the legend above the plot."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, frameon=False, borderaxespad=0.2,
        handlelength=1.6, columnspacing=1.2, fontsize=8 if small else 9,
    )  # fmt: skip
