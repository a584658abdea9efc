"""Instrumentations that are silent inside a shadow, also those that ask no key whether they are to be.

OpenInference and OpenLLMetry ask OpenTelemetry's key in their callbacks. OpenLLMetry's spans of graphs, agents and
middleware (which carry system prompts) and the GenAI instrumentations ask none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import cache
from typing import Any

from opentelemetry import context, trace
from opentelemetry._logs import Logger
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Tracer

from otel_shadow._runtime.shadow_context import SHADOW
from otel_shadow._telemetry.outgoing_mark import MARK
from otel_shadow._telemetry.shadow_mark import wrap_in_subclasses

_SCOPES = ("opentelemetry.instrumentation.", "openinference.instrumentation.")
"""How the names of instrumentations' tracers and loggers begin."""


@cache
def silence_instrumentations() -> None:
    """Have tracers and loggers drop what instrumentations record where they are told to be silent."""
    wrap_in_subclasses(Tracer, "start_span", _no_span)
    wrap_in_subclasses(Logger, "emit", _no_record)


def _no_span(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def start_span(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_to_be_silent(self):
            return trace.NonRecordingSpan(trace.get_current_span().get_span_context())
        return original(self, *args, **kwargs)

    return start_span


def _no_record(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def emit(self: Any, *args: Any, **kwargs: Any) -> None:
        if not _is_to_be_silent(self):
            original(self, *args, **kwargs)

    return emit


def _is_to_be_silent(recorder: Any) -> bool:
    if SHADOW.get() is None and MARK not in context.get_current():
        return False
    if is_instrumentation_enabled():
        return False
    scope = getattr(recorder, "_instrumentation_scope", None) or getattr(recorder, "instrumentation_scope", None)
    return str(getattr(scope, "name", "")).startswith(_SCOPES)
