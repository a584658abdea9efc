"""The risk–coverage plot: what accepting more decisions costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_shadow._calibration.calibration import Risk
from otel_shadow._calibration.threshold_proposals import Effect, Proposal
from otel_shadow._report import theme
from otel_shadow._report.blocks import Figure
from otel_shadow.verdict.units import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def risk_coverage(name: str, proposal: Proposal, risk: Risk, told: str) -> Figure | None:
    """Return a plot of risk against coverage, with the risk's upper bound and thresholds; None without data.

    ``name`` is unique on the page; ``told`` says in the caption what is accepted.
    """
    if not proposal.certificate.curve:
        return None
    plot = theme.drawn(name, _label(proposal, risk), lambda axes, small: _draw(axes, proposal, risk, small))
    caption = (
        f"{told}: {risk} among the accepted, against how many are accepted. Sessions it was chosen on; the diamond is "
        "the held-out ones."
    )
    return Figure(*plot, caption)


def _label(proposal: Proposal, risk: Risk) -> str:
    after, alpha = proposal.after, percent(proposal.certificate.alpha)
    return (
        f"{risk} against coverage for {proposal.name}: at threshold {proposal.proposed:g} coverage is "
        f"{percent(after.coverage)} and {risk} {percent(after.risk)}; tolerated are {alpha}"
    )


def _draw(axes: Axes, proposal: Proposal, risk: Risk, small: bool) -> None:
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
    theme.legend(axes, 2 if small else 3, small)


def _point(axes: Axes, effect: Effect, colour: str, marker: str, label: str) -> None:
    if effect.coverage is not None and effect.risk is not None:
        axes.plot([effect.coverage], [effect.risk], marker, color=colour, markersize=7, label=label, clip_on=False)
