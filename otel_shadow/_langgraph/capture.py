"""What is taken at the moment a node is called: one snapshot and a handful of references. Nothing is built here.

This is the only part of the isolation that runs on V1's path. Everything that V2 could share with production by
reference goes into one pickle together with the input, so that what was one object stays one object.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph._internal._config import recast_checkpoint_ns
from langgraph.pregel._algo import local_read

from otel_shadow._langgraph import internals
from otel_shadow._langgraph.bundle import (
    INPUT,
    NODE_ERROR,
    NULL_RESUME,
    PREVIOUS,
    RESUME,
    UNCOPYABLE,
    Bundle,
    bundle,
    channel_values,
    restored,
    split_context,
)
from otel_shadow._langgraph.isolation.sqlite import note_file
from otel_shadow._langgraph.retries import called_before
from otel_shadow._runtime.side_effects import Recording
from otel_shadow._runtime.snapshot import Snapshot, SnapshotError, take

_set_parent = var_child_runnable_config.set
_NO_DECISION = internals.BOOKKEEPING - {internals.TASKS}


@lru_cache(256)
def _user_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Those among the keys of ``configurable`` that are not the machinery's own; runs of a graph have the same ones."""
    return tuple(key for key in keys if not key.startswith(internals.PRIVATE_PREFIX))


