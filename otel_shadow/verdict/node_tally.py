"""From executions to counts of sessions, node by node: all that the criteria look at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from otel_shadow import semconv
from otel_shadow.record import Arm, Outcome, Status
from otel_shadow.verdict import latency
from otel_shadow.verdict.dense_codes import split
from otel_shadow.verdict.execution_kind import ExecutionKind
from otel_shadow.verdict.executions import Summary
from otel_shadow.verdict.latency import Ranks
from otel_shadow.verdict.node_percentiles import BucketCounts, node_percentiles
from otel_shadow.verdict.parallel import in_parallel
from otel_shadow.verdict.rows import Rows, in_pieces
from otel_shadow.verdict.sequential import Counts, Floats
from otel_shadow.verdict.session_counts import Blocks, Ints, Slice, parts_within, within
from otel_shadow.verdict.stretches import NO_SIDE, Ratios, Side, Stretch

Place = tuple[str, str]
_USED = frozenset({"session", "time", "kind", "v1", "v2"})
WORKFLOW: Place = ("", "")
"""Stands for all judged nodes together among graphs and names."""


@dataclass(frozen=True, slots=True)
class NodeTally:
    """Counts of one node.

    ``counts`` holds whole numbers of executions, open sessions included; everything else is of closed sessions.
    ``latency`` has the arms ``shadowed`` and ``holdout`` (V1), and ``v1`` and ``v2`` of the same requests; ``ratios``
    the evidence about them, by the name of the other arm, where both have sessions.
    """

    name: str
    graph: str
    sessions: int
    go_sessions: int
    open_sessions: int
    parity: Blocks
    relative: Blocks
    self_agreement: Counts
    handoff: Blocks
    intents: Mapping[str, tuple[Blocks, Blocks]]
    latency: Mapping[str, Side]
    ratios: Mapping[str, Ratios]
    counts: Mapping[str, int]
    constant_decision: bool
    busiest: int
    """Executions of the session that has the most of them, open or closed."""
    place: Place
    """Graph and name, of which the display name is made."""
    not_run: Mapping[str, int]
    """Executions that should have had a shadow that ended, and had none, by reason; the most frequent first."""


def tally(summary: Summary, chosen: Slice, intents: Sequence[str]) -> tuple[NodeTally, ...]:
    """Return counts of every node with evidence, by graph and name. Kept in the summary until it changes."""
    key = ("tally", chosen, tuple(intents))
    if key not in summary.cache:
        summary.cache[key] = _tally(summary, chosen, intents)
    found: tuple[NodeTally, ...] = summary.cache[key]
    return found


def pooled_tally(
    summary: Summary, chosen: Slice, intents: Sequence[str], members: Collection[tuple[str, str]]
) -> NodeTally | None:
    """Return counts of several nodes as if they were one: a session's executions at all of them belong together.

    Latencies are in units of each node's own 95th percentile of V1.

    Arguments:
        members: graphs and names of the nodes.
    """
    key = ("pool", chosen, tuple(intents), frozenset(members))
    if key not in summary.cache:
        summary.cache[key] = _pooled(summary, chosen, intents, frozenset(members))
    found: NodeTally | None = summary.cache[key]
    return found


def _pooled(
    summary: Summary, chosen: Slice, intents: Sequence[str], members: frozenset[tuple[str, str]]
) -> NodeTally | None:
    number = {member: place for place, member in enumerate(sorted(members))}
    of_kind = np.array([number.get((kind.graph, kind.node), -1) for kind in summary.signatures], np.int64)
    rows, mine = within(summary, chosen), of_kind >= 0
    parts = in_pieces(rows if mine.all() else rows.where(np.flatnonzero(mine[rows.kind]), _USED))
    if not parts:
        return None
    if len(members) > 1:
        unit = _own_units(parts, of_kind)
        parts = list(in_parallel(lambda part: _in_units(part, unit), parts))
    per_kind = _per_kind(summary, parts)
    plan = _Plan(summary, chosen, [WORKFLOW], _intents(summary.signatures, per_kind, intents), pooled=True)
    open_sessions = _open_sessions(chosen, parts)
    found = in_parallel(lambda part: list(plan.pieces(part, open_sessions)), parts)
    return plan.node_tally(0, _Piece.merged([piece for pieces in found for _, piece in pieces]), per_kind)


def _own_units(parts: Sequence[Rows], of_kind: Ints) -> Ints:
    """Return of each kind the bucket of its node's 95th percentile of V1.

    Arguments:
        of_kind: number of each kind's node; negative: it does not count.
    """

    def count(part: Rows) -> BucketCounts:
        node = of_kind[part.kind]
        timed = np.flatnonzero((part.v1 != latency.NONE) & (node >= 0))
        return BucketCounts.of(node[timed], part.v1[timed])

    found = BucketCounts.joined(list(in_parallel(count, parts)))
    units = node_percentiles(found.cell, found.bucket, found.lines, int(of_kind.max(initial=0)) + 1)
    return np.where(of_kind >= 0, units[of_kind], 0)


def _in_units(rows: Rows, unit: Ints) -> Rows:
    """Return the rows with latencies in units, of each kind."""
    own = unit.astype(np.int16)[rows.kind]
    times = (np.where(times == latency.NONE, times, times - own) for times in (rows.v1, rows.v2))
    v1, v2 = times
    return replace(rows, v1=v1, v2=v2)


def _tally(summary: Summary, chosen: Slice, intents: Sequence[str]) -> tuple[NodeTally, ...]:
    parts = parts_within(summary, chosen)
    if not parts:
        return ()
    nodes = sorted({(item.graph, item.node) for item in summary.signatures})
    per_kind = _per_kind(summary, parts)
    plan = _Plan(summary, chosen, nodes, _intents(summary.signatures, per_kind, intents))
    open_sessions = _open_sessions(chosen, parts)
    pieces: dict[int, list[_Piece]] = {}
    for found in in_parallel(lambda part: list(plan.pieces(part, open_sessions)), parts):
        for place, piece in found:
            pieces.setdefault(place, []).append(piece)
    return tuple(plan.node_tally(place, _Piece.merged(mine), per_kind) for place, mine in sorted(pieces.items()))


def _per_kind(summary: Summary, parts: Sequence[Rows]) -> Ints:
    """Return the executions of each kind."""
    size = len(summary.signatures)
    return sum((np.bincount(part.kind, minlength=size) for part in parts), np.zeros(size, np.int64))


def _open_sessions(chosen: Slice, parts: Sequence[Rows]) -> NDArray[np.uint64]:
    """Return the sessions in which something has happened so lately that more may come, ascending."""
    still = chosen.at - chosen.idle
    return np.unique(np.concatenate([part.session[part.time > still] for part in parts]))


def _intents(kinds: Sequence[ExecutionKind], per_kind: Ints, declared: Sequence[str]) -> tuple[str, ...]:
    """Return the declared intents with evidence, and the most frequent others."""
    weight: dict[str, int] = dict.fromkeys(declared, 0)
    for kind, count in zip(kinds, per_kind.tolist(), strict=True):
        if kind.intent and count:
            weight[kind.intent] = weight.get(kind.intent, 0) + count
    frequent = sorted(weight, key=lambda intent: (intent not in declared, -weight[intent], intent))
    return tuple(intent for intent in frequent[: max(_INTENTS, len(declared))] if weight[intent])


@dataclass(frozen=True, slots=True)
class _Piece:
    """What a part of a node's sessions adds up to."""

    sessions: int
    go_sessions: int
    open_sessions: int
    slots: Mapping[str, Blocks]
    intents: Mapping[str, tuple[Blocks, Blocks]]
    latency: Mapping[str, Side]
    busiest: int

    @classmethod
    def merged(cls, pieces: Sequence[_Piece]) -> _Piece:
        """Return the sums of all pieces."""
        if len(pieces) == 1:
            return pieces[0]
        first = pieces[0]
        return cls(
            sum(piece.sessions for piece in pieces),
            sum(piece.go_sessions for piece in pieces),
            sum(piece.open_sessions for piece in pieces),
            {name: Blocks.merged([piece.slots[name] for piece in pieces]) for name in first.slots},
            {
                intent: (
                    Blocks.merged([piece.intents[intent][0] for piece in pieces]),
                    Blocks.merged([piece.intents[intent][1] for piece in pieces]),
                )
                for intent in first.intents
            },
            {name: Side.merged([piece.latency[name] for piece in pieces]) for name in first.latency},
            max(piece.busiest for piece in pieces),
        )


