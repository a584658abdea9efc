"""The SLA policy as data: bounds, confidence, window, coverage. It is written once, in ``[sla]`` of ``shadow.toml``.

The runtime exports its bounds (``shadow.sla.objective``), the verdict applies them, every output prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from otel_shadow import semconv

Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class Bounds(BaseModel):
    """The numbers a node is held to. Shares are in (0, 1), margins are relative (0.15 is +15 %)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parity: Share = 0.95
    handoff: Share = 0.03
    latency_margin: Annotated[float, Field(gt=0.0, le=10.0)] = 0.15
    """How much slower p95 may be: V1 with shadow against V1 without, and V2 against V1."""
    executed: Share = 0.9
    """Least share of eligible executions of the shadowed arm whose shadow ran."""
    accepted_cap: Annotated[float, Field(ge=0.0, le=1.0)] = 0.10
    """Above this share of accepted differences the verdict waits: accepting is for exceptions."""
    noise_margin: Share = 0.02
    """The δ of the relative parity test, used where V1 disagrees with itself."""
    min_sessions: Annotated[int, Field(ge=1)] = 300
    min_sessions_per_intent: Annotated[int, Field(ge=1)] = 30


class Policy(Bounds):
    """What GO means. ``nodes`` overrides single bounds of single nodes.

    Arguments:
        alpha: chance of a false GO that is tolerated, per side.
        window_hours: the longest window that is read, in hours.
        cycle_hours: length of one traffic cycle; GO only at a whole one.
        min_cycles: whole cycles needed for a GO.
        no_go_sessions: NO-GO is possible from this many closed sessions on.
        session_idle_minutes: a session is closed after this much silence.
        max_turns: turns of a session that count (the T of the event-weighted test).
        intents: declared intents; each needs its own coverage.
        noise_switch: V1's self-disagreement (lower confidence bound) above which parity turns relative.
    """

    alpha: Share = 0.05
    window_hours: Annotated[float, Field(gt=0.0, le=24.0 * 31)] = 48.0
    cycle_hours: Annotated[float, Field(gt=0.0, le=24.0 * 7)] = 24.0
    min_cycles: Annotated[int, Field(ge=1)] = 1
    no_go_sessions: Annotated[int, Field(ge=1)] = 30
    session_idle_minutes: Annotated[float, Field(gt=0.0)] = 30.0
    max_turns: Annotated[int, Field(ge=1, le=1000)] = 20
    block_hours: Annotated[float, Field(gt=0.0, le=24.0)] = 6.0
    """No block of this length may be in NO-GO by itself."""
    max_gap_hours: Annotated[float, Field(gt=0.0)] | None = None
    """A silence of this length inside the window is a gap, and no GO stands on it. Default: 12 hours, or less where the
    window's mean rate makes 500 executions expected (at least one hour). Set it where a service closes at night."""
    criteria: tuple[str, ...] = semconv.CRITERIA
    """Criteria that must be GO; the others are shown and not counted."""
    intents: tuple[str, ...] = ()
    noise_switch: Share = 0.03
    nodes: Mapping[str, Bounds] = Field(default_factory=dict)

    @field_validator("criteria")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name not in semconv.CRITERIA]
        if unknown or not value:
            raise ValueError(f"expected some of {', '.join(semconv.CRITERIA)}")
        return value

    def bounds(self, node: str | None = None) -> Bounds:
        """Return the bounds of ``node``; the general ones where it has none of its own.

        A node's table names only what differs: what it leaves out is the general value.
        """
        general = {name: getattr(self, name) for name in Bounds.model_fields}
        own = self.nodes.get(node) if node is not None else None
        return Bounds(**(general | (own.model_dump(exclude_unset=True) if own else {})))

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
