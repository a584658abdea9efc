"""The SLA policy as data: bounds, confidence, window, coverage. It is written once, in ``[sla]`` of ``shadow.toml``.

The runtime exports its bounds (``shadow.sla.objective``), the verdict applies them, every output prints them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from otel_shadow import semconv
from otel_shadow.validation import Expected

_MOST_CYCLES = 60
"""Of a window, whichever key says it."""
Share = Annotated[float, Field(gt=0.0, lt=1.0)]


def _is_criterion(value: str) -> str:
    if value not in semconv.CRITERIA:
        raise ValueError
    return value


Criterion = Annotated[
    str, AfterValidator(_is_criterion), Expected(f"one of {', '.join(semconv.CRITERIA)}", semconv.CRITERIA)
]


class TableOfNumbers(BaseModel):
    """Base of tables in which a boolean is no number: Python takes ``true`` for 1, which is 100 % of a share."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean(cls, value: Any, info: ValidationInfo) -> Any:
        given = value.values() if isinstance(value, Mapping) else (value,)
        if any(isinstance(one, bool) for one in given) and info.field_name is not None:
            kinds = _kinds(cls.model_fields[info.field_name].annotation)
            if bool not in kinds and kinds & {int, float}:
                raise PydanticCustomError("number", "expected a number, not true or false")
        return value


def _kinds(annotation: Any) -> set[Any]:
    """Return the types that an annotation is made of."""
    return {annotation}.union(*map(_kinds, get_args(annotation))) if get_args(annotation) else {annotation}


class Bounds(TableOfNumbers):
    """The numbers a node is held to. Shares are in (0, 1), margins are relative (0.15 is +15 %)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    parity: Share = 0.95
    """Smallest share of pairs in which V2 has to decide what V1 decides."""
    handoff: Share = 0.03
    """Largest share of V2's runs that may end in an error or a timeout."""
    latency_margin: Annotated[float, Field(gt=0.0, le=10.0)] = 0.15
    """How much slower a 95th percentile may be (V1 with its shadow than V1 without; V2 than V1): 0.15 is +15 %."""
    executed: Share = 0.9
    """Smallest share of the expected shadows that has to run."""
    accepted_cap: Annotated[float, Field(ge=0.0, le=1.0)] = 0.10
    """Largest share of accepted differences; above it the verdict waits, because accepting is for exceptions."""
    noise_margin: Share = 0.02
    """How much more often V2 may differ from V1 than V1 from itself, at a node where V1 often differs from itself."""
    min_sessions: Annotated[int, Field(ge=1)] = 30
    """Closed sessions that each node needs for a GO."""
    min_sessions_per_intent: Annotated[int, Field(ge=1)] = 30
    """Closed sessions that each declared intent needs for a GO."""


class Policy(Bounds):
    """What GO means; every output shows each key with its docstring."""

    alpha: Share = 0.05
    """Tolerated chance of a false GO, and of a false NO-GO."""
    judge: Literal["graph", "node"] = "graph"
    """What has to be proven: the workflow, whose nodes go live together and are each guarded by a wider margin, or
    parity and handoff of each node by itself (latencies are the workflow's in any case)."""
    max_cycles: Annotated[int, Field(ge=1, le=_MOST_CYCLES)] = 7
    """Whole cycles that are judged at most: the window grows up to them, then the oldest drops out for each new one."""
    window_start: datetime | None = None
    """Evidence before this time is left out, such as a ramp; with a time zone. The chance of an error is spent anew."""
    window_hours: Annotated[float, Field(gt=0.0, le=24.0 * 31)] | None = None
    """Read as max_cycles: its cycles, rounded up. The next release refuses it."""
    cycle_hours: Annotated[float, Field(gt=0.0, le=24.0 * 7)] = 24.0
    """Length of one cycle of traffic, in hours; a GO is judged on whole cycles only."""
    min_cycles: Annotated[int, Field(ge=1, le=_MOST_CYCLES)] = 1
    """Whole cycles needed for a GO."""
    no_go_sessions: Annotated[int, Field(ge=1)] = 30
    """Closed sessions needed for a NO-GO."""
    session_idle_minutes: Annotated[float, Field(gt=0.0)] = 30.0
    """A session is closed after so many minutes without an execution; only closed sessions are judged."""
    max_turns: Annotated[int, Field(ge=1, le=1000)] = 20
    """Executions of one session at one node that count fully; in a longer session each of them counts less."""
    block_hours: Annotated[float, Field(gt=0.0, le=24.0)] = 6.0
    """Length of a block, in hours; a block that breaks a bound by itself prevents a GO."""
    rate_limited: Literal["counted", "excluded"] = "counted"
    """Whether a V2 that failed because a service answered 429 counts in the handoff rate."""
    max_gap_hours: Annotated[float, Field(gt=0.0)] | None = None
    """A silence of so many hours is a gap, and no GO stands on it; set it where a service closes at night. None: 12, or
    less (at least 1) where 500 executions were to be expected in a shorter time."""
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1)] = semconv.CRITERIA
    """Criteria that must be GO; the others are shown and not counted."""
    intents: tuple[str, ...] = ()
    """Intents that each need closed sessions of their own."""
    noise_switch: Share = 0.03
    """Where V1 differs from itself in more than this share (lower end of the band), noise_margin replaces parity."""
    nodes: Mapping[str, Bounds] = Field(default_factory=dict)
    """Bounds of single nodes, where they differ from the general ones."""

    @property
    def cycles_held(self) -> int:
        """Whole cycles that the window holds."""
        if self.window_hours is None:
            return max(self.max_cycles, self.min_cycles)
        return max(min(math.ceil(self.window_hours / self.cycle_hours - 1e-9), _MOST_CYCLES), self.min_cycles)

    @property
    def window_length_hours(self) -> float:
        """Hours of the longest window."""
        return self.cycles_held * self.cycle_hours

    @field_validator("window_start")
    @classmethod
    def _has_zone(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise PydanticCustomError("zone", "expected a time with its zone, such as 2026-11-30T08:00:00Z")
        return value

    def bounds(self, node: str | None = None) -> Bounds:
        """Return the bounds of ``node``; the general ones where it has none of its own.

        A node's table names only what differs: what it leaves out is the general value.
        """
        general = {name: getattr(self, name) for name in Bounds.model_fields}
        own = self.nodes.get(node) if node is not None else None
        return Bounds.model_construct(**(general | (own.model_dump(exclude_unset=True) if own else {})))

    def objectives(self) -> dict[str, float]:
        """Return the bound of each criterion as exported in ``shadow.sla.objective``."""
        return {
            semconv.CRITERION_PARITY: self.parity,
            semconv.CRITERION_HANDOFF: self.handoff,
            semconv.CRITERION_LATENCY_NOW: 1.0 + self.latency_margin,
            semconv.CRITERION_LATENCY_AFTER: 1.0 + self.latency_margin,
            semconv.CRITERION_V1_SERVED: 1.0,
            semconv.CRITERION_COVERAGE: self.executed,
        }
