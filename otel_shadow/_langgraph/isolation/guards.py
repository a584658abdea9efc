"""What configuration alone can't stop inside a shadow, stopped at the class: other graphs, model caches, tools.

Everything asks first whether a shadow is active in its context; outside one, originals run with what they were given.
"""

from __future__ import annotations

import functools
import inspect
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.cache.base import BaseCache
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore

from otel_shadow._langgraph import internals
from otel_shadow._langgraph.isolation.cache import guard_llm_cache
from otel_shadow._langgraph.isolation.langgraph_copies import pin_classes
from otel_shadow._langgraph.isolation.pools import guard_pools
from otel_shadow._langgraph.isolation.private_stores import overlay_saver, overlay_store
from otel_shadow._langgraph.isolation.tools import guard_tools
from otel_shadow._langgraph.patches import Patches
from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext

AnyPregel = Pregel[Any, Any, Any, Any]
_STATE_METHODS = (
    "get_state", "aget_state", "get_state_history", "aget_state_history", "bulk_update_state", "abulk_update_state",
)  # fmt: skip
_PATCHES = Patches()
_LOCK = threading.Lock()


class _Watch:
    """How many shadows run, and whether the guards are to go when none does."""

    running = 0
    leaving = False


_WATCH = _Watch()


def install_guards() -> None:
    """Install the guards; a second call changes nothing."""
    with _LOCK:
        _WATCH.leaving = False
        if _PATCHES.installed:
            return
        _PATCHES.replace(Pregel, "_defaults", _guarded_defaults)
        for method in _STATE_METHODS:
            _PATCHES.replace(Pregel, method, _on_private_saver)
        guard_llm_cache(_PATCHES)
        guard_tools(_PATCHES)
        guard_pools(_PATCHES)
        pin_classes(_PATCHES)


def uninstall_guards() -> None:
    """Put every original back, as soon as no shadow runs: one that was given up may still call what is guarded."""
    with _LOCK:
        _WATCH.leaving = True
        _leave()


@contextmanager
def guarded() -> Iterator[None]:
    """While a shadow runs the guards stay."""
    with _LOCK:
        _WATCH.running += 1
    try:
        yield
    finally:
        with _LOCK:
            _WATCH.running = max(_WATCH.running - 1, 0)  # a child of a fork began at none
            _leave()


def _leave() -> None:
    if _WATCH.leaving and not _WATCH.running:
        _PATCHES.undo()


def _after_fork() -> None:
    """The shadows stayed with the parent, and one of them may have held the lock."""
    global _LOCK
    _LOCK = threading.Lock()
    _WATCH.running = 0


os.register_at_fork(after_in_child=_after_fork)


def _guarded_defaults(original: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """A graph that V2 calls brings its own saver, store and cache: it gets overlays of them."""

    @functools.wraps(original)
    def defaults(self: AnyPregel, config: RunnableConfig, **kwargs: Any) -> tuple[Any, ...]:
        resolved = original(self, config, **kwargs)
        scope = SHADOW.get()
        return resolved if scope is None else tuple(_private(scope, item) for item in resolved)

    return defaults


def _private(scope: ShadowContext, item: Any) -> Any:
    if isinstance(item, BaseCheckpointSaver):
        return overlay_saver(scope, item)
    if isinstance(item, BaseStore):
        return overlay_store(scope, item)
    return None if isinstance(item, BaseCache) else item


def _on_private_saver(original: Callable[..., Any]) -> Callable[..., Any]:
    """Reading and updating state go to the private saver: a live read may meet a connection that is being closed."""

    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def awaited(self: AnyPregel, config: RunnableConfig, *args: Any, **kwargs: Any) -> Any:
            return await original(self, _with_private_saver(self, config), *args, **kwargs)

        return awaited

    @functools.wraps(original)
    def method(self: AnyPregel, config: RunnableConfig, *args: Any, **kwargs: Any) -> Any:
        return original(self, _with_private_saver(self, config), *args, **kwargs)

    return method


def _with_private_saver(graph: AnyPregel, config: RunnableConfig) -> RunnableConfig:
    scope = SHADOW.get()
    configurable = (config or {}).get(internals.CONF, {})
    saver = configurable.get(internals.CHECKPOINTER, graph.checkpointer)
    if scope is None or not isinstance(saver, BaseCheckpointSaver):
        return config
    return {**config, internals.CONF: {**configurable, internals.CHECKPOINTER: overlay_saver(scope, saver)}}
