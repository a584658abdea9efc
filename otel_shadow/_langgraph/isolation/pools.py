"""The thread pools of LangChain and LangGraph inside a shadow: threads that may hang, and end with the process."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any

from langchain_core.runnables.config import ContextThreadPoolExecutor

from otel_shadow._langgraph.patches import Patches
from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow._runtime.shadow_context import SHADOW

_POOL = "_otel_shadow_pool"


def guard_pools(patches: Patches) -> None:
    """Parallel steps of a chain, and parallel nodes of a graph that is called, run in daemon threads in a shadow."""
    patches.replace(ContextThreadPoolExecutor, "submit", _submit)


def _submit(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def submit(self: ContextThreadPoolExecutor, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if SHADOW.get() is None:
            return original(self, func, *args, **kwargs)
        pool: DaemonPool = vars(self).setdefault(_POOL, DaemonPool(self._max_workers))
        return pool.submit(partial(copy_context().run, func, *args, **kwargs))

    return submit
