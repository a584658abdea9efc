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

from otel_shadow._runtime.process_lifecycle import OURS
from otel_shadow._runtime.record_queue import RecordQueue
from otel_shadow._runtime.shadow_context import in_v2

_SETTLE_S = 0.25
"""Seconds that the application waits at most for what is handed over; what hangs is left to its thread."""
_QUEUES: WeakSet[RecordQueue] = WeakSet()


def settle_before_flush(queue: RecordQueue) -> None:
    """Hand over what waits in ``queue`` before any provider of the SDK is flushed or shut down, as long as it lives."""
    _QUEUES.add(queue)
    _wrap_providers()


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
    for method in ("force_flush", "shutdown"):
        if hasattr(owner, method):
            setattr(owner, method, _settled(getattr(owner, method)))


def _settled(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def settled(self: Any, *args: Any, **kwargs: Any) -> Any:
        with suppress(Exception):  # at the application's own call
            if not threading.current_thread().name.startswith(OURS) and not in_v2():
                for queue in list(_QUEUES):
                    queue.settle(_SETTLE_S)
        return original(self, *args, **kwargs)

    return settled
