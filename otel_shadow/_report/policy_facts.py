"""The policy that was applied, as facts: every key, its value and what it means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from otel_shadow._report.blocks import Fact
from otel_shadow.policy import Policy


def policy_facts(policy: Policy) -> Iterator[Fact]:
    """Return every key of ``policy``; those of single nodes come last."""
    for name in type(policy).model_fields:
        if name != "nodes":
            yield Fact(name, _plain(getattr(policy, name)), _MEANINGS.get(name, ""))
    for node, bounds in policy.nodes.items():
        for name in sorted(bounds.model_fields_set):
            yield Fact(f"nodes.{node}.{name}", _plain(getattr(bounds, name)), "for this node only")


def _plain(setting: object) -> str:
    if isinstance(setting, tuple):
        return ", ".join(map(str, setting)) or "none declared"
    return f"{setting:g}" if isinstance(setting, float) else str(setting)


_MEANINGS: Mapping[str, str] = {
    "parity": "least share of pairs in which V2 decides what V1 decides",
    "handoff": "largest share of V2 executions that end in an error or a timeout",
    "latency_margin": "how much slower a p95 may be: 0.15 is +15 %",
    "executed": "least share of eligible executions whose shadow ran",
    "accepted_cap": "above this share of accepted differences the verdict waits",
    "noise_margin": "by how much V2 may differ more often than V1 from itself, where parity is relative",
    "min_sessions": "closed sessions that each node needs",
    "min_sessions_per_intent": "closed sessions that each declared intent needs",
    "alpha": "chance of a false GO that is tolerated, on each side",
    "window_hours": "longest window that is read",
    "cycle_hours": "one cycle of traffic; GO only at a whole one",
    "min_cycles": "whole cycles needed for a GO",
    "no_go_sessions": "closed sessions from which a NO-GO is possible",
    "session_idle_minutes": "a session is closed after this much silence",
    "max_turns": "turns of one session that count",
    "block_hours": "no block of this length may be in NO-GO by itself",
    "intents": "each needs its own coverage",
    "noise_switch": "above this self-disagreement of V1 (lower bound) parity turns relative",
    "max_gap_hours": "a silence of this length is a gap, and no GO stands on it",
    "criteria": "criteria that count for the verdict; others are shown",
}
