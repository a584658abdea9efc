"""What the verdict's tests say of made-up traffic at the end of each cycle, and what is true of it.

Two ways: the tests of whole cycles alone (fast: no always-valid evidence, which can only take a GO away), and the whole
verdict, by ``evaluate``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from benchmarks.turns import START, Flags, Floats, Turns, cached_place
from otel_shadow import semconv
from otel_shadow.policy import Policy
from otel_shadow.verdict import Decision, Summary, alpha_spending, evaluate, time_slots
from otel_shadow.verdict.criteria import GUARD, GUARD_LATENCY
from otel_shadow.verdict.cycle_looks import AGAINST, CycleTest, look_at
from otel_shadow.verdict.cycle_tally import CycleEvidence, cycle_evidence
from otel_shadow.verdict.ratio_history import RatioTest, StricterTest
from otel_shadow.verdict.share_history import ShareTest
from otel_shadow.verdict.window import frame

PARITY: Final = semconv.CRITERION_PARITY
HANDOFF: Final = semconv.CRITERION_HANDOFF
NOW: Final = semconv.CRITERION_LATENCY_NOW
AFTER: Final = semconv.CRITERION_LATENCY_AFTER
ALL: Final = (PARITY, HANDOFF, NOW, AFTER)

Said = list[bool]
"""Whether each look says GO."""


def make_quick() -> None:
    """Work levels out on a quarter of the points (they differ by less than a hundredth), and each holdout slot once."""
    alpha_spending._POINTS = 301
    time_slots.holdout_place = cached_place


@dataclass(frozen=True, slots=True)
class Guard:
    """What each node of a workflow has to prove by itself.

    Arguments:
        share: times the margin of a share.
        latency: times the margin of a ratio; None: nothing is asked of a node's ratios.
        inside: whether a node's ratio, as it was seen, has to be inside the bound too.
        against: whether a node's own times must be no evidence against the bound, at this level; None: not asked.
    """

    share: float = GUARD
    latency: float | None = GUARD_LATENCY
    inside: bool = False
    against: float | None = AGAINST


GUARDED: Final = Guard()


class _Untold(ShareTest):
    """The test of a share whose limit nobody reads: finding it takes most of the time."""

    def limit(self, first: int, last: int, level: float) -> float:
        """Return no limit."""
        return math.nan


def _test(evidence: CycleEvidence, criterion: str, policy: Policy, times: float = 1.0) -> CycleTest:
    """Return the test of a criterion at so many times its margin."""
    if criterion == PARITY:
        return _Untold(evidence.parity, 1.0 - times * (1.0 - policy.parity), policy.alpha)
    if criterion == HANDOFF:
        return _Untold(evidence.handoff, 1.0 - times * policy.handoff, policy.alpha)
    bound = 1.0 + times * policy.latency_margin
    paired = criterion == AFTER
    units = (evidence.after,) if paired else evidence.arms
    return StricterTest([RatioTest(unit, bound, paired=paired) for unit in units])


def _estimate(evidence: CycleEvidence, criterion: str, first: int, last: int) -> tuple[float, bool]:
    """Return what was seen, and whether more of it is better."""
    if criterion in (PARITY, HANDOFF):
        history = evidence.parity if criterion == PARITY else evidence.handoff
        return history.window(first, last)[0].share, True
    history_of = evidence.after if criterion == AFTER else evidence.arms[0]
    return history_of.estimate(first, last), False


def _is_guarded(evidence: CycleEvidence, criterion: str, cycles: int, policy: Policy, guard: Guard) -> bool:
    is_share = criterion in (PARITY, HANDOFF)
    times = guard.share if is_share else guard.latency
    if times is None:
        return True
    first, last = max(0, cycles - policy.cycles_held), cycles - 1
    if (is_share or guard.inside) and not _is_inside(evidence, criterion, first, last, policy):
        return False
    if not is_share and guard.against and _test(evidence, criterion, policy).contradicts(first, last, guard.against):
        return False
    if is_share:
        history = evidence.parity if criterion == PARITY else evidence.handoff
        if float(history.window(first, last)[0].sessions.sum()) < policy.min_sessions:
            return False
    return _test(evidence, criterion, policy, times).is_proven(first, last, policy.alpha)


def _is_inside(evidence: CycleEvidence, criterion: str, first: int, last: int, policy: Policy) -> bool:
    seen, more_is_better = _estimate(evidence, criterion, first, last)
    bound = _test(evidence, criterion, policy).bound
    return seen >= bound if more_is_better else seen <= bound


class CycleLooks:
    """The tests of whole cycles on made-up traffic, worked out as far as is asked; NO-GO is left out.

    Arguments:
        columns: of ``Summary.from_arrays``.
        policy: what GO means.
        cycles: whole cycles that the traffic has.
        is_exact: whether each look sees what there is by then, as ``evaluate`` does. Else all of them see the nodes'
            95th percentiles, in units of which times are pooled, of the whole traffic: four times as fast, and other
            for one look in a hundred.
    """

    def __init__(self, columns: Mapping[str, Any], policy: Policy, cycles: int, *, is_exact: bool = False) -> None:
        self._summary, self._policy, self._cycles = Summary.from_arrays(**columns), policy, cycles
        self._is_exact = is_exact

    def _evidence(self, look: int) -> tuple[int, Sequence[CycleEvidence], CycleEvidence]:
        """Return how many whole cycles are seen, the evidence of each node and that of all."""
        at = datetime.fromtimestamp(START, UTC) + timedelta(days=look if self._is_exact else self._cycles, hours=1)
        found = frame(self._summary, self._policy, at)
        assert found is not None
        nodes = sorted({(kind.graph, kind.node) for kind in self._summary.signatures})
        *each, pool = cycle_evidence(self._summary, found.cycles, [[node] for node in nodes] + [nodes])
        return found.cycles.cycles, each, pool

    def says_go(self, criterion: str, look: int, guard: Guard = GUARDED) -> bool:
        """Return whether a criterion is a GO at the end of a cycle.

        Arguments:
            criterion: its name.
            look: whole cycles by then.
            guard: what each node has to prove by itself.
        """
        seen, each, pool = self._evidence(look)
        if look > seen:
            return False
        if self._policy.judge == "node" and criterion in (PARITY, HANDOFF):
            return all(self._allows(evidence, criterion, look) for evidence in each)
        if not self._allows(pool, criterion, look):
            return False
        if len(each) == 1:
            return True
        return all(_is_guarded(evidence, criterion, look, self._policy, guard) for evidence in each)

    def all_go(self, look: int, guard: Guard = GUARDED) -> bool:
        """Return whether every criterion of the policy is; the cheap ones are asked first."""
        asked = sorted(self._policy.criteria, key=(HANDOFF, PARITY, AFTER, NOW).index)
        return all(self.says_go(criterion, look, guard) for criterion in asked)

    def _allows(self, evidence: CycleEvidence, criterion: str, look: int) -> bool:
        found = look_at(_test(evidence, criterion, self._policy), look, self._policy.cycles_held, self._policy.alpha)
        return found is not None and found.allows_go


def go_of_verdicts(columns: Mapping[str, Any], policy: Policy, cycles: int) -> dict[str, Said]:
    """Return what each criterion of the whole verdict says at the end of every cycle."""
    summary = Summary.from_arrays(**columns)
    said: dict[str, Said] = {criterion: [] for criterion in policy.criteria}
    for look in range(1, cycles + 1):
        at = datetime.fromtimestamp(START, UTC) + timedelta(days=look, hours=1)
        verdict = evaluate(summary, policy, at)
        for criterion in policy.criteria:
            said[criterion].append(verdict.criterion(criterion).decision is Decision.GO)
    return said


def is_outside(turns: Turns, share: Floats, bound: float, cycles: int, held: int = 7) -> Flags:
    """Return whether the true share of all turns of the window is below the bound, look by look."""
    cycle = np.floor(turns.begun).astype(np.int64)
    whole = np.bincount(cycle, share, cycles + 1)[:cycles]
    size = np.bincount(cycle, minlength=cycles + 1)[:cycles]
    windows = [(max(0, look - held), look) for look in range(1, cycles + 1)]
    return np.array([whole[a:b].sum() < bound * size[a:b].sum() for a, b in windows])
