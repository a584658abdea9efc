"""The assignment of an execution: mode, arm, noise cohort and time limit, the same for all executions of a session.

A run of the graph without a session id is a session of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from otel_shadow.cohorts import cohorts, is_id
from otel_shadow.config import ArmsTable, NodeTable
from otel_shadow.flags import FeatureFlags
from otel_shadow.record import Arm, Mode

LIVE = "live"
"""The reason of an execution that V2 is to serve: it has no shadow."""
_MOST_SESSIONS = 4096
_LONGEST = 128
"""Characters of a session's id that is remembered: an application may take a whole message for one."""


class Assignment(NamedTuple):
    """What flags, arms and sampling determine for the executions of one session.

    Arguments:
        session: the session's id, as the application has it; an id of the run's own where the application has none.
        reason: why there is no shadow (``live``, ``holdout``, ``sampled_out``, …); None where there is one.
        noise: whether V1 runs a second time, as its own shadow.
        timeout_s: V2's time limit in seconds.
        has_id: whether the application has an id for the session.
    """

    session: str
    mode: Mode
    arm: Arm
    reason: str | None
    noise: bool
    timeout_s: float
    has_id: bool = True


class Assignments:
    """The assignments of one node's sessions, remembered until the flags change.

    ``run_id`` gives the id of a run by what its node was called with.
    """

    def __init__(self, arms: ArmsTable, table: NodeTable, run_id: Callable[[Any], str]) -> None:
        self._arms = arms
        self._table = table
        self._run_id = run_id
        self._known: dict[str | None, tuple[FeatureFlags, Assignment | None]] = {}

    def of(self, flags: FeatureFlags, session: str | None, call: Any = None) -> Assignment | None:
        """Return the assignment of ``session`` under ``flags``; None where V1 runs alone and nothing is recorded.

        Where the session has no id, ``call`` is what the node was called with.
        """
        known = self._known.get(session)
        if known is not None and known[0] is flags:
            return known[1]
        if session is None or not is_id(session):
            return assign(flags, self._arms, self._table, self._run_id(call), has_id=False)
        assignment = assign(flags, self._arms, self._table, session)
        if len(session) <= _LONGEST:
            if len(self._known) >= _MOST_SESSIONS:
                self._known.clear()
            self._known[session] = flags, assignment
        return assignment


def assign(
    flags: FeatureFlags, arms: ArmsTable, table: NodeTable, session: str, *, has_id: bool = True
) -> Assignment | None:
    """Assign a session by its cohorts; one without an id is live at 100 % only.

    None in mode ``v1_only``: V1 runs alone and nothing is recorded.
    """
    shares = cohorts(session)
    mode = flags.mode_of_bucket(shares.rollout if has_id else None)
    if mode is Mode.V2_LIVE and not table.live:
        mode = Mode.V2_SHADOW if flags.router_v2_shadow else Mode.V1_ONLY
    if mode is Mode.V1_ONLY:
        return None
    held_out = arms.holdout_instance or shares.holdout < arms.holdout
    reason = None
    if mode is Mode.V2_LIVE:
        reason = LIVE
    elif held_out:
        reason = "holdout"
    elif shares.sample >= table.sample:
        reason = "sampled_out"
    arm = Arm.HOLDOUT if held_out else Arm.SHADOWED
    noise = shares.noise < arms.noise
    own = None if flags.timeout_is_explicit else table.timeout_ms
    timeout_s = (flags.v2_timeout_ms if own is None else own) / 1000.0
    return Assignment(session, mode, arm, reason, noise, timeout_s, has_id)
