"""From executions to counts of sessions, node by node: all that the criteria look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otel_shadow.record import Arm, Outcome, Status
from otel_shadow.verdict import latency
from otel_shadow.verdict.latency import Ranks, count_codes
from otel_shadow.verdict.sequential import Counts
from otel_shadow.verdict.signature import Signature
from otel_shadow.verdict.summary import Rows, Summary

Ints = NDArray[np.int64]
_NODE_BITS = 12
"""Identities of sessions keep 52 bits inside a tally: two of a million sessions meet with a chance of one in 9,000."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What is counted: which build, from when to when, and where the slots begin. Times in ms since 1970.

    A slot is a stretch of the window; sessions belong to the slot of their first execution. ``edges`` are the starts
    of the slots after the first; ``go_slots`` is how many slots the whole cycles hold.
    """

    build: tuple[str, str]
    start: int
    at: int
    idle: int
    edges: tuple[int, ...]
    go_slots: int


@dataclass(frozen=True, slots=True)
class Slots:
    """Closed sessions by slot, successes and turns. ``halves``: k counts half successes (relative parity)."""

    slot: Ints
    k: Ints
    n: Ints
    sessions: NDArray[np.float64]
    halves: bool = False

    @classmethod
    def of(cls, slot: Ints, k: Ints, n: Ints, halves: bool = False) -> Slots:
        """Slots of sessions given one by one; those without turns are left out."""
        used = n > 0
        slot, k, n = slot[used], k[used], n[used]
        if not len(n):
            nothing = np.empty(0, np.int64)
            return cls(nothing, nothing, nothing, np.empty(0), halves)
        k_size, n_size = int(k.max()) + 1, int(n.max()) + 1
        found, sessions = count_codes(slot * k_size + k, n, (int(slot.max()) + 1) * k_size, n_size)
        rest, turns = np.divmod(found, n_size)
        where, successes = np.divmod(rest, k_size)
        return cls(where, successes, turns, sessions, halves)

    def counts(self, chosen: NDArray[np.bool_] | None = None) -> Counts:
        """Counts of all slots, or of the chosen rows."""
        rows = slice(None) if chosen is None else chosen
        scale = 0.5 if self.halves else 1.0
        return Counts.of(self.k[rows] * scale, self.n[rows], self.sessions[rows])

    def before(self, slot: int) -> Counts:
        """Counts of the slots before ``slot``."""
        return self.counts(self.slot < slot)

    def at(self, slots: Sequence[int]) -> Counts:
        """Counts of these slots together."""
        return self.counts(np.isin(self.slot, slots))


@dataclass(frozen=True, slots=True)
class Pair:
    """The same sums over all closed sessions and over those of the whole cycles."""

    all: Ranks
    go: Ranks


@dataclass(frozen=True, slots=True)
class NodeTally:
    """Counts of one node.

    ``counts`` holds whole numbers of executions, open sessions included; everything else is of closed sessions.
    ``latency`` has the arms ``shadowed`` and ``holdout`` (V1), and ``v1`` and ``v2`` of the same requests.
    """

    name: str
    graph: str
    sessions: int
    go_sessions: int
    open_sessions: int
    parity: Slots
    relative: Slots
    self_agreement: Counts
    handoff: Slots
    intents: Mapping[str, tuple[Slots, Slots]]
    latency: Mapping[str, Pair]
    counts: Mapping[str, int]
    constant_decision: bool


def tally(summary: Summary, chosen: Slice, intents: Sequence[str]) -> tuple[NodeTally, ...]:
    """Counts of every node with evidence, by graph and name. Kept in the summary until it changes."""
    key = ("tally", chosen, tuple(intents))
    if key not in summary.cache:
        summary.cache[key] = _tally(summary, chosen, intents)
    found: tuple[NodeTally, ...] = summary.cache[key]
    return found


def _tally(summary: Summary, chosen: Slice, intents: Sequence[str]) -> tuple[NodeTally, ...]:
    rows = within(summary, chosen)
    nodes = sorted({(item.graph, item.node) for item in summary.signatures})
    code = {name: place for place, name in enumerate(nodes)}
    of_kind = np.array([code[item.graph, item.node] for item in summary.signatures], np.uint64)
    open_sessions = np.unique(rows.session[rows.time > chosen.at - chosen.idle])
    if not len(rows):
        return ()
    if len(nodes) >= 1 << _NODE_BITS:
        raise ValueError(f"{len(nodes)} nodes: at most {(1 << _NODE_BITS) - 1} can be judged at once")
    key = rows.session >> np.uint64(_NODE_BITS)
    if len(nodes) > 1:
        key |= of_kind[rows.kind] << np.uint64(64 - _NODE_BITS)
    order = np.argsort(key)
    rows, key = rows.where(order), key[order]
    owners = key >> np.uint64(64 - _NODE_BITS)
    limits = np.searchsorted(owners, np.arange(len(nodes) + 1, dtype=np.uint64))
    names = _display_names(nodes)
    found = []
    for place, (graph, node) in enumerate(nodes):
        part = slice(int(limits[place]), int(limits[place + 1]))
        if part.start < part.stop:
            mine = _Node(summary, rows.where(part), key[part], chosen, open_sessions)
            found.append(mine.tally(names[graph, node], graph, intents))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions of one node, one by one: first and last execution (ms), and what counts of each."""

    first: Ints
    last: Ints
    match: Ints
    compared: Ints
    kept: Ints
    attempted: Ints


