"""From a summary and a policy to the verdict. Pure: the time is an argument."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from otel_shadow import semconv
from otel_shadow.policy import Policy
from otel_shadow.verdict import criteria
from otel_shadow.verdict.advice import advice
from otel_shadow.verdict.criteria import MEASURES, Case, percent, stamp
from otel_shadow.verdict.executions import TIMES, Summary
from otel_shadow.verdict.node_tally import NodeTally, tally
from otel_shadow.verdict.result import CriterionResult, Decision, NodeVerdict, Verdict
from otel_shadow.verdict.window import Frame, frame

_MALFORMED = 0.01
"""Above this share of lines of ours that can't be read, what is left may be a choice of its own."""


def evaluate(summary: Summary, policy: Policy | None = None, at: datetime | None = None) -> Verdict:
    """GO, NO-GO or WAIT at a given time. Look as often as you like.

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
    asked = _asked(summary, policy)
    tests = sum(criteria.tests(node, asked) for node in nodes)
    verdicts = tuple(_node(Case(node, found, policy, asked, tests)) for node in nodes)
    return _overall(summary, policy, at, found, nodes, verdicts)


def _asked(summary: Summary, policy: Policy) -> tuple[str, ...]:
    """The criteria that count: the policy's; where it names none itself, without those whose times were never given."""
    if "criteria" in policy.model_fields_set:
        return policy.criteria
    return tuple(name for name in policy.criteria if not set(_NEEDS.get(name, ())) - summary.given)


_NEEDS = {semconv.CRITERION_LATENCY_NOW: TIMES[:1], semconv.CRITERION_LATENCY_AFTER: TIMES}


def prepare(summary: Summary, policy: Policy | None = None, at: datetime | None = None) -> None:
    """Count everything that ``evaluate`` will need at ``at``, so that the verdict itself takes milliseconds.

    Arguments: those of ``evaluate``. The counts are kept until the summary changes.
    """
    policy = policy or Policy()
    found = frame(summary, policy, _time(summary, policy, at))
    if found is not None:
        tally(summary, found.slice, policy.intents)


def _time(summary: Summary, policy: Policy, at: datetime | None) -> datetime:
    if at is None:
        from datetime import timedelta

        last = summary.last or datetime(1970, 1, 1, tzinfo=UTC)
        return last + timedelta(minutes=policy.session_idle_minutes)
    if at.tzinfo is None:
        raise ValueError(f"at = {at!r} has no time zone; give datetime(..., tzinfo=UTC)")
    return at.astimezone(UTC)


def _node(case: Case) -> NodeVerdict:
    results = tuple(MEASURES[name](case) for name in semconv.CRITERIA)
    parity = results[0]
    notes = []
    if parity.quantity == "excess":
        notes.append(
            f"V1 disagrees with itself on {percent(parity.details['self_disagreement'])} of the requests: parity is "
            f"judged against that noise floor (at most {percent(parity.bound)} more)"
        )
    node = case.node
    if node.open_sessions:
        notes.append(f"{node.open_sessions} open sessions are left out until they have been idle long enough")
    return NodeVerdict(
        node=node.name,
        graph=node.graph,
        decision=_conjunction([result for result in results if result.required]),
        criteria=results,
        sessions=node.sessions,
        open_sessions=node.open_sessions,
        events=node.counts["executions"],
        notes=tuple(notes),
        relative_parity=parity.quantity == "excess",
    )


