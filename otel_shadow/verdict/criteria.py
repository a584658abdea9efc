"""The criteria of one node, each from the node's tally to a result with its reasons."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from otel_shadow import semconv
from otel_shadow.verdict import latency
from otel_shadow.verdict.case import Case, missing, no_evidence, nothing_closed, why
from otel_shadow.verdict.executions import moment
from otel_shadow.verdict.node_tally import NodeTally
from otel_shadow.verdict.proofs import decide, hold
from otel_shadow.verdict.proportions import Levels, block_parts, intent_parts, look
from otel_shadow.verdict.ratio_history import RatioTest, StricterTest
from otel_shadow.verdict.reasons import Direction, Quantity, Reason, ReasonKind
from otel_shadow.verdict.result import CriterionResult, Decision, Part
from otel_shadow.verdict.sequential import Counts
from otel_shadow.verdict.session_counts import Blocks
from otel_shadow.verdict.share_history import ShareHistory, ShareTest
from otel_shadow.verdict.stretches import Ratios

GUARD: Final = 2.0
"""Times the margin of a share at which each node of a workflow has to be proven."""
GUARD_LATENCY: Final = 3.0
"""Times the margin of a ratio, likewise: 1.45. It is the loosest that keeps a node of ratio 1.5 under 5 % in seven
cycles. That a node's ratio lies inside the bound, as it was seen, is not asked: among four nodes that are as fast as V1
one often lies outside by chance (26 points of power at 500 sessions a day of four turns, by the first day).
"""
MORE_ERRORS: Final = 0.005
"""How much more often V1 may fail while shadows run."""
MORE_429: Final = 0.002
"""How much more often V1 may be told that it asks too often."""
_LEAST: Final = 1e-6


# --- parity and handoff --------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Share:
    """A criterion about a share of successes, seen as "at least m" whichever way it is told."""

    slots: Blocks
    cycles: ShareHistory
    m: float
    intents: Mapping[str, Blocks]
    told: Callable[[float], float]
    direction: Direction
    quantity: Quantity = "share"


def parity(case: Case) -> CriterionResult:
    """Return parity: match / (match + mismatch), or against V1's own noise where V1 disagrees with itself too often."""
    node, bounds = case.node, case.bounds
    relative, noise = noise_floor(case)
    kept = {intent: slots for intent, (slots, _) in node.intents.items()}
    if relative:
        m = (1.0 - bounds.noise_margin) / 2.0
        told = _Share(node.relative, case.cycles.relative, m, {}, lambda x: 1.0 - 2.0 * x, "at_most", "excess")
    else:
        told = _Share(node.parity, case.cycles.parity, bounds.parity, kept, lambda x: x, "at_least")
    counts = {name: node.counts[name] for name in ("match", "mismatch", "accepted", "comparator_error", "v1_raised")}
    bound = bounds.noise_margin if relative else bounds.parity
    result = _share(case, case.result(semconv.CRITERION_PARITY, bound, counts=counts), told)
    result = replace(result, details=dict(result.details) | noise)
    constant = node.constant_decision and case.role == "alone"
    return (
        hold(result, _parity_obstacles(case), certified=not node.constant_decision)
        if constant or not (node.constant_decision)
        else replace(result, certified=False)
    )


def handoff(case: Case) -> CriterionResult:
    """Return the handoff rate: V2's errors and timeouts over its executions; live, real fallbacks."""
    node, bound = case.node, case.bounds.handoff
    kept = {intent: slots for intent, (_, slots) in node.intents.items()}
    told = _Share(node.handoff, case.cycles.handoff, 1.0 - bound, kept, lambda x: 1.0 - x, "at_most")
    counts = {name: node.counts[name] for name in ("executed", "error", "timeout", "cancelled", "live", "fallback")}
    return _share(case, case.result(semconv.CRITERION_HANDOFF, bound, counts=counts), told)


def noise_floor(case: Case) -> tuple[bool, dict[str, float]]:
    """Return whether parity turns relative, and V1's disagreement with itself (estimate and lower bound)."""
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
    blank = replace(blank, direction=told.direction, quantity=told.quantity)
    if not everything.total:
        return nothing_closed(case, blank) or no_evidence(blank, blank.criterion)
    seen = look(everything, told.m, levels)
    ends = sorted((told.told(seen.lower), told.told(seen.upper)))
    result = replace(
        blank,
        measured=True,
        estimate=told.told(_weighted(case, told.cycles, everything.event_mean)),
        lower=ends[0],
        upper=ends[1],
        sessions=everything.total,
        events=everything.events,
        details={"session_estimate": told.told(everything.session_mean)},
        log_e_go=seen.go,
        log_e_no_go=seen.no_go,
        parts=_parts(case, told),
    )
    test = ShareTest(told.cycles, told.m, case.policy.alpha)
    guard = ShareTest(told.cycles, max(1.0 - GUARD * (1.0 - told.m), 0.0) or _LEAST, case.policy.alpha)
    return decide(case, result, test, guard, told.told)


