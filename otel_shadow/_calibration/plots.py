"""The risk–coverage plot: what accepting more decisions costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_shadow._calibration.router import Effect, Proposal
from otel_shadow._report import theme
from otel_shadow._report.plots import Plot
from otel_shadow.verdict.units import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def risk_coverage(name: str, proposal: Proposal, risk: str) -> Plot | None:
    """Risk against coverage with its upper bound, the tolerated risk, and where thresholds stand; None without data."""
    if not proposal.certificate.curve:
        return None
    drawn = []
    for size, suffix in ((theme.WIDE, "wide"), (theme.NARROW, "narrow")):
        with theme.canvas(size) as (figure, axes):
            _draw(axes, proposal, risk)
            figure.legend(loc="outside upper left", ncols=3 if suffix == "wide" else 2, frameon=False, fontsize=8)
            drawn.append(theme.svg(figure, f"{name}-{suffix}", _label(proposal, risk)))
    return Plot(*drawn)


def _label(proposal: Proposal, risk: str) -> str:
    after, alpha = proposal.after, percent(proposal.certificate.alpha)
    return (
        f"{risk} against coverage for {proposal.name}: at threshold {proposal.proposed:g} coverage is "
        f"{percent(after.coverage)} and {risk} {percent(after.risk)}; tolerated are {alpha}"
    )


def _draw(axes: Axes, proposal: Proposal, risk: str) -> None:
    curve, alpha = proposal.certificate.curve, proposal.certificate.alpha
    coverage = [tested.coverage for tested in curve]
    axes.fill_between(coverage, [tested.risk for tested in curve], [tested.upper for tested in curve],
                      color=theme.BAND, alpha=0.22, linewidth=0, label="up to its upper bound")  # fmt: skip
    axes.plot(coverage, [tested.risk for tested in curve], color=theme.V2, linewidth=2, label=risk)
    axes.axhline(alpha, color=theme.BOUND, linewidth=1.4, dashes=(5, 3), label=f"tolerated {alpha * 100:.4g} %")
    _point(axes, proposal.before, theme.V1, "s", f"now {proposal.current:g}")
    if proposal.certified:
        _point(axes, proposal.after, theme.V2, "o", f"proposed {proposal.proposed:g}")
    _point(axes, proposal.held_out_after, theme.INK, "D", "held out")
    axes.set_xlabel("coverage: share of sessions accepted")
    axes.xaxis.set_major_formatter(lambda value, _: percent(value, 0))
    axes.yaxis.set_major_formatter(lambda value, _: percent(value))
    shown = [tested.upper for tested in curve] + [proposal.held_out_after.risk or 0.0]
    axes.set_ylim(0, max(alpha * 2, *(height * 1.1 for height in shown)))


def _point(axes: Axes, effect: Effect, colour: str, marker: str, label: str) -> None:
    if effect.coverage is not None and effect.risk is not None:
        axes.plot([effect.coverage], [effect.risk], marker, color=colour, markersize=7, label=label, clip_on=False)
