"""Threads of otel-shadow, which outlive the request in which they are started."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any


class BackgroundThread(threading.Thread):
    """A daemon thread that starts in an empty context, whatever the context of its starter.

    Instrumentations of threads (OpenTelemetry's, an error tracker's) hand a thread the context of its starter for as
    long as it lives, and so does Python itself where ``thread_inherit_context`` is on. What this thread did later would
    belong to the trace of the first request, and what that request's context holds would never be freed.

    Arguments:
        target: what it runs.
        args: the arguments of ``target``.
        name: of the thread.
    """

    def __init__(
        self, target: Callable[..., object] | None = None, args: tuple[Any, ...] = (), name: str | None = None
    ) -> None:
        super().__init__(target=target, args=args, name=name, daemon=True)

    def start(self) -> None:
        """Start it; raises what :meth:`threading.Thread.start` does."""
        Context().run(super().start)
