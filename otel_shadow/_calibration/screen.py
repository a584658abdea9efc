"""A calibration on the terminal: what is proposed first, then why, then what it would change."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from otel_shadow._calibration import words
from otel_shadow._calibration.calibration import Calibration
from otel_shadow._calibration.router import Effect, Proposal, Proposals
from otel_shadow._report.terminal import clean
from otel_shadow.verdict.units import DASH, percent, plural


def show(calibration: Calibration, out: Console) -> None:
    """Print ``calibration``."""
    _head(calibration, out)
    for proposals in (calibration.overall, *calibration.nodes):
        _thresholds(proposals, calibration.risk, out)
    if calibration.intents:
        _heading("Intents: the least score that counts", out)
        out.print(_table(calibration.intents, calibration.risk, "Intent"))
        _outcomes(calibration.intents, calibration.risk, out)
    _timeouts(calibration, out)


def _head(calibration: Calibration, out: Console) -> None:
    clock = " (simulated clock)" if calibration.simulated else ""
    out.print(
        f"Calibration of build {clean(calibration.build)}: {plural(calibration.labelled, 'labelled decision')} of "
        f"{plural(calibration.sessions, 'session')} to choose on, the last "
        f"{plural(calibration.held_out_sessions, 'session')} held out{clock}"
    )
    out.print(Text(words.promise(calibration), "dim"))
    for note in calibration.notes:
        out.print(Text(f"  note: {clean(note)}", "yellow"))


def _heading(text: str, out: Console) -> None:
    out.print()
    out.print(Text(clean(text), "bold"))


def _thresholds(proposals: Proposals, risk: str, out: Console) -> None:
    _heading(f"Router, {words.scope(proposals)}", out)
    out.print(_table(proposals.thresholds, risk, "Threshold"))
    _outcomes(proposals.thresholds, risk, out)
    out.print(Padding(Text(words.change(proposals.change, risk)), (0, 0, 0, 2), expand=False))


def _table(proposals: tuple[Proposal, ...], risk: str, head: str) -> Table:
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for title in (head, "Now", "Proposed", "Coverage", words.heading(risk), "Held out: coverage", words.heading(risk)):
        table.add_column(title, justify="left" if title == head else "right", header_style="dim", overflow="fold")
    for one in proposals:
        style = "bold green" if one.certified else "dim"
        table.add_row(
            clean(one.name), f"{one.current:g}", Text(f"{one.proposed:g}", style),
            *_moved(one.before, one.after), *_moved(one.held_out_before, one.held_out_after),
        )  # fmt: skip
    return table


def _moved(before: Effect, after: Effect) -> tuple[str, str]:
    coverage = words.arrow(percent(before.coverage), percent(after.coverage))
    return coverage, words.arrow(percent(before.risk), percent(after.risk))


def _outcomes(proposals: tuple[Proposal, ...], risk: str, out: Console) -> None:
    for one in proposals:
        out.print(Padding(Text(clean(f"{one.name}: {words.outcome(one, risk)}")), (0, 0, 0, 2), expand=False))


def _timeouts(calibration: Calibration, out: Console) -> None:
    _heading("V2_TIMEOUT_MS", out)
    table = Table.grid(padding=(0, 2))
    for check in calibration.timeouts:
        limit = check.proposal.timeout_ms
        table.add_row(
            clean(check.node or "all nodes"),
            Text(DASH if limit is None else f"{limit:,} ms", "bold green" if limit else "dim"),
            Text(words.timeout(check)),
        )
    out.print(table)
