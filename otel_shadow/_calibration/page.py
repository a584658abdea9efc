"""The calibration as one self-contained page, in the look of the verdict's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources

from otel_shadow._calibration import words
from otel_shadow._calibration.calibration import Calibration
from otel_shadow._calibration.plots import risk_coverage
from otel_shadow._calibration.router import Effect, Proposal, Proposals
from otel_shadow._report.plots import Plot
from otel_shadow.errors import require
from otel_shadow.verdict.units import DASH, moment, percent, plural


@dataclass(frozen=True, slots=True)
class Line:
    """One threshold's row."""

    name: str
    now: str
    proposed: str
    certified: bool
    coverage: str
    risk: str
    held_coverage: str
    held_risk: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Part:
    """A table of thresholds, what they would change, and plots."""

    title: str
    lines: tuple[Line, ...]
    change: str
    plots: tuple[tuple[str, Plot], ...]


def page(calibration: Calibration) -> str:
    """The page's text.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    jinja2 = require("jinja2", "calibration")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("otel_shadow._calibration", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value.replace(" %", "\u00a0%") if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = resources.files("otel_shadow._report").joinpath("templates", "page.css").read_text(encoding="utf-8")
    text: str = environment.get_template("calibration.html.j2").render(
        style=style,
        risk=calibration.risk,
        risk_heading=words.heading(calibration.risk),
        promise=words.promise(calibration),
        notes=calibration.notes,
        simulated=calibration.simulated,
        facts=_facts(calibration),
        parts=_parts(calibration),
        timeouts=[
            (check.node or "all nodes", _limit(check.proposal.timeout_ms), words.timeout(check))
            for check in calibration.timeouts
        ],
    )
    return text


def _limit(milliseconds: int | None) -> str:
    return DASH if milliseconds is None else f"{milliseconds:,} ms"


def _facts(calibration: Calibration) -> list[tuple[str, str]]:
    times = [moment(datetime.fromtimestamp(at, UTC)) for at in (calibration.first, calibration.last)]
    return [
        ("V2 build", calibration.build),
        ("Window", f"{times[0]} to {times[1]}"),
        ("Chosen on", plural(calibration.sessions, "session")),
        ("Held out, the last", plural(calibration.held_out_sessions, "session")),
        ("Labelled decisions", f"{calibration.labelled:,} of {plural(calibration.pairs, 'pair')}"),
        ("Tolerated", f"{words.share(calibration.options.alpha)} {calibration.risk}"),
        ("Confidence", percent(1 - calibration.options.delta)),
    ]


def _parts(calibration: Calibration) -> list[Part]:
    found = [_router(number, one, calibration.risk) for number, one in enumerate(_scopes(calibration))]
    if calibration.intents:
        plots = [
            (one.name, plot)
            for number, one in enumerate(calibration.intents)
            if (plot := risk_coverage(f"intent-{number}", one, calibration.risk))
        ]
        lines = tuple(_line(one, calibration.risk) for one in calibration.intents)
        found.append(Part("Intents: the least score that counts", lines, "", tuple(plots)))
    return found


def _scopes(calibration: Calibration) -> tuple[Proposals, ...]:
    return (calibration.overall, *calibration.nodes)


def _router(number: int, proposals: Proposals, risk: str) -> Part:
    handoff = proposals.thresholds[-1]
    plot = risk_coverage(f"router-{number}", handoff, risk)
    return Part(
        f"Router, {words.scope(proposals)}",
        tuple(_line(one, risk) for one in proposals.thresholds),
        words.change(proposals.change, risk),
        (("not handed to a person", plot),) if plot else (),
    )


def _line(one: Proposal, risk: str) -> Line:
    return Line(
        one.name,
        f"{one.current:g}",
        f"{one.proposed:g}",
        one.certified,
        *_moved(one.before, one.after),
        *_moved(one.held_out_before, one.held_out_after),
        words.outcome(one, risk),
    )


def _moved(before: Effect, after: Effect) -> tuple[str, str]:
    return (
        words.arrow(percent(before.coverage), percent(after.coverage)),
        words.arrow(percent(before.risk), percent(after.risk)),
    )
