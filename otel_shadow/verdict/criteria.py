"""The criteria of one node, each from its tally to a result that explains itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from otel_shadow import semconv
from otel_shadow.policy import Bounds, Policy
from otel_shadow.verdict.executions import moment
from otel_shadow.verdict.latency import shift, times_needed
from otel_shadow.verdict.node_tally import NodeTally
from otel_shadow.verdict.proportions import Levels, block_parts, intent_parts, look, needed
from otel_shadow.verdict.result import CriterionResult, Decision, Part
from otel_shadow.verdict.session_counts import Slots
from otel_shadow.verdict.window import Frame, block_of_slots

STATISTICAL = (
    semconv.CRITERION_PARITY,
    semconv.CRITERION_HANDOFF,
    semconv.CRITERION_LATENCY_NOW,
    semconv.CRITERION_LATENCY_AFTER,
)
"""Criteria decided by a test; the chance of a false NO-GO is shared among those with evidence."""


@dataclass(frozen=True, slots=True)
class Case:
    """One node, its bounds, and what they are judged by: ``asked`` are the criteria that count."""

    node: NodeTally
    frame: Frame
    policy: Policy
    asked: tuple[str, ...]
    tests: int

    @property
    def bounds(self) -> Bounds:
        """The node's own bounds."""
        return self.policy.bounds(self.node.name)

    @property
    def levels(self) -> Levels:
        """Logs that the evidence must reach. NO-GO shares α among the tests; GO needs them all and shares nothing."""
        go = math.log(1.0 / self.policy.alpha)
        return Levels(go, go + math.log(max(self.tests, 1)), self.policy.max_turns)

    def result(self, criterion: str, bound: float, **facts: object) -> CriterionResult:
        """A result that waits; ``facts`` are further fields of it."""
        waiting = CriterionResult(
            criterion=criterion,
            node=self.node.name,
            decision=Decision.WAIT,
            required=criterion in self.asked,
            measured=False,
            bound=bound,
            direction="at_least",
            threshold_go=self.levels.go,
            threshold_no_go=self.levels.no_go,
        )
        return replace(waiting, **facts)  # type: ignore[arg-type]

    def cycle_missing(self) -> list[str]:
        """What whole cycles still need."""
        if self.frame.window.go_end is not None:
            return []
        cycles, hours = self.policy.min_cycles, self.policy.cycle_hours
        return [f"{cycles} whole cycle(s) of {hours:g} h: the next ends {stamp(self.frame.window.next_cycle)}"]

    def eta(self, sessions: float | None, seen: int) -> datetime | None:
        """When so many closed sessions will be there at the present rate, at the end of a whole cycle."""
        start, end = self.frame.window.start, self.frame.window.end
        elapsed = (end - start).total_seconds()
        if sessions is None or not seen or elapsed <= 0.0:
            return None
        cycle = self.policy.cycle_hours * 3600.0
        whole = max(math.ceil(sessions / seen * elapsed / cycle - 1e-9), self.policy.min_cycles)
        if start + timedelta(seconds=whole * cycle) <= end:
            whole = self.frame.window.whole_cycles + 1
        return start + timedelta(seconds=whole * cycle) if whole * cycle < _FAR else None


_FAR = 3.15e9
"""A hundred years, in seconds: what takes longer never comes."""


def stamp(at: datetime) -> str:
    """For people: to the minute, UTC."""
    return at.strftime("%Y-%m-%d %H:%M UTC")


def percent(share: float) -> str:
    """For people: two decimals."""
    return f"{share * 100:.2f} %"


# --- parity and handoff --------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Share:
    """A criterion about a share of successes, seen as "at least m" whichever way it is told."""

    slots: Slots
    m: float
    name: str
    intents: Mapping[str, Slots]
    told: Callable[[float], float]
    direction: str
    quantity: str
    text: Callable[[float], str]


def parity(case: Case) -> CriterionResult:
    """Match / (match + mismatch); against V1's own noise where V1 disagrees with itself too often."""
    node, bounds = case.node, case.bounds
    relative, noise = noise_floor(case)
    kept = {intent: slots for intent, (slots, _) in node.intents.items()}
    if relative:
        m = (1.0 - bounds.noise_margin) / 2.0
        told = _Share(node.relative, m, "parity", {}, lambda x: 1.0 - 2.0 * x, "at_most", "excess", percent)
    else:
        told = _Share(node.parity, bounds.parity, "parity", kept, lambda x: x, "at_least", "share", percent)
    counts = {name: node.counts[name] for name in ("match", "mismatch", "accepted", "comparator_error", "v1_raised")}
    bound = bounds.noise_margin if relative else bounds.parity
    result = _share(case, case.result(semconv.CRITERION_PARITY, bound, counts=counts), told)
    result = replace(result, details=dict(result.details) | noise)
    return _hold(result, _parity_obstacles(case), certified=not node.constant_decision)


