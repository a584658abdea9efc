"""The verdict on the terminal: the answer first, then each criterion, each node, what differs and what was left out.

Colours only on a terminal; piped, the same text comes plain. Text from logs is printed without markup and without
control characters, so that a name can't draw on the terminal.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from typing import TextIO

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from otel_shadow import semconv
from otel_shadow._report.view import Fact, Group, Row, State, View

_STYLES = {"go": "bold green", "no_go": "bold red", "wait": "bold yellow", "none": "dim"}
_SHORT = {
    semconv.CRITERION_PARITY: "Parity",
    semconv.CRITERION_HANDOFF: "Handoff",
    semconv.CRITERION_LATENCY_NOW: "p95 now",
    semconv.CRITERION_LATENCY_AFTER: "p95 after",
    semconv.CRITERION_V1_SERVED: "V1 served",
    semconv.CRITERION_COVERAGE: "Coverage",
}
_GROUPS = 8
_PIPED_WIDTH = 120
_WIDE = 110
"""From this width on a trace id fits on one line."""
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the caller: rich would exit with 1, which is NO-GO here."""
        raise BrokenPipeError


def console(stream: TextIO, width: int | None = None) -> Console:
    """A console on ``stream``; piped, it is 120 columns wide unless ``COLUMNS`` says otherwise."""
    if width is None and not stream.isatty() and not os.environ.get("COLUMNS", "").isdigit():
        width = _PIPED_WIDTH
    return _Console(file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


def show(view: View, out: Console) -> None:
    """Print ``view``."""
    _head(view, out)
    _facts(view.facts, out)
    _criteria(view.rows, out)
    _whys(view.rows, out)
    _nodes(view, out)
    _groups(view, out)
    _left_out(view, out)
    _policy(view.policy, out)


def clean(text: str) -> str:
    """``text`` without control characters and without what turns the writing direction."""
    return "".join("�" if unicodedata.category(sign) == "Cc" or sign in _BIDI else sign for sign in text)


def _text(text: str, style: str = "") -> Text:
    return Text(clean(text), style=style)


def _state(state: State) -> Text:
    return _text(state.word, _STYLES[state.key])


def _head(view: View, out: Console) -> None:
    out.print(Text.assemble((f"{view.state.word}", _STYLES[view.state.key]), "  ", clean(view.headline)))
    if view.simulated:
        out.print(_text("The clock was simulated: these times are not real traffic's.", "yellow"))
    if view.earliest:
        last = f"; {view.slowest.lower()} will be last" if view.slowest else ""
        out.print(_text(f"At the present rate a GO is possible from {view.earliest}{last}."))
    _list("forbids a GO", view.blockers, out, "red")
    _list("warning", view.warnings, out, "yellow")
    _list("missing", view.missing, out)
    _list("advice", view.advice, out)
    _list("note", view.notes, out, "dim")


def _list(label: str, sentences: Iterable[str], out: Console, style: str = "") -> None:
    for sentence in sentences:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column()
        grid.add_row(_text(f"  {label}:", style), _text(sentence))
        out.print(grid)


def _facts(facts: Iterable[Fact], out: Console) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column()
    for fact in facts:
        remark = f" ({fact.remark})" if fact.remark else ""
        grid.add_row(_text(fact.name), _text(f"{fact.value}{remark}"))
    out.print()
    out.print(grid)


def _table(title: str, out: Console, *heads: str, right: Iterable[int] = ()) -> Table:
    out.print()
    out.print(_text(title, "bold"))
    lines = box.SIMPLE_HEAD if out.is_terminal else None
    table = Table(box=lines, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number in right else "left", overflow="fold", header_style="dim",
                         no_wrap=head == "A trace")  # fmt: skip
    return table


def _criteria(rows: Iterable[Row], out: Console) -> None:
    table = _table("Criteria (the weakest node's numbers)", out, "Criterion", "Verdict", "Estimate", "Bound",
                   "Always-valid band", "Weakest node", right=(2, 3))  # fmt: skip
    for row in rows:
        title = row.title if row.required else f"{row.title} (shown only)"
        table.add_row(_text(title), _state(row.state), _text(row.estimate, "bold"), _text(row.bound),
                      _text(row.band), _text(row.weakest))  # fmt: skip
    out.print(table)


def _whys(rows: Iterable[Row], out: Console) -> None:
    out.print()
    out.print(_text("Evidence so far, why, and what is missing", "bold"))
    for row in rows:
        told = [row.evidence, row.counts, row.reason, *(f"missing: {sentence}" for sentence in row.missing)]
        if row.earliest:
            told.append(f"earliest GO at this rate: {row.earliest}")
        line = Text.assemble((f"{row.title}: ", "bold"), clean("; ".join(filter(None, told)) or "nothing yet"))
        out.print(Padding(line, (0, 0, 0, 2), expand=False))


def _nodes(view: View, out: Console) -> None:
    if not view.nodes:
        return
    heads = [_SHORT.get(row.key, row.title) for row in view.rows]
    table = _table("Nodes", out, "Node", "Verdict", *heads)
    for node in view.nodes:
        found = [node.row(row.key) for row in view.rows]
        cells = [Text.assemble(clean(one.estimate), " ", _state(one.state)) if one else Text() for one in found]
        table.add_row(_text(node.name), _state(node.state), *cells)
    out.print(table)
    for node in view.nodes:
        _list(node.name, node.notes, out, "dim")


def _groups(view: View, out: Console) -> None:
    if not view.groups:
        return
    title = f"Mismatches that weigh most ({view.mismatches:,} pairs in all)"
    heads = ["Pairs", "Share", "Where, and what differs", *(["A trace"] if out.width >= _WIDE else [])]
    table = _table(title, out, *heads, right=(0, 1))
    for group in view.groups[:_GROUPS]:
        what = Text("\n").join([_text(_where(group)), _text(_differs(group), "dim")])
        cells = [_text(f"{group.count:,}"), _text(group.percent), what, _text(_trace(group))]
        table.add_row(*cells[: len(heads)])
    out.print(table)
    if len(view.groups) > _GROUPS:
        out.print(_text(f"  and {len(view.groups) - _GROUPS} more kinds; --html and --json show them", "dim"))


def _where(group: Group) -> str:
    route = f"{group.original} (same decision)" if group.same_route else f"{group.original} → {group.shadow}"
    return f"{group.node}: {route}{f', intent {group.intent}' if group.intent else ''}"


def _differs(group: Group) -> str:
    step = [f"step {group.steps}"] if group.steps else []
    return "; ".join(filter(None, [", ".join(group.fields), *step])) or "the decision only"


def _trace(group: Group) -> str:
    return next((trace.trace_id or trace.pair_id for trace in group.traces), "")


def _left_out(view: View, out: Console) -> None:
    out.print()
    out.print(_text("Left out", "bold"))
    counted = [fact for fact in view.left_out if fact.value != "0"]
    told = [f"{fact.name}: {fact.value} ({fact.remark})" for fact in counted]
    told += [f"Accepted differences, {group.accepted}: {group.count:,} of {group.node}" for group in view.accepted]
    for sentence in told or ["nothing"]:
        out.print(Padding(_text(sentence), (0, 0, 0, 2), expand=False))
    for example in view.examples[:3]:
        out.print(Padding(_text(f"such as {example}", "dim"), (0, 0, 0, 4), expand=False))


def _policy(policy: Iterable[Fact], out: Console) -> None:
    out.print()
    out.print(_text("Policy", "bold"))
    out.print(Padding(_text(" · ".join(f"{fact.name}={fact.value}" for fact in policy)), (0, 0, 0, 2), expand=False))
