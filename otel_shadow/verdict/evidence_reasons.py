"""What a verdict says of its evidence beside the criteria: what forbids a GO, what limits its meaning, and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from otel_shadow import semconv
from otel_shadow.cohorts import is_crowd
from otel_shadow.policy import Policy
from otel_shadow.verdict.executions import TIMES, Summary
from otel_shadow.verdict.node_tally import NodeTally
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role
from otel_shadow.verdict.result import NodeVerdict
from otel_shadow.verdict.window import Frame

_MALFORMED = 0.01
"""Above this share of otel-shadow's lines that can't be read, those that can may be a biased choice."""
_NOTABLE = 0.1
"""Share of a node's executions without a pair that is worth a warning."""


def criteria_asked(summary: Summary, policy: Policy) -> tuple[str, ...]:
    """Return the criteria that count: the policy's; if it names none, without those whose times were never given."""
    if "criteria" in policy.model_fields_set:
        return policy.criteria
    return tuple(name for name in policy.criteria if not set(_NEEDS.get(name, ())) - summary.given)


_NEEDS = {semconv.CRITERION_LATENCY_NOW: TIMES[:1], semconv.CRITERION_LATENCY_AFTER: TIMES}


def uncertified_intents(policy: Policy, nodes: Sequence[NodeTally]) -> tuple[Reason, ...]:
    """Return the declared intents that have too few sessions."""
    seen = {
        intent: max((slots.counts().total for node in nodes for slots in node.intents.get(intent, ())), default=0)
        for intent in policy.intents
    }
    least = policy.min_sessions_per_intent
    return tuple(
        Reason(Role.MISSING, ReasonKind.UNCERTIFIED_INTENT, names=(intent,), have=sessions, needed=least)
        for intent, sessions in seen.items()
        if sessions < least
    )


def blockers_of(summary: Summary, policy: Policy, found: Frame, verdicts: Sequence[NodeVerdict]) -> tuple[Reason, ...]:
    """Return what forbids a GO, but for the faults of the evidence (:mod:`otel_shadow.verdict.evidence_faults`)."""
    keys = key_ids_of(summary, found)
    known = {node.node for node in verdicts} | {node.node.rpartition("/")[2] for node in verdicts}
    return (
        *unread(summary),
        *([Reason(Role.BLOCKER, ReasonKind.KEYS, names=keys)] if len(keys) > 1 else []),
        *(
            Reason(Role.BLOCKER, ReasonKind.GAP, since=start, hours=(end - start) / timedelta(hours=1))
            for start, end in found.window.gaps
        ),
        *(
            Reason(Role.BLOCKER, ReasonKind.UNKNOWN_NODE, node=name)
            for name in sorted(policy.nodes)
            if name not in known
        ),
    )


def unread(summary: Summary) -> tuple[Reason, ...]:
    """Return blockers for lines that could not be used: what they hold might change the verdict."""
    blockers, reading = [], summary.reading
    if len(summary.contradictory):
        blockers.append(Reason(Role.BLOCKER, ReasonKind.CONTRADICTORY, have=len(summary.contradictory)))
    for version, lines in reading.other_schema.items():
        blockers.append(Reason(Role.BLOCKER, ReasonKind.OTHER_SCHEMA, names=(version,), have=lines))
    if reading.malformed > _MALFORMED * max(reading.used, 1):
        blockers.append(Reason(Role.BLOCKER, ReasonKind.HALF_READ, have=reading.malformed, of=reading.used))
    return tuple(blockers)


def key_ids_of(summary: Summary, found: Frame) -> tuple[str, ...]:
    """Return the ids of the hash keys of the judged build's lines."""
    mine = [kind for kind in summary.signatures if kind.unit == found.slice.build]
    return tuple(sorted({kind.key_id for kind in mine if kind.key_id}))


def is_simulated(summary: Summary, found: Frame) -> bool:
    """Return whether any execution of the build was timed by a clock that is made up."""
    return any(kind.simulated for kind in summary.signatures if kind.unit == found.slice.build)


