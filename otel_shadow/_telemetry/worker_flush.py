"""Telemetry of a worker process: its spans go on where the pair's left off, and are flushed before it ends."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry import context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_shadow._telemetry.spans import OtelSpans

_SPANS = OtelSpans()


def enter(carrier: Mapping[str, str]) -> None:
    """Make the pair's span current, and see that spans started from now on carry the mark of the shadow."""
    inside = TraceContextTextMapPropagator().extract(carrier, context.Context())
    context.attach(W3CBaggagePropagator().extract(carrier, inside))
    _SPANS.mark()


def flush(seconds: float) -> None:
    """Hand on finished spans."""
    force_flush = getattr(trace.get_tracer_provider(), "force_flush", None)
    if force_flush is not None:
        force_flush(max(int(seconds * 1000), 1))
