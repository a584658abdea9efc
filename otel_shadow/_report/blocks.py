"""Building blocks of every screen and page: a document of sections with tables, texts and figures.

A block holds words and positions only; a renderer (``terminal``, ``html_page``) decides nothing. Names from logs
(nodes, targets, fields) are plain text here: the terminal prints them without markup and the page escapes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class State:
    """A state as a key (``go``, ``no_go``, ``wait``, ``none``) and as a word."""

    key: str
    word: str


@dataclass(frozen=True)
class Gauge:
    """Positions in [0, 1] on a criterion's scale: its band (None: no band), its estimate and its bound.

    ``label`` tells the same in words.
    """

    lower: float | None
    upper: float | None
    estimate: float | None
    bound: float
    label: str


@dataclass(frozen=True)
class PairLink:
    """A pair to look at: its trace id and a link (empty without one), its pair id and time."""

    trace_id: str
    url: str
    pair_id: str
    time: str


@dataclass(frozen=True)
class Cell:
    """One cell of a table; what is empty is not drawn.

    Arguments:
        text: the cell's own text.
        small: smaller lines below it.
        above: a smaller line above it.
        state: a mark; beside a text, below it.
        strong: whether the text stands out.
        anchor: the section that the text leads to.
        bar: length of a bar, in [0, 1].
        chips: names, each in its own box.
        pairs: pairs to look at.
        tint: class of its colour (``same``, ``differs``, ``zero``), and ``weight`` the colour's depth in [0, 1].
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
    """A column: its head, whether numbers stand in it, and how its cells are broken on a terminal: never if ``whole``.

    A ``long`` column is a column on the page; the terminal prints its cells below the table, a paragraph to each row.
    """

    head: str = ""
    number: bool = False
    long: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under columns; the first cell of a row names it.

    Arguments:
        title: heading of the table.
        label: what the table is, for those who can't see it.
        kind: classes of the style sheet.
        caption: a sentence above the table.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    label: str = ""
    kind: str = "small"
    caption: str = ""


@dataclass(frozen=True)
class Text:
    """A sentence or paragraph with the part it plays, which gives it its mark and colour.

    Arguments:
        part: ``blocker``, ``warning``, ``missing``, ``advice``, ``note``, ``muted``, ``empty``, ``detail`` (of the text
            before it), or a name of its own.
    """

    text: str
    part: str = ""


@dataclass(frozen=True)
class Texts:
    """Sentences under a title; the page shows the first ``most`` and where the others are: in the section ``rest``."""

    texts: tuple[Text, ...]
    title: str = ""
    most: int | None = None
    rest: str = ""


@dataclass(frozen=True)
class Figure:
    """One plot as inline SVG in two sizes, its caption, and the same numbers as a table if it has one."""

    wide: str
    narrow: str
    caption: str
    title: str = ""
    numbers: Table | None = None


@dataclass(frozen=True)
class Beside:
    """Figures or tables side by side; ``kind`` is a class of the style sheet."""

    blocks: tuple[Figure | Table, ...]
    kind: str = "pair"


@dataclass(frozen=True)
class Section:
    """A titled part of a document; inside another section it is folded away on the page.

    Arguments:
        anchor, nav: its address on the page and its name in the page's head; empty: not there.
        lead: what it shows.
        partial: a template of the page with further text, that is the same in every document.
        state, remark: stand beside the title of a folded one.
        unfolded: whether it is shown all the same.
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


Block: TypeAlias = Table | Text | Texts | Figure | Beside | Section


@dataclass(frozen=True)
class Fact:
    """A named value with a remark."""

    name: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Document:
    """A whole screen or page.

    Arguments:
        kind: what it is, in one word beside the product's name.
        title: the window's title.
        state: the decision; None where there is none, and ``heading`` stands in its place.
        headline: the answer in one sentence.
        remarks: sentences below it.
        banner: what has to be seen before everything else.
        lists: lists of sentences, side by side on the page.
        facts: what the answer rests on.
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


def fact_table(facts: tuple[Fact, ...], title: str = "") -> Table:
    """Return ``facts`` as a table without heads: names, values and remarks."""
    rows = tuple((Cell(fact.name), Cell(fact.value), Cell(fact.remark, tint="muted")) for fact in facts)
    return Table((Column(), Column(), Column()), rows, title)