def _weighted(case: Case, history: ShareHistory, seen: float) -> float:
    """Return the share with each turn standing for those that were not shadowed; ``seen`` where that is the same."""
    share = history.share(case.first_cycle, case.frame.cycles.cycles)
    return share if abs(share - seen) > 1e-9 else seen


def _parts(case: Case, told: _Share) -> tuple[Part, ...]:
    policy, levels = case.policy, case.levels
    plain = Levels(levels.go, levels.go, levels.max_turns)
    chosen = case.frame.slice
    by_block = block_parts(
        told.slots, lambda number: moment(chosen.start + number * chosen.block), told.m, plain, policy.no_go_sessions
    )
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


def _parity_obstacles(case: Case) -> list[Reason]:
    counts, bounds, found = case.node.counts, case.bounds, []
    if case.node.constant_decision:
        found.append(missing(ReasonKind.CONSTANT_DECISION))
    differing = counts["match"] + counts["mismatch"] + counts["accepted"]
    share = counts["accepted"] / differing if differing else 0.0
    if share > bounds.accepted_cap:
        found.append(missing(ReasonKind.ACCEPTED, have=share, needed=bounds.accepted_cap, limit="at_most"))
    failed, pairs = counts["comparator_error"], counts["pairs"]
    if failed > (1.0 - bounds.executed) * max(pairs, 1):
        found.append(missing(ReasonKind.COMPARATOR, have=failed, of=pairs))
    return found


# --- latency -------------------------------------------------------------------------------------------------------
def latency_now(case: Case) -> CriterionResult:
    """Return p95 of V1 in the shadowed arm against the holdout arm."""
    return _latency(case, semconv.CRITERION_LATENCY_NOW, "holdout", "shadowed", paired=False)


def latency_after(case: Case) -> CriterionResult:
    """Return p95 of V2 against V1's on the same requests."""
    return _latency(case, semconv.CRITERION_LATENCY_AFTER, "v1", "v2", paired=True)


def _latency(case: Case, criterion: str, reference: str, other: str, *, paired: bool) -> CriterionResult:
    left, right = case.node.latency[reference], case.node.latency[other]
    blank = case.result(criterion, 1.0 + case.bounds.latency_margin, direction="at_most", quantity="ratio")
    counts = {f"{reference}_sessions": left.sessions, f"{other}_sessions": right.sessions}
    units = (case.cycles.after,) if paired else case.cycles.arms
    p95 = units[0].sides(case.first_cycle, case.frame.cycles.cycles)
    if math.isnan(p95[0]) or math.isnan(p95[1]):
        blank = replace(blank, counts=counts)
        return nothing_closed(case, blank) or no_evidence(blank, other if left.sessions else reference)
    in_middle = latency.BASE**0.5  # of the bucket
    result = replace(
        blank,
        measured=True,
        estimate=p95[0] / p95[1],
        sessions=left.sessions if paired else left.sessions + right.sessions,
        events=left.events if paired else left.events + right.events,
        counts=counts,
        details={f"p95_{reference}_ms": p95[1] * in_middle, f"p95_{other}_ms": p95[0] * in_middle},
    )
    result = _always_valid(case, result, case.node.ratios.get(other))
    test = StricterTest([RatioTest(unit, blank.bound, paired=paired) for unit in units])
    loose = 1.0 + GUARD_LATENCY * case.bounds.latency_margin
    guard = StricterTest([RatioTest(unit, loose, paired=paired) for unit in units])
    result = decide(case, result, test, guard, lambda x: x)
    if not paired and case.cycles.shares_differ and result.decision is not Decision.NO_GO:
        result = hold(result, [missing(ReasonKind.SHARES_DIFFER)], certified=True)
    return result


def _always_valid(case: Case, result: CriterionResult, ratios: Ratios | None) -> CriterionResult:
    """Return the result with its band and its evidence of a NO-GO, which lines of shares that differ can't give."""
    by, levels, seen = latency.shift(result.bound), case.levels, result.estimate or math.nan
    if ratios is not None and not ratios.paired and case.cycles.shares_differ:
        ratios = ratios.told()
    if ratios is None or not ratios.stretches:
        return replace(result, lower=0.0, log_e_go=0.0, log_e_no_go=0.0)
    lower, upper = ratios.band(levels.go, levels.no_go, seen)
    return replace(
        result,
        lower=lower,
        upper=upper if math.isfinite(upper) else None,
        log_e_go=ratios.log_at_most(by),
        log_e_no_go=ratios.log_above(by),
    )


