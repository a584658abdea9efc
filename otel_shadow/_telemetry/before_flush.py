"""What waits for a provider of OpenTelemetry, handed over before the application flushes it or shuts it down.

Spans of V1 end off V1's path, a moment after V1. A handler that flushes with its answer (serverless: the process is
frozen next), or an application that shuts its providers down by itself, would lose that moment.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from typing import Any
from weakref import WeakSet

import wrapt
from opentelemetry._logs import get_logger_provider
from opentelemetry.trace import get_tracer_provider

from otel_shadow._runtime.process_lifecycle import OURS
from otel_shadow._runtime.record_queue import RecordQueue
from otel_shadow._runtime.shadow_context import in_v2

_FLUSH_S, _SHUTDOWN_S = 0.1, 0.25
"""Seconds that the application waits at most for what is handed over; what hangs is left to its thread."""
_QUEUES: WeakSet[RecordQueue] = WeakSet()


def settle_before_flush(queue: RecordQueue) -> None:
    """Hand over what waits in ``queue`` before any provider of the SDK is flushed or shut down, as long as it lives."""
    _QUEUES.add(queue)
    _wrap_providers()


def flush_provider(provider: Any, timeout_s: float) -> None:
    """Have ``provider`` export what it holds in ``timeout_s`` seconds, if it is one of the SDK."""
    force_flush = getattr(provider, "force_flush", None)
    if force_flush is not None:
        force_flush(max(int(timeout_s * 1000), 1))


def exports(tracer_provider: Any, logger_provider: Any) -> list[Callable[[float], object]]:
    """Return what has the providers export the spans and log events that they hold, within so many seconds.

    None is the global provider, as it is then. Metrics wait for nothing: a reader collects them in its own time, and to
    collect once more would take exemplars and deltas from it.
    """
    return [
        partial(_export, tracer_provider, get_tracer_provider),
        partial(_export, logger_provider, get_logger_provider),
    ]


def _export(provider: Any, current: Callable[[], Any], timeout_s: float) -> None:
    flush_provider(provider or current(), timeout_s)


@cache
def _wrap_providers() -> None:
    for module, kind in (
        ("opentelemetry.sdk.trace", "TracerProvider"),
        ("opentelemetry.sdk.metrics._internal", "MeterProvider"),
        ("opentelemetry.sdk._logs._internal", "LoggerProvider"),
    ):
        wrapt.register_post_import_hook(partial(_wrap, kind), module)


def _wrap(kind: str, module: Any) -> None:
    owner = getattr(module, kind, None)
    for method, settle in (("force_flush", _end_spans), ("shutdown", _hand_over)):
        if hasattr(owner, method):
            setattr(owner, method, _after(settle, getattr(owner, method)))


def _end_spans(queue: RecordQueue) -> None:
    """End the spans that V1 has left: all that a flush with the answer can't do without."""
    queue.span_ends.catch_up(_FLUSH_S)


def _hand_over(queue: RecordQueue) -> None:
    queue.settle(_SHUTDOWN_S)


def _after(settle: Callable[[RecordQueue], None], original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def settled(self: Any, *args: Any, **kwargs: Any) -> Any:
        with suppress(Exception):  # at the application's own call
            if not threading.current_thread().name.startswith(OURS) and not in_v2():
                for queue in list(_QUEUES):
                    settle(queue)
        return original(self, *args, **kwargs)

    return settled
