"""How the evidence grew: the same e-processes and bands as the verdict's, at many times at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from otel_shadow import semconv
from otel_shadow.policy import Policy
from otel_shadow.verdict.executions import Summary, milliseconds
from otel_shadow.verdict.node_tally import Sessions, sessions
from otel_shadow.verdict.proportions import Levels, look
from otel_shadow.verdict.result import Decision
from otel_shadow.verdict.sequential import DOWN, UP, Counts, Floats, running
from otel_shadow.verdict.window import frame


@dataclass(frozen=True, slots=True)
class Look:
    """A criterion of one node at one time, from all sessions closed by then. Shares as in ``CriterionResult``.

    ``decision`` is that of the evidence alone: neither whole cycles nor least numbers of sessions are asked for.
    """

    at: datetime
    sessions: int
    events: int
    estimate: float | None
    lower: float
    upper: float
    log_e_go: float
    log_e_no_go: float
    decision: Decision


def looks(
    summary: Summary,
    policy: Policy | None = None,
    *,
    node: str,
    criterion: str = semconv.CRITERION_PARITY,
    at: Sequence[datetime],
    tests: int = 1,
    band: bool = True,
) -> tuple[Look, ...]:
    """Return parity or handoff of one node at each of ``at`` (ascending), in one pass over the sessions.

    Sessions are taken in the order in which they closed for good, so that every look sees more than the one before;
    ``evaluate`` at the same time differs only by sessions that went on after a pause longer than the idle time.

    Arguments:
        tests: number of tests that share the chance of a false NO-GO.
        band: whether to work the band out (it costs most of the time); without it it is 0 to 1.

    Raises:
        ValueError: another criterion, or a node without evidence.
    """
    policy = policy or Policy()
    m, kept = _bound(policy, node, criterion)
    found = frame(summary, policy, at[-1]) if at else None
    if found is None:
        return ()
    slice_ = replace(found.slice, at=milliseconds(at[-1]))
    columns = _closing(sessions(summary, slice_, node), slice_.idle, criterion)
    times = np.array([milliseconds(moment) for moment in at], np.int64)
    go = math.log(1.0 / policy.alpha)
    levels = Levels(go, go + math.log(tests), policy.max_turns)
    path = _Path(columns, np.searchsorted(columns.closes, times, side="right"), m, levels)
    return tuple(path.look(place, moment, kept, band) for place, moment in enumerate(at))


def _bound(policy: Policy, node: str, criterion: str) -> tuple[float, bool]:
    bounds = policy.bounds(node)
    if criterion == semconv.CRITERION_PARITY:
        return bounds.parity, True
    if criterion == semconv.CRITERION_HANDOFF:
        return 1.0 - bounds.handoff, False
    raise ValueError(f"{criterion!r} has no path; expected {semconv.CRITERION_PARITY} or {semconv.CRITERION_HANDOFF}")


@dataclass(frozen=True, slots=True)
class _Closing:
    """Sessions in the order in which they closed: when (ms), successes and turns."""

    closes: NDArray[np.int64]
    k: NDArray[np.int64]
    n: NDArray[np.int64]


def _closing(found: Sessions, idle: int, criterion: str) -> _Closing:
    k, n = (found.match, found.compared) if criterion == semconv.CRITERION_PARITY else (found.kept, found.attempted)
    used = n > 0
    order = np.argsort(found.last[used], kind="stable")
    return _Closing(found.last[used][order] + idle, k[used][order], n[used][order])


class _Path:
    """Running sums of log capital, one row per session."""

    def __init__(self, closing: _Closing, ends: NDArray[np.int64], m: float, levels: Levels) -> None:
        self.closing, self.ends, self.m, self.levels = closing, ends, m, levels
        counts = Counts(closing.k.astype(float), closing.n.astype(float), np.ones(len(closing.n)))
        units = (counts.session_unit(), counts.event_unit(levels.max_turns))
        self.up = np.minimum(*(_running(unit.a, unit.b, m, UP, ends) for unit in units))
        mirrored = [unit.mirrored() for unit in units]
        down = [_running(unit.a, unit.b, 1.0 - m, DOWN, ends) for unit in mirrored]
        self.down = np.logaddexp(*down) - math.log(2.0)
        self.events = np.r_[0, np.cumsum(closing.n)][ends]
        self.successes = np.r_[0, np.cumsum(closing.k)][ends]

    def look(self, place: int, at: datetime, kept: bool, band: bool) -> Look:
        end, events = int(self.ends[place]), int(self.events[place])
        lower, upper = 0.0, 1.0
        if band and end:
            evidence = look(Counts.of(self.closing.k[:end], self.closing.n[:end]), self.m, self.levels)
            lower, upper = evidence.lower, evidence.upper
        estimate = int(self.successes[place]) / events if events else None
        go, no_go = float(self.up[place]), float(self.down[place])
        decision = Decision.GO if go >= self.levels.go else Decision.WAIT
        if no_go >= self.levels.no_go and estimate is not None and estimate < self.m:
            decision = Decision.NO_GO
        if kept:
            return Look(at, end, events, estimate, lower, upper, go, no_go, decision)
        turned = None if estimate is None else 1.0 - estimate
        return Look(at, end, events, turned, 1.0 - upper, 1.0 - lower, go, no_go, decision)


def _running(a: Floats, b: Floats, m: float, bets: Floats, ends: NDArray[np.int64]) -> Floats:
    return np.asarray(np.r_[0.0, running(a, b, m, bets)][ends])