def handoff(case: Case) -> CriterionResult:
    """V2's errors and timeouts over its executions; live, real fallbacks."""
    node, bound = case.node, case.bounds.handoff
    kept = {intent: slots for intent, (_, slots) in node.intents.items()}
    told = _Share(node.handoff, 1.0 - bound, "handoff", kept, lambda x: 1.0 - x, "at_most", "share", percent)
    counts = {name: node.counts[name] for name in ("executed", "error", "timeout", "cancelled", "live", "fallback")}
    return _share(case, case.result(semconv.CRITERION_HANDOFF, bound, counts=counts), told)


def noise_floor(case: Case) -> tuple[bool, dict[str, float]]:
    """Whether parity turns relative, and V1's disagreement with itself (estimate and lower bound)."""
    agreed = case.node.self_agreement
    if not agreed.total:
        return False, {}
    floor = 1.0 - agreed.session_unit().upper(case.levels.go)
    return floor > case.policy.noise_switch, {
        "self_disagreement": 1.0 - agreed.event_mean,
        "self_disagreement_lower": floor,
        "noise_sessions": float(agreed.total),
    }


def _share(case: Case, blank: CriterionResult, told: _Share) -> CriterionResult:
    everything, levels = told.slots.counts(), case.levels
    if not everything.total:
        shape = {"direction": told.direction, "quantity": told.quantity}
        return replace(blank, reason="no evidence yet", missing=("executions of this kind",), **shape)  # type: ignore[arg-type]
    seen = look(everything, told.m, levels)
    whole = told.slots.before(case.frame.slice.go_slots)
    go = look(whole, told.m, levels, band=False).go if case.frame.window.go_end else -math.inf
    ends = sorted((told.told(seen.lower), told.told(seen.upper)))
    result = replace(
        blank,
        measured=True,
        direction=told.direction,  # type: ignore[arg-type]
        quantity=told.quantity,  # type: ignore[arg-type]
        estimate=told.told(everything.event_mean),
        lower=ends[0],
        upper=ends[1],
        sessions=everything.total,
        events=everything.events,
        details={"session_estimate": told.told(everything.session_mean)},
        log_e_go=seen.go,
        log_e_no_go=seen.no_go,
        parts=_parts(case, told),
    )
    return _decide(case, result, go, lambda: needed(everything, told.m, levels), whole.total, told.text)


def _parts(case: Case, told: _Share) -> tuple[Part, ...]:
    policy, levels = case.policy, case.levels
    plain = Levels(levels.go, levels.go, levels.max_turns)
    blocks = block_of_slots(case.frame.slice, policy.block_hours)
    by_block = block_parts(told.slots, blocks, moment, told.m, plain, policy.no_go_sessions)
    split = [(intent, slots.counts()) for intent, slots in told.intents.items()]
    minimum = case.bounds.min_sessions_per_intent
    by_intent = intent_parts(split, told.m, plain, minimum, policy.no_go_sessions)
    if told.direction == "at_most":
        return tuple(_turned(part, told) for part in (*by_block, *by_intent))
    return (*by_block, *by_intent)


def _turned(part: Part, told: _Share) -> Part:
    def turn(value: float | None) -> float | None:
        return None if value is None else told.told(value)

    return replace(part, estimate=turn(part.estimate), lower=turn(part.upper), upper=turn(part.lower))


def _parity_obstacles(case: Case) -> list[str]:
    node, found = case.node, []
    if node.constant_decision:
        found.append("not certified: constant decision; compare steps or fields of this node ([nodes.X.compare])")
    differing = node.counts["match"] + node.counts["mismatch"] + node.counts["accepted"]
    share = node.counts["accepted"] / differing if differing else 0.0
    if share > case.bounds.accepted_cap:
        found.append(
            f"{percent(share)} of the pairs are accepted differences; at most {percent(case.bounds.accepted_cap)}"
        )
    failed = node.counts["comparator_error"]
    if failed > (1.0 - case.bounds.executed) * max(node.counts["pairs"], 1):
        found.append(f"the comparator itself failed on {failed} of {node.counts['pairs']} pairs: repair it")
    return found


