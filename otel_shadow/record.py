"""The frozen facts: what was observed of one execution, how a pair compares, and the record of it.

Everything in a record may leave the process: the redactor made it from the raw execution, and nothing downstream
sees state values, message texts or exception messages. The module imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

Observed = Mapping[str, float | str | bool]


class Mode(StrEnum):
    """Architecture mode of a session."""

    V1_ONLY = "v1_only"
    V2_SHADOW = "v2_shadow"
    V2_LIVE = "v2_live"


class Arm(StrEnum):
    """Arm of a session: with a shadow, or the latency baseline without one."""

    SHADOWED = "shadowed"
    HOLDOUT = "holdout"


class Status(StrEnum):
    """What became of an execution. The first five are of executions that started."""

    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"
    INTERRUPT = "interrupt"
    CANCELLED = "cancelled"
    NOT_RUN = "not_run"
    """V1 of an execution that V2 served live."""
    NOT_IMPLEMENTED = "not_implemented"
    SHED = "shed"
    BREAKER_OPEN = "breaker_open"
    OVER_BUDGET = "over_budget"

    @property
    def started(self) -> bool:
        """Whether an execution with this status ever began."""
        return self in _STARTED


_STARTED = frozenset({Status.SUCCESS, Status.ERROR, Status.TIMEOUT, Status.INTERRUPT, Status.CANCELLED})


class Outcome(StrEnum):
    """How a pair compares (``scientist``'s matched / mismatched, and why there may be neither)."""

    MATCH = "match"
    MISMATCH = "mismatch"
    ERROR = "error"
    """The comparator itself failed."""
    NONE = "none"
    """Nothing to compare: V1 raised, or V2 failed, timed out or was cancelled."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One execution of one version, redacted.

    Arguments:
        status: what became of it.
        latency_s: monotonic seconds from entry to exit; None if it never started.
        target: the decision: where the workflow goes next. Several targets are joined by ``+``.
        step: the node's own current step, declared values only, else ``_other``.
        stage: likewise for the stage.
        error_type: type name of the exception, never its message.
        span_id: 16 hex digits, or None.
        observed: numbers, booleans and declared categories named in ``[nodes.X.observe]``.
    """

    status: Status
    latency_s: float | None = None
    target: str | None = None
    step: str | None = None
    stage: str | None = None
    error_type: str | None = None
    span_id: str | None = None
    observed: Observed = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a pair compares.

    ``diff_fields`` are names of top-level state channels that differ; ``compared_fields`` says whether they are part of
    the outcome or only shown. ``self_match`` is V1 against itself on the noise-floor share, None elsewhere.
    """

    outcome: Outcome
    decisions_match: bool | None = None
    steps_match: bool | None = None
    diff_fields: tuple[str, ...] = ()
    compared_fields: bool = False
    error_type: str | None = None
    self_match: bool | None = None


NOT_COMPARED = Comparison(Outcome.NONE)


@dataclass(frozen=True, slots=True)
class ShadowRecord:
    """Everything that may be said of one execution of a configured node, with or without a shadow.

    A pair has ``v2``; a baseline (holdout, sampled out, shed, live, ``v1_only``) has ``reason`` and, in live mode,
    ``served`` names the version whose answer the user got and ``fallback_reason`` why it was not V2's.

    Times: ``timestamp`` is the wall clock (UTC) of V1's start; latencies are monotonic seconds.
    """

    pair_id: str
    graph: str
    node: str
    mode: Mode
    arm: Arm
    session_id: str
    timestamp: datetime
    v1: Observation
    v2: Observation | None = None
    comparison: Comparison = NOT_COMPARED
    v1_served: bool | None = None
    served: str = "v1"
    reason: str | None = None
    fallback_reason: str | None = None
    thread_id: str | None = None
    user_message_hash: str | None = None
    intent: str | None = None
    v2_build: str = ""
    config_digest: str = ""
    key_id: str = ""
    trace_id: str | None = None
    trace_sampled: bool = False
    overhead_s: float = 0.0
    queue_s: float = 0.0
    tokens: Mapping[str, int] = field(default_factory=dict)
    blocked_tools: tuple[str, ...] = ()
    clock: str = "system"
    """``simulated`` when the timestamp was made up, as in a demo that plays two days in a minute."""

    @property
    def is_pair(self) -> bool:
        """Whether a shadow was started for this execution."""
        return self.v2 is not None and self.v2.status.started
