"""What a verdict says: frozen facts, for the terminal, JSON and the page alike; ``wording`` puts them into words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal

from otel_shadow.policy import Policy
from otel_shadow.verdict.json_data import plain, plain_fields
from otel_shadow.verdict.reasons import Direction, Quantity, Reason, Role
from otel_shadow.verdict.wording import sentences

EXIT_CODES: Mapping[str, int] = {"GO": 0, "NO-GO": 1, "WAIT": 3}
"""Exit codes of ``otel-shadow verdict``; 2 is usage or unreadable input."""


class Decision(StrEnum):
    """GO, NO-GO, or WAIT: not enough evidence is a verdict too."""

    GO = "GO"
    NO_GO = "NO-GO"
    WAIT = "WAIT"


class Reasoned:
    """A result with its reasons: as data in ``reasons``, as sentences in the properties that are named as in JSON."""

    __slots__ = ()
    reasons: tuple[Reason, ...]
    worded: ClassVar[tuple[str, ...]]
    """The properties that JSON has as well."""

    def told(self, *roles: Role) -> tuple[str, ...]:
        """Return the sentences of the reasons that play one of ``roles``."""
        return tuple(told for _, told in sentences(one for one in self.reasons if one.role in roles))

    @property
    def reason(self) -> str:
        """Why this decision, in one sentence."""
        return "; ".join(self.told(Role.WHY))

    @property
    def missing(self) -> tuple[str, ...]:
        """What a GO still needs, most important first; what forbids it comes before the rest."""
        return self.told(Role.BLOCKER, Role.MISSING)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing and changes nothing."""
        return self.told(Role.NOTE)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON: the fields, and the reasons in words."""
        return plain_fields(self) | {name: plain(getattr(self, name)) for name in self.worded}


@dataclass(frozen=True, slots=True)
class Part:
    """A block of hours or an intent, looked at by itself: in NO-GO it blocks a GO.

    ``label`` is an intent, or the block's start in RFC 3339. ``certified`` is False where sessions are too few. The
    band is worked out for intents only.
    """

    kind: Literal["block", "intent"]
    label: str
    decision: Decision
    certified: bool
    sessions: int
    events: int
    estimate: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True)
class CriterionResult(Reasoned):
    """One criterion of one node, or of the workflow (``node`` None: the numbers of its weakest node).

    Arguments:
        criterion: name from ``semconv.CRITERIA``.
        node: display name, None for the workflow.
        decision: GO if the evidence proves the bound is kept, NO-GO if it proves it is broken, else WAIT.
        required: whether it counts for the verdict (``Policy.criteria``); others are shown only.
        measured: whether there is any evidence of this kind.
        bound: as in the policy: a share (parity, handoff, v1_served, coverage) or a ratio of p95 (latency, 1.15).
        direction: whether the quantity must be at least or at most the bound.
        quantity: what the numbers are: a share in [0, 1], a ratio of percentiles, or (relative parity) how much more
            often V2 differs from V1 than V1 from itself.
        estimate, lower, upper: the quantity and its always-valid band; WAIT while the bound lies inside the band.
            The band of shares is that of the weaker unit (session means, events). None without evidence.
        sessions, events: closed sessions and executions (or pairs) in the evidence.
        counts: whole numbers behind the estimate, such as ``match``, ``mismatch``, ``accepted``.
        details: further quantities, such as ``p95_holdout_ms``, ``session_estimate``, ``self_disagreement``.
        log_e_go, log_e_no_go: log of the always-valid evidence on each side; ``threshold_go``, ``threshold_no_go``
            are the logs that have to be reached for an end of the band, and for a NO-GO. No GO is made of them.
        proven: what whole cycles prove: the quantity is at least (or at most) this. Frozen until the next cycle ends.
        proven_at: the end of those cycles.
        level: of the test at that look, of the criterion's alpha.
        is_proven: whether that look or an earlier one has proven the bound.
        tests: how many tests share the chance of a false NO-GO; 0 where the decision is not a test's.
        certified: False where a decision can't be certified at all, such as a constant one.
        reasons: why this decision, and what a GO still needs.
        eta: earliest time of a GO at the present rate, None if that can't be said (NO-GO, or the estimate itself is
            beyond the bound) or nothing is missing.
        so_far: a NO-GO before one whole cycle.
        parts: blocks and intents (parity and handoff).
        weakest: on the workflow's rows, the node that stands worst.
        nodes_proven: on the workflow's rows, the nodes that have proven the bound by themselves.
    """

    worded = ("reason", "missing")

    criterion: str
    node: str | None
    decision: Decision
    required: bool
    measured: bool
    bound: float
    direction: Direction
    quantity: Quantity = "share"
    estimate: float | None = None
    lower: float | None = None
    upper: float | None = None
    sessions: int = 0
    events: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, float] = field(default_factory=dict)
    log_e_go: float | None = None
    log_e_no_go: float | None = None
    threshold_go: float | None = None
    threshold_no_go: float | None = None
    tests: int = 0
    proven: float | None = None
    proven_at: datetime | None = None
    level: float | None = None
    is_proven: bool = False
    certified: bool = True
    reasons: tuple[Reason, ...] = ()
    eta: datetime | None = None
    so_far: bool = False
    parts: tuple[Part, ...] = ()
    weakest: str | None = None
    nodes_proven: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeVerdict(Reasoned):
    """One node: its criteria in the order of ``semconv.CRITERIA`` and what follows from them."""

    worded = ("notes",)

    node: str
    graph: str
    decision: Decision
    criteria: tuple[CriterionResult, ...]
    sessions: int
    open_sessions: int
    events: int
    reasons: tuple[Reason, ...] = ()
    relative_parity: bool = False
    """Parity was judged against V1's own noise floor (see the statistics page)."""

    def criterion(self, name: str) -> CriterionResult:
        """Return the result of one criterion by its name."""
        return _named(self.criteria, name)


