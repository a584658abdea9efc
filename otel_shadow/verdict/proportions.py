"""Criteria about shares of executions: parity, absolute or against V1's own noise, and the handoff rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from otel_shadow.verdict.result import Decision, Part
from otel_shadow.verdict.sequential import Counts, crossing, sessions_needed
from otel_shadow.verdict.session_counts import Blocks

_LOG_2 = math.log(2.0)


@dataclass(frozen=True, slots=True)
class Levels:
    """Logs that evidence must reach, and the turns that bound a session's weight."""

    go: float
    no_go: float
    max_turns: int


@dataclass(frozen=True, slots=True)
class ShareEvidence:
    """What closed sessions say about "the share of successes is at least m".

    ``go`` is the smaller of the two units' log E: session means alone would certify the wrong quantity where long
    sessions are worse. ``no_go`` is the log of their mean, which is evidence against "both are at least m".
    """

    go: float
    no_go: float
    lower: float
    upper: float


def look(counts: Counts, m: float, levels: Levels, *, band: bool = True) -> ShareEvidence:
    """Return evidence and always-valid band of a share; the band is that of the unit that stands lower."""
    if not counts.total:
        return ShareEvidence(-math.inf, -math.inf, 0.0, 1.0)
    units = (counts.session_unit(), counts.event_unit(levels.max_turns))

    def broken(bound: float) -> float:
        one, other = (unit.log_down(bound) for unit in units)
        return max(one, other) + math.log1p(math.exp(-abs(one - other))) - _LOG_2

    return ShareEvidence(
        go=min(unit.log_up(m) for unit in units),
        no_go=broken(m),
        lower=min(unit.lower(levels.go) for unit in units) if band else 0.0,
        upper=crossing(broken, min(unit.mean for unit in units), 1.0, levels.no_go) if band else 1.0,
    )


def needed(counts: Counts, m: float, levels: Levels) -> float | None:
    """Return closed sessions, like those seen, that a GO takes; None if they would never do."""
    if not counts.total:
        return None
    units = (counts.session_unit(), counts.event_unit(levels.max_turns))
    each = [sessions_needed(unit.capital_up(m), counts.total, levels.go) for unit in units]
    return None if any(count is None for count in each) else max(count for count in each if count is not None)


def intent_parts(
    split: Sequence[tuple[str, Counts]], m: float, levels: Levels, minimum: int, no_go_minimum: int
) -> tuple[Part, ...]:
    """Return intents, each looked at by itself; the chance of a false NO-GO is shared among them."""
    broken = _shared(levels, sum(counts.total >= no_go_minimum for _, counts in split))
    found = []
    for label, counts in split:
        total = counts.total
        evidence = look(counts, m, Levels(levels.go, broken, levels.max_turns))
        decision = Decision.WAIT
        if total >= no_go_minimum and evidence.no_go >= broken:
            decision = Decision.NO_GO
        elif total >= minimum and evidence.go >= levels.go:
            decision = Decision.GO
        seen = (counts.event_mean, evidence.lower, evidence.upper) if total else (None, None, None)
        found.append(Part("intent", label, decision, total >= minimum, total, counts.events, *seen))
    return tuple(found)


def _shared(levels: Levels, judged: int) -> float:
    """Return the log E of a NO-GO where so many are judged at once."""
    return levels.go + math.log(max(judged, 1))


def block_parts(
    blocks: Blocks,
    label: Callable[[int], datetime],
    m: float,
    levels: Levels,
    no_go_minimum: int,
) -> tuple[Part, ...]:
    """Return the blocks with evidence, each by itself like an intent, but from one look at all and without a band.

    Arguments:
        label: from the number of a block to its start.
    """
    numbers, counts, sessions = blocks.by_block()
    if not len(numbers):
        return ()
    names = [label(number).isoformat().replace("+00:00", "Z") for number in numbers.tolist()]
    totals = sessions.sum(axis=0)
    broken = _shared(levels, int((totals >= no_go_minimum).sum()))
    units = (counts.session_unit(), counts.event_unit(levels.max_turns))
    go = np.minimum(*(unit.log_up_of(m, sessions) for unit in units))
    no_go = np.logaddexp(*(unit.log_down_of(m, sessions) for unit in units)) - _LOG_2
    events, successes = counts.n @ sessions, counts.k @ sessions
    found = []
    for place in np.flatnonzero(totals).tolist():
        decision = Decision.WAIT
        if totals[place] >= no_go_minimum and no_go[place] >= broken:
            decision = Decision.NO_GO
        elif go[place] >= levels.go:
            decision = Decision.GO
        estimate = float(successes[place] / events[place])
        found.append(
            Part("block", names[place], decision, True, int(totals[place]), int(events[place]), estimate, None, None)
        )
    return tuple(found)
