"""Instrumentations that are silent inside a shadow, also those that ask no key whether they are to be.

OpenInference and OpenLLMetry ask OpenTelemetry's key in their callbacks. OpenLLMetry's spans of graphs, agents and
middleware (which carry system prompts) and the GenAI instrumentations ask none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import wrapt
from opentelemetry import trace
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from otel_shadow._runtime.shadow_context import SHADOW

_SCOPES = ("opentelemetry.instrumentation.", "openinference.instrumentation.")
"""How the names of instrumentations' tracers and loggers begin."""


@cache
def silence_instrumentations() -> None:
    """Have the SDK's tracers and loggers drop what instrumentations record where they are told to be silent."""
    for module, name, method, wrap in (
        ("opentelemetry.sdk.trace", "Tracer", "start_span", _no_span),
        ("opentelemetry.sdk._logs", "Logger", "emit", _no_record),
    ):
        wrapt.register_post_import_hook(partial(_replace, name, method, wrap), module)


def _replace(name: str, method: str, wrap: Callable[[Any], Any], module: Any) -> None:
    owner = getattr(module, name, None)
    if hasattr(owner, method):
        setattr(owner, method, wrap(getattr(owner, method)))


def _no_span(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def start_span(self: Any, *args: Any, **kwargs: Any) -> Any:
        if SHADOW.get() is not None and _to_be_silent(self):
            return trace.NonRecordingSpan(trace.get_current_span().get_span_context())
        return original(self, *args, **kwargs)

    return start_span


def _no_record(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def emit(self: Any, *args: Any, **kwargs: Any) -> None:
        if SHADOW.get() is None or not _to_be_silent(self):
            original(self, *args, **kwargs)

    return emit


def _to_be_silent(recorder: Any) -> bool:
    if is_instrumentation_enabled():
        return False
    scope = getattr(recorder, "_instrumentation_scope", None) or getattr(recorder, "instrumentation_scope", None)
    return str(getattr(scope, "name", "")).startswith(_SCOPES)
