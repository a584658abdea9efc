"""From a summary and a policy to the verdict. Pure: the time is an argument."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from otel_shadow import semconv
from otel_shadow.cohorts import is_crowd
from otel_shadow.policy import Policy
from otel_shadow.verdict import criteria
from otel_shadow.verdict.advice import advice
from otel_shadow.verdict.criteria import MEASURES, Case
from otel_shadow.verdict.cycle_tally import cycle_evidence
from otel_shadow.verdict.evidence_faults import caused_by_shadow, evidence_faults
from otel_shadow.verdict.executions import TIMES, Summary, moment
from otel_shadow.verdict.latency_causes import added_time, slowed_by
from otel_shadow.verdict.node_tally import NodeTally, Place, pooled_tally, tally
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role
from otel_shadow.verdict.result import CriterionResult, Decision, NodeVerdict, Verdict
from otel_shadow.verdict.titles import TITLES
from otel_shadow.verdict.window import Frame, frame

_MALFORMED = 0.01
"""Above this share of otel-shadow's lines that can't be read, those that can may be a biased choice."""

_ODD_CLOCKS = 100
"""Of so many executions one may have a clock that is years ahead."""
_MONTH = 31 * 24 * 3_600_000
_NOTABLE = 0.1
"""Share of a node's executions without a pair that is worth a warning."""


def evaluate(summary: Summary, policy: Policy | None = None, at: datetime | None = None) -> Verdict:
    """Return GO, NO-GO or WAIT at a given time. Look as often as you like.

    Arguments:
        summary: the evidence; executions after ``at`` are not seen.
        policy: what GO means; the defaults if None.
        at: the time of the verdict, with a time zone. None: once the last session in the summary is closed.

    Returns:
        the verdict; the chance that it is ever a false GO is at most ``policy.alpha`` per window.

    Raises:
        ValueError: ``at`` has no time zone.
    """
    policy = policy or Policy()
    at = _time(summary, policy, at)
    found = frame(summary, policy, at)
    if found is None:
        return _nothing(summary, policy, at)
    nodes = tally(summary, found.slice, policy.intents)
    if not nodes:
        return _nothing(summary, policy, at, tuple(caused_by_shadow(summary, found)))
    asked = _asked(summary, policy)
    tests = sum(criteria.tests(node, asked) for node in nodes)
    pool = _pool(nodes, policy)
    groups = [[node.place] for node in nodes] + ([pool] if pool else [])
    cycles = cycle_evidence(summary, found.cycles, groups)
    verdicts = tuple(
        _node(
            Case(node, found, policy, asked, tests, evidence, at, "guarded" if node.place in pool else "alone"), summary
        )
        for node, evidence in zip(nodes, cycles, strict=False)
    )
    together = pooled_tally(summary, found.slice, policy.intents, pool) if pool else None
    pooled: tuple[CriterionResult, ...] = ()
    if together is not None:
        case = Case(together, found, policy, asked, tests, cycles[-1], at, "pool")
        names = [name for name in semconv.CRITERIA if not _is_of_each_node(name, policy)]
        pooled = tuple(_explained(MEASURES[name](case), summary, found, pool) for name in names)
    members = frozenset(node.name for node in nodes if node.place in pool)
    rows = tuple(_row(name, verdicts, pooled, members) for name in semconv.CRITERIA)
    verdict = _overall(summary, policy, at, found, nodes, verdicts, rows)
    return replace(verdict, pooled=tuple(sorted(members)) if together is not None else ())


def _pool(nodes: Sequence[NodeTally], policy: Policy) -> tuple[Place, ...]:
    """Return the nodes that are judged together, two at least: those whose decision can differ, by the same bounds.

    A node with bounds of its own is judged by itself; of one with a constant decision the others say nothing.
    """
    found = tuple(node.place for node in nodes if not node.constant_decision and node.name not in policy.nodes)
    return found if len(found) > 1 else ()


def _is_of_each_node(criterion: str, policy: Policy) -> bool:
    """Return whether each node has to prove the criterion by itself: its shares, where nodes are judged.

    The latencies are the workflow's in any case: the flags take all nodes live together, and users wait for all.
    """
    return policy.judge == "node" and criterion in (semconv.CRITERION_PARITY, semconv.CRITERION_HANDOFF)


def _row(
    name: str, verdicts: Sequence[NodeVerdict], pooled: Sequence[CriterionResult], members: frozenset[str]
) -> CriterionResult:
    """Return the workflow's row: what the nodes of the pool prove together and the others alone."""
    each = [_named(node.criterion(name)) for node in verdicts]
    proven = tuple(row.node for row in each if row.is_proven and row.node)
    together = next((row for row in pooled if row.criterion == name and row.tests), None)
    inside = [row for row in each if row.node in members]
    if together is None or any(row.decision is Decision.NO_GO for row in each):
        return replace(_weakest(each), nodes_proven=proven)
    outside = [row for row in each if row.node not in members and row.certified]
    return replace(_weakest([_guarded(together, inside), *outside]), nodes_proven=proven)


