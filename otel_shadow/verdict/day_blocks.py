"""Blocks of the day, and hours of little traffic, each judged by itself over all days: what pooling would hide."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from otel_shadow import semconv
from otel_shadow.policy import Policy
from otel_shadow.verdict.dense_codes import split
from otel_shadow.verdict.executions import Summary, moment
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role
from otel_shadow.verdict.rows import Rows
from otel_shadow.verdict.sequential import Counts

_HOUR = 3_600_000
_THIN = 0.1
"""An hour with less than this share of the mean hour's executions is one of little traffic."""
_TRICKLE = 0.05
"""Share of all executions below which more than half of the hours stand for next to nothing."""
_MOST_BLOCKS = 100
"""Blocks of a cycle that are looked at, however short they are."""
_DAY = 24 * _HOUR
_GUARD = 2.0
"""A block is held to twice the margin, as a single node is."""
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def day_blocks(summary: Summary, rows: Rows, start: int, policy: Policy) -> Iterator[Reason]:
    """Yield what hours by themselves say against V2, and whether most hours hold next to no traffic.

    Arguments:
        rows: those of the judged window.
        start: the window's start in ms since 1970.
    """
    if not len(rows):
        return
    hour = (rows.time - start) // _HOUR
    counts = np.bincount(hour)
    thin = counts < _THIN * counts.mean()
    cycle = max(round(policy.cycle_hours * _HOUR), 1)
    block = max(round(policy.block_hours * _HOUR), cycle // _MOST_BLOCKS, 1)
    blocks = list(split(((rows.time - start) % cycle) // block))
    tests = 2 * (blocks[-1][0] + 2) * len({(kind.graph, kind.node) for kind in summary.signatures})
    threshold = math.log(tests / policy.alpha)
    for number, at in blocks:
        begin = moment(start + number * block) if cycle == _DAY else None
        for one in _against(summary, rows.where(at), policy, threshold, number * block / _HOUR):
            yield replace(one, since=begin)
    yield from _against(summary, rows.where(np.flatnonzero(thin[hour])), policy, threshold, None)
    if thin.sum() * 2 > len(thin) and counts[thin].sum() < _TRICKLE * counts.sum():
        have = int(counts[thin].sum())
        yield Reason(Role.WARNING, ReasonKind.TRICKLE, have=have, of=int(counts.sum()), hours=float(thin.sum()))


def _against(summary: Summary, rows: Rows, policy: Policy, threshold: float, hour: float | None) -> Iterator[Reason]:
    """Yield what some rows say against V2; ``hour``: that of the cycle at which their block begins."""
    kinds = summary.signatures
    accepted = np.array([bool(reason) for reason in summary.accepted], bool)
    roles = {
        semconv.CRITERION_PARITY: ([kind.compared for kind in kinds], [kind.matched for kind in kinds]),
        semconv.CRITERION_HANDOFF: ([kind.attempted for kind in kinds], [not kind.failed for kind in kinds]),
    }
    nodes = sorted({(kind.graph, kind.node) for kind in kinds})
    of_kind = np.array([nodes.index((kind.graph, kind.node)) for kind in kinds], np.int64)
    for criterion, (counted, good) in roles.items():
        if criterion not in policy.criteria:
            continue
        use = np.array(counted, bool)
        if criterion == semconv.CRITERION_PARITY:
            use &= ~accepted
        for number in _suspects(rows, of_kind, use, np.array(good, bool), nodes, policy, criterion):
            mask = use[rows.kind] & (of_kind[rows.kind] == number)
            sessions = _sessions(rows.session[mask], np.array(good, bool)[rows.kind[mask]])
            least = _least(policy, nodes[number][1], criterion)
            if sessions.session_unit().log_down(least) >= threshold:
                share = sessions.event_mean
                have = share if criterion == semconv.CRITERION_PARITY else 1.0 - share
                told = Reason(
                    Role.BLOCKER, ReasonKind.HOURS_AGAINST, criterion, nodes[number][1], have=have,
                    of=sessions.total, needed=hour,
                    hours=policy.block_hours, quantity="share",
                )  # fmt: skip
                yield told


def _least(policy: Policy, node: str, criterion: str) -> float:
    bounds = policy.bounds(node)
    margin = 1.0 - bounds.parity if criterion == semconv.CRITERION_PARITY else bounds.handoff
    return max(1.0 - _GUARD * margin, 0.01)


def _suspects(
    rows: Rows,
    of_kind: Ints,
    use: Bools,
    good: Bools,
    nodes: Sequence[tuple[str, str]],
    policy: Policy,
    criterion: str,
) -> list[int]:
    """Return the nodes whose executions break the bound on the face of it: only their sessions are worth a test."""
    per_kind = np.bincount(rows.kind, minlength=len(use))
    all_of = np.bincount(of_kind, weights=per_kind * use, minlength=len(nodes))
    good_of = np.bincount(of_kind, weights=per_kind * (use & good), minlength=len(nodes))
    return [
        number
        for number, (whole, right) in enumerate(zip(all_of.tolist(), good_of.tolist(), strict=True))
        if whole and right < whole * _least(policy, nodes[number][1], criterion)
    ]


def _sessions(session: NDArray[np.uint64], good: Bools) -> Counts:
    """Return the counts of sessions, whose executions come one after the other."""
    starts = np.flatnonzero(np.r_[True, session[1:] != session[:-1]])
    return Counts.of(np.add.reduceat(good.astype(np.int64), starts), np.diff(np.r_[starts, len(session)]))
