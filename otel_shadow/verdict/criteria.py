"""The criteria of one node, each from the node's tally to a result with its reasons."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import numpy as np

from otel_shadow import semconv
from otel_shadow.policy import Bounds, Policy
from otel_shadow.verdict import latency
from otel_shadow.verdict.cycle_looks import AGAINST, CycleTest, LookResult, look_at
from otel_shadow.verdict.cycle_tally import CycleEvidence
from otel_shadow.verdict.executions import milliseconds, moment
from otel_shadow.verdict.node_tally import NodeTally
from otel_shadow.verdict.projection import FARTHEST, cycles_until, outlook
from otel_shadow.verdict.proportions import Levels, block_parts, intent_parts, look
from otel_shadow.verdict.ratio_history import RatioTest, StricterTest
from otel_shadow.verdict.reasons import Direction, Quantity, Reason, ReasonKind, Role
from otel_shadow.verdict.result import CriterionResult, Decision, Part
from otel_shadow.verdict.sequential import Counts
from otel_shadow.verdict.session_counts import Blocks
from otel_shadow.verdict.share_history import ShareHistory, ShareTest
from otel_shadow.verdict.stretches import Ratios
from otel_shadow.verdict.window import Frame

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


@dataclass(frozen=True, slots=True)
class Case:
    """One node (or all together), its bounds, and what they are judged by: ``asked`` are the criteria that count."""

    node: NodeTally
    frame: Frame
    policy: Policy
    asked: tuple[str, ...]
    tests: int
    cycles: CycleEvidence
    at: datetime
    role: Literal["pool", "guarded", "alone"] = "alone"
    """Whether this is the workflow, a node of it that is guarded, or a node that is judged by itself."""

    @property
    def last_cycle(self) -> int:
        """The number of the last whole cycle."""
        return self.frame.cycles.cycles - 1

    @property
    def first_cycle(self) -> int:
        """The number of the first cycle of the window."""
        return max(0, self.frame.cycles.cycles - self.policy.cycles_held)

    def look(self, test: CycleTest) -> LookResult | None:
        """Return the test at the end of the last whole cycle."""
        return look_at(test, self.frame.cycles.cycles, self.policy.cycles_held, self.policy.alpha)

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
        """Return a result that waits; ``facts`` are further fields of it."""
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
            tests=max(self.tests, 1),
        )
        return replace(waiting, **facts)  # type: ignore[arg-type]

    def cycle_missing(self) -> list[Reason]:
        """Return what whole cycles still need."""
        if self.frame.window.go_end is not None:
            return []
        cycles = {"needed": self.policy.min_cycles, "have": self.frame.window.whole_cycles}
        end = self._ahead(self.frame.window.next_cycle)
        return [_missing(ReasonKind.CYCLES, **cycles, hours=self.policy.cycle_hours, by=end)]

    def _ahead(self, time: datetime) -> datetime | None:
        """Return the time if it is to come: where the evidence has ended, nothing is foretold for what is past."""
        return time if time > self.at else None

    @property
    def elapsed(self) -> float:
        """Cycles since the anchor, the part of the running one included."""
        since = milliseconds(self.frame.window.end) - self.frame.cycles.chosen.start
        return max(since, 0) / self.frame.cycles.cycle

    def end_of(self, cycles: int | None) -> datetime | None:
        """Return the end of so many cycles since the anchor, if it is to come."""
        if cycles is None:
            return None
        return self._ahead(moment(self.frame.cycles.chosen.start + cycles * self.frame.cycles.cycle))

    def rate(self, sessions: int) -> float | None:
        """Return closed sessions a day."""
        days = (self.frame.window.end - self.frame.window.start) / timedelta(days=1)
        return sessions / days if days > 0.0 else None

    def lacking_sessions(self, sessions: int) -> Reason:
        """Return how many closed sessions are missing, at which rate they come and by when."""
        minimum = self.bounds.min_sessions
        enough = self.end_of(self.enough(minimum, sessions))
        return _missing(ReasonKind.SESSIONS, have=sessions, needed=minimum, rate=self.rate(sessions), by=enough)

    def enough(self, wanted: float, seen: float) -> int | None:
        """Return the cycles since the anchor after which ``wanted`` sessions are there, of which ``seen`` are now."""
        since = self.elapsed - self.first_cycle
        found = cycles_until(wanted, seen, since, self.frame.cycles.cycles - self.first_cycle)
        return None if found is None else found + self.first_cycle


def _missing(kind: ReasonKind, **facts: Any) -> Reason:
    return Reason(Role.MISSING, kind, **facts)


def _why(kind: ReasonKind, **facts: Any) -> Reason:
    return Reason(Role.WHY, kind, **facts)


def _no_evidence(blank: CriterionResult, of: str) -> CriterionResult:
    lacking = (_why(ReasonKind.NO_EVIDENCE), _missing(ReasonKind.NO_EVIDENCE, names=(of,)))
    return replace(blank, reasons=lacking)


def _nothing_closed(case: Case, blank: CriterionResult) -> CriterionResult | None:
    """Return what a node lacks whose sessions are all open yet: nothing but time; None where one is closed."""
    if case.node.sessions or not case.node.open_sessions:
        return None
    return replace(blank, reasons=(_why(ReasonKind.NO_EVIDENCE), case.lacking_sessions(0)))


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
        _hold(result, _parity_obstacles(case), certified=not node.constant_decision)
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
        return _nothing_closed(case, blank) or _no_evidence(blank, blank.criterion)
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
    return _decide(case, result, test, guard, told.told)


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
        found.append(_missing(ReasonKind.CONSTANT_DECISION))
    differing = counts["match"] + counts["mismatch"] + counts["accepted"]
    share = counts["accepted"] / differing if differing else 0.0
    if share > bounds.accepted_cap:
        found.append(_missing(ReasonKind.ACCEPTED, have=share, needed=bounds.accepted_cap, limit="at_most"))
    failed, pairs = counts["comparator_error"], counts["pairs"]
    if failed > (1.0 - bounds.executed) * max(pairs, 1):
        found.append(_missing(ReasonKind.COMPARATOR, have=failed, of=pairs))
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
        return _nothing_closed(case, blank) or _no_evidence(blank, other if left.sessions else reference)
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
    result = _decide(case, result, test, guard, lambda x: x)
    if not paired and case.cycles.shares_differ and result.decision is not Decision.NO_GO:
        result = _hold(result, [_missing(ReasonKind.SHARES_DIFFER)], certified=True)
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
        return _no_evidence(blank, blank.criterion)
    share = k / n
    result = replace(blank, measured=True, estimate=share, lower=share, upper=share, sessions=case.node.sessions)
    decision, kind = (Decision.GO, ReasonKind.SERVED) if k == n else (Decision.NO_GO, ReasonKind.NOT_SERVED)
    more = tuple(_more_errors(case))
    if more and decision is Decision.GO:
        return replace(result, decision=Decision.NO_GO, reasons=more)
    return replace(result, decision=decision, reasons=(_why(kind, have=k, of=n), *more))


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
            found.append(_why(kind, have=float(differences.mean()), needed=margin, of=len(differences)))
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
        return _no_evidence(blank, blank.criterion)
    share, missing = executed / eligible, []
    if share < bounds.executed:
        why = tuple(f"{reason} {number:,}" for reason, number in node.not_run.items())
        missing.append(_missing(ReasonKind.SHADOWS, have=executed, of=eligible, needed=bounds.executed, names=why))
    if node.sessions < bounds.min_sessions:
        missing.append(case.lacking_sessions(node.sessions))
    result = replace(blank, measured=True, estimate=share, lower=share, upper=share)
    if missing:
        enough = case.enough(bounds.min_sessions, node.sessions) if share >= bounds.executed else None
        eta = case.end_of(enough)
        return replace(result, reasons=(_why(ReasonKind.NOT_ENOUGH), *missing), eta=eta)
    covered = _why(ReasonKind.COVERED, have=executed, of=eligible)
    return replace(result, decision=Decision.GO, reasons=(covered,))


# --- decisions -----------------------------------------------------------------------------------------------------
def _decide(
    case: Case, result: CriterionResult, test: CycleTest, guard: CycleTest, told: Callable[[float], float]
) -> CriterionResult:
    """Return GO at the end of a whole cycle, NO-GO from enough sessions on, else what is missing.

    Arguments:
        test: what has to be proven.
        guard: what a node of a workflow has to prove by itself.
        told: turns what is proven into the quantity that is told.
    """
    policy, levels, minimum = case.policy, case.levels, case.bounds.min_sessions

    def why(kind: ReasonKind, role: Role = Role.WHY) -> Reason:
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
        return replace(result, decision=Decision.NO_GO, reasons=(why(kind),), so_far=so_far)
    missing = case.cycle_missing()
    due: list[int | None] = []
    if result.sessions < minimum and case.role != "pool":
        missing.append(case.lacking_sessions(result.sessions))
        due.append(case.enough(minimum, result.sessions))
    found = case.look(test)
    if found is not None:
        limit = told(found.limit) if math.isfinite(found.limit) else None
        result = replace(
            result, proven=limit, proven_at=case.frame.window.go_end, level=found.level, is_proven=found.is_proven
        )
    if case.role == "guarded":
        lacking, ends = _guarded(case, result, test, guard, told, why)
    else:
        lacking, ends = _unproven(case, result, test, found)
    missing += lacking
    due += ends
    bad = [part for part in result.parts if part.decision is Decision.NO_GO]
    missing += [_to_recover(part, result.quantity) for part in bad]
    if not missing:
        return replace(result, decision=Decision.GO, reasons=(why(ReasonKind.KEPT),))
    known = [one for one in due if one is not None]
    first = max([case.frame.cycles.cycles + 1, case.policy.min_cycles, *known])
    eta = case.end_of(first) if len(known) == len(due) and not bad else None
    return replace(result, reasons=(why(ReasonKind.UNPROVEN), *missing), eta=eta)


Lacking = tuple[list[Reason], list[int | None]]
"""What is missing, and the cycles since the anchor after which each of it is to be expected; None: unknown."""


def _unproven(case: Case, result: CriterionResult, test: CycleTest, found: LookResult | None) -> Lacking:
    """Return what a test lacks."""
    if found is not None and found.is_proven:
        lacking = [] if found.holds else [_missing(ReasonKind.HOLDS_NO_MORE)]
        lacking += [] if found.is_recent else [_missing(ReasonKind.LAST_CYCLE)]
        return lacking, [None] * len(lacking)
    if result.sessions < case.policy.no_go_sessions:
        too_small = _too_small(case, result, test)
        if too_small is not None:
            return [too_small], [None]
        is_told = result.sessions < case.bounds.min_sessions
        return ([] if is_told else [_missing(ReasonKind.TOO_FEW_TO_TELL)]), [None]
    if _is_outside(result):
        facts = {"have": result.estimate, "needed": result.bound}
        outside = {"quantity": result.quantity, "limit": result.direction}
        return [_missing(ReasonKind.OUT_OF_REACH, **facts, **outside)], [None]
    cycles, held, rate = case.frame.cycles.cycles, case.policy.cycles_held, case.rate(result.sessions)
    if cycles < 1 and not test.foretells(case.first_cycle, cycles):
        return [_missing(ReasonKind.TOO_FEW_TO_TELL)], [None]
    ahead = outlook(test, cycles, case.elapsed, held, case.policy.alpha)
    if ahead.cycles is not None:
        since = case.elapsed - case.first_cycle
        whole = result.sessions / since * (ahead.cycles - max(0, ahead.cycles - held))
        told = _missing(
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
    told = _missing(ReasonKind.OUT_OF_WINDOW, needed=spotless, rate=rate, of=held, have=longer, names=judged)
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
    return _missing(
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
    why: Callable[[ReasonKind, Role], Reason],
) -> Lacking:
    """Return what a node of a workflow lacks: a share inside, no evidence against a ratio, a proof at a wider bound."""
    done = case.frame.cycles.cycles
    window = case.first_cycle, case.last_cycle
    is_outside = _is_outside(result)
    if result.quantity == "ratio":
        is_outside = is_outside and done > 0 and test.contradicts(*window, AGAINST)
    missing = [why(ReasonKind.OUTSIDE, Role.MISSING)] if is_outside else []
    due: list[int | None] = [None] * len(missing)
    if done < 1 or not guard.is_proven(*window, case.policy.alpha):
        end = _guard_by(case, guard)
        limit = guard.limit(*window, case.policy.alpha) if done else math.inf
        have = told(limit) if math.isfinite(limit) else None
        facts = {"have": have, "needed": told(guard.bound), "quantity": result.quantity, "limit": result.direction}
        when = {"rate": case.rate(result.sessions), "by": case.end_of(end)}
        if done:
            missing.append(
                _missing(ReasonKind.GUARD, **facts, **when, of=case.policy.cycles_held if end is None else None)
            )
        due.append(end)
    return missing, due


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
        return _missing(ReasonKind.INTENT, names=(part.label,), have=part.estimate, quantity=quantity)
    since = datetime.fromisoformat(part.label)
    return _missing(ReasonKind.BLOCK, since=since, have=part.estimate, quantity=quantity)


def _hold(result: CriterionResult, obstacles: Sequence[Reason], *, certified: bool) -> CriterionResult:
    """Return the result without its GO where there are obstacles; a NO-GO stands beside them."""
    if not obstacles:
        return replace(result, certified=certified)
    why, *missing = result.reasons
    if result.decision is not Decision.NO_GO:
        why = replace(obstacles[0], role=Role.WHY)
        result = replace(result, decision=Decision.WAIT)
    return replace(result, certified=certified, reasons=(why, *obstacles, *missing), eta=None)


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
