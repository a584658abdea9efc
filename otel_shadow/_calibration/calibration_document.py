"""A calibration as a document: what is proposed, why, and what it would change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from otel_shadow._calibration.calibration import Calibration, Risk, TimeoutCheck
from otel_shadow._calibration.risk_plot import risk_coverage
from otel_shadow._calibration.threshold_proposals import Change, Effect, Proposal, Proposals
from otel_shadow._report.blocks import Block, Cell, Column, Document, Fact, Figure, Section, Table, Text, Texts
from otel_shadow.verdict.units import DASH, count, moment, percent, plural

_HELD = {
    "within": "holds on the held-out sessions",
    "above": "does not hold on the held-out sessions: traffic changed, don't load it",
    "unclear": "not contradicted by the held-out sessions, which are too few to confirm it",
    "none": "no held-out session is accepted",
}


def calibration_document(calibration: Calibration, *, drawn: bool) -> Document:
    """Return ``calibration`` in words; ``drawn`` with its plots, for the page."""
    notes = tuple(Text(note, "note") for note in calibration.notes)
    scopes = (calibration.overall, *calibration.nodes)
    return Document(
        kind="calibration",
        title=f"Calibration · {calibration.risk}",
        heading="Proposed settings",
        headline=_promise(calibration),
        banner="The clock was simulated: these times are not real traffic's." if calibration.simulated else "",
        lists=(Texts(notes, "To know"),) if notes else (),
        facts=_facts(calibration),
        sections=(
            *(_router(f"router-{number}", one, calibration.risk, drawn) for number, one in enumerate(scopes)),
            *_intents(calibration, drawn),
            Section("V2_TIMEOUT_MS", (_timeouts(calibration),)),
        ),
    )


def _promise(calibration: Calibration) -> str:
    what = (
        "The label is agreement with V1: what is bounded is disagreement with V1, no error where V1 is wrong."
        if calibration.risk is not Risk.ERROR
        else "The label is a person's: what is bounded is V2's error."
    )
    confidence = percent(1 - calibration.options.delta, 0)
    return (
        f"{what} Each certificate holds with confidence {confidence}, taken alone, for sessions like the recorded "
        "ones, one decision each (Learn then Test, arXiv 2110.01052)."
    )


def _facts(calibration: Calibration) -> tuple[Fact, ...]:
    first, last = (moment(datetime.fromtimestamp(at, UTC)) for at in (calibration.first, calibration.last))
    return (
        Fact("V2 build", calibration.build),
        Fact("Window", f"{first} to {last}"),
        Fact("Chosen on", plural(calibration.sessions, "session")),
        Fact("Held out, the last", plural(calibration.held_out_sessions, "session")),
        Fact("Labelled decisions", f"{calibration.labelled:,} of {plural(calibration.pairs, 'pair')}"),
        Fact("Tolerated", f"{_share(calibration.options.alpha)} {calibration.risk}"),
        Fact("Confidence", percent(1 - calibration.options.delta)),
    )


def _router(name: str, proposals: Proposals, risk: Risk, drawn: bool) -> Section:
    title = f"Router, {proposals.node or 'All nodes'}"
    figures = [risk_coverage(name, proposals.thresholds[-1], risk, "not handed to a person")] if drawn else []
    lead = f"With what is proposed, {_changed(proposals.change, risk)}."
    return Section(title, (_table("Threshold", proposals.thresholds, risk, title), *_beside(figures)), lead=lead)


def _changed(change: Change, risk: Risk) -> str:
    recorded = f"of {plural(change.pairs, 'recorded pair')}"
    handed = change.after["handoff"] - change.before["handoff"]
    wrong = change.wrong_after - change.wrong_before
    noun = "errors" if risk is Risk.ERROR else "disagreements with V1"
    if not wrong and change.after == change.before:
        return f"{recorded}: nothing would change"
    return (
        f"{recorded}: {_more(handed)} handoffs to a person "
        f"({count(change.before['handoff'])} → {count(change.after['handoff'])}), {_more(wrong)} {noun} acted upon "
        f"({count(change.wrong_before)} → {count(change.wrong_after)})"
    )


def _more(number: int) -> str:
    return f"{abs(number):,} {'more' if number >= 0 else 'fewer'}"


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
    heading = risk[0].upper() + risk[1:]
    numbers = ("Now", "Proposed", "Coverage", heading, "Held out: coverage", f"Held out: {risk}")
    columns = (Column(head), *(Column(each, number=True) for each in numbers), Column("Outcome", long=True))
    rows = tuple(
        (
            Cell(one.name), Cell(f"{one.current:g}"), Cell(f"{one.proposed:g}", strong=one.certified),
            *_moved(one.before, one.after), *_moved(one.held_out_before, one.held_out_after),
            Cell(_outcome(one, risk)),
        ) for one in proposals
    )  # fmt: skip
    return Table(columns, rows, label=label, kind="stack")


def _moved(before: Effect, after: Effect) -> tuple[Cell, Cell]:
    """Return coverage and risk as ``before → after``, or as one number where nothing changes."""
    told = [(percent(before.coverage), percent(after.coverage)), (percent(before.risk), percent(after.risk))]
    coverage, risk = (Cell(new if old == new else f"{old} → {new}") for old, new in told)
    return coverage, risk


def _outcome(proposal: Proposal, risk: Risk) -> str:
    certificate = proposal.certificate
    alpha = _share(certificate.alpha)
    if proposal.certified:
        return f"certified: {risk} ≤ {alpha}; {_HELD[proposal.held]}"
    if certificate.reason == "few":
        return f"not enough data to certify {alpha} ({plural(certificate.sessions, 'session')}); kept"
    worst = certificate.curve[0]
    surest = f"even the surest {percent(worst.coverage, 0)} have {percent(worst.risk)} {risk}"
    return f"no threshold keeps {alpha}: {surest}; kept"


def _share(value: float) -> str:
    """Return a share that somebody chose, with the digits it has."""
    return f"{value * 100:.4g} %"


def _timeouts(calibration: Calibration) -> Table:
    rows = tuple(
        (
            Cell(one.node or "all nodes"),
            Cell(DASH if one.proposal.timeout_ms is None else f"{one.proposal.timeout_ms:,} ms",
                 strong=bool(one.proposal.timeout_ms)),
            Cell(_limit(one)),
        ) for one in calibration.timeouts
    )  # fmt: skip
    columns = (Column("Node"), Column("Limit", number=True), Column("Why", long=True))
    return Table(columns, rows, label="Time limits", kind="stack")


def _limit(check: TimeoutCheck) -> str:
    proposal = check.proposal
    budget, runs = percent(proposal.budget), proposal.sessions
    if proposal.reason == "few":
        return f"not enough data: {plural(runs, 'session')}, needed are {proposal.needed}"
    if proposal.reason == "failing":
        return (
            f"no limit keeps {budget}: {proposal.failed} of {runs} runs failed (up to "
            f"{percent(proposal.failed_upper)}); mend V2 first"
        )
    if proposal.reason == "censored":
        return (
            f"not enough data: {proposal.censored} of {runs} runs were cut off at about "
            f"{proposal.collected_under_ms or 0:,.0f} ms; collect under a longer V2_TIMEOUT_MS"
        )
    spent = f"{proposal.failed} failed, {proposal.censored} cut off"
    shown = f"; held out: {check.held_out_late} of {check.held_out} later or failed" if check.held_out else ""
    return (
        f"at most {budget} fall back, with confidence {percent(proposal.confidence, 0)}: the {count(proposal.rank)}. "
        f"of {plural(runs, 'run')} in order of time ({spent}){shown}"
    )