# --- facts ---------------------------------------------------------------------------------------------------------
_EXACT: Mapping[str, Any] = {"threshold_go": None, "threshold_no_go": None, "tests": 0}
"""What sets a count apart from a test."""


def v1_served(case: Case) -> CriterionResult:
    """Return how often the caller got what V1 produced: k of n, and no exception is allowed."""
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
        **_EXACT,
    )
    if not n:
        return no_evidence(blank, blank.criterion)
    share = k / n
    result = replace(blank, measured=True, estimate=share, lower=share, upper=share, sessions=case.node.sessions)
    decision, kind = (Decision.GO, ReasonKind.SERVED) if k == n else (Decision.NO_GO, ReasonKind.NOT_SERVED)
    more = tuple(_more_errors(case))
    if more and decision is Decision.GO:
        return replace(result, decision=Decision.NO_GO, reasons=more)
    return replace(result, decision=decision, reasons=(why(kind, have=k, of=n), *more))


def _more_errors(case: Case) -> list[Reason]:
    """Return what is proven about V1's errors: more of them while shadows run. It only ever blocks.

    Blocks are the units: each draws its holdout slot evenly, so that without an effect the rates' difference is 0 on
    average, whatever the hour. Always valid; the two tests of every node share alpha with the other tests.
    """
    found = []
    kinds = (
        (ReasonKind.V1_ERRORS, case.cycles.errors, MORE_ERRORS),
        (ReasonKind.V1_RATE_LIMITS, case.cycles.rate_limits, MORE_429),
    )
    for kind, differences, margin in kinds:
        if not len(differences):
            continue
        blocks = Counts.of((1.0 + differences) / 2.0, np.ones(len(differences)))
        if blocks.session_unit().log_up((1.0 + margin) / 2.0) >= case.levels.no_go + math.log(2.0):
            found.append(why(kind, have=float(differences.mean()), needed=margin, of=len(differences)))
    return found


def coverage(case: Case) -> CriterionResult:
    """Return executed over eligible; it waits, and is never a NO-GO, while that or the closed sessions are too few."""
    node, bounds = case.node, case.bounds
    eligible, executed = node.counts["eligible"], node.counts["executed"]
    shown = {name: node.counts[name] for name in ("eligible", "executed", "cancelled")}
    blank = case.result(
        semconv.CRITERION_COVERAGE, bounds.executed, counts=shown, events=eligible, sessions=node.sessions, **_EXACT
    )  # fmt: skip
    if not eligible:
        return no_evidence(blank, blank.criterion)
    share, lacking = executed / eligible, []
    if share < bounds.executed:
        shed = tuple(f"{reason} {number:,}" for reason, number in node.not_run.items())
        lacking.append(missing(ReasonKind.SHADOWS, have=executed, of=eligible, needed=bounds.executed, names=shed))
    if node.sessions < bounds.min_sessions:
        lacking.append(case.lacking_sessions(node.sessions))
    result = replace(blank, measured=True, estimate=share, lower=share, upper=share)
    if lacking:
        enough = case.enough(bounds.min_sessions, node.sessions) if share >= bounds.executed else None
        eta = case.end_of(enough)
        return replace(result, reasons=(why(ReasonKind.NOT_ENOUGH), *lacking), eta=eta)
    covered = why(ReasonKind.COVERED, have=executed, of=eligible)
    return replace(result, decision=Decision.GO, reasons=(covered,))


MEASURES: Mapping[str, Callable[[Case], CriterionResult]] = {
    semconv.CRITERION_PARITY: parity,
    semconv.CRITERION_HANDOFF: handoff,
    semconv.CRITERION_LATENCY_NOW: latency_now,
    semconv.CRITERION_LATENCY_AFTER: latency_after,
    semconv.CRITERION_V1_SERVED: v1_served,
    semconv.CRITERION_COVERAGE: coverage,
}


def tests(node: NodeTally, asked: Sequence[str]) -> int:
    """Return how many of the node's criteria that count are decided by a test and have evidence."""
    evidence = {
        semconv.CRITERION_PARITY: len(node.parity.n) > 0,
        semconv.CRITERION_HANDOFF: len(node.handoff.n) > 0,
        semconv.CRITERION_LATENCY_NOW: node.latency["holdout"].sessions > 0 and node.latency["shadowed"].sessions > 0,
        semconv.CRITERION_LATENCY_AFTER: node.latency["v2"].sessions > 0,
    }
    return sum(present and name in asked for name, present in evidence.items())
