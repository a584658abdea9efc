"""What configuration alone can't stop inside a shadow, stopped at the class: other graphs, model caches, tools.

Everything asks first whether a shadow is active in its context; outside one, originals run with what they were given.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
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
from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext

AnyPregel = Pregel[Any, Any, Any, Any]
_STATE_METHODS = (
    "get_state", "aget_state", "get_state_history", "aget_state_history", "bulk_update_state", "abulk_update_state",
)  # fmt: skip


class _Guards:
    """The guards, and how many shadows run that still need them."""

    def __init__(self) -> None:
        self._patches = Patches()
        self._leaving = False
        self._reset()
        on_fork(self._reset)

    def _reset(self) -> None:
        """Begin at no shadow; in the child of a fork too, where one that stayed with the parent may hold the lock."""
        self._lock = threading.Lock()
        self._running = 0

    def install(self) -> None:
        with self._lock:
            self._leaving = False
            if self._patches.installed:
                return
            self._patches.replace(Pregel, "_defaults", _guarded_defaults)
            for method in _STATE_METHODS:
                self._patches.replace(Pregel, method, _on_private_saver)
            guard_llm_cache(self._patches)
            guard_tools(self._patches)
            guard_pools(self._patches)
            pin_classes(self._patches)

    def uninstall(self) -> None:
        with self._lock:
            self._leaving = True
            self._leave()

    def __enter__(self) -> None:
        with self._lock:
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running = max(self._running - 1, 0)  # a child of a fork began at none
            self._leave()

    def _leave(self) -> None:
        if self._leaving and not self._running:
            self._patches.undo()


_GUARDS = _Guards()


def install_guards() -> None:
    """Install the guards; a second call changes nothing."""
    _GUARDS.install()


def uninstall_guards() -> None:
    """Put every original back, as soon as no shadow runs: one that was given up may still call what is guarded."""
    _GUARDS.uninstall()


def guarded() -> AbstractContextManager[None]:
    """Return a context manager inside which the guards stay."""
    return _GUARDS


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
