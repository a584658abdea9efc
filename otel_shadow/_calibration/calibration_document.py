"""A calibration as a document: what is proposed, why, and what it would change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from otel_shadow._calibration import proposal_words as words
from otel_shadow._calibration.calibration import Calibration, Risk
from otel_shadow._calibration.risk_plot import risk_coverage
from otel_shadow._calibration.router import Effect, Proposal, Proposals
from otel_shadow._report.blocks import Block, Cell, Column, Document, Fact, Figure, Section, Table, Text, Texts
from otel_shadow.verdict.units import DASH, moment, percent, plural


def calibration_document(calibration: Calibration, *, drawn: bool) -> Document:
    """Return ``calibration`` in words.

    Arguments:
        drawn: whether plots are drawn too, for the page.

    Raises:
        MissingExtraError: plots are to be drawn and matplotlib is not installed.
    """
    notes = tuple(Text(note, "note") for note in calibration.notes)
    scopes = (calibration.overall, *calibration.nodes)
    return Document(
        kind="calibration",
        title=f"Calibration · {calibration.risk}",
        heading="Proposed settings",
        headline=words.promise(calibration),
        banner="The clock was simulated: these times are not real traffic's." if calibration.simulated else "",
        lists=(Texts(notes, "To know"),) if notes else (),
        facts=_facts(calibration),
        sections=(
            *(_router(f"router-{number}", one, calibration.risk, drawn) for number, one in enumerate(scopes)),
            *_intents(calibration, drawn),
            Section("V2_TIMEOUT_MS", (_timeouts(calibration),)),
        ),
    )


def _facts(calibration: Calibration) -> tuple[Fact, ...]:
    times = [moment(datetime.fromtimestamp(at, UTC)) for at in (calibration.first, calibration.last)]
    return (
        Fact("V2 build", calibration.build),
        Fact("Window", f"{times[0]} to {times[1]}"),
        Fact("Chosen on", plural(calibration.sessions, "session")),
        Fact("Held out, the last", plural(calibration.held_out_sessions, "session")),
        Fact("Labelled decisions", f"{calibration.labelled:,} of {plural(calibration.pairs, 'pair')}"),
        Fact("Tolerated", f"{words.share(calibration.options.alpha)} {calibration.risk}"),
        Fact("Confidence", percent(1 - calibration.options.delta)),
    )


def _router(name: str, proposals: Proposals, risk: Risk, drawn: bool) -> Section:
    title = f"Router, {words.scope(proposals)}"
    handoff = proposals.thresholds[-1]
    figures = [risk_coverage(name, handoff, risk, "not handed to a person")] if drawn else []
    lead = f"With what is proposed, {words.change(proposals.change, risk)}."
    return Section(title, (_table("Threshold", proposals.thresholds, risk, title), *_beside(figures)), lead=lead)


def _intents(calibration: Calibration, drawn: bool) -> list[Section]:
    intents, risk, title = calibration.intents, calibration.risk, "Intents: the least score that counts"
    if not intents:
        return []
    figures = [risk_coverage(f"intent-{number}", one, risk, one.name) for number, one in enumerate(intents) if drawn]
    return [Section(title, (_table("Intent", intents, risk, title), *_beside(figures)))]


def _beside(figures: Sequence[Figure | None]) -> tuple[Block, ...]:
    found = tuple(figure for figure in figures if figure)
    return (found,) if found else ()


def _table(head: str, proposals: Sequence[Proposal], risk: Risk, label: str) -> Table:
    numbers = ("Now", "Proposed", "Coverage", words.heading(risk), "Held out: coverage", f"Held out: {risk}")
    columns = (Column(head), *(Column(each, number=True) for each in numbers), Column("Outcome", long=True))
    rows = tuple(
        (
            Cell(one.name), Cell(f"{one.current:g}"), Cell(f"{one.proposed:g}", strong=one.certified),
            *_moved(one.before, one.after), *_moved(one.held_out_before, one.held_out_after),
            Cell(words.outcome(one, risk)),
        ) for one in proposals
    )  # fmt: skip
    return Table(columns, rows, label=label, kind="stack")


def _moved(before: Effect, after: Effect) -> tuple[Cell, Cell]:
    return (
        Cell(words.arrow(percent(before.coverage), percent(after.coverage))),
        Cell(words.arrow(percent(before.risk), percent(after.risk))),
    )


def _timeouts(calibration: Calibration) -> Table:
    def cells(node: str | None, limit: int | None, why: str) -> tuple[Cell, ...]:
        return (
            Cell(node or "all nodes"),
            Cell(DASH if limit is None else f"{limit:,} ms", strong=bool(limit)),
            Cell(why),
        )

    rows = tuple(cells(one.node, one.proposal.timeout_ms, words.timeout(one)) for one in calibration.timeouts)
    columns = (Column("Node"), Column("Limit", number=True), Column("Why", long=True))
    return Table(columns, rows, label="Time limits", kind="stack")