class _Plan:
    """What all pieces have in common: what each kind of execution contributes."""

    def __init__(
        self,
        summary: Summary,
        chosen: Slice,
        nodes: Sequence[tuple[str, str]],
        intents: Sequence[str],
        *,
        pooled: bool = False,
    ) -> None:
        self.kinds, self.chosen, self.nodes, self.intents = summary.signatures, chosen, nodes, intents
        self.names = _display_names(nodes)
        self.accepted = np.array([bool(reason) for reason in summary.accepted], bool)
        code = {name: place for place, name in enumerate(nodes)}
        places = [0 if pooled else code[item.graph, item.node] for item in self.kinds]
        self.of_kind = np.array(places, np.int64)
        self.compared = self.role(lambda kind: kind.compared) * ~self.accepted
        self.matched = self.role(lambda kind: kind.matched)
        left_out = self.role(lambda kind: chosen.without_rate_limited and kind.v2_rate_limited)
        self.attempted = self.role(lambda kind: kind.attempted) * (1 - left_out)
        self.kept = self.attempted * (1 - self.role(lambda kind: kind.failed))
        self.noise = self.role(lambda kind: kind.disagreement is not None) * ~self.accepted
        self.excess = self.role(lambda kind: kind.disagreement) * self.noise
        self.agreed = self.role(lambda kind: kind.self_match) * self.noise
        self.shadowed = self.role(lambda kind: kind.latency_arm == Arm.SHADOWED)
        self.holdout = self.role(lambda kind: kind.latency_arm == Arm.HOLDOUT)
        self.paired = self.role(lambda kind: kind.same_request)
        self.held = np.array([(kind.slot_seconds and kind.holdout) or 0.0 for kind in self.kinds], np.float64)
        self.of_intent = {name: self.role(lambda kind, name=name: kind.intent == name) for name in intents}  # type: ignore[misc]

    def role(self, of: Callable[[ExecutionKind], int | bool | None]) -> Ints:
        """Return what each kind of execution contributes."""
        return np.array([int(of(kind) or 0) for kind in self.kinds], np.int64)

    def pieces(self, rows: Rows, open_sessions: NDArray[np.uint64]) -> Iterator[tuple[int, _Piece]]:
        """Return sums of a part of the rows, node by node."""
        if len(self.nodes) == 1:
            yield 0, _Node(self, rows, open_sessions).piece()
            return
        for place, at in split(self.of_kind[rows.kind]):
            yield place, _Node(self, rows.where(at, _USED), open_sessions).piece()

    def node_tally(self, place: int, piece: _Piece, per_kind: Ints) -> NodeTally:
        mine = per_kind * (self.of_kind == place)
        graph, _ = self.nodes[place]
        arms = piece.latency
        ratios = {
            "shadowed": Ratios.of(arms["holdout"], arms["shadowed"], paired=False),
            "v2": Ratios.of(arms["v1"], arms["v2"], paired=True),
        }
        return NodeTally(
            name=self.names[self.nodes[place]],
            graph=graph,
            sessions=piece.sessions,
            go_sessions=piece.go_sessions,
            open_sessions=piece.open_sessions,
            parity=piece.slots["parity"],
            relative=piece.slots["relative"],
            self_agreement=piece.slots["agreement"].counts(),
            handoff=piece.slots["handoff"],
            intents=piece.intents,
            latency=arms,
            ratios={name: ratio for name, ratio in ratios.items() if ratio is not None},
            counts=_counts(self.kinds, self.accepted, mine),
            constant_decision=_constant(self.kinds, self.compared * mine),
            busiest=piece.busiest,
            place=self.nodes[place],
            not_run=_not_run(self.kinds, mine),
        )


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
    """Return the sessions of the node with this display name, open ones too.

    Raises:
        ValueError: there is no such node.
    """
    nodes = sorted({(item.graph, item.node) for item in summary.signatures})
    names = {name: place for place, name in _display_names(nodes).items()}
    if node not in names:
        raise ValueError(f"no evidence of node {node!r}; there is {', '.join(names) or 'none'}")
    rows = within(summary, chosen)
    mine = np.array([(item.graph, item.node) == names[node] for item in summary.signatures], bool)
    rows = rows.where(np.flatnonzero(mine[rows.kind]))
    empty = np.empty(0, np.int64)
    if not len(rows):
        return Sessions(empty, empty, empty, empty, empty, empty)
    plan = _Plan(summary, chosen, nodes, ())
    found = _Node(plan, rows, np.empty(0, np.uint64))
    last = np.maximum.reduceat(rows.time, found.starts)
    roles = (plan.matched, plan.compared, plan.kept, plan.attempted)
    return Sessions(found.first, last, *(found.per_session(role) for role in roles))