def notes_of(summary: Summary, policy: Policy, found: Frame) -> tuple[Reason, ...]:
    """Return what is worth knowing and changes nothing."""
    counted = {ReasonKind.EARLIER: found.earlier, ReasonKind.REPEATED: summary.duplicates}
    asked = policy.window_start
    return (
        *([Reason(Role.NOTE, ReasonKind.WINDOW_START, since=asked)] if asked is not None else []),
        *(
            Reason(Role.NOTE, ReasonKind.OTHER_BUILD, names=(one.label,), have=one.events, since=one.first, by=one.last)
            for one in found.left_out
        ),
        *_counted(Role.NOTE, counted),
        *(
            Reason(Role.NOTE, ReasonKind.ACCEPTANCE, names=(rule.reason,), day=rule.expires)
            for rule in summary.accepted_rules
        ),
    )


def _counted(role: Role, counts: Mapping[ReasonKind, int], **facts: Any) -> list[Reason]:
    return [Reason(role, kind, have=number, **facts) for kind, number in counts.items() if number]


def _not_judged(summary: Summary, policy: Policy) -> list[Reason]:
    asked = criteria_asked(summary, policy)
    lacking = {
        name: tuple(time for time in _NEEDS[name] if time not in summary.given)
        for name in policy.criteria
        if name not in asked
    }
    return [Reason(Role.WARNING, ReasonKind.NOT_JUDGED, criterion=name, names=times) for name, times in lacking.items()]


def warnings_of(summary: Summary, policy: Policy, found: Frame, at: datetime) -> tuple[Reason, ...]:
    """Return what limits the meaning of the verdict."""
    simulated = is_simulated(summary, found)
    silent = (at - found.build.last) / timedelta(hours=1)
    reading = summary.reading
    return (
        *_not_judged(summary, policy),
        *(
            [Reason(Role.WARNING, ReasonKind.WINDOW_HOURS, have=policy.cycles_held)]
            if policy.window_hours is not None
            else []
        ),
        *([Reason(Role.WARNING, ReasonKind.SIMULATED)] if simulated else []),
        *_counted(Role.WARNING, {ReasonKind.LATER: summary.later_than(at)}, by=at),
        *_counted(Role.WARNING, {ReasonKind.UNREADABLE: reading.malformed, ReasonKind.TRUNCATED: reading.truncated}),
        *(
            Reason(Role.WARNING, ReasonKind.EXPIRED, names=(rule.reason,), day=rule.expires)
            for rule in summary.expired_rules
        ),
        *([Reason(Role.WARNING, ReasonKind.SILENT, hours=silent)] if 1.0 < silent < policy.cycle_hours else []),
    )


def session_ids(nodes: Sequence[NodeTally]) -> list[Reason]:
    """Return warnings about executions that are counted by session and had no id, or the id of too many others."""
    found = []
    executions, without = (sum(node.counts[name] for node in nodes) for name in ("executions", "anonymous"))
    if without:
        found.append(Reason(Role.WARNING, ReasonKind.NO_SESSION_ID, have=without / executions, of=executions))
    for node in nodes:
        own = node.counts["executions"]
        if is_crowd(node.busiest, own):
            share = node.busiest / own
            found.append(Reason(Role.WARNING, ReasonKind.ONE_SESSION, node=node.name, have=share, of=own))
    return found


def cut_off(nodes: Sequence[NodeTally]) -> list[Reason]:
    """Return warnings about nodes of which the end of an event loop cut a tenth of the pairs off."""
    shares = [(node.name, node.counts["cut_off"], node.counts["executions"]) for node in nodes]
    return [
        Reason(Role.WARNING, ReasonKind.CUT_OFF, node=name, have=cut / executions, of=executions)
        for name, cut, executions in shares
        if cut and cut >= _NOTABLE * executions
    ]
