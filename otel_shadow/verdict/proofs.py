"""From the tests of a criterion to its decision: GO at the end of a whole cycle, NO-GO, or what is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from otel_shadow.verdict.case import Case, missing
from otel_shadow.verdict.cycle_looks import AGAINST, CycleTest, LookResult
from otel_shadow.verdict.projection import FARTHEST, outlook
from otel_shadow.verdict.reasons import Quantity, Reason, ReasonKind, Role
from otel_shadow.verdict.result import CriterionResult, Decision, Part
from otel_shadow.verdict.share_history import ShareTest


def decide(
    case: Case, result: CriterionResult, test: CycleTest, guard: CycleTest, told: Callable[[float], float]
) -> CriterionResult:
    """Return GO at the end of a whole cycle, NO-GO from enough sessions on, else what is missing.

    Arguments:
        test: what has to be proven.
        guard: what a node of a workflow has to prove by itself.
        told: turns what is proven into the quantity that is told.
    """
    policy, levels, minimum = case.policy, case.levels, case.bounds.min_sessions

    def told_of(kind: ReasonKind, role: Role = Role.WHY) -> Reason:
        return Reason(
            role, kind, have=result.estimate, needed=result.bound, quantity=result.quantity, limit=result.direction
        )

    # Evidence that is valid at any moment counts what was sampled more often more often. It is no NO-GO where the
    # estimate, in which each execution stands for those that were not sampled, is inside.
    broken = (result.log_e_no_go or 0.0) >= levels.no_go and result.sessions >= policy.no_go_sessions
    broken = broken and _is_outside(result)
    if broken and case.role != "pool":
        so_far = case.frame.window.whole_cycles < 1
        kind = ReasonKind.BROKEN_SO_FAR if so_far else ReasonKind.BROKEN
        return replace(result, decision=Decision.NO_GO, reasons=(told_of(kind),), so_far=so_far)
    obstacles = case.cycle_missing()
    due: list[int | None] = []
    if result.sessions < minimum and case.role != "pool":
        obstacles.append(case.lacking_sessions(result.sessions))
        due.append(case.enough(minimum, result.sessions))
    found = case.look(test)
    if found is not None:
        limit = told(found.limit) if math.isfinite(found.limit) else None
        result = replace(
            result, proven=limit, proven_at=case.frame.window.go_end, level=found.level, is_proven=found.is_proven
        )
    if case.role == "guarded":
        lacking, ends = _guarded(case, result, test, guard, told, told_of)
    else:
        lacking, ends = _unproven(case, result, test, found)
    obstacles += lacking
    due += ends
    bad = [part for part in result.parts if part.decision is Decision.NO_GO]
    obstacles += [_to_recover(part, result.quantity) for part in bad]
    if not obstacles:
        return replace(result, decision=Decision.GO, reasons=(told_of(ReasonKind.KEPT),))
    known = [one for one in due if one is not None]
    first = max([case.frame.cycles.cycles + 1, case.policy.min_cycles, *known])
    eta = case.end_of(first) if len(known) == len(due) and not bad else None
    return replace(result, reasons=(told_of(ReasonKind.UNPROVEN), *obstacles), eta=eta)


Lacking = tuple[list[Reason], list[int | None]]
"""What is missing, and the cycles since the anchor after which each of it is to be expected; None: unknown."""


def _unproven(case: Case, result: CriterionResult, test: CycleTest, found: LookResult | None) -> Lacking:
    """Return what a test lacks."""
    if found is not None and found.is_proven:
        lacking = [] if found.holds else [missing(ReasonKind.HOLDS_NO_MORE)]
        lacking += [] if found.is_recent else [missing(ReasonKind.LAST_CYCLE)]
        return lacking, [None] * len(lacking)
    if result.sessions < case.policy.no_go_sessions:
        too_small = _too_small(case, result, test)
        if too_small is not None:
            return [too_small], [None]
        is_told = result.sessions < case.bounds.min_sessions
        return ([] if is_told else [missing(ReasonKind.TOO_FEW_TO_TELL)]), [None]
    if _is_outside(result):
        facts = {"have": result.estimate, "needed": result.bound}
        outside = {"quantity": result.quantity, "limit": result.direction}
        return [missing(ReasonKind.OUT_OF_REACH, **facts, **outside)], [None]
    cycles, held, rate = case.frame.cycles.cycles, case.policy.cycles_held, case.rate(result.sessions)
    if cycles < 1 and not test.foretells(case.first_cycle, cycles):
        return [missing(ReasonKind.TOO_FEW_TO_TELL)], [None]
    ahead = outlook(test, cycles, case.elapsed, held, case.policy.alpha)
    if ahead.cycles is not None:
        since = case.elapsed - case.first_cycle
        whole = result.sessions / since * (ahead.cycles - max(0, ahead.cycles - held))
        told = missing(
            ReasonKind.PROOF, have=result.sessions, needed=math.ceil(whole), rate=rate, by=case.end_of(ahead.cycles)
        )
        at_once = cycles < 1 and ahead.cycles == 1  # what the whole cycle that is missing brings anyway
        return ([] if at_once else [told]), [ahead.cycles]
    # At the level of the window's last look; at 0 no number of sessions that comes by then is enough.
    spotless = None
    if isinstance(test, ShareTest) and ahead.level > 0.0:
        spotless = test.spotless(case.first_cycle, cycles, ahead.level)
    longer = None if ahead.longer is None else float(ahead.longer)
    judged = (case.policy.judge,)
    told = missing(ReasonKind.OUT_OF_WINDOW, needed=spotless, rate=rate, of=held, have=longer, names=judged)
    return [told], [ahead.longer]


def _too_small(case: Case, result: CriterionResult, test: CycleTest) -> Reason | None:
    """Return that the traffic is too small even for results without a failure; from the first whole cycle on."""
    held, since = case.policy.cycles_held, case.elapsed - case.first_cycle
    if since < 1.0:
        return None
    best = test.best_p(test.information(case.first_cycle, case.frame.cycles.cycles) / since)
    if best**held <= case.policy.alpha:
        return None
    longer = math.ceil(math.log(case.policy.alpha) / math.log(best)) if best < 1.0 else None
    return missing(
        ReasonKind.OUT_OF_WINDOW,
        rate=case.rate(result.sessions),
        of=held,
        have=longer if longer is not None and longer <= FARTHEST else None,
        names=(case.policy.judge,),
    )


def _is_outside(result: CriterionResult) -> bool:
    if result.estimate is None:
        return False
    return result.estimate > result.bound if result.direction == "at_most" else result.estimate < result.bound


def _guarded(
    case: Case,
    result: CriterionResult,
    test: CycleTest,
    guard: CycleTest,
    told: Callable[[float], float],
    told_of: Callable[[ReasonKind, Role], Reason],
) -> Lacking:
    """Return what a node of a workflow lacks: a share inside, no evidence against a ratio, a proof at a wider bound."""
    done = case.frame.cycles.cycles
    window = case.first_cycle, case.last_cycle
    is_outside = _is_outside(result)
    if result.quantity == "ratio":
        is_outside = is_outside and done > 0 and test.contradicts(*window, AGAINST)
    lacking = [told_of(ReasonKind.OUTSIDE, Role.MISSING)] if is_outside else []
    due: list[int | None] = [None] * len(lacking)
    if done < 1 or not guard.is_proven(*window, case.policy.alpha):
        end = _guard_by(case, guard)
        limit = guard.limit(*window, case.policy.alpha) if done else math.inf
        have = told(limit) if math.isfinite(limit) else None
        facts = {"have": have, "needed": told(guard.bound), "quantity": result.quantity, "limit": result.direction}
        when = {"rate": case.rate(result.sessions), "by": case.end_of(end)}
        if done:
            lacking.append(
                missing(ReasonKind.GUARD, **facts, **when, of=case.policy.cycles_held if end is None else None)
            )
        due.append(end)
    return lacking, due


def _guard_by(case: Case, guard: CycleTest) -> int | None:
    """Return the cycles since the anchor after which a node's guard is to be expected to be proven."""
    done, held = case.frame.cycles.cycles, case.policy.cycles_held
    span = max(case.elapsed - case.first_cycle, 1e-6)
    for end in range(done + 1, FARTHEST + 1):
        times = (end - max(0, end - held)) / span
        if guard.would_prove(case.first_cycle, done, times, case.policy.alpha):
            return end
    return None


def _to_recover(part: Part, quantity: Quantity) -> Reason:
    if part.kind == "intent":
        return missing(ReasonKind.INTENT, names=(part.label,), have=part.estimate, quantity=quantity)
    since = datetime.fromisoformat(part.label)
    return missing(ReasonKind.BLOCK, since=since, have=part.estimate, quantity=quantity)


def hold(result: CriterionResult, obstacles: Sequence[Reason], *, certified: bool) -> CriterionResult:
    """Return the result without its GO where there are obstacles; a NO-GO stands beside them."""
    if not obstacles:
        return replace(result, certified=certified)
    why, *missing = result.reasons
    if result.decision is not Decision.NO_GO:
        why = replace(obstacles[0], role=Role.WHY)
        result = replace(result, decision=Decision.WAIT)
    return replace(result, certified=certified, reasons=(why, *obstacles, *missing), eta=None)