def _display_names(nodes: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the node's name; with its graph in front where two graphs have a node of that name."""
    names = [node for _, node in nodes]
    return {(graph, node): node if names.count(node) == 1 else f"{graph}/{node}" for graph, node in nodes}


class _Node:
    """Rows of one node, sorted by session, on their way to sums."""

    def __init__(self, plan: _Plan, rows: Rows, open_sessions: NDArray[np.uint64]) -> None:
        self.plan, self.rows, self.kind = plan, rows, rows.kind.astype(np.int64)
        self.starts = np.flatnonzero(np.r_[True, rows.session[1:] != rows.session[:-1]])
        self.closed = np.ones(len(self.starts), bool)
        if len(open_sessions):
            self.closed = ~np.isin(rows.session[self.starts], open_sessions)
        self.first = np.minimum.reduceat(rows.time, self.starts)
        self.block = (self.first - plan.chosen.start) // plan.chosen.block
        self.in_go = self.closed & (self.first < plan.chosen.go_end)
        self.sizes = np.diff(np.r_[self.starts, len(rows)])
        self.of_row = np.repeat(np.arange(len(self.starts), dtype=np.int32), self.sizes)
        self.is_closed = None if self.closed.all() else self.closed[self.of_row]

    def per_session(self, role: Ints) -> Ints:
        """Return the sum of a role over each closed session."""
        if not role.any():
            return np.zeros(int(self.closed.sum()), np.int64)
        found = np.add.reduceat(role[self.kind], self.starts)
        return np.asarray(found if self.is_closed is None else found[self.closed])

    def slots(self, successes: Ints, turns: Ints, halves: bool = False) -> Blocks:
        """Return the sums over sessions of two roles, which are added at once."""
        n, k = np.divmod(self.per_session((turns << 32) + successes), 1 << 32)
        return Blocks.of(self.block[self.closed], k, n, halves)

    def piece(self) -> _Piece:
        plan = self.plan
        return _Piece(
            sessions=int(self.closed.sum()),
            go_sessions=int(self.in_go.sum()),
            open_sessions=int((~self.closed).sum()),
            slots={
                "parity": self.slots(plan.matched, plan.compared),
                "handoff": self.slots(plan.kept, plan.attempted),
                "relative": self.slots(plan.noise - plan.excess, plan.noise, halves=True),
                "agreement": self.slots(plan.agreed, plan.noise),
            },
            intents={
                intent: (
                    self.slots(plan.matched * mine, plan.compared * mine),
                    self.slots(plan.kept * mine, plan.attempted * mine),
                )
                for intent, mine in plan.of_intent.items()
            },
            latency=self.latency(),
            busiest=int(self.sizes.max()),
        )

    def latency(self) -> dict[str, Side]:
        """Return the times of every arm, by the share of the time that was held out."""
        v1, v2 = self.rows.v1, self.rows.v2
        timed = v1 != latency.NONE
        both = timed & (v2 != latency.NONE)
        return {
            "shadowed": self.side(self.plan.shadowed, v1, timed, self.plan.held),
            "holdout": self.side(self.plan.holdout, v1, timed, self.plan.held),
            "v1": self.side(self.plan.paired, v1, both),
            "v2": self.side(self.plan.paired, v2, both),
        }

    def side(
        self,
        role: Ints,
        bucket: NDArray[np.int16],
        measured: NDArray[np.bool_],
        held: Floats | None = None,
    ) -> Side:
        """Return the times of one side; ``held``: the share of the time held out, of each kind."""
        if not role.any():
            return NO_SIDE
        used = measured & (role > 0)[self.kind]
        rows = np.flatnonzero(used if self.is_closed is None else used & self.is_closed)
        of_row = self.of_row[rows]
        shares = np.unique(held[role > 0]).tolist() if held is not None else [0.0]
        stretches = {}
        for share in shares:
            mine = rows if len(shares) == 1 or held is None else rows[held[self.kind[rows]] == share]
            if len(mine):
                ranks = Ranks.of(of_row if mine is rows else self.of_row[mine], bucket[mine])
                stretches[share] = Stretch(ranks, int(self.rows.time[mine].min()))
        sessions = np.count_nonzero(of_row[1:] != of_row[:-1]) + 1 if len(rows) else 0  # they come one after the other
        return Side(int(sessions), len(rows), stretches)


_INTENTS = 20
"""Undeclared intents looked at, the most frequent first."""


def _counts(kinds: Sequence[ExecutionKind], accepted: NDArray[np.bool_], per_kind: Ints) -> dict[str, int]:
    """Return whole numbers of executions of every sort that the criteria show."""
    tests: dict[str, Callable[[ExecutionKind], bool | None]] = {
        "executions": lambda kind: True,
        "pairs": lambda kind: kind.pair,
        "match": lambda kind: kind.matched,
        "comparator_error": lambda kind: kind.pair and kind.comparison == Outcome.ERROR,
        "eligible": lambda kind: kind.eligible,
        "executed": lambda kind: kind.executed,
        "cancelled": lambda kind: kind.pair and kind.v2_status == Status.CANCELLED,
        "v1_raised": lambda kind: kind.pair and kind.v1_status == Status.ERROR,
        "error": lambda kind: kind.executed and kind.v2_status == Status.ERROR,
        "rate_limited": lambda kind: kind.attempted and kind.v2_rate_limited,
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
        "anonymous": lambda kind: kind.anonymous,
        "cut_off": lambda kind: kind.reason == semconv.CUT_OFF,
    }
    found = {
        name: int(sum(count for kind, count in zip(kinds, per_kind.tolist(), strict=True) if count and test(kind)))
        for name, test in tests.items()
    }
    differing = np.array([kind.compared and not kind.matched for kind in kinds], bool)
    found["accepted"] = int(per_kind[differing & accepted].sum())
    found["mismatch"] = int(per_kind[differing & ~accepted].sum())
    return found


def _not_run(kinds: Sequence[ExecutionKind], per_kind: Ints) -> dict[str, int]:
    """Return why executions that should have had a shadow had none that ended, and how many: most frequent first."""
    found: dict[str, int] = {}
    for kind, count in zip(kinds, per_kind.tolist(), strict=True):
        if count and kind.eligible and not kind.executed:
            reason = kind.reason or kind.v2_status or "no reason told"
            found[reason] = found.get(reason, 0) + count
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _constant(kinds: Sequence[ExecutionKind], weights: Ints) -> bool:
    """Return whether the compared pairs hold one decision of V1 only, and neither steps nor fields are compared."""
    seen = [kind for kind, weight in zip(kinds, weights.tolist(), strict=True) if weight]
    known = {kind.original_target for kind in seen}
    more = any(kind.steps_match is not None or kind.fields_compared for kind in seen)
    return len(known) == 1 and known != {""} and not more
