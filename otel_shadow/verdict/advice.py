"""What would speed a slow verdict up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from otel_shadow import semconv
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role
from otel_shadow.verdict.result import CriterionResult, Decision, Verdict, Window

_SMALL = 1000
"""Closed sessions a day below which traffic is called small."""


def advice(verdict: Verdict) -> tuple[Reason, ...]:
    """Return what makes a waiting verdict faster: the slow criterion, and its remedy. Empty where nothing is slow."""
    waiting = [row for row in verdict.criteria if row.required and row.decision is Decision.WAIT and row.measured]
    window = verdict.window
    if verdict.decision is not Decision.WAIT or window is None or not waiting:
        return ()
    hours = verdict.policy.window_length_hours
    limit = window.start + timedelta(hours=hours)
    late = {row.criterion: row.eta for row in waiting if row.eta is not None and row.eta > limit}
    said = []
    if late or _sessions_a_day(verdict, window) < _SMALL:
        said.append(
            Reason(Role.ADVICE, ReasonKind.SMALL_TRAFFIC, have=_sessions_a_day(verdict, window), by=verdict.eta)
        )
        said += [
            Reason(
                Role.ADVICE,
                ReasonKind.LATE,
                criterion=name,
                have=hours,
                needed=(eta - window.start) / timedelta(hours=1),
            )
            for name, eta in late.items()
        ]
        if verdict.slowest not in late and verdict.slowest in {row.criterion for row in waiting}:
            said.append(Reason(Role.ADVICE, ReasonKind.SLOW, criterion=verdict.slowest))
    return (*said, *_turns(verdict, waiting))


def _sessions_a_day(verdict: Verdict, window: Window) -> float:
    days = (window.end - window.start) / timedelta(days=1)
    sessions = max((node.sessions for node in verdict.nodes), default=0)
    return sessions / days if days > 0.0 else 0.0


def _turns(verdict: Verdict, waiting: Sequence[CriterionResult]) -> tuple[Reason, ...]:
    """Return the advice for sessions much shorter than ``max_turns``, which the event-weighted test reckons with."""
    shares = [row for row in waiting if row.criterion in (semconv.CRITERION_PARITY, semconv.CRITERION_HANDOFF)]
    turns = max((row.events / row.sessions for row in shares if row.sessions), default=None)
    bound = verdict.policy.max_turns
    if turns is None or turns * 4.0 > bound:
        return ()
    return (Reason(Role.ADVICE, ReasonKind.FEW_TURNS, have=turns, needed=bound),)