def _conjunction(results: Sequence[CriterionResult]) -> Decision:
    """GO if all are, NO-GO if one is."""
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
) -> Verdict:
    rows = tuple(_weakest([node.criterion(name) for node in verdicts]) for name in semconv.CRITERIA)
    blockers = _blockers(summary, policy, found, verdicts)
    intents = _missing_intents(policy, nodes)
    required = [row for row in rows if row.required]
    decision = _conjunction(required)
    if decision is Decision.GO and (blockers or intents):
        decision = Decision.WAIT
    waiting = [row for row in required if row.decision is Decision.WAIT]
    last = max(waiting, key=lambda row: (row.eta is None, row.eta or at), default=None)
    missing = (*blockers, *intents, *_missing(waiting))
    verdict = Verdict(
        decision=decision,
        at=at,
        window=found.window,
        policy=policy,
        criteria=rows,
        nodes=verdicts,
        reason="",
        missing=() if decision is Decision.GO else missing,
        notes=_notes(summary, found),
        warnings=_warnings(summary, found, at, _not_asked(summary, policy)),
        blockers=blockers,
        build=found.build,
        left_out=found.left_out,
        key_ids=_key_ids(summary, found),
        simulated=any(kind.simulated for kind in summary.signatures),
        slowest=last.criterion if last else None,
        eta=last.eta if last and not blockers else None,
    )
    return replace(verdict, reason=_reason(verdict), advice=advice(verdict))


def _weakest(results: Sequence[CriterionResult]) -> CriterionResult:
    """The workflow's row: the decision of all nodes together and the numbers of the one that stands worst."""
    order = {Decision.NO_GO: 0, Decision.WAIT: 1, Decision.GO: 2}

    def strength(result: CriterionResult) -> tuple[int, bool, float]:
        evidence = result.log_e_go if result.log_e_go is not None else (result.estimate or 0.0)
        return order[result.decision], result.measured, evidence

    worst = min(results, key=strength)
    etas = [result.eta for result in results if result.decision is Decision.WAIT]
    known = [eta for eta in etas if eta is not None]
    eta = max(known) if known and len(known) == len(etas) else None
    node = worst.node
    return replace(worst, node=None, weakest=node, eta=eta if worst.decision is Decision.WAIT else None)


def _missing(waiting: Sequence[CriterionResult]) -> tuple[str, ...]:
    told: dict[str, None] = {}
    for row in waiting:
        for sentence in row.missing:
            told.setdefault(
                sentence if "whole cycle(s)" in sentence else f"{row.criterion} ({row.weakest}): {sentence}"
            )
    return tuple(told)


def _missing_intents(policy: Policy, nodes: Sequence[NodeTally]) -> tuple[str, ...]:
    least = policy.min_sessions_per_intent
    found = []
    for intent in policy.intents:
        seen = max((slots.counts().total for node in nodes for slots in node.intents.get(intent, ())), default=0)
        if seen < least:
            found.append(f"intent {intent!r} is not certified: {seen} of {least} closed sessions")
    return tuple(found)


def _blockers(summary: Summary, policy: Policy, found: Frame, verdicts: Sequence[NodeVerdict]) -> tuple[str, ...]:
    blockers = list(_unread(summary))
    keys = _key_ids(summary, found)
    if len(keys) > 1:
        blockers.append(
            f"{len(keys)} hash keys ({', '.join(keys)}): one session may count as several; give all replicas the same "
            f"{semconv.ENV_HASH_KEY} and start a new window"
        )
    for start, end in found.window.gaps:
        hours = (end - start).total_seconds() / 3600.0
        blockers.append(
            f"no evidence for {hours:.1f} h from {stamp(start)}: a window with gaps proves nothing about them "
            "(is the service closed then? [sla] max_gap_hours)"
        )
    names = {node.node for node in verdicts} | {node.node.rpartition("/")[2] for node in verdicts}
    blockers += [
        f"the policy names node {name!r}, the evidence does not" for name in sorted(policy.nodes) if name not in names
    ]
    return tuple(blockers)


