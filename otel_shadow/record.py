"""Record of an execution: what was observed of each version, how the two compare, and why a shadow did not run.

All of a record may leave the process: it is redacted, and holds no state value, message text or exception message.
The module imports nothing else of the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

Observed = Mapping[str, float | str | bool]


class Mode(StrEnum):
    """Mode of a session: which version answers, and whether V2 runs as a shadow."""

    V1_ONLY = "v1_only"
    V2_SHADOW = "v2_shadow"
    V2_LIVE = "v2_live"


class Arm(StrEnum):
    """Arm of an execution, by the slot of time it began in: with shadows, or the latency baseline without any."""

    SHADOWED = "shadowed"
    HOLDOUT = "holdout"


class Status(StrEnum):
    """Status of one version's run. The first five are of runs that started."""

    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"
    INTERRUPT = "interrupt"
    CANCELLED = "cancelled"
    NOT_RUN = "not_run"
    """V1 did not run, because live V2 answered."""
    NOT_IMPLEMENTED = "not_implemented"
    SHED = "shed"
    BREAKER_OPEN = "breaker_open"
    OVER_BUDGET = "over_budget"

    @property
    def started(self) -> bool:
        """Say whether a run with this status began."""
        return self in _STARTED


_STARTED = frozenset({Status.SUCCESS, Status.ERROR, Status.TIMEOUT, Status.INTERRUPT, Status.CANCELLED})


class Outcome(StrEnum):
    """Outcome of a comparison: match or mismatch (as in ``scientist``), or why it is neither."""

    MATCH = "match"
    MISMATCH = "mismatch"
    ERROR = "error"
    """The comparator raised an exception."""
    NONE = "none"
    """Nothing to compare: V1 raised, or V2 failed, timed out or was cancelled."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Redacted result of one version's run.

    Arguments:
        status: how the run ended, or why it did not start.
        latency_s: monotonic seconds from entry to exit; None if the run did not start.
        target: the decision: where the workflow goes next. Several targets are joined by ``+``.
        step: the node's current step; a value that is not declared is ``_other``.
        stage: the workflow's stage; a value that is not declared is ``_other``.
        error_type: type name of the exception, never its message.
        location: where in the code V2 failed, as ``module:line``; no path and no data.
        span_id: 16 hex digits, or None.
        observed: numbers, booleans and declared categories named in ``[nodes.X.observe]``.
        rate_limited: whether it failed because a service answered 429 (too many requests).
    """

    status: Status
    latency_s: float | None = None
    target: str | None = None
    step: str | None = None
    stage: str | None = None
    error_type: str | None = None
    span_id: str | None = None
    observed: Observed = field(default_factory=dict)
    location: str | None = None
    rate_limited: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """Comparison of a pair.

    Arguments:
        outcome: match, mismatch, or why it is neither.
        decisions_match: whether both versions go to the same target.
        steps_match: whether both versions write the same step.
        diff_fields: names of the top-level state fields that differ.
        compared_fields: whether ``diff_fields`` count for the outcome or are only shown.
        error_type: type name of the comparator's exception.
        self_match: whether V1 agrees with its own second run; None outside the noise share.
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
    """Record of one execution of a shadowed node, with or without a shadow run.

    A pair has ``v2``. A baseline (holdout, sampled out, shed, live, ``v1_only``) has ``reason``: why no shadow ran. In
    live mode ``served`` names the version whose answer the user got, and ``fallback_reason`` says why that was not V2.

    ``timestamp`` is the wall-clock time (UTC) at which V1 started; latencies are monotonic seconds.
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
    user_message_hash: str | None = None
    intent: str | None = None
    v2_build: str = ""
    config_digest: str = ""
    key_id: str = ""
    trace_id: str | None = None
    trace_sampled: bool = False
    overhead_s: float = 0.0
    queue_s: float = 0.0
    executor: str | None = None
    """Where V2 ran: ``thread``, ``loop`` (the application's), ``process``."""
    tokens: Mapping[str, int] = field(default_factory=dict)
    blocked_tools: tuple[str, ...] = ()
    has_session_id: bool = True
    """Whether the run had a session id; a run without one is a session of its own."""
    clock: str = "system"
    """``simulated`` where the timestamp is made up, as in a demo that plays two days in a minute."""
    service: str = ""
    """``service.name``: the slots of the holdout are the same in all processes of a service."""
    probability: float | None = None
    """Probability with which such an execution was shadowed: sample × adaptive × ordinary slots."""
    sample: float | None = None
    """Share of the sessions that the node's shadow runs for."""
    holdout: float | None = None
    """Share of the time in which no shadow starts."""
    slot_seconds: float | None = None
    """Length of a slot of time in seconds."""
    percentage: float | None = None
    """Per cent of the sessions that V2 serves."""
    process: str = ""
    """An id of the process that wrote it."""
    sequence: int | None = None
    """Number of this execution among those of its process, graph, node and event, from 1."""
    side: str | None = None
    """The version that serves the session's run as a whole, where it is not told by ``served``."""
    first_part_s: float | None = None
    """Monotonic seconds until the first part of V1's answer, where it streams."""
    caused_by_shadow: bool | None = None
    """Whether the execution itself happened inside a shadow run."""

    @property
    def is_pair(self) -> bool:
        """Say whether V2 began in a shadow run of this execution; where it did not, ``reason`` says why."""
        return self.v2 is not None and self.v2.status.started and self.reason is None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Totals of one node in one process, told from time to time and at its end: what is missing can be counted.

    Arguments:
        handed_over: executions that a record was due of, so far.
        totals: records written so far, by the ``event`` of their first line.
        last: whether the process ends.
    """

    service: str
    process: str
    timestamp: datetime
    graph: str
    node: str
    handed_over: int
    totals: Mapping[str, int]
    last: bool = False
    v2_build: str = ""
    config_digest: str = ""
    key_id: str = ""
    clock: str = "system"