class Capture:
    """One call of a node, ready to be repeated elsewhere.

    Arguments:
        value: the node's input.
        config: the configuration it was called with.
        is_async: whether it is awaited on the running loop.
        largest: bytes beyond which there is no snapshot.

    Raises:
        SnapshotError: the input can't be copied.
        TooLargeError: a snapshot would be larger than ``largest``.
    """

    __slots__ = (
        "_bundle", "_given", "_shared", "_whole", "channel_copies", "channels", "configurable", "context", "is_retry",
        "loop", "managed", "metadata", "null_resume", "recording", "recursion_limit", "run_context", "size", "tags",
        "task", "task_id",
    )  # fmt: skip

    task_id: str | None
    channels: Mapping[str, Any]
    managed: dict[str, Any]
    task: Any
    is_retry: bool
    """Whether the same execution was captured before, at an earlier attempt."""
    context: contextvars.Context
    """A copy of the context variables of the caller."""
    loop: asyncio.AbstractEventLoop | None
    """The loop the node was awaited on; None for a synchronous call."""
    size: int
    """Bytes that the snapshots hold."""
    recording: Recording | None
    """V1's own calls of tools, where some are to be replayed."""

    def __init__(self, value: Any, config: RunnableConfig, *, is_async: bool, largest: int = sys.maxsize) -> None:
        known = config.get(internals.CONF)
        configurable: dict[str, Any] = dict(known) if known else {}
        configurable.pop(internals.CALL, None)
        metadata = config.get("metadata")
        # The rest leads to the run itself, which must be gone when it ends, however long a shadow waits.
        self.tags = config.get("tags")
        self.recursion_limit = config.get("recursion_limit", 25)
        self.configurable = configurable
        self.metadata: dict[str, Any] = dict(metadata) if metadata else {}
        self.task_id = configurable.get(internals.TASK_ID)
        self.loop = asyncio.get_running_loop() if is_async else None
        self.recording = None
        self.context = context = contextvars.copy_context()
        context.run(_set_parent, None)  # it leads to the run; V2 gets a configuration of its own
        read = configurable.get(internals.READ)
        if isinstance(read, partial) and read.func is local_read:
            _, self.channels, self.managed, self.task = read.args
            values, self._given, self.channel_copies = channel_values(self.channels, value)
            self.is_retry = called_before(self.task.writes)
        else:
            self.channels, self.managed, self.task = {}, {}, None
            values, self._given, self.channel_copies = {}, [], {}
            self.is_retry = False
        self._bundle: Bundle = {}
        self._shared: dict[str, Any] = {}
        self._whole = self._take(value, values, largest)
        if self._whole is not None:
            self.size = self._whole.size
        else:
            values |= {key: value[key] for key in self._given}
            self._bundle, self._shared = bundle(value, self._beside(values))
            self.size = sum(part.size for part in self._bundle.values())

    def _take(self, value: Any, values: dict[str, Any], largest: int) -> Snapshot | None:
        """Everything in one snapshot, as it nearly always goes; None where something has to be looked at by itself."""
        configurable = self.configurable
        runtime = configurable.get(internals.RUNTIME)
        scratchpad = configurable.get(internals.SCRATCHPAD)
        run: tuple[Any, Any] | None = None
        self.run_context: Any = None
        if runtime is not None:
            if runtime.store is not None:
                note_file(runtime.store)
            context = runtime.context
            self.run_context = dict(context) if type(context) is dict else context
            run = runtime.previous, self.run_context
        answers: tuple[Any, Any] | None = None
        self.null_resume: Any = None
        if scratchpad is not None:
            self.null_resume = scratchpad.get_null_resume(False)  # a peek: True would steal V1's answer
            answers = scratchpad.resume, self.null_resume
        user = {key: configurable[key] for key in _user_keys(tuple(configurable))}
        if UNCOPYABLE:
            inside = self.run_context.values() if type(self.run_context) is dict else (self.run_context,)
            if any(type(item) in UNCOPYABLE for item in (*user.values(), *self.metadata.values(), *inside)):
                return None
        node_error = configurable.get(internals.NODE_ERROR) if internals.NODE_ERROR is not None else None
        try:  # conversations are in the first two
            return take((value, values, (user, self.metadata, run, answers, node_error)), largest)
        except SnapshotError:
            return None

    def _unpack(self, whole: tuple[Any, ...]) -> dict[str, Any]:
        """What :meth:`_take` took, by name."""
        value, channels, (user, metadata, run, answers, node_error) = whole
        parts = {INPUT: value}
        parts.update((f"channel:{key}", item) for key, item in channels.items())
        parts.update((f"channel:{key}", value[key]) for key in self._given)
        parts.update((f"user:{key}", item) for key, item in user.items())
        parts.update((f"metadata:{key}", item) for key, item in metadata.items())
        if run is not None:
            parts[PREVIOUS] = run[0]
            parts.update(split_context(run[1]))
        if answers is not None:
            parts[RESUME], parts[NULL_RESUME] = answers
        if internals.NODE_ERROR in self.configurable:
            parts[NODE_ERROR] = node_error
        return parts

    def _beside(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Everything mutable besides the input that V2 will see, by name."""
        beside: dict[str, Any] = {f"channel:{key}": value for key, value in values.items()}
        for key, value in self.configurable.items():
            if not key.startswith(internals.PRIVATE_PREFIX) and key not in internals.COORDINATES:
                beside[f"user:{key}"] = value
        for key, value in self.metadata.items():
            beside[f"metadata:{key}"] = value
        runtime = self.configurable.get(internals.RUNTIME)
        if runtime is not None:
            beside[PREVIOUS] = runtime.previous
            beside.update(split_context(runtime.context))
        scratchpad = self.configurable.get(internals.SCRATCHPAD)
        if scratchpad is not None:
            beside[RESUME] = scratchpad.resume
            beside[NULL_RESUME] = self.null_resume
        if internals.NODE_ERROR in self.configurable:
            beside[NODE_ERROR] = self.configurable[internals.NODE_ERROR]
        return beside

    @property
    def here(self) -> tuple[str, ...]:
        """Names by which a command from a subgraph means this node's own graph, as production's runner knows it."""
        namespace = self.configurable.get(internals.CHECKPOINT_NS)
        known = [namespace, recast_checkpoint_ns(namespace)] if namespace else []
        return (*known, *([self.task.name] if self.task is not None else []))

    @property
    def is_async(self) -> bool:
        """Whether the node was awaited."""
        return self.loop is not None

    def restore(self) -> dict[str, Any]:
        """Fresh copies of all that was captured, by name; aliases within it are kept. ``input`` is the node's input.

        Raises:
            SnapshotError: a class can be captured and not be made again.
        """
        if self._whole is not None:
            return self._unpack(restored(self._whole))
        parts = dict(self._shared)
        for name, snapshot in self._bundle.items():
            part = restored(snapshot)
            parts.update(part if name == "" else {name: part})
        return parts

    def state(self) -> Any:
        """A fresh copy of the input."""
        return self.restore()[INPUT]

    def writes(self) -> list[tuple[str, Any]]:
        """V1's writes so far: state fields, branches, joins and sends, no errors, questions or answers.

        They are complete once V1's sequence of node and writers has returned.
        """
        if self.task is None:
            return []
        return [write for write in list(self.task.writes) if write[0] not in _NO_DECISION]
