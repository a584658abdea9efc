"""Blocks of every document that a command shows, the same for the terminal (``terminal``) and the page (``html_page``).

A block holds words and positions only. Names from logs (nodes, targets, fields) are plain text: the terminal prints
them without markup, the page escapes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class State:
    """A state as a key (``go``, ``no_go``, ``wait``, ``none``) and as a word."""

    key: str
    word: str


@dataclass(frozen=True)
class Gauge:
    """Positions in [0, 1] on a criterion's scale, for the page; ``label`` says the same in words."""

    lower: float | None
    upper: float | None
    estimate: float | None
    bound: float
    label: str
    proven: float | None = None


@dataclass(frozen=True)
class PairLink:
    """A pair to look at; ``url`` is empty where there is no link."""

    trace_id: str
    url: str
    pair_id: str
    time: str


@dataclass(frozen=True)
class Cell:
    """One cell of a table; what is empty is not drawn.

    Arguments:
        above, small: smaller lines above and below the text.
        anchor: the section of the page that the text leads to.
        bar: length of a bar on the page, in [0, 1].
        chips: names, on the page each in its own box.
        pairs: pairs to look at; the terminal shows the first.
        tint, weight: class of the cell's colour on the page, and the colour's depth in [0, 1].
    """

    text: str = ""
    small: tuple[str, ...] = ()
    above: str = ""
    state: State | None = None
    strong: bool = False
    anchor: str = ""
    gauge: Gauge | None = None
    bar: float | None = None
    chips: tuple[str, ...] = ()
    pairs: tuple[PairLink, ...] = ()
    tint: str = ""
    weight: float = 0.0


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Arguments:
        long: the terminal prints the column's cells below the table, a paragraph to each row.
        whole: a terminal that is too narrow to print its cells unbroken leaves the column out.
    """

    head: str = ""
    number: bool = False
    long: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under columns; the first cell of a row names it.

    Arguments:
        label: what the table is, for a reader who can't see the page.
        kind: classes of the style sheet.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    label: str = ""
    kind: str = "small"
    caption: str = ""


@dataclass(frozen=True)
class Text:
    """A sentence with the part it plays, which gives it its mark and colour.

    Arguments:
        part: ``blocker``, ``warning``, ``missing``, ``advice``, ``note``, ``example``, ``muted`` or ``empty``.
    """

    text: str
    part: str = ""


@dataclass(frozen=True)
class Texts:
    """Sentences under a title; the page shows the first ``most``, and that the others are in the section ``rest``."""

    texts: tuple[Text, ...]
    title: str = ""
    most: int | None = None
    rest: str = ""


@dataclass(frozen=True)
class Figure:
    """One plot as inline SVG in two sizes, for the page, and its numbers as a table if it has one."""

    wide: str
    narrow: str
    caption: str
    title: str = ""
    numbers: Table | None = None


@dataclass(frozen=True)
class Section:
    """A titled part of a document; inside another section the page folds it away.

    Arguments:
        anchor, nav: address on the page, and name in the page's head.
        partial: a template of the page with further text.
        state, remark: beside the title of a folded section.
        unfolded: whether a section inside another is open at first.
    """

    title: str
    blocks: tuple[Block, ...] = ()
    anchor: str = ""
    nav: str = ""
    lead: str = ""
    partial: str = ""
    state: State | None = None
    remark: str = ""
    unfolded: bool = False


Block: TypeAlias = Table | Text | Texts | Figure | tuple[Figure | Table, ...] | Section
"""A tuple holds blocks that stand side by side on the page."""


@dataclass(frozen=True)
class Fact:
    """A named value with a remark."""

    name: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Document:
    """Everything that a command shows.

    Arguments:
        kind: what the document is, in one word.
        title: title of the page's window.
        state: the decision; ``heading`` stands in its place where there is none.
        banner: what has to be seen before everything else.
        lists: sentences to know, side by side on the page.
    """

    kind: str
    title: str
    headline: str
    sections: tuple[Section, ...]
    state: State | None = None
    heading: str = ""
    remarks: tuple[str, ...] = ()
    banner: str = ""
    lists: tuple[Texts, ...] = ()
    facts: tuple[Fact, ...] = ()


def fact_table(facts: Iterable[Fact], title: str = "") -> Table:
    rows = tuple((Cell(fact.name), Cell(fact.value), Cell(fact.remark, tint="muted")) for fact in facts)
    return Table((Column(), Column(), Column()), rows, title)