def _named(row: CriterionResult) -> CriterionResult:
    """Return a node's row with the node's name on its reasons; whole cycles are the same for all."""
    told = tuple(
        one if one.kind is ReasonKind.CYCLES else replace(one, node=one.node or row.node or "") for one in row.reasons
    )
    return replace(row, reasons=told)


def _guarded(row: CriterionResult, nodes: Sequence[CriterionResult]) -> CriterionResult:
    """Return the pool's row with what its nodes lack by themselves, and the name of the weakest."""
    own = {one.kind for one in row.reasons}
    obstacles = [one for node in nodes for one in node.reasons if one.role is Role.MISSING and one.kind not in own]
    row = replace(row, node=None, weakest=_weakest(nodes).weakest)
    due = [row.eta, *(node.eta for node in nodes if node.decision is Decision.WAIT)]
    known = [eta for eta in due if eta is not None]
    row = replace(row, eta=max(known) if len(known) == len(due) else None)
    if row.decision is Decision.GO and obstacles:
        late = max(known) if len(known) == len(due) - 1 else None
        why = replace(row.reasons[0], kind=ReasonKind.UNPROVEN)
        return replace(row, decision=Decision.WAIT, reasons=(why, *obstacles), eta=late)
    return replace(row, reasons=(*row.reasons, *obstacles))


def _asked(summary: Summary, policy: Policy) -> tuple[str, ...]:
    """Return the criteria that count: the policy's; if it names none, without those whose times were never given."""
    if "criteria" in policy.model_fields_set:
        return policy.criteria
    return tuple(name for name in policy.criteria if not set(_NEEDS.get(name, ())) - summary.given)


_NEEDS = {semconv.CRITERION_LATENCY_NOW: TIMES[:1], semconv.CRITERION_LATENCY_AFTER: TIMES}


def prepare(summary: Summary, policy: Policy | None = None, at: datetime | None = None) -> None:
    """Work out what ``evaluate`` will need at ``at``, so that the verdict itself takes milliseconds.

    Arguments: those of ``evaluate``. The counts are kept until the summary changes.
    """
    evaluate(summary, policy, at)


def _time(summary: Summary, policy: Policy, at: datetime | None) -> datetime:
    if at is None:
        last = _last_believed(summary)
        return last + timedelta(minutes=policy.session_idle_minutes)
    if at.tzinfo is None:
        raise ValueError(f"at = {at!r} has no time zone; give datetime(..., tzinfo=UTC)")
    return at.astimezone(UTC)


def _last_believed(summary: Summary) -> datetime:
    """Return the time of the last execution or heartbeat whose clock can be believed.

    Less than a hundredth of the executions, more than a month after all others, is a clock that runs years ahead.
    """
    if "believed" not in summary.cache:
        last = summary.last or datetime(1970, 1, 1, tzinfo=UTC)
        times = summary.rows.time
        few = len(times) // _ODD_CLOCKS
        if few:
            latest = np.sort(np.partition(times, len(times) - few - 1)[len(times) - few - 1 :])
            far = np.flatnonzero(np.diff(latest) > _MONTH)
            last = moment(int(latest[far[0]])) if len(far) else last
        beats = (moment(beat.time) for beat in summary.beats)
        summary.cache["believed"] = max([last, *(at for at in beats if at - last <= timedelta(milliseconds=_MONTH))])
    found: datetime = summary.cache["believed"]
    return found


def _explained(result: CriterionResult, summary: Summary, found: Frame, places: Sequence[Place]) -> CriterionResult:
    """Return the result; a latency now beyond its bound says whose fault that is."""
    beyond = result.estimate is not None and result.estimate > result.bound
    if result.criterion != semconv.CRITERION_LATENCY_NOW or not (beyond or result.decision is Decision.NO_GO):
        return result
    cause = slowed_by(summary, found.slice, places, result.bound)
    if cause is None:
        return result
    if result.decision is not Decision.NO_GO:
        cause = replace(cause, names=("so far",))
    return replace(result, reasons=(*result.reasons, cause))


