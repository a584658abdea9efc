"""Reads and updates of a graph's state inside a shadow: V2's own, else what V1 read; never production's saver.

A live read may meet a connection that is being closed. So what V1 reads is kept while it reads (``nested_runs``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import wraps
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.pregel import Pregel

from otel_shadow._langgraph import internals
from otel_shadow._langgraph.isolation.stores import private_saver
from otel_shadow._langgraph.nested_runs import address_of, akept, keepers, kept, recorded
from otel_shadow._langgraph.patches import Patches, changing_arguments
from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext

AnyPregel = Pregel[Any, Any, Any, Any]
READS = "reads"
"""Key of V1's reads in the state of a shadow run."""
_SEEN = "reads_seen"


def guard_states(patches: Patches) -> None:
    """Send reads and updates of state inside a shadow to the private saver, and keep what V1 reads."""
    for method in ("bulk_update_state", "abulk_update_state"):
        patches.replace(Pregel, method, changing_arguments(_on_private_saver))
    patches.replace(Pregel, "get_state", _get_state)
    patches.replace(Pregel, "aget_state", _aget_state)
    patches.replace(Pregel, "get_state_history", _get_state_history)
    patches.replace(Pregel, "aget_state_history", _aget_state_history)


def _get_state(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def get_state(self: AnyPregel, config: RunnableConfig, **kwargs: Any) -> Any:
        scope = SHADOW.get()
        if scope is None:
            state = original(self, config, **kwargs)
            for keep in keepers(address_of(self, config, "state", kwargs)):
                keep(state)
            return state
        found = _found(scope, self, config, "state", kwargs)
        return found[0] if found else original(self, _privately(scope, self, config), **kwargs)

    return get_state


def _aget_state(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def aget_state(self: AnyPregel, config: RunnableConfig, **kwargs: Any) -> Any:
        scope = SHADOW.get()
        if scope is None:
            state = await original(self, config, **kwargs)
            for keep in keepers(address_of(self, config, "state", kwargs)):
                keep(state)
            return state
        found = _found(scope, self, config, "state", kwargs)
        return found[0] if found else await original(self, _privately(scope, self, config), **kwargs)

    return aget_state


def _get_state_history(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def get_state_history(self: AnyPregel, config: RunnableConfig, **kwargs: Any) -> Any:
        scope = SHADOW.get()
        if scope is None:
            states = original(self, config, **kwargs)
            keep = keepers(address_of(self, config, "history", kwargs))
            return kept(states, keep) if keep else states
        found = _found(scope, self, config, "history", kwargs)
        return iter(found) if found else original(self, _privately(scope, self, config), **kwargs)

    return get_state_history


def _aget_state_history(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def aget_state_history(self: AnyPregel, config: RunnableConfig, **kwargs: Any) -> Any:
        scope = SHADOW.get()
        if scope is None:
            states = original(self, config, **kwargs)
            keep = keepers(address_of(self, config, "history", kwargs))
            return akept(states, keep) if keep else states
        found = _found(scope, self, config, "history", kwargs)
        return _awaited(found) if found else original(self, _privately(scope, self, config), **kwargs)

    return aget_state_history


async def _awaited(states: list[Any]) -> AsyncIterator[Any]:
    for state in states:
        yield state


def _found(
    scope: ShadowContext, graph: AnyPregel, config: RunnableConfig, kind: str, more: dict[str, Any]
) -> list[Any] | None:
    """Return what V1 read there, unless V2 has written there itself."""
    reads = scope.state.get(READS)
    if not reads or _has_own(scope, graph, config):
        return None
    return recorded(reads, address_of(graph, config, kind, more), scope.state.setdefault(_SEEN, {}))


def _has_own(scope: ShadowContext, graph: AnyPregel, config: RunnableConfig) -> bool:
    saver = _saver(graph, config)
    if not isinstance(saver, BaseCheckpointSaver):
        return False
    conf = config.get(internals.CONF, {})
    kept_here = private_saver(scope, saver).storage.get(str(conf.get(internals.THREAD_ID)), {})
    return bool(kept_here.get(conf.get(internals.CHECKPOINT_NS) or ""))


def _saver(graph: AnyPregel, config: RunnableConfig) -> Any:
    return (config or {}).get(internals.CONF, {}).get(internals.CHECKPOINTER, graph.checkpointer)


def _on_private_saver(
    graph: AnyPregel, config: RunnableConfig, *args: Any, **kwargs: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    scope = SHADOW.get()
    return (graph, config if scope is None else _privately(scope, graph, config), *args), kwargs


def _privately(scope: ShadowContext, graph: AnyPregel, config: RunnableConfig) -> RunnableConfig:
    """Return ``config`` with the private saver in place of the one that it, or the graph, names."""
    saver = _saver(graph, config)
    if not isinstance(saver, BaseCheckpointSaver):
        return config
    configurable = (config or {}).get(internals.CONF, {})
    return {**config, internals.CONF: {**configurable, internals.CHECKPOINTER: private_saver(scope, saver)}}
