"""The plots of the page, each from plain numbers: a proportion's band over time, and two latency distributions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from otel_shadow._report import theme
from otel_shadow.errors import require
from otel_shadow.verdict.units import milliseconds, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEPS_H = (1 / 12, 0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 96, 168)


@dataclass(frozen=True)
class Moment:
    """What was known of a quantity at ``time``: estimate and always-valid band."""

    time: datetime
    estimate: float | None
    lower: float
    upper: float


@dataclass(frozen=True)
class Latencies:
    """A distribution of latencies.

    Arguments:
        name: how the legend calls it.
        edges_s: ascending edges of the buckets in seconds; one more than ``counts``.
        counts: observations per bucket.
        p95_s: its 95th percentile in seconds; None if there is none.
    """

    name: str
    edges_s: Sequence[float]
    counts: Sequence[float]
    p95_s: float | None


@dataclass(frozen=True)
class Plot:
    """One plot in its two sizes: inline SVG."""

    wide: str
    narrow: str


def band(
    name: str,
    label: str,
    moments: Sequence[Moment],
    bound: float,
    cycles: Sequence[datetime],
    above: bool = True,
    hours: Sequence[tuple[datetime, float, int]] = (),
    told: Callable[[float], str] = percent,
) -> Plot:
    """A quantity over time: estimate, band and the bound it is held to.

    Arguments:
        cycles: ends of whole cycles, marked on the time axis.
        above: whether GO lies above the bound (parity) or below it (handoff rate).
        hours: raw shares by hour as (middle of the hour, share, pairs): a night that is worse is seen at once.
        told: the quantity in words.
    """

    def draw(axes: Axes, small: bool) -> None:
        _band(axes, moments, bound, told(bound))
        _time_axis(axes, moments, cycles, 0.0 if above else 0.9, small)
        low, high = _limits([moment.estimate for moment in moments if moment.estimate is not None], bound, above)
        _points(axes, hours, low, high)
        axes.set_ylim(low, high)
        axes.yaxis.set_major_formatter(lambda value, _: told(value))
        _legend(axes, 2 if small else 4, small)

    return _both(name, label, draw)


def latencies(name: str, label: str, first: Latencies, second: Latencies) -> Plot:
    """Two latency distributions on a logarithmic axis, with their 95th percentiles."""
    return _both(name, label, lambda axes, small: _latencies(axes, first, second, small))


def _both(name: str, label: str, draw: Callable[[Axes, bool], None]) -> Plot:
    drawn = []
    for size, suffix in ((theme.WIDE, "wide"), (theme.NARROW, "narrow")):
        with theme.canvas(size) as (figure, axes):
            draw(axes, suffix == "narrow")
            drawn.append(theme.svg(figure, f"{name}-{suffix}", label))
    return Plot(*drawn)


def _band(axes: Axes, moments: Sequence[Moment], bound: float, told: str) -> None:
    times = [_hours(moment.time) for moment in moments]
    axes.fill_between(
        times, [moment.lower for moment in moments], [moment.upper for moment in moments],
        color=theme.BAND, alpha=0.22, linewidth=0, label="always-valid band",
    )  # fmt: skip
    axes.plot(
        times,
        [math.nan if moment.estimate is None else moment.estimate for moment in moments],
        color=theme.V2,
        linewidth=2,
        label="estimate",
    )
    axes.axhline(bound, color=theme.BOUND, linewidth=1.4, dashes=(5, 3), label=f"bound {told}")


def _points(axes: Axes, hours: Sequence[tuple[datetime, float, int]], low: float, high: float) -> None:
    """Raw shares by hour; those beyond the picture sit on its edge."""
    if not hours:
        return
    most = max(pairs for _, _, pairs in hours)
    axes.scatter(
        [_hours(time) for time, _, _ in hours], [min(high, max(low, share)) for _, share, _ in hours],
        s=[4 + 14 * pairs / most for _, _, pairs in hours], color=theme.V1, alpha=0.75, linewidths=0,
        label="single hours", clip_on=False, zorder=2,
    )  # fmt: skip


def _time_axis(axes: Axes, moments: Sequence[Moment], cycles: Sequence[datetime], height: float, small: bool) -> None:
    first, last = moments[0].time, moments[-1].time
    for number, cycle in enumerate(cycles, 1):
        axes.axvline(_hours(cycle), color=theme.MUTED, linewidth=0.8, dashes=(1, 3))
        axes.annotate(f"cycle {number}", (_hours(cycle), height), xycoords=("data", "axes fraction"), xytext=(-4, 4),
                      textcoords="offset points", fontsize=8, color=theme.MUTED, ha="right")  # fmt: skip
    ticks = _ticks(first, last, 5 if small else 9)
    axes.set_xticks([_hours(tick) for tick in ticks], [_tick(tick, ticks) for tick in ticks])
    axes.set_xlim(_hours(first), _hours(max(last, first + timedelta(minutes=1))))


def _hours(time: datetime) -> float:
    """Hours since the epoch: plain numbers, so that ticks and labels are ours."""
    return time.timestamp() / 3600


def _ticks(first: datetime, last: datetime, most: int) -> list[datetime]:
    """Round hours between ``first`` and ``last``, at most ``most`` of them."""
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
    """Room for the estimate and the bound; a band that is still wide may leave the picture."""
    settled = estimates[len(estimates) // 4 :]
    reach = max([0.05, *(abs(value - bound) * 1.6 for value in settled)])
    if above:
        return max(0.0, bound - reach), min(1.002, max(bound + reach, 1.0 if bound > 0.9 else 0.0))
    return -0.002 if bound - reach <= 0 else bound - reach, min(1.0, bound + reach)


def _latencies(axes: Axes, first: Latencies, second: Latencies, small: bool) -> None:
    axes.set_xscale("log")
    for side, colour, dashes in ((first, theme.V1, (2, 2)), (second, theme.V2, (5, 2))):
        total = sum(side.counts) or 1.0
        shares = [count / total for count in side.counts]
        axes.stairs(shares, list(side.edges_s), fill=True, color=colour, alpha=0.16, linewidth=0)
        told = side.name if side.p95_s is None else f"{side.name} (p95 {milliseconds(side.p95_s)})"
        axes.stairs(shares, list(side.edges_s), color=colour, linewidth=1.6, label=told)
        if side.p95_s is not None:
            axes.axvline(side.p95_s, color=colour, linewidth=1.4, dashes=dashes)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: percent(value, 0))
    ticker = require("matplotlib.ticker", "analysis")
    axes.xaxis.set_major_locator(ticker.LogLocator(10, subs=(1.0, 2.0, 5.0), numticks=6 if small else 12))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: milliseconds(value))
    axes.set_xlabel("latency of one execution (logarithmic)")
    _legend(axes, 1 if small else 2, small)


def _legend(axes: Axes, columns: int, small: bool) -> None:
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, frameon=False, borderaxespad=0.2,
        handlelength=1.6, columnspacing=1.2, fontsize=8 if small else 9,
    )  # fmt: skip