def _node(case: Case, summary: Summary) -> NodeVerdict:
    place = case.node.place
    alone = replace(case, role="alone")
    cases = {name: alone if _is_of_each_node(name, case.policy) else case for name in semconv.CRITERIA}
    results = tuple(_explained(MEASURES[name](each), summary, case.frame, (place,)) for name, each in cases.items())
    parity, node, notes = results[0], case.node, []
    if parity.quantity == "excess":
        disagreement = parity.details["self_disagreement"]
        notes.append(Reason(Role.NOTE, ReasonKind.NOISE, have=disagreement, needed=parity.bound))
    if node.open_sessions:
        notes.append(Reason(Role.NOTE, ReasonKind.OPEN_SESSIONS, have=node.open_sessions))
    return NodeVerdict(
        node=node.name,
        graph=node.graph,
        decision=_conjunction([result for result in results if result.required]),
        criteria=results,
        sessions=node.sessions,
        open_sessions=node.open_sessions,
        events=node.counts["executions"],
        reasons=tuple(notes),
        relative_parity=parity.quantity == "excess",
    )


def _conjunction(results: Sequence[CriterionResult]) -> Decision:
    """Return GO if all are, NO-GO if one is."""
    decisions = {result.decision for result in results}
    if Decision.NO_GO in decisions:
        return Decision.NO_GO
    return Decision.GO if decisions == {Decision.GO} else Decision.WAIT


def _overall(
    summary: Summary,
    policy: Policy,
    at: datetime,
    found: Frame,
    nodes: Sequence[NodeTally],
    verdicts: tuple[NodeVerdict, ...],
    rows: tuple[CriterionResult, ...],
) -> Verdict:
    faults = evidence_faults(summary, policy, found, at)
    blockers = (*_of(faults, Role.BLOCKER), *_blockers(summary, policy, found, verdicts))
    intents = _uncertified_intents(policy, nodes)
    required = [row for row in rows if row.required]
    decision = _conjunction(required)
    if decision is Decision.GO and (blockers or intents):
        decision = Decision.WAIT
    waiting = [row for row in required if row.decision is Decision.WAIT]
    last = max(waiting, key=lambda row: (row.eta is None, row.eta or at), default=None)
    missing = () if decision is Decision.GO else sorted((*intents, *_of_rows(waiting, Role.MISSING)), key=_rank)
    verdict = Verdict(
        decision=decision,
        at=at,
        window=found.window,
        policy=policy,
        criteria=rows,
        nodes=verdicts,
        build=found.build,
        left_out=found.left_out,
        key_ids=_key_ids(summary, found),
        simulated=_simulated(summary, found),
        judge=policy.judge,
        next_look=found.window.next_cycle if found.window.next_cycle > at else None,
        slowest=last.criterion if last else None,
        eta=last.eta if last and not blockers else None,
    )
    warnings = (
        *_of(faults, Role.WARNING),
        *_warnings(summary, policy, found, at),
        *_session_ids(nodes),
        *_cut_off(nodes),
    )
    if [row.criterion for row in waiting] == [semconv.CRITERION_LATENCY_NOW] and decision is Decision.WAIT:
        added = added_time(summary, found.slice)
        missing = (*missing, *([added] if added else []))
    why, besides = _why(decision, required), (*warnings, *_of(faults, Role.NOTE), *_notes(summary, policy, found))
    holdout = max((kind.holdout or 0.0 for kind in summary.signatures if kind.unit == found.slice.build), default=0.0)
    return replace(verdict, reasons=(*why, *blockers, *missing, *besides, *advice(verdict, holdout)))


def _rank(reason: Reason) -> int:
    """Return the place among what is missing: what was shed first, then what this traffic can't prove."""
    if reason.kind is ReasonKind.SHADOWS:
        return 0
    if reason.kind is ReasonKind.OUT_OF_WINDOW:
        return 1
    return 2 if reason.kind is ReasonKind.GUARD and reason.of else 3


def _of(reasons: Sequence[Reason], role: Role) -> tuple[Reason, ...]:
    return tuple(one for one in reasons if one.role is role)


def _why(decision: Decision, required: Sequence[CriterionResult]) -> tuple[Reason, ...]:
    """Return why it is a GO or a NO-GO; a WAIT stands for what is missing."""
    if decision is Decision.GO:
        return (Reason(Role.WHY, ReasonKind.PROVEN),)
    return _of_rows([row for row in required if row.decision is Decision.NO_GO], Role.WHY)


def _of_rows(rows: Sequence[CriterionResult], role: Role) -> tuple[Reason, ...]:
    """Return the reasons of the workflow's rows that play ``role``, each with its criterion and node, and once."""
    found = (one.about(row.criterion, one.node) for row in rows for one in row.reasons if one.role is role)
    return tuple(dict.fromkeys(found))


