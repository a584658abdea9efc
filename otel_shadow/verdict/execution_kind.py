"""What an execution was, apart from when, in which session and how long: the few kinds that evidence is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from otel_shadow.record import Arm, Mode, Outcome, Status

NOT_ELIGIBLE = frozenset({"holdout", "sampled_out", "live", "v1_only", "retry", "resumed_inside"})
"""Reasons of an intended absence of a shadow; with any other reason there should have been one."""
_OF_NO_ARM = NOT_ELIGIBLE - {"resumed_inside"}
"""Reasons with which V1's time belongs to no arm. The held-out arm has V1s that go on inside as well."""
_FINISHED = frozenset({Status.SUCCESS, Status.INTERRUPT})
_FAILED = frozenset({Status.ERROR, Status.TIMEOUT})


Unit: TypeAlias = tuple[str, str, str, bool]
"""Service, V2 build, configuration digest, and whether codes were verified."""


@dataclass(frozen=True, slots=True)
class ExecutionKind:
    """One kind of execution: everything of a log line that takes few values.

    ``pair`` tells a ``SHADOW_V2`` line (a shadow was started) from a ``SHADOW_BASELINE``. Other fields are those of
    the line. Texts are empty, never None; three-valued flags are None where the line has null.
    """

    node: str
    graph: str = ""
    pair: bool = True
    mode: str = Mode.V2_SHADOW.value
    arm: str = Arm.SHADOWED.value
    v1_status: str = Status.SUCCESS.value
    v1_served: bool | None = None
    v2_status: str = ""
    comparison: str = ""
    decisions_match: bool | None = None
    steps_match: bool | None = None
    original_target: str = ""
    shadow_target: str = ""
    v1_step: str = ""
    v2_step: str = ""
    diff_fields: tuple[str, ...] = ()
    fields_compared: bool = False
    self_match: bool | None = None
    intent: str = ""
    build: str = ""
    digest: str = ""
    key_id: str = ""
    reason: str = ""
    served: str = "v1"
    fallback_reason: str = ""
    v1_error_type: str = ""
    v2_error_type: str = ""
    simulated: bool = False
    anonymous: bool = False
    """Whether the run had no session id, and is a session of its own."""
    service: str = ""
    holdout: float | None = None
    """Share of the time in which no shadow starts; None where that was a share of sessions."""
    slot_seconds: float | None = None
    sample: float | None = None
    """Share of the sessions that the node's shadow runs for."""
    v1_rate_limited: bool = False
    v2_rate_limited: bool = False
    caused_by_shadow: bool = False
    """Whether a shadow run made the call: no traffic of production's, and no evidence."""
    coded: bool = False
    """Whether the line's code was verified."""

    @property
    def unit(self) -> Unit:
        """What is judged together."""
        return self.service, self.build, self.digest, self.coded

    @property
    def compared(self) -> bool:
        """Whether the pair counts in parity (an accepted difference is taken out later)."""
        return self.pair and self.comparison in (Outcome.MATCH, Outcome.MISMATCH)

    @property
    def matched(self) -> bool:
        """Whether it counts as a match."""
        return self.pair and self.comparison == Outcome.MATCH

    @property
    def executed(self) -> bool:
        """Whether V2 ran in shadow to an end of its own: cancelled ones say nothing of V2."""
        return self.pair and (self.v2_status in _FINISHED or self.v2_status in _FAILED)

    @property
    def eligible(self) -> bool:
        """Whether a shadow should have run: pairs, and whatever was shed."""
        shed = not self.pair and self.mode == Mode.V2_SHADOW and self.reason not in NOT_ELIGIBLE
        return self.pair or (shed and self.arm == Arm.SHADOWED)

    @property
    def live(self) -> bool:
        """Whether V2 was asked for the answer itself."""
        return not self.pair and (self.served == "v2" or bool(self.fallback_reason))

    @property
    def attempted(self) -> bool:
        """Whether it counts in the handoff rate: a shadow that ended, or a live execution."""
        return self.executed or self.live

    @property
    def failed(self) -> bool:
        """Whether V1 had, or would have had, to step in."""
        return bool(self.fallback_reason) if self.live else self.executed and self.v2_status in _FAILED

    @property
    def latency_arm(self) -> str | None:
        """Arm of the comparison of V1 with and without shadow; None where the execution belongs to neither.

        By intention to treat: a shed shadow still belongs to the shadowed arm. Live sessions, sampled-out nodes and
        cancelled executions belong to neither.
        """
        if self.mode != Mode.V2_SHADOW or self.v1_status == Status.CANCELLED:
            return None
        if self.arm == Arm.HOLDOUT:
            return None if self.pair or self.reason in _OF_NO_ARM - {"holdout"} else Arm.HOLDOUT.value
        return None if self.reason in _OF_NO_ARM else Arm.SHADOWED.value

    @property
    def same_request(self) -> bool:
        """Whether V1's and V2's times of this pair may be compared: both ended, V2's time limit included."""
        timed = self.v2_status in _FINISHED or self.v2_status == Status.TIMEOUT
        return self.pair and timed and self.v1_status in _FINISHED

    @property
    def disagreement(self) -> int | None:
        """z of the noise floor: 1{V2≠V1a} − 1{V1b≠V1a}; None off the noise share."""
        if self.self_match is None or not self.compared:
            return None
        return int(not self.matched) - int(not self.self_match)

    @property
    def route(self) -> str:
        """Where V1 went and V2 would have gone, written ``original->shadow``."""
        return f"{self.original_target or '?'}->{self.shadow_target or '?'}"

    @property
    def steps(self) -> str | None:
        """V1's and V2's steps written ``v1->v2`` where they differ, else None."""
        return f"{self.v1_step or '?'}->{self.v2_step or '?'}" if self.steps_match is False else None


Signature = ExecutionKind
"""The name of :class:`ExecutionKind` in the release before."""