@dataclass(frozen=True, slots=True)
class Build:
    """One V2 build with one configuration digest: what a window of evidence is made of."""

    build: str
    digest: str
    events: int
    first: datetime
    last: datetime
    service: str = ""
    coded: bool = False
    """Whether the codes of its lines were verified; lines without a code are evidence of their own."""

    @property
    def label(self) -> str:
        """For people: build and digest, and the service where it is named."""
        named = f"{self.build or '(no build)'} / {self.digest or '(no digest)'}"
        return f"{named} of {self.service}" if self.service else named


@dataclass(frozen=True, slots=True)
class Window:
    """The evidence that was judged.

    Arguments:
        start: start of the first session of the build (UTC), or later where the evidence is longer than the window.
        end: the time of the verdict, or of the last evidence if that is earlier.
        whole_cycles: whole cycles since ``start``; GO is judged on exactly these.
        go_end: end of the last whole cycle, None before the first.
        next_cycle: when the next whole cycle ends.
        gaps: hours of the window without any execution, as (start, end).
    """

    start: datetime
    end: datetime
    whole_cycles: int
    go_end: datetime | None
    next_cycle: datetime
    gaps: tuple[tuple[datetime, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict(Reasoned):
    """GO, NO-GO or WAIT for the workflow, and everything that led there.

    Arguments:
        decision: the overall decision.
        at: the time the verdict was asked for (UTC).
        judge: what had to be proven: ``graph`` or ``node``.
        pooled: the nodes that were judged together; each is guarded as well. All others are judged by themselves.
        window: None without evidence.
        policy: the policy that was applied; every output prints it.
        criteria: the workflow's rows in the order of ``semconv.CRITERIA`` (the weakest node's numbers).
        nodes: per node, by name.
        reasons: why this decision, what forbids a GO, what it still needs, warnings, notes and advice.
        build: the build that was judged; ``left_out`` are the others found.
        key_ids: ids of the hash keys found; more than one splits sessions.
        simulated: some evidence was made under a simulated clock.
        slowest: name of the criterion that will be last to say GO.
        eta: earliest time of an overall GO at the present rate.
        next_look: when the next whole cycle ends, and a GO may be given; None where the evidence ended before a time
            that has passed.
    """

    worded = ("reason", "missing", "advice", "notes", "warnings", "blockers")

    decision: Decision
    at: datetime
    window: Window | None
    policy: Policy
    criteria: tuple[CriterionResult, ...]
    nodes: tuple[NodeVerdict, ...]
    reasons: tuple[Reason, ...] = ()
    build: Build | None = None
    left_out: tuple[Build, ...] = ()
    key_ids: tuple[str, ...] = ()
    simulated: bool = False
    slowest: str | None = None
    eta: datetime | None = None
    judge: str = "graph"
    pooled: tuple[str, ...] = ()
    next_look: datetime | None = None

    @property
    def exit_code(self) -> int:
        """0 GO, 1 NO-GO, 3 WAIT."""
        return EXIT_CODES[self.decision]

    def criterion(self, name: str) -> CriterionResult:
        """Return the workflow's result of one criterion by its name."""
        return _named(self.criteria, name)

    def node(self, name: str) -> NodeVerdict:
        """Return the verdict of one node by its display name."""
        return next(found for found in self.nodes if found.node == name)

    @property
    def reason(self) -> str:
        """Why this decision, in one sentence: of a WAIT, the first thing that is missing."""
        return "; ".join(self.told(Role.WHY)) or next(iter(self.missing), "not enough evidence")

    @property
    def advice(self) -> tuple[str, ...]:
        """What would make the verdict come sooner."""
        return self.told(Role.ADVICE)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What limits the meaning of the verdict; what forbids a GO is among ``blockers``."""
        return self.told(Role.WARNING)

    @property
    def blockers(self) -> tuple[str, ...]:
        """Why a GO is impossible with this evidence, whatever the numbers."""
        return self.told(Role.BLOCKER)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON: times in RFC 3339, decisions as text, ``exit_code`` included."""
        return {"exit_code": self.exit_code} | Reasoned.to_dict(self)


def _named(criteria: tuple[CriterionResult, ...], name: str) -> CriterionResult:
    return next(found for found in criteria if found.criterion == name)
