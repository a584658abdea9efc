"""What the page and the terminal show of the evidence behind a verdict: frozen shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from otel_shadow.verdict.executions import Sample as Sample
from otel_shadow.verdict.lines_read import Reading as Reading


@dataclass(frozen=True, slots=True)
class ParityPoint:
    """One hour of one node: compared pairs, matches, and shadows that failed or timed out of those executed."""

    node: str
    hour: datetime
    matches: int
    comparisons: int
    failures: int
    executions: int


@dataclass(frozen=True, slots=True)
class BandPoint:
    """The always-valid band of a criterion of one node, as it stood at ``at`` (all closed sessions so far).

    Shares for parity and handoff; the bound is that of the verdict's criterion.
    """

    node: str
    criterion: str
    at: datetime
    estimate: float | None
    lower: float
    upper: float
    sessions: int


@dataclass(frozen=True, slots=True)
class LatencyHistogram:
    """Executions by latency. ``edges_ms`` has one more entry than ``counts``; bases of 1.15^(1/16), empty ends cut.

    ``version`` is ``v1`` or ``v2``; ``arm`` is ``shadowed`` or ``holdout`` (V2 has only ``shadowed``).
    """

    node: str
    version: str
    arm: str
    edges_ms: tuple[float, ...]
    counts: tuple[int, ...]
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class Confusion:
    """Decisions of one node: ``counts[i][j]`` pairs went to ``original[i]`` and would have gone to ``shadow[j]``."""

    node: str
    original: tuple[str, ...]
    shadow: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class MismatchGroup:
    """Mismatches of one kind, the heaviest first; ``share`` is of all mismatches that count.

    ``route`` is ``original->shadow`` (targets), ``steps`` ``v1->v2`` where they differ. ``accepted`` names the reason
    of the rule that accepts it.
    """

    node: str
    route: str
    steps: str | None
    fields: tuple[str, ...]
    intent: str | None
    build: str
    count: int
    sessions: int
    share: float
    accepted: str | None = None
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """All that is shown besides the verdict. ``counts`` maps a heading to label and count.

    Headings of ``counts`` (per node and ``*`` for all): ``v1_status``, ``v2_status``, ``comparison``, ``baseline``
    (reasons), ``fallback`` (live reasons), ``arm``, ``mode``, ``intent``, ``error_type``, ``served``.
    """

    reading: Reading
    nodes: tuple[str, ...]
    parity: tuple[ParityPoint, ...] = ()
    bands: tuple[BandPoint, ...] = ()
    latency: tuple[LatencyHistogram, ...] = ()
    confusion: tuple[Confusion, ...] = ()
    mismatches: tuple[MismatchGroup, ...] = ()
    counts: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    """``counts[node][heading][label]``; node ``*`` is the whole workflow."""
