"""The two doors to telemetry. The runtime knows these protocols and nothing of OpenTelemetry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

from otel_shadow.record import Observation, ShadowRecord

if TYPE_CHECKING:
    from otel_shadow._runtime.execution import Execution


class Sink(ABC):
    """Takes finished records, one at a time, in a thread of ours. It may be slow or raise: nobody waits for it.

    ``emit`` is all that one has to write.
    """

    def open(self, graph: str, node: str) -> None:  # noqa: B027 - to do nothing is fine
        """A node gets a shadow."""

    @abstractmethod
    def emit(self, record: ShadowRecord) -> None:
        """Write ``record``."""

    def flush(self, timeout_s: float) -> None:  # noqa: B027 - as above
        """Hand on what is buffered, within ``timeout_s`` seconds."""


class V1Span(Protocol):
    """The open span of an execution on the user's path."""

    @property
    def trace_id(self) -> str | None:
        """32 hex digits, if there is a trace."""

    @property
    def span_id(self) -> str | None:
        """16 hex digits."""

    @property
    def sampled(self) -> bool:
        """Whether the trace is sampled."""

    def leave(self) -> None:
        """Make its parent current again and take the time. On V1's path, in the context that opened it."""

    def close(self, facts: Observation, call: Execution) -> None:
        """End it as of :meth:`leave`, with what is known of the execution. Off the path."""


class V2Span(Protocol):
    """The span of a shadow, opened off the path."""

    span_id: str | None

    def enter(self) -> None:
        """Make it current in the calling context, with the mark of the shadow in the baggage."""

    def carrier(self) -> dict[str, str]:
        """Its trace context and the mark of the shadow as W3C headers."""

    def close(self, facts: ShadowRecord) -> None:
        """End it with everything that is known of the pair."""


class Spans(Protocol):
    """Opens spans."""

    def v1(self, call: Execution) -> V1Span:
        """Open ``v1.node`` and make it current. On V1's path: it must be cheap and never block."""

    def live(self, call: Execution) -> V1Span:
        """Open ``v2.node`` likewise: V2 serves."""

    def v2(self, call: Execution) -> V2Span:
        """Open ``v2.shadow`` beside ``call.span``, linked to it. Off the path."""


class NoSpan:
    """A span that records nothing."""

    __slots__ = ()

    trace_id: str | None = None
    span_id: str | None = None
    sampled = False

    def enter(self) -> None:
        """Do nothing."""

    def carrier(self) -> dict[str, str]:
        """Nothing."""
        return {}

    def leave(self) -> None:
        """Do nothing."""

    def close(self, facts: Observation | ShadowRecord, call: Execution | None = None) -> None:
        """Do nothing."""


class NoSpans:
    """No tracing at all."""

    def v1(self, call: Execution) -> NoSpan:
        """An inert span."""
        return NoSpan()

    live = v1
    v2 = v1