def _weakest(results: Sequence[CriterionResult]) -> CriterionResult:
    """Return the workflow's row: the decision of all nodes together and the numbers of the one that stands worst."""
    order = {Decision.NO_GO: 0, Decision.WAIT: 1, Decision.GO: 2}

    def strength(result: CriterionResult) -> tuple[int, bool, float, float]:
        evidence = result.log_e_go if result.log_e_go is not None else (result.estimate or 0.0)
        return order[result.decision], result.measured, _distance(result), evidence

    worst = min(results, key=strength)
    etas = [result.eta for result in results if result.decision is Decision.WAIT]
    known = [eta for eta in etas if eta is not None]
    eta = max(known) if known and len(known) == len(etas) else None
    node = worst.node or worst.weakest
    return replace(worst, node=None, weakest=node, eta=eta if worst.decision is Decision.WAIT else None)


def _distance(result: CriterionResult) -> float:
    """Return how far what is proven lies inside the bound, in margins."""
    if result.proven is None:
        return -math.inf
    edge = {"ratio": 1.0, "excess": 0.0}.get(result.quantity, 0.0 if result.direction == "at_most" else 1.0)
    inside = result.bound - result.proven if result.direction == "at_most" else result.proven - result.bound
    return inside / max(abs(result.bound - edge), 1e-9)


def _uncertified_intents(policy: Policy, nodes: Sequence[NodeTally]) -> tuple[Reason, ...]:
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


def _blockers(summary: Summary, policy: Policy, found: Frame, verdicts: Sequence[NodeVerdict]) -> tuple[Reason, ...]:
    keys = _key_ids(summary, found)
    known = {node.node for node in verdicts} | {node.node.rpartition("/")[2] for node in verdicts}
    return (
        *_unread(summary),
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


def _unread(summary: Summary) -> tuple[Reason, ...]:
    """Return blockers for lines that could not be used: what they hold might change the verdict."""
    blockers, reading = [], summary.reading
    if len(summary.contradictory):
        blockers.append(Reason(Role.BLOCKER, ReasonKind.CONTRADICTORY, have=len(summary.contradictory)))
    for version, lines in reading.other_schema.items():
        blockers.append(Reason(Role.BLOCKER, ReasonKind.OTHER_SCHEMA, names=(version,), have=lines))
    if reading.malformed > _MALFORMED * max(reading.used, 1):
        blockers.append(Reason(Role.BLOCKER, ReasonKind.HALF_READ, have=reading.malformed, of=reading.used))
    return tuple(blockers)


def _key_ids(summary: Summary, found: Frame) -> tuple[str, ...]:
    mine = [kind for kind in summary.signatures if kind.unit == found.slice.build]
    return tuple(sorted({kind.key_id for kind in mine if kind.key_id}))


def _simulated(summary: Summary, found: Frame) -> bool:
    return any(kind.simulated for kind in summary.signatures if kind.unit == found.slice.build)


def _notes(summary: Summary, policy: Policy, found: Frame) -> tuple[Reason, ...]:
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
    asked = _asked(summary, policy)
    lacking = {
        name: tuple(time for time in _NEEDS[name] if time not in summary.given)
        for name in policy.criteria
        if name not in asked
    }
    return [Reason(Role.WARNING, ReasonKind.NOT_JUDGED, criterion=name, names=times) for name, times in lacking.items()]


def _warnings(summary: Summary, policy: Policy, found: Frame, at: datetime) -> tuple[Reason, ...]:
    simulated = _simulated(summary, found)
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


def _session_ids(nodes: Sequence[NodeTally]) -> list[Reason]:
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


def _cut_off(nodes: Sequence[NodeTally]) -> list[Reason]:
    """Return warnings about nodes of which the end of an event loop cut a tenth of the pairs off."""
    shares = [(node.name, node.counts["cut_off"], node.counts["executions"]) for node in nodes]
    return [
        Reason(Role.WARNING, ReasonKind.CUT_OFF, node=name, have=cut / executions, of=executions)
        for name, cut, executions in shares
        if cut and cut >= _NOTABLE * executions
    ]


def _nothing(summary: Summary, policy: Policy, at: datetime, left_out: tuple[Reason, ...] = ()) -> Verdict:
    rows = tuple(
        CriterionResult(
            name,
            None,
            Decision.WAIT,
            name in policy.criteria,
            False,
            bound,
            direction=TITLES[name].limit,
            quantity=TITLES[name].quantity,
            reasons=(Reason(Role.WHY, ReasonKind.NO_EVIDENCE),),
        )
        for name, bound in policy.objectives().items()
    )
    nothing = Reason(Role.WHY, ReasonKind.NOTHING, by=at if len(summary) else None)
    lacking = (*_unread(summary), Reason(Role.MISSING, ReasonKind.EVIDENCE))
    return Verdict(Decision.WAIT, at, None, policy, rows, (), (nothing, *lacking, *left_out))
