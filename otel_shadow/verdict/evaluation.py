"""From a summary and a policy to the verdict. Pure: the time is an argument."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from otel_shadow import semconv
from otel_shadow.policy import Policy
from otel_shadow.verdict import criteria
from otel_shadow.verdict.advice import advice
from otel_shadow.verdict.case import Case
from otel_shadow.verdict.criteria import MEASURES
from otel_shadow.verdict.cycle_tally import cycle_evidence
from otel_shadow.verdict.evidence_faults import caused_by_shadow, evidence_faults
from otel_shadow.verdict.evidence_reasons import (
    blockers_of,
    criteria_asked,
    cut_off,
    is_simulated,
    key_ids_of,
    notes_of,
    session_ids,
    uncertified_intents,
    unread,
    warnings_of,
)
from otel_shadow.verdict.executions import Summary, moment
from otel_shadow.verdict.latency_causes import added_time, slowed_by
from otel_shadow.verdict.node_tally import NodeTally, Place, pooled_tally, tally
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role
from otel_shadow.verdict.result import CriterionResult, Decision, NodeVerdict, Verdict
from otel_shadow.verdict.titles import TITLES
from otel_shadow.verdict.window import Frame, frame

_ODD_CLOCKS = 100
"""Of so many executions one may have a clock that is years ahead."""
_MONTH = 31 * 24 * 3_600_000


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
    # The same evidence, policy and time say the same.
    key = "verdict", policy.model_dump_json(), frozenset(policy.model_fields_set), at
    known = summary.cache.get(key)
    if known is None or known[0] is not summary.reading:
        known = summary.cache[key] = summary.reading, _evaluated(summary, policy, at)
    verdict: Verdict = known[1]
    return verdict


def _evaluated(summary: Summary, policy: Policy, at: datetime) -> Verdict:
    found = frame(summary, policy, at)
    if found is None:
        return _nothing(summary, policy, at)
    nodes = tally(summary, found.slice, policy.intents)
    if not nodes:
        return _nothing(summary, policy, at, tuple(caused_by_shadow(summary, found)))
    asked = criteria_asked(summary, policy)
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
    blockers = (*_of(faults, Role.BLOCKER), *blockers_of(summary, policy, found, verdicts))
    intents = uncertified_intents(policy, nodes)
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
        key_ids=key_ids_of(summary, found),
        simulated=is_simulated(summary, found),
        judge=policy.judge,
        next_look=found.window.next_cycle if found.window.next_cycle > at else None,
        slowest=last.criterion if last else None,
        eta=last.eta if last and not blockers else None,
    )
    warnings = (
        *_of(faults, Role.WARNING),
        *warnings_of(summary, policy, found, at),
        *session_ids(nodes),
        *cut_off(nodes),
    )
    if [row.criterion for row in waiting] == [semconv.CRITERION_LATENCY_NOW] and decision is Decision.WAIT:
        added = added_time(summary, found.slice)
        missing = (*missing, *([added] if added else []))
    why, besides = _why(decision, required), (*warnings, *_of(faults, Role.NOTE), *notes_of(summary, policy, found))
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
    lacking = (*unread(summary), Reason(Role.MISSING, ReasonKind.EVIDENCE))
    return Verdict(Decision.WAIT, at, None, policy, rows, (), (nothing, *lacking, *left_out))
