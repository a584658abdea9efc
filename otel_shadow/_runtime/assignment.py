"""The assignment of an execution: mode, arm, noise cohort and time limit.

Mode and sample are the same for all executions of a session, the arm is the slot's of time. A run of the graph without
a session id is a session of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from otel_shadow._runtime.holdout_clock import HoldoutClock
from otel_shadow.cohorts import cohorts, is_id
from otel_shadow.config import ArmsTable, NodeTable
from otel_shadow.flags import FeatureFlags
from otel_shadow.record import Arm, Mode

LIVE = "live"
"""The reason of an execution that V2 is to serve: it has no shadow."""
HOLDOUT = "holdout"
"""The reason of an execution that began while no shadow starts."""
_MOST_SESSIONS = 4096
_LONGEST = 128
"""Characters of a session's id that is remembered: an application may take a whole message for one."""


class Assignment(NamedTuple):
    """What flags, sampling and the slot of time determine for an execution.

    Arguments:
        session: the session's id, as the application has it; an id of the run's own where the application has none.
        reason: why there is no shadow (``live``, ``holdout``, ``sampled_out``, …); None where there is one.
        noise: whether V1 runs a second time, as its own shadow.
        timeout_s: V2's time limit in seconds.
        flags: the flags that it was made under.
        has_id: whether the application has an id for the session.
    """

    session: str
    mode: Mode
    arm: Arm
    reason: str | None
    noise: bool
    timeout_s: float
    flags: FeatureFlags
    has_id: bool = True

    def held_out(self) -> Assignment:
        """Return it as it is in a slot of the holdout: sampled-out and live executions have their own reason there."""
        return self._replace(arm=Arm.HOLDOUT, reason=self.reason or HOLDOUT)


_Known = tuple[FeatureFlags, Assignment | None, Assignment | None]
"""Flags, and what they assign to a session in an ordinary slot and in one of the holdout."""


class Assignments:
    """The assignments of one node's sessions, remembered until the flags change.

    Arguments:
        arms: ``[arms]`` of the configuration.
        table: the node's own.
        clock: says what is held out.
        run_id: gives the id of a run by what its node was called with.
    """

    def __init__(self, arms: ArmsTable, table: NodeTable, clock: HoldoutClock, run_id: Callable[[Any], str]) -> None:
        self._arms = arms
        self._table = table
        self._clock = clock
        self._run_id = run_id
        self._known: dict[str | None, _Known] = {}

    def of(self, flags: FeatureFlags, session: str | None, epoch_s: float, call: Any = None) -> Assignment | None:
        """Return the assignment of an execution; None where V1 runs alone and nothing is recorded.

        Arguments:
            flags: the flags of this moment.
            session: the session's id, if it has one.
            epoch_s: epoch seconds at which the execution began.
            call: what the node was called with, which tells the run where the session has no id.
        """
        known = self._known.get(session)
        if known is None or known[0] is not flags:
            known = self._assign(flags, session, call)
        return known[2] if self._clock.holds(flags, epoch_s) else known[1]

    def _assign(self, flags: FeatureFlags, session: str | None, call: Any) -> _Known:
        has_id = session is not None and is_id(session)
        own = session if session is not None and has_id else self._run_id(call)
        assignment = assign(flags, self._arms, self._table, own, has_id=has_id)
        known = flags, assignment, assignment and assignment.held_out()
        if has_id and len(own) <= _LONGEST:
            if len(self._known) >= _MOST_SESSIONS:
                self._known.clear()
            self._known[session] = known
        return known


def assign(
    flags: FeatureFlags, arms: ArmsTable, table: NodeTable, session: str, *, has_id: bool = True
) -> Assignment | None:
    """Assign a session by its cohorts, for an ordinary slot of time; one without an id is live at 100 % only.

    None in mode ``v1_only``: V1 runs alone and nothing is recorded.
    """
    shares = cohorts(session)
    mode = flags.mode_of_bucket(shares.rollout if has_id else None)
    if mode is Mode.V2_LIVE and not table.live:
        mode = Mode.V2_SHADOW if flags.router_v2_shadow else Mode.V1_ONLY
    if mode is Mode.V1_ONLY:
        return None
    reason = None
    if mode is Mode.V2_LIVE:
        reason = LIVE
    elif shares.sample >= table.sample:
        reason = "sampled_out"
    noise = shares.noise < arms.noise
    own = None if flags.timeout_is_explicit else table.timeout_ms
    timeout_s = (flags.v2_timeout_ms if own is None else own) / 1000.0
    return Assignment(session, mode, Arm.SHADOWED, reason, noise, timeout_s, flags, has_id)
