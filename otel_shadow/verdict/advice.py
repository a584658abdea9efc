"""What would speed a slow verdict up."""

from __future__ import annotations

from datetime import timedelta

from otel_shadow import semconv
from otel_shadow.verdict.result import CriterionResult, Decision, Verdict

_SMALL = 1000
"""Closed sessions a day below which traffic is called small."""


def advice(verdict: Verdict) -> tuple[str, ...]:
    """Sentences for a verdict that waits: the slow criterion, and what makes it faster. Empty where nothing is slow."""
    waiting = [row for row in verdict.criteria if row.required and row.decision is Decision.WAIT and row.measured]
    if verdict.decision is not Decision.WAIT or verdict.window is None or not waiting:
        return ()
    hours = verdict.policy.window_hours
    limit = verdict.window.start + timedelta(hours=hours)
    late = [row for row in waiting if row.eta is not None and row.eta > limit]
    said = [_traffic(verdict)] if late or _sessions_a_day(verdict) < _SMALL else []
    for row in late:
        assert row.eta is not None
        need = (row.eta - verdict.window.start).total_seconds() / 3600.0
        said.append(
            f"{row.criterion} needs about {need:.0f} h at this rate, the window is {hours:g} h: widen "
            f"[sla] window_hours, {_FASTER[row.criterion]}"
        )
    slow = [row for row in waiting if row not in late and row.criterion == verdict.slowest]
    said += [
        f"the slow criterion is {row.criterion}: {_FASTER[row.criterion]} would speed it up" for row in slow if said
    ]
    return (*[sentence for sentence in said if sentence], *_turns(verdict, waiting))


_FASTER = {
    semconv.CRITERION_PARITY: "fewer nodes at once, a wider margin ([sla] parity) or more of the traffic in shadow",
    semconv.CRITERION_HANDOFF: "fewer nodes at once, a wider margin ([sla] handoff) or more of the traffic in shadow",
    semconv.CRITERION_LATENCY_NOW: "a larger holdout ([arms] holdout) or a wider margin ([sla] latency_margin)",
    semconv.CRITERION_LATENCY_AFTER: "a wider margin ([sla] latency_margin) or more of the traffic in shadow",
    semconv.CRITERION_COVERAGE: "more of the traffic in shadow or a smaller [sla] min_sessions",
    semconv.CRITERION_V1_SERVED: "more of the traffic in shadow",
}


def _sessions_a_day(verdict: Verdict) -> float:
    assert verdict.window is not None
    days = (verdict.window.end - verdict.window.start).total_seconds() / 86400.0
    sessions = max((node.sessions for node in verdict.nodes), default=0)
    return sessions / days if days > 0.0 else 0.0


def _traffic(verdict: Verdict) -> str:
    rate = f"traffic is small: about {_sessions_a_day(verdict):.0f} closed sessions a day"
    return f"{rate}, earliest GO {verdict.eta:%Y-%m-%d %H:%M} UTC" if verdict.eta else rate


def _turns(verdict: Verdict, waiting: list[CriterionResult]) -> tuple[str, ...]:
    """The event-weighted test reckons with sessions of ``max_turns``; shorter ones make it needlessly slow."""
    shares = [row for row in waiting if row.criterion in (semconv.CRITERION_PARITY, semconv.CRITERION_HANDOFF)]
    turns = [row.events / row.sessions for row in shares if row.sessions]
    bound = verdict.policy.max_turns
    if not turns or max(turns) * 4.0 > bound:
        return ()
    sentence = (
        f"sessions have {max(turns):.1f} turns at a node, and [sla] max_turns reckons with {bound}: if the workflow "
    )
    return (sentence + "can't have as many, a smaller max_turns proves shares sooner",)
