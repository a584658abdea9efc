"""What is judged of one node, or of all together: its counts, its bounds, and the cycles that have passed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from otel_shadow.policy import Bounds, Policy
from otel_shadow.verdict.cycle_looks import CycleTest, LookResult, look_at
from otel_shadow.verdict.cycle_tally import CycleEvidence
from otel_shadow.verdict.executions import milliseconds, moment
from otel_shadow.verdict.node_tally import NodeTally
from otel_shadow.verdict.projection import cycles_until
from otel_shadow.verdict.proportions import Levels
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role
from otel_shadow.verdict.result import CriterionResult, Decision
from otel_shadow.verdict.window import Frame


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
        return [missing(ReasonKind.CYCLES, **cycles, hours=self.policy.cycle_hours, by=end)]

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
        return missing(ReasonKind.SESSIONS, have=sessions, needed=minimum, rate=self.rate(sessions), by=enough)

    def enough(self, wanted: float, seen: float) -> int | None:
        """Return the cycles since the anchor after which ``wanted`` sessions are there, of which ``seen`` are now."""
        since = self.elapsed - self.first_cycle
        found = cycles_until(wanted, seen, since, self.frame.cycles.cycles - self.first_cycle)
        return None if found is None else found + self.first_cycle


def missing(kind: ReasonKind, **facts: Any) -> Reason:
    """Return a reason that names what a GO still needs; ``facts`` are its fields."""
    return Reason(Role.MISSING, kind, **facts)


def why(kind: ReasonKind, **facts: Any) -> Reason:
    """Return a reason for a decision; ``facts`` are its fields."""
    return Reason(Role.WHY, kind, **facts)


def no_evidence(blank: CriterionResult, of: str) -> CriterionResult:
    """Return the result of a criterion without evidence; ``of``: what there is none of."""
    lacking = (why(ReasonKind.NO_EVIDENCE), missing(ReasonKind.NO_EVIDENCE, names=(of,)))
    return replace(blank, reasons=lacking)


def nothing_closed(case: Case, blank: CriterionResult) -> CriterionResult | None:
    """Return what a node lacks whose sessions are all open yet: nothing but time; None where one is closed."""
    if case.node.sessions or not case.node.open_sessions:
        return None
    return replace(blank, reasons=(why(ReasonKind.NO_EVIDENCE), case.lacking_sessions(0)))
