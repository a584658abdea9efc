"""The terminal's renderer of documents: the answer first, then section by section.

Colours only on a terminal; piped, the same text comes plain. Text from logs is printed without markup and without
control characters, so that a name can't draw on the terminal.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TextIO

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text as Styled

from otel_shadow._report.blocks import Cell, Document, Section, State, Table, Text, Texts, fact_table
from otel_shadow._report.shown_text import clean

_STATES: Mapping[str, str] = {"go": "bold green", "no_go": "bold red", "wait": "bold yellow", "none": "dim"}
_PARTS: Mapping[str, str] = {"blocker": "red", "warning": "yellow", "note": "dim", "example": "dim", "muted": "dim"}
_LABELS: Mapping[str, str] = {"blocker": "forbids a GO:", "example": "such as:", "missing": "-"}
_PIPED_WIDTH = 120
_WIDE = 110
"""Columns below which a trace id does not fit beside a sentence."""
_NAME = 24
"""Columns of a row's name that the others leave whole."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise the error again: rich would exit with 1, which is NO-GO here."""
        raise BrokenPipeError


def console(stream: TextIO, width: int | None = None) -> Console:
    """Return a console on ``stream``; piped, it is 120 columns wide unless ``COLUMNS`` says otherwise."""
    if width is None and not stream.isatty() and not os.environ.get("COLUMNS", "").isdigit():
        width = _PIPED_WIDTH
    return _Console(file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


def show(document: Document, out: Console) -> None:
    head = _state(document.state) if document.state else _styled(document.heading, "bold")
    out.print(Styled.assemble(head, "  ", clean(document.headline)))
    if document.banner:
        out.print(_styled(document.banner, "yellow"))
    for remark in document.remarks:
        out.print(_styled(remark))
    for texts in document.lists:
        _texts(texts, out)
    if document.facts:
        out.print()
        _table(fact_table(document.facts), out)
    for section in document.sections:
        _section(section, out)


def _styled(text: str, style: str = "") -> Styled:
    return Styled(clean(text), style=style)


def _state(state: State) -> Styled:
    return _styled(state.word, _STATES[state.key])


def _indented(content: RenderableType, out: Console) -> None:
    """Print ``content`` two columns to the right: no name from a log begins a line."""
    out.print(Padding(content, (0, 0, 0, 2), expand=False))


def _heading(title: str, out: Console) -> None:
    out.print()
    out.print(_styled(title, "bold"))


def _section(section: Section, out: Console) -> None:
    _heading(section.title, out)
    if section.lead:
        _indented(_styled(section.lead, "dim"), out)
    for block in section.blocks:
        match block:
            case Table():
                _table(block, out)
            case Texts():
                _texts(block, out)
            case Text():
                _indented(_styled(block.text, _PARTS.get(block.part, "")), out)
            case _:
                raise TypeError(f"a terminal has no place for {type(block).__name__}")


def _texts(texts: Texts, out: Console) -> None:
    for text in texts.texts:
        grid = Grid.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column()
        label = _LABELS.get(text.part, f"{text.part}:")
        grid.add_row(_styled(f"  {label}", _PARTS.get(text.part, "")), _styled(text.text))
        out.print(grid)


def _table(table: Table, out: Console) -> None:
    if table.title:
        _indented(_styled(table.title), out)
    columns = [column for column in table.columns if not column.long and (out.width >= _WIDE or not column.whole)]
    grid = Grid(box=box.SIMPLE_HEAD if out.is_terminal else None, show_edge=False, pad_edge=False,
                padding=(0, 2, 0, 0), show_header=any(column.head for column in columns))  # fmt: skip
    for column in columns:
        name = max([len(row[0].text) for row in table.rows], default=0) if column is columns[0] else 0
        grid.add_column(column.head, justify="right" if column.number else "left", overflow="fold",
                        header_style="dim", no_wrap=column.whole, min_width=min(name, _NAME))  # fmt: skip
    for row in table.rows:
        grid.add_row(*(_cell(cell) for cell, column in zip(row, table.columns, strict=True) if column in columns))
    _indented(grid, out)
    _paragraphs(table, [column.head for column in table.columns if column.long], out)


def _cell(cell: Cell) -> Styled:
    text = cell.text or ", ".join(cell.chips) or next((pair.trace_id or pair.pair_id for pair in cell.pairs), "")
    told = [_styled(text, "bold" if cell.strong else ""), *([_state(cell.state)] if cell.state else [])]
    above, *below = (_styled(line, "dim") for line in (cell.above, *cell.small))
    return Styled("\n").join(filter(None, (above, Styled(" ").join(filter(None, told)), *below)))


def _paragraphs(table: Table, heads: Sequence[str], out: Console) -> None:
    """Print the long cells of each row; several kinds of them stand under a heading."""
    if len(heads) > 1:
        _heading(" and ".join([heads[0], *(head[:1].lower() + head[1:] for head in heads[1:])]), out)
    for row in table.rows if heads else ():
        long = [cell for cell, column in zip(row, table.columns, strict=True) if column.long]
        told = "; ".join(filter(None, [line for cell in long for line in (cell.text, *cell.small)]))
        _indented(Styled.assemble((f"{clean(row[0].text)}: ", "bold"), clean(told or "nothing yet")), out)