# --- latency -------------------------------------------------------------------------------------------------------
def latency_now(case: Case) -> CriterionResult:
    """p95 of V1 in the shadowed arm against the holdout arm."""
    return _latency(case, semconv.CRITERION_LATENCY_NOW, "holdout", "shadowed", paired=False)


def latency_after(case: Case) -> CriterionResult:
    """p95 of V2 against V1's on the same requests."""
    return _latency(case, semconv.CRITERION_LATENCY_AFTER, "v1", "v2", paired=True)


def _latency(case: Case, criterion: str, reference: str, other: str, *, paired: bool) -> CriterionResult:
    left, right = case.node.latency[reference], case.node.latency[other]
    blank = case.result(criterion, 1.0 + case.bounds.latency_margin, direction="at_most", quantity="ratio")
    counts = {f"{reference}_sessions": int(left.all.sessions), f"{other}_sessions": int(right.all.sessions)}
    if not left.all.sessions or not right.all.sessions:
        lacking = reference if not left.all.sessions else other
        hint = (
            "a share of sessions without shadow ([arms] holdout)"
            if lacking == "holdout"
            else "latencies of both versions"
        )
        return replace(blank, counts=counts, reason=f"no latency of {lacking}", missing=(hint,))
    ratios, by, levels = case.node.ratios[other], shift(blank.bound), case.levels
    ratio = ratios.all
    p95 = {name: case.node.p95_ms[name] for name in (reference, other)}
    lower, upper = ratio.band(levels.go, levels.no_go, p95[other] / p95[reference])
    result = replace(
        blank,
        measured=True,
        estimate=p95[other] / p95[reference],
        lower=lower,
        upper=upper if math.isfinite(upper) else None,
        sessions=int(left.all.sessions if paired else left.all.sessions + right.all.sessions),
        events=left.all.events if paired else left.all.events + right.all.events,
        counts=counts,
        details={f"p95_{name}_ms": value for name, value in p95.items()},
        log_e_go=ratio.log_at_most(by),
        log_e_no_go=ratio.log_above(by),
    )
    whole = int(right.go.sessions) if left.go.sessions else 0
    go = ratios.go.log_at_most(by) if ratios.go and case.frame.window.go_end else -math.inf

    def wanted() -> float | None:
        times = times_needed(left.all, right.all, by, levels.go, paired=paired)
        return None if times is None else times * result.sessions

    return _decide(case, result, go, wanted, whole, "{:.3f}".format)


# --- facts ---------------------------------------------------------------------------------------------------------
def v1_served(case: Case) -> CriterionResult:
    """What V1 produced is what the caller got: k of n, and not one exception."""
    counts = case.node.counts
    k, n = counts["served"], counts["served"] + counts["not_served"]
    shown = {"served": k, "recorded": n} | {
        name: counts[name] for name in ("shadowed", "shadowed_v1_error", "holdout", "holdout_v1_error")
    }
    details = {
        f"v1_error_rate_{arm}": counts[f"{arm}_v1_error"] / counts[arm]
        for arm in ("shadowed", "holdout")
        if counts[arm]
    }
    blank = case.result(
        semconv.CRITERION_V1_SERVED,
        1.0,
        counts=shown,
        details=details,
        events=n,
        threshold_go=None,
        threshold_no_go=None,
    )
    if not n:
        return replace(blank, reason="not recorded", missing=("executions whose answer was checked",))
    share, told = k / n, f"V1 served {k} of {n}"
    result = replace(blank, measured=True, estimate=share, lower=share, upper=share, sessions=case.node.sessions)
    if k < n:
        return replace(result, decision=Decision.NO_GO, reason=f"{told}: callers got something V1 did not produce")
    return replace(result, decision=Decision.GO, reason=told)


def coverage(case: Case) -> CriterionResult:
    """Executed over eligible, and enough closed sessions. Too little of either is no fault of V2's: it waits."""
    node, bounds = case.node, case.bounds
    eligible, executed = node.counts["eligible"], node.counts["executed"]
    shown = {name: node.counts[name] for name in ("eligible", "executed", "cancelled")}
    blank = case.result(
        semconv.CRITERION_COVERAGE, bounds.executed, counts=shown, events=eligible, sessions=node.sessions,
        threshold_go=None, threshold_no_go=None,
    )  # fmt: skip
    if not eligible:
        return replace(blank, reason="nothing was eligible", missing=("eligible executions",))
    share, missing = executed / eligible, []
    if share < bounds.executed:
        missing.append(
            f"shadows that run: {executed} of {eligible} eligible ones did, {percent(bounds.executed)} are needed"
        )
    if node.sessions < bounds.min_sessions:
        missing.append(f"{bounds.min_sessions - node.sessions} more closed sessions (of {bounds.min_sessions})")
    result = replace(blank, measured=True, estimate=share, lower=share, upper=share, missing=tuple(missing))
    if missing:
        eta = case.eta(float(bounds.min_sessions), node.sessions) if share >= bounds.executed else None
        return replace(result, reason=f"not enough: {missing[0]}", eta=eta)
    reason = f"{executed} of {eligible} eligible executions had their shadow, {node.sessions} closed sessions"
    return replace(result, decision=Decision.GO, reason=reason)


