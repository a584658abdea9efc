"""Sinks, which take records, and spans around executions: all that the runtime uses of telemetry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from otel_shadow.record import Arm, Heartbeat, Mode, Observation, ShadowRecord


class Sink(ABC):
    """A taker of records. It gets one record at a time, in a thread of its own, and may be slow, block or raise.

    Only ``emit`` has to be written.
    """

    name = "other"
    """Name under which the records are counted that it had no time for."""

    def open(self, graph: str, node: str) -> None:  # noqa: B027 - to do nothing is fine
        """Prepare for the records of a node that gets a shadow."""

    @abstractmethod
    def emit(self, record: ShadowRecord) -> None:
        """Write ``record``."""

    def beat(self, heartbeat: Heartbeat) -> None:  # noqa: B027 - as above
        """Write the totals of a node."""

    def flush(self, timeout_s: float) -> None:  # noqa: B027 - as above
        """Export what is buffered, within ``timeout_s`` seconds."""


@dataclass(frozen=True, slots=True)
class ExecutionLabels:
    """Facts that every span of one execution carries, redacted. Made off V1's path."""

    graph: str
    node: str
    mode: Mode
    arm: Arm
    v2_build: str
    pair_id: str
    session_id: str
    thread_id: str | None
    """Id of the run's thread in LangGraph, if it has one."""


class SpanIdentity(NamedTuple):
    """What a sampler may ask for when a span of an execution starts; the same for both spans of a pair."""

    graph: str
    node: str
    mode: Mode
    arm: Arm


class Identified(Protocol):
    """An execution, to the opener of its span."""

    @property
    def span_identity(self) -> SpanIdentity:
        """What its spans show a sampler; made when it is asked for."""


class V1Span(Protocol):
    """The open span of an execution, on V1's path."""

    @property
    def trace_id(self) -> str | None:
        """32 hex digits, if there is a trace."""

    @property
    def span_id(self) -> str | None:
        """16 hex digits."""

    @property
    def sampled(self) -> bool:
        """Whether the trace is sampled."""

    @property
    def caused_by_shadow(self) -> bool | None:
        """Whether a shadow run, of this process or of a caller who is believed, made the call that the execution
        belongs to; None: not known.
        """

    def leave(self) -> None:
        """Make its parent current again and take the time. On V1's path, in the context that opened it."""

    def close(self, observation: Observation, labels: ExecutionLabels) -> None:
        """End it as of :meth:`leave`, with the attributes of the execution. Off the path."""


class V2Span(Protocol):
    """The span of a shadow run, opened off the path."""

    span_id: str | None

    def enter(self) -> None:
        """Make it current in the calling context, with the mark of the shadow."""

    def carrier(self) -> Any:
        """Return what of it, of V1's context and of the mark goes to a worker process."""

    def close(self, record: ShadowRecord) -> None:
        """End it with the attributes of the pair."""


class Spans(Protocol):
    """Opener of spans."""

    def v1(self, execution: Identified, fallback_reason: str | None) -> V1Span:
        """Open ``v1.node`` and make it current, cheaply: V1 waits. ``fallback_reason`` says why a live V2 failed."""

    def live(self, execution: Identified) -> V1Span:
        """Open ``v2.node`` likewise: V2 serves."""

    def v2(self, labels: ExecutionLabels, beside: V1Span) -> V2Span:
        """Open ``v2.shadow`` beside V1's span, linked to it. Off the path."""


class NoSpan:
    """A span that records nothing: the span of an execution until one is opened."""

    __slots__ = ()

    trace_id: str | None = None
    span_id: str | None = None
    sampled = False
    caused_by_shadow: bool | None = None

    def leave(self) -> None:
        """Do nothing."""

    def close(self, observation: Observation, labels: ExecutionLabels) -> None:
        """Do nothing."""
