"""What V2 runs with: the user's keys, stand-ins for everything that reaches production, and context variables.

Built off V1's path from what was captured. What is not set here is dropped on purpose: the stream, resuming, replay
state, resume map, the runner's submit and its observers.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackHandler, CallbackManager
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tracers import context as tracers
from langgraph._internal._config import recast_checkpoint_ns
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.pregel._algo import PregelTaskWrites, local_read

from otel_shadow._langgraph import internals
from otel_shadow._langgraph.captured_call import CapturedCall
from otel_shadow._langgraph.captured_parts import Parts
from otel_shadow._langgraph.isolation.models import TokenCounter
from otel_shadow._langgraph.isolation.stores import private_saver, private_store
from otel_shadow._langgraph.isolation.tasks import LocalCalls, new_id
from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext

_TAG = "otel_shadow"
"""Tag and metadata key of everything that runs inside a shadow."""
_SILENT = BaseCallbackHandler()


@dataclass(slots=True)
class Isolation:
    """The isolation of one shadow run: what V2 is called with, and where its effects go."""

    state: Any
    config: RunnableConfig
    scope: ShadowContext
    here: tuple[str, ...]
    """Names by which a ``Command(graph=…)`` means the graph of this node."""
    calls: LocalCalls
    writes: deque[tuple[str, Any]]
    """V2's and those of the node's writers."""
    custom: list[Any]
    """What V2 wrote to the stream."""
    channels: Mapping[str, Any]
    """Production's; only their names and classes are read."""


def isolate(captured: CapturedCall, scope: ShadowContext, *, is_async: bool) -> Isolation:
    """Build the isolation of a V2 that runs on what was captured; ``is_async``: whether V2 is awaited."""
    parts = captured.restore()
    calls, writes, custom = LocalCalls(), deque(), []  # type: tuple[LocalCalls, deque[tuple[str, Any]], list[Any]]
    configurable = {key: item for key, item in parts.user.items() if key not in internals.COORDINATES}
    configurable.update(_identity(captured, new_id()))
    configurable.update(_machinery(captured, parts, scope))
    configurable[internals.SEND] = writes.extend
    if captured.task is not None:
        task = PregelTaskWrites(captured.task.path, captured.task.name, writes, captured.task.triggers)
        scratchpad: Any = configurable.get(internals.SCRATCHPAD)
        configurable[internals.READ] = partial(
            local_read, scratchpad, _channels(captured, parts), captured.managed, task
        )
    if (runtime := captured.configurable.get(internals.RUNTIME)) is not None:
        store = private_store(scope, runtime.store, captured.loop) if runtime.store is not None else None
        configurable[internals.RUNTIME] = _runtime(runtime, parts, store, custom, configurable)
    config: RunnableConfig = {
        "tags": [*(captured.tags or []), _TAG],
        "metadata": parts.metadata | {_TAG: True},
        "callbacks": callbacks(scope, is_async),
        "recursion_limit": captured.recursion_limit,
        internals.CONF: configurable,
    }
    configurable[internals.CALL] = calls.bind(config)
    own = configurable[internals.CHECKPOINT_NS]
    here = (*captured.here, own, recast_checkpoint_ns(own))
    return Isolation(parts.input, config, scope, here, calls, writes, custom, captured.channels)


def callbacks(scope: ShadowContext, is_async: bool) -> AsyncCallbackManager | CallbackManager:
    """Make the callback manager of V2's runs: it counts tokens and calls no handler of production."""
    counter = TokenCounter(scope.tokens)
    manager = AsyncCallbackManager if is_async else CallbackManager
    return manager(handlers=[counter], inheritable_handlers=[counter])


def enter_shadow(scope: ShadowContext, config: RunnableConfig) -> None:
    """Make the current context the shadow run's, without any variable through which V2 would reach production.

    To be called in a copied context: nothing is put back.
    """
    SHADOW.set(scope)
    var_child_runnable_config.set(config)
    # Usage counters, run collectors and tracers that production keeps in context variables. One that an environment
    # variable switches on would be made anew where the variable holds nothing.
    for variable, _, _, switch in tracers._configure_hooks:
        variable.set(_SILENT if switch is not None else None)
    from langsmith.run_helpers import _set_tracing_context

    # enabled False, not None: with None the environment decides, which enables it in production
    _set_tracing_context(
        {"parent": None, "enabled": False, "project_name": None, "tags": None, "metadata": None, "client": None}
    )


def _identity(captured: CapturedCall, task_id: str) -> dict[str, Any]:
    """Make a task and a checkpoint namespace of V2's own, so that nothing it saves meets production's."""
    namespace: str = captured.configurable.get(internals.CHECKPOINT_NS) or "shadow:"
    return {
        internals.TASK_ID: task_id,
        internals.CHECKPOINT_NS: namespace.rpartition(internals.NS_END)[0] + internals.NS_END + task_id,
        internals.CHECKPOINT_ID: None,
        internals.CHECKPOINT_MAP: {},
    }


def _machinery(captured: CapturedCall, parts: Parts, scope: ShadowContext) -> dict[str, Any]:
    known = captured.configurable
    saver = known.get(internals.CHECKPOINTER)
    # without a saver in production the key stays, as None: it outranks a subgraph's own saver
    made: dict[str, Any] = {internals.CHECKPOINTER: None}
    if isinstance(saver, BaseCheckpointSaver) and internals.THREAD_ID in known:
        made[internals.CHECKPOINTER] = private_saver(scope, saver)
    if (scratchpad := known.get(internals.SCRATCHPAD)) is not None:  # V1's own answers stay where they are
        answers = internals.Answers(list(parts.resume or []), parts.null_resume)
        made[internals.SCRATCHPAD] = replace(scratchpad, **answers.fields())  # keeps fields that other versions have
    if internals.CACHE is not None:
        made[internals.CACHE] = None
    if internals.DURABILITY is not None:
        made[internals.DURABILITY] = "exit"
    if internals.NODE_ERROR is not None and internals.NODE_ERROR in known:
        made[internals.NODE_ERROR] = parts.node_error
    return made


def _runtime(runtime: Any, parts: Parts, store: Any, custom: list[Any], own: Mapping[str, Any]) -> Any:
    known = {item.name for item in fields(runtime)}
    changes: dict[str, Any] = {
        "stream_writer": custom.append,
        "context": parts.context,
        "previous": parts.previous,
        "store": store,
    }
    if "heartbeat" in known:
        changes["heartbeat"] = lambda: None  # V2 keeps no idle timeout of production's alive
    if "control" in known:
        from langgraph.runtime import RunControl

        changes["control"] = RunControl()
    if "execution_info" in known and runtime.execution_info is not None:
        changes["execution_info"] = runtime.execution_info.patch(
            task_id=own[internals.TASK_ID], checkpoint_ns=own[internals.CHECKPOINT_NS]
        )
    return runtime.override(**changes)


def _channels(captured: CapturedCall, parts: Parts) -> dict[str, Any]:
    rebuilt: dict[str, Any] = {}
    for key, channel in captured.channels.items():
        kept = captured.channel_copies.get(key)
        twin = kept.copy() if kept is not None else _empty(channel)
        if (value := parts.channels.get(key, internals.MISSING)) is not internals.MISSING:
            setattr(twin, "values" if type(twin) is internals.TOPIC else "value", value)
        rebuilt[key] = twin
    return rebuilt


def _empty(channel: Any) -> Any:
    twin = copy.copy(channel)  # keeps key, type, reducer; its value is production's, so it goes
    if type(twin) is internals.TOPIC:
        twin.values = []
    else:
        twin.value = internals.MISSING
    return twin
