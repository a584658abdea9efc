"""Guards on classes, for what configuration alone can't isolate: graphs that V2 calls, caches, tools, thread pools.

Each replacement checks first whether its context is a shadow run's; outside one, the original runs with the arguments
that the replacement was given.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import copy_context
from functools import partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ContextThreadPoolExecutor
from langgraph.cache.base import BaseCache
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore

from otel_shadow._langgraph.isolation.direct_uses import guard_direct_uses, guard_saver
from otel_shadow._langgraph.isolation.langgraph_copies import copy_classes
from otel_shadow._langgraph.isolation.models import guard_model_caches
from otel_shadow._langgraph.isolation.remote import guard_servers
from otel_shadow._langgraph.isolation.states import guard_states
from otel_shadow._langgraph.isolation.stores import private_saver, private_store
from otel_shadow._langgraph.isolation.tools import guard_tools
from otel_shadow._langgraph.limits_of_v1 import watch_time_limits
from otel_shadow._langgraph.nested_runs import watch_nested_runs
from otel_shadow._langgraph.patches import Patches
from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow._runtime.observer import declare_targets
from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext

AnyPregel = Pregel[Any, Any, Any, Any]


class _Guards:
    """The guards, and the number of running shadow runs that need them."""

    def __init__(self) -> None:
        self._patches = Patches()
        self._leaving = False
        self._reset()
        on_fork(self._reset)

    def _reset(self) -> None:
        """Set the count to zero and make a lock: in the child of a fork, a thread that is gone may hold the old one."""
        self._lock = threading.Lock()
        self._running = 0

    def install(self) -> None:
        with self._lock:
            self._leaving = False
            if self._patches.installed:
                return
            _NOTED.clear()
            self._patches.replace(Pregel, "_defaults", _guarded_defaults)
            guard_states(self._patches)
            guard_direct_uses(self._patches)
            self._patches.replace(ContextThreadPoolExecutor, "submit", _submitted_to_daemons)
            guard_model_caches(self._patches)
            guard_tools(self._patches)
            guard_servers(self._patches)
            watch_time_limits(self._patches)
            watch_nested_runs(self._patches)
            copy_classes(self._patches)

    def uninstall(self) -> None:
        with self._lock:
            self._leaving = True
            self._leave()

    def note_saver(self, saver: Any) -> None:
        """Guard the class of a saver that is seen for the first time."""
        if isinstance(saver, BaseCheckpointSaver) and self._patches.installed:
            guard_saver(self._patches, type(saver))

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
    """Put every original back once no shadow run is left: one past its time limit may still call what is guarded."""
    _GUARDS.uninstall()


def guarded() -> AbstractContextManager[None]:
    """Return a context manager inside which the guards are not removed."""
    return _GUARDS


def _guarded_defaults(original: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """Give a graph that V2 calls a private saver and store in place of its own, and no cache."""

    @functools.wraps(original)
    def defaults(self: AnyPregel, config: RunnableConfig, **kwargs: Any) -> tuple[Any, ...]:
        resolved = original(self, config, **kwargs)
        scope = SHADOW.get()
        if scope is None:
            _note_nodes(self)
            return resolved
        return tuple(_private(scope, item) for item in resolved)

    return defaults


_NOTED: dict[int, weakref.ref[AnyPregel]] = {}
"""Graphs that have run and still live, by their ids."""


def _note_nodes(graph: AnyPregel) -> None:
    """Note the names of the graph's nodes: a node of a subgraph may name one of them as where to go next."""
    key = id(graph)
    known = _NOTED.get(key)
    if known is None or known() is not graph:
        _NOTED[key] = weakref.ref(graph, lambda _: _NOTED.pop(key, None))
        declare_targets(graph.nodes)
        _GUARDS.note_saver(graph.checkpointer)


def _private(scope: ShadowContext, item: Any) -> Any:
    if isinstance(item, BaseCheckpointSaver):
        return private_saver(scope, item)
    if isinstance(item, BaseStore):
        return private_store(scope, item)
    return None if isinstance(item, BaseCache) else item


def _submitted_to_daemons(original: Callable[..., Any]) -> Callable[..., Any]:
    """Run parallel steps of a chain, and parallel nodes of a graph, in daemon threads: they may hang at exit."""

    @functools.wraps(original)
    def submit(self: ContextThreadPoolExecutor, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if SHADOW.get() is None:
            return original(self, func, *args, **kwargs)
        pool: DaemonPool = vars(self).setdefault("_otel_shadow_pool", DaemonPool(self._max_workers))
        return pool.submit(partial(copy_context().run, func, *args, **kwargs))

    return submit