# --- decisions -----------------------------------------------------------------------------------------------------
_WORDS = {"at_least": "at least", "at_most": "at most"}


def _decide(
    case: Case,
    result: CriterionResult,
    go: float,
    sessions_needed: Callable[[], float | None],
    whole: int,
    text: Callable[[float], str],
) -> CriterionResult:
    """GO on whole cycles, NO-GO from enough sessions on, else what is missing."""
    policy, levels, minimum = case.policy, case.levels, case.bounds.min_sessions
    said = f"{text(result.estimate or 0.0)} against {_WORDS[result.direction]} {text(result.bound)}"
    if (result.log_e_no_go or 0.0) >= levels.no_go and result.sessions >= policy.no_go_sessions:
        so_far = case.frame.window.whole_cycles < 1
        reason = f"{said}: the bound is broken{' so far' if so_far else ''}"
        return replace(result, decision=Decision.NO_GO, reason=reason, so_far=so_far)
    missing = case.cycle_missing()
    if result.sessions < minimum:
        missing.append(f"{minimum - result.sessions} more closed sessions (of {minimum})")
    elif whole < minimum and case.frame.window.go_end is not None:
        missing.append(f"{minimum - whole} more closed sessions in whole cycles (of {minimum})")
    wanted: float | None = float(result.sessions)
    if (result.log_e_go or 0.0) < levels.go:
        wanted = sessions_needed()
        more = "a better V2 or a wider margin: sessions like these never prove the bound"
        if wanted is not None:
            more = f"about {max(math.ceil(wanted - result.sessions), 1)} more sessions like these"
        elif result.sessions < policy.no_go_sessions:
            more = "more sessions: these few don't say how many it takes"
        missing.append(more)
    elif case.frame.window.go_end is not None and go < levels.go:
        missing.append("the next whole cycle: the proof came after the last one's end")
    bad = [part for part in result.parts if part.decision is Decision.NO_GO]
    missing += [
        f"{part.kind} {part.label} to recover: it is in NO-GO by itself ({text(part.estimate or 0.0)})" for part in bad
    ]
    if not missing:
        return replace(result, decision=Decision.GO, reason=f"{said}: kept")
    eta = None if wanted is None or bad else case.eta(max(wanted, float(minimum)), result.sessions)
    return replace(result, reason=f"{said}: not proven yet", missing=tuple(missing), eta=eta)


def _hold(result: CriterionResult, obstacles: list[str], *, certified: bool) -> CriterionResult:
    """A GO does not stand beside these; a NO-GO does."""
    result = replace(result, certified=certified)
    if not obstacles:
        return result
    decision = Decision.WAIT if result.decision is Decision.GO else result.decision
    reason = obstacles[0] if decision is Decision.WAIT else result.reason
    return replace(result, decision=decision, reason=reason, missing=(*obstacles, *result.missing), eta=None)


MEASURES: Mapping[str, Callable[[Case], CriterionResult]] = {
    semconv.CRITERION_PARITY: parity,
    semconv.CRITERION_HANDOFF: handoff,
    semconv.CRITERION_LATENCY_NOW: latency_now,
    semconv.CRITERION_LATENCY_AFTER: latency_after,
    semconv.CRITERION_V1_SERVED: v1_served,
    semconv.CRITERION_COVERAGE: coverage,
}


def tests(node: NodeTally, asked: Sequence[str]) -> int:
    """How many of the node's criteria that count are decided by a test and have evidence."""
    evidence = {
        semconv.CRITERION_PARITY: len(node.parity.n) > 0,
        semconv.CRITERION_HANDOFF: len(node.handoff.n) > 0,
        semconv.CRITERION_LATENCY_NOW: node.latency["holdout"].all.sessions > 0
        and node.latency["shadowed"].all.sessions > 0,
        semconv.CRITERION_LATENCY_AFTER: node.latency["v2"].all.sessions > 0,
    }
    return sum(present and name in asked for name, present in evidence.items())