def _unread(summary: Summary) -> tuple[str, ...]:
    """What was told and could not be used: nobody knows what it would have said."""
    blockers = []
    reading = summary.reading
    if len(summary.contradictory):
        blockers.append(
            f"{len(summary.contradictory)} pairs are told in two different ways and were left out: find out why"
        )
    if reading.other_schema:
        versions = ", ".join(f"{version} ({count} lines)" for version, count in reading.other_schema.items())
        blockers.append(
            f"lines of another schema were left out: {versions}; read them with the version that wrote them"
        )
    if reading.malformed > _MALFORMED * max(reading.used, 1):
        blockers.append(
            f"{reading.malformed} lines of ours can't be read, {reading.used} can: the evidence is half read"
        )
    return tuple(blockers)


def _key_ids(summary: Summary, found: Frame) -> tuple[str, ...]:
    build = found.build
    mine = [kind for kind in summary.signatures if (kind.build, kind.digest) == (build.build, build.digest)]
    return tuple(sorted({kind.key_id for kind in mine if kind.key_id}))


def _notes(summary: Summary, found: Frame) -> tuple[str, ...]:
    notes = [
        f"build {build.label} was left out: {build.events} executions, {stamp(build.first)} to {stamp(build.last)}"
        for build in found.left_out
    ]
    if found.earlier:
        notes.append(f"{found.earlier} executions before the window were left out; every window is a test of its own")
    if summary.duplicates:
        notes.append(f"{summary.duplicates} lines repeated a known pair and count once")
    notes += [f"accepted until {rule.expires}: {rule.reason}" for rule in summary.accepted_rules]
    return tuple(notes)


def _not_asked(summary: Summary, policy: Policy) -> tuple[str, ...]:
    asked = _asked(summary, policy)
    left = [name for name in policy.criteria if name not in asked]
    lacking = {name: [time for time in _NEEDS[name] if time not in summary.given] for name in left}
    return tuple(f"{name} was not judged: no {' and no '.join(times)} was given" for name, times in lacking.items())


def _warnings(summary: Summary, found: Frame, at: datetime, first: Sequence[str]) -> tuple[str, ...]:
    reading, warnings = summary.reading, list(first)
    if any(kind.simulated for kind in summary.signatures):
        warnings.append("the clock was simulated: this says nothing about production")
    later = summary.later_than(at)
    if later:
        warnings.append(f"{later} executions are stamped later than {stamp(at)} and were left out")
    if reading.malformed:
        warnings.append(f"{reading.malformed} lines of ours can't be read and were skipped")
    if reading.truncated:
        warnings.append(f"{reading.truncated} last lines are incomplete and were skipped")
    warnings += [
        f"the acceptance {rule.reason!r} expired on {rule.expires} and was not applied"
        for rule in summary.expired_rules
    ]
    silent = (at - found.build.last).total_seconds() / 3600.0
    if silent > 1.0:
        warnings.append(f"the evidence ends {silent:.1f} h before the time of this verdict")
    return tuple(warnings)


def _reason(verdict: Verdict) -> str:
    if verdict.decision is Decision.GO:
        return "every criterion is proven on whole cycles"
    broken = [row for row in verdict.criteria if row.required and row.decision is Decision.NO_GO]
    if broken:
        return "; ".join(f"{row.criterion} ({row.weakest}): {row.reason}" for row in broken)
    return verdict.missing[0] if verdict.missing else "not enough evidence"


def _nothing(summary: Summary, policy: Policy, at: datetime) -> Verdict:
    rows = tuple(
        CriterionResult(
            name,
            None,
            Decision.WAIT,
            name in policy.criteria,
            False,
            bound,
            direction="at_most" if name in _AT_MOST else "at_least",
            quantity="ratio" if name in _NEEDS else "share",
            reason="no evidence",
        )
        for name, bound in policy.objectives().items()
    )
    unread = _unread(summary)
    reason = f"no execution up to {stamp(at)}" if len(summary) else "no evidence at all"
    return Verdict(Decision.WAIT, at, None, policy, rows, (), reason, missing=(*unread, "evidence"), blockers=unread)


_AT_MOST = {semconv.CRITERION_HANDOFF, *_NEEDS}