def sessions(summary: Summary, chosen: Slice, node: str) -> Sessions:
    """The sessions of the node with this display name, open ones too.

    Raises:
        ValueError: there is no such node.
    """
    nodes = sorted({(item.graph, item.node) for item in summary.signatures})
    names = {name: place for place, name in _display_names(nodes).items()}
    if node not in names:
        raise ValueError(f"no evidence of node {node!r}; there is {', '.join(names) or 'none'}")
    rows = within(summary, chosen)
    mine = np.array([(item.graph, item.node) == names[node] for item in summary.signatures], bool)
    rows = rows.where(mine[rows.kind])
    order = np.argsort(rows.session)
    rows = rows.where(order)
    empty = np.empty(0, np.int64)
    if not len(rows):
        return Sessions(empty, empty, empty, empty, empty, empty)
    found = _Node(summary, rows, rows.session, chosen, np.empty(0, np.uint64))
    parity, failures = found.roles()
    last = np.maximum.reduceat(rows.time, found.starts)
    return Sessions(found.first, last, *(found.per_session(role) for role in (*parity, *failures)))


def within(summary: Summary, chosen: Slice) -> Rows:
    """The rows of a slice's build and time."""
    rows = summary.rows
    wanted = np.array([(item.build, item.digest) == chosen.build for item in summary.signatures], bool)
    mask = np.ones(len(rows), bool) if wanted.all() else wanted[rows.kind]
    mask &= (rows.time >= chosen.start) & (rows.time <= chosen.at)
    return rows if mask.all() else rows.where(mask)


