"""Thread pools of well-known libraries, which V2 would share with V1: in a shadow they are V2's own.

A pool that V1 waits for behind V2 is a delay of V1's. The event loop's default pool is replaced while V2 takes a step
(``loop_side``); those here are found by the libraries through context variables and functions of theirs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow._runtime.shadow_context import SHADOW

_ANYIO = "anyio._backends._asyncio"
_TOKENS = 40
"""Threads that anyio lets a loop use by default."""


def enter_own_pools() -> None:
    """Make pools of V2's own in the present context, which is the shadow run's. Fails where a library has changed."""
    with suppress(Exception):
        _own_asgiref()
    with suppress(Exception):
        _own_anyio()


def _own_asgiref() -> None:
    """Give ``sync_to_async`` a thread of this shadow run's own, as a request has it in Django's ASGI handler.

    Outside a request all such calls of a process share one thread. In a view that is called through ``async_to_sync``
    they run in the view's thread, which waits for V1 only.
    """
    module = sys.modules.get("asgiref.sync")
    if module is None:
        return
    to_async, to_sync = module.SyncToAsync, module.AsyncToSync
    own = module.ThreadSensitiveContext()
    to_async.context_to_thread_executor[own] = DaemonPool(1, "otel-shadow-asgiref", keep=True)
    to_async.thread_sensitive_context.set(own)
    to_sync.executors.current = None
    to_async.deadlock_context.set(False)


def _own_anyio() -> None:
    """Give ``to_thread.run_sync`` a limit of the shadow's own: V2's calls in threads take none of V1's tokens."""
    module: Any = sys.modules.get(_ANYIO)
    if module is None:
        return
    backend = module.AsyncIOBackend
    original = backend.__dict__["current_default_thread_limiter"]
    if getattr(original, "of_shadow", False):
        return
    own = module.RunVar("_otel_shadow_thread_limiter")
    backend.current_default_thread_limiter = _Limiter(original, own, module.CapacityLimiter)


class _Limiter(classmethod):  # type: ignore[type-arg]
    """The default limiter of a loop: production's outside a shadow, another one inside."""

    of_shadow = True

    def __init__(self, original: Any, own: Any, make: Callable[[int], Any]) -> None:
        def current(cls: Any) -> Any:
            if SHADOW.get() is None:
                return original.__get__(None, cls)()
            try:
                return own.get()
            except LookupError:
                limiter = make(_TOKENS)
                own.set(limiter)
                return limiter

        super().__init__(current)
