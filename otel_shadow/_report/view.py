"""What a reader sees, in words: one frozen view that the terminal and the page draw, each in its own way.

A view holds text and positions only; whoever draws it decides nothing. Names from the logs (nodes, targets, fields)
are plain text here: the terminal prints them without markup and the page escapes them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class State:
    """A state as a key (``go``, ``no_go``, ``wait``, ``none``) and as a word."""

    key: str
    word: str


GO = State("go", "GO")
NO_GO = State("no_go", "NO-GO")
WAIT = State("wait", "WAIT")
NOTHING = State("none", "no evidence")


@dataclass(frozen=True)
class Gauge:
    """Positions in [0, 1] on a criterion's scale: its band, its estimate and its bound."""

    lower: float
    upper: float
    estimate: float | None
    bound: float


@dataclass(frozen=True)
class Row:
    """One criterion in words; an empty string is "nothing to say"."""

    key: str
    title: str
    question: str
    state: State
    required: bool
    estimate: str
    band: str
    """Empty where there is none; ``no_band`` says why."""
    no_band: str
    bound: str
    gauge: Gauge | None
    evidence: str
    counts: str
    reason: str
    missing: tuple[str, ...]
    earliest: str
    weakest: str
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Part:
    """A block of hours or an intent, by itself."""

    kind: str
    label: str
    state: State
    certified: bool
    sessions: str
    events: str
    estimate: str
    band: str


@dataclass(frozen=True)
class Cell:
    """One cell of a confusion matrix: its count, whether the decisions are the same, and its depth of colour in [0, 1].

    Agreements are weighed against the largest agreement, disagreements against the largest disagreement.
    """

    count: int
    weight: float
    same: bool


@dataclass(frozen=True)
class Matrix:
    """Decisions of V1 (rows) against V2 (columns) of one node."""

    node: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...], int], ...]
    """Name of the row, its cells, their sum."""
    agreed: str
    total: int


@dataclass(frozen=True)
class Trace:
    """A pair to look at: its trace id and a link (empty without one), its pair id and time."""

    trace_id: str
    url: str
    pair_id: str
    time: str


@dataclass(frozen=True)
class Group:
    """Mismatches of one kind: node, route, differing fields, intent and build."""

    node: str
    original: str
    shadow: str
    same_route: bool
    steps: str
    fields: tuple[str, ...]
    intent: str
    build: str
    count: int
    sessions: int
    share: float
    weight: float
    """The share against the heaviest group's, for a bar."""
    accepted: str
    traces: tuple[Trace, ...]

    @property
    def percent(self) -> str:
        """The share in per cent, whole."""
        return f"{self.share * 100:.0f} %"


@dataclass(frozen=True)
class Fact:
    """A named value with a remark."""

    name: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Speed:
    """Latency of one version in one arm, in words."""

    node: str
    who: str
    executions: str
    p50: str
    p95: str


@dataclass(frozen=True)
class Node:
    """One node: its state, its criteria and what was counted."""

    name: str
    anchor: str
    state: State
    facts: tuple[Fact, ...]
    notes: tuple[str, ...]
    rows: tuple[Row, ...]
    counts: tuple[Fact, ...]

    def row(self, key: str) -> Row | None:
        """The criterion ``key``, None where the node has none of it."""
        return next((row for row in self.rows if row.key == key), None)


@dataclass(frozen=True)
class View:
    """Everything a report says."""

    state: State
    headline: str
    simulated: bool
    at: str
    earliest: str
    slowest: str
    blockers: tuple[str, ...]
    warnings: tuple[str, ...]
    missing: tuple[str, ...]
    advice: tuple[str, ...]
    notes: tuple[str, ...]
    facts: tuple[Fact, ...]
    rows: tuple[Row, ...]
    nodes: tuple[Node, ...]
    matrices: tuple[Matrix, ...]
    speeds: tuple[Speed, ...]
    groups: tuple[Group, ...]
    accepted: tuple[Group, ...]
    mismatches: int
    """All that count; the groups may be the heaviest only."""
    left_out: tuple[Fact, ...]
    examples: tuple[str, ...]
    noise: tuple[Fact, ...]
    policy: tuple[Fact, ...]