def _display_names(nodes: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The node's name; with its graph in front where two graphs have a node of that name."""
    names = [node for _, node in nodes]
    return {(graph, node): node if names.count(node) == 1 else f"{graph}/{node}" for graph, node in nodes}


class _Node:
    """One node's rows, sorted by session, on their way to counts."""

    def __init__(
        self, summary: Summary, rows: Rows, key: NDArray[np.uint64], chosen: Slice, open_sessions: NDArray[np.uint64]
    ) -> None:
        self.rows, self.chosen, self.kinds = rows, chosen, summary.signatures
        self.accepted = np.array([bool(reason) for reason in summary.accepted], bool)
        self.starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
        self.closed = np.ones(len(self.starts), bool)
        if len(open_sessions):
            self.closed = ~np.isin(rows.session[self.starts], open_sessions)
        self.first = np.minimum.reduceat(rows.time, self.starts)
        self.slot = np.searchsorted(np.array(chosen.edges, np.int64), self.first, side="right").astype(np.int64)
        self.in_go = self.closed & (self.slot < chosen.go_slots)
        self.of_row = np.repeat(np.arange(len(self.starts)), np.diff(np.r_[self.starts, len(rows)]))

    def role(self, of: Callable[[Signature], int | bool | None]) -> Ints:
        """What each signature contributes."""
        return np.array([int(of(kind) or 0) for kind in self.kinds], np.int64)

    def per_session(self, role: Ints) -> Ints:
        """Sum of a role over each closed session."""
        if not role.any():
            return np.zeros(int(self.closed.sum()), np.int64)
        return np.asarray(np.add.reduceat(role[self.rows.kind], self.starts)[self.closed])

    def slots(self, successes: Ints, turns: Ints, halves: bool = False) -> Slots:
        """Sums over sessions of two roles."""
        return Slots.of(self.slot[self.closed], self.per_session(successes), self.per_session(turns), halves)

    def roles(self) -> tuple[tuple[Ints, Ints], tuple[Ints, Ints]]:
        """Successes and turns of parity and of handoff."""
        compared = self.role(lambda kind: kind.compared) * ~self.accepted
        attempted = self.role(lambda kind: kind.attempted)
        kept = attempted - self.role(lambda kind: kind.attempted and kind.failed)
        return (self.role(lambda kind: kind.matched), compared), (kept, attempted)

    def tally(self, name: str, graph: str, intents: Sequence[str]) -> NodeTally:
        (matched, compared), (kept, attempted) = self.roles()
        noise = self.role(lambda kind: kind.disagreement is not None) * ~self.accepted
        excess = self.role(lambda kind: kind.disagreement) * noise
        agreed = self.role(lambda kind: kind.self_match) * noise
        per_kind = np.bincount(self.rows.kind, minlength=len(self.kinds))
        return NodeTally(
            name=name,
            graph=graph,
            sessions=int(self.closed.sum()),
            go_sessions=int(self.in_go.sum()),
            open_sessions=int((~self.closed).sum()),
            parity=self.slots(matched, compared),
            relative=self.slots(noise - excess, noise, halves=True),
            self_agreement=self.slots(agreed, noise).counts(),
            handoff=self.slots(kept, attempted),
            intents={
                intent: (self.slots(matched * mine, compared * mine), self.slots(kept * mine, attempted * mine))
                for intent, mine in self._intents(intents, per_kind).items()
            },
            latency=self._latency(),
            counts=_counts(self.kinds, self.accepted, per_kind),
            constant_decision=_constant(self.kinds, compared * per_kind),
        )

    def _intents(self, declared: Sequence[str], per_kind: Ints) -> dict[str, Ints]:
        weight: dict[str, int] = dict.fromkeys(declared, 0)
        for kind, count in zip(self.kinds, per_kind.tolist(), strict=True):
            if kind.intent and count:
                weight[kind.intent] = weight.get(kind.intent, 0) + count
        frequent = sorted(weight, key=lambda intent: (intent not in declared, -weight[intent], intent))
        return {
            intent: self.role(lambda kind, wanted=intent: kind.intent == wanted)  # type: ignore[misc]
            for intent in frequent[: max(_INTENTS, len(declared))]
            if weight[intent]
        }

    def _latency(self) -> dict[str, Pair]:
        shadowed = self.role(lambda kind: kind.latency_arm == Arm.SHADOWED)
        holdout = self.role(lambda kind: kind.latency_arm == Arm.HOLDOUT)
        paired = self.role(lambda kind: kind.same_request)
        both = (self.rows.v1 != latency.NONE) & (self.rows.v2 != latency.NONE)
        return {
            "shadowed": self._ranks(shadowed, self.rows.v1, self.rows.v1 != latency.NONE),
            "holdout": self._ranks(holdout, self.rows.v1, self.rows.v1 != latency.NONE),
            "v1": self._ranks(paired, self.rows.v1, both),
            "v2": self._ranks(paired, self.rows.v2, both),
        }

    def _ranks(self, role: Ints, bucket: NDArray[np.int16], measured: NDArray[np.bool_]) -> Pair:
        if not role.any():
            nothing = Ranks.of(np.empty(0, np.int64), np.empty(0, np.int64))
            return Pair(nothing, nothing)
        mask = measured & (role[self.rows.kind] > 0)
        if not self.closed.all():
            mask &= self.closed[self.of_row]
        everything = Ranks.of(self.of_row[mask], bucket[mask])
        if np.array_equal(self.in_go, self.closed):
            return Pair(everything, everything)
        mask &= self.in_go[self.of_row]
        return Pair(everything, Ranks.of(self.of_row[mask], bucket[mask]))


_INTENTS = 20
"""Undeclared intents looked at, the most frequent first."""


def _counts(kinds: Sequence[Signature], accepted: NDArray[np.bool_], per_kind: Ints) -> dict[str, int]:
    """Whole numbers of executions of every sort that the criteria show."""
    tests: dict[str, Callable[[Signature], bool | None]] = {
        "executions": lambda kind: True,
        "pairs": lambda kind: kind.pair,
        "match": lambda kind: kind.matched,
        "comparator_error": lambda kind: kind.pair and kind.comparison == Outcome.ERROR,
        "eligible": lambda kind: kind.eligible,
        "executed": lambda kind: kind.executed,
        "cancelled": lambda kind: kind.pair and kind.v2_status == Status.CANCELLED,
        "v1_raised": lambda kind: kind.pair and kind.v1_status == Status.ERROR,
        "error": lambda kind: kind.executed and kind.v2_status == Status.ERROR,
        "timeout": lambda kind: kind.executed and kind.v2_status == Status.TIMEOUT,
        "live": lambda kind: kind.live,
        "fallback": lambda kind: kind.live and kind.failed,
        "served": lambda kind: kind.v1_served is True,
        "not_served": lambda kind: kind.v1_served is False,
        "shadowed": lambda kind: kind.latency_arm == Arm.SHADOWED,
        "shadowed_v1_error": lambda kind: kind.latency_arm == Arm.SHADOWED and kind.v1_status == Status.ERROR,
        "holdout": lambda kind: kind.latency_arm == Arm.HOLDOUT,
        "holdout_v1_error": lambda kind: kind.latency_arm == Arm.HOLDOUT and kind.v1_status == Status.ERROR,
        "noise": lambda kind: kind.disagreement is not None,
    }
    found = {
        name: int(sum(count for kind, count in zip(kinds, per_kind.tolist(), strict=True) if count and test(kind)))
        for name, test in tests.items()
    }
    differing = np.array([kind.compared and not kind.matched for kind in kinds], bool)
    found["accepted"] = int(per_kind[differing & accepted].sum())
    found["mismatch"] = int(per_kind[differing & ~accepted].sum())
    return found


def _constant(kinds: Sequence[Signature], weights: Ints) -> bool:
    """Whether the compared pairs know a single decision of V1, and neither steps nor fields are compared besides."""
    seen = [kind for kind, weight in zip(kinds, weights.tolist(), strict=True) if weight]
    known = {kind.original_target for kind in seen}
    more = any(kind.steps_match is not None or kind.fields_compared for kind in seen)
    return len(known) == 1 and known != {""} and not more
