"""What is taken at the moment a node is called: one snapshot and a handful of references. Nothing is built here.

This is the only part of the isolation that runs on V1's path. Everything that V2 could share with production by
reference goes into one pickle together with the input, so that what was one object stays one object.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Hashable, Mapping
from functools import lru_cache, partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph._internal._config import recast_checkpoint_ns
from langgraph.pregel._algo import local_read

from otel_shadow.langgraph import names
from otel_shadow.langgraph.bundle import (
    INPUT,
    NODE_ERROR,
    NULL_RESUME,
    PREVIOUS,
    RESUME,
    UNCOPYABLE,
    bundle,
    channel_values,
    restored,
    split_context,
)
from otel_shadow.langgraph.generations import generation
from otel_shadow.langgraph.sqlite import note_file
from otel_shadow.runtime.side_effects import Recording
from otel_shadow.runtime.snapshot import Snapshot, SnapshotError, take

_WHOLE = "whole"
_KEPT = ("tags", "recursion_limit")
_NO_DECISION = names.BOOKKEEPING - {names.TASKS}


@lru_cache(256)
def _user_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Those among the keys of ``configurable`` that are not the machinery's own; runs of a graph have the same ones."""
    return tuple(key for key in keys if not key.startswith(names.PRIVATE_PREFIX))


class Captured:
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
        "_bundle", "_shared", "channel_copies", "channels", "config", "configurable", "context", "loop", "managed",
        "metadata", "null_resume", "recording", "resume_generation", "run_context", "size", "task", "task_id",
    )  # fmt: skip

    task_id: str | None
    resume_generation: Hashable
    """Equal for an execution and its retries, different for every other execution (after a resume, too)."""
    context: contextvars.Context
    """A copy of the context variables of the caller."""
    loop: asyncio.AbstractEventLoop | None
    """The loop the node was awaited on; None for a synchronous call."""
    size: int
    """Bytes that the snapshots hold."""
    recording: Recording | None
    """V1's own calls of tools, where some are to be replayed."""

    def __init__(self, value: Any, config: RunnableConfig, *, is_async: bool, largest: int = sys.maxsize) -> None:
        # The rest leads to the run itself, which must be gone when it ends, however long a shadow waits.
        self.config: dict[str, Any] = {key: config.get(key) for key in _KEPT if key in config}
        self.configurable: dict[str, Any] = dict(config.get(names.CONF) or {})
        self.configurable.pop(names.CALL, None)
        self.metadata: dict[str, Any] = dict(config.get("metadata") or {})
        self.task_id = self.configurable.get(names.TASK_ID)
        self.loop = asyncio.get_running_loop() if is_async else None
        self.recording = None
        self.context = contextvars.copy_context()
        self.context.run(var_child_runnable_config.set, None)  # it leads to the run; V2 gets a configuration of its own
        self._take_channels()
        self.resume_generation = generation(self.task.writes) if self.task is not None else object()
        self._bundle, self._shared = self._whole(value, largest) or bundle(value, self._beside())
        self.size = sum(part.size for part in self._bundle.values())

    def _take_channels(self) -> None:
        self.channels: Mapping[str, Any] = {}
        self.channel_copies: dict[str, Any] = {}
        self.managed: dict[str, Any] = {}
        self.task: Any = None
        read = self.configurable.get(names.READ)
        if isinstance(read, partial) and read.func is local_read:
            _, self.channels, self.managed, self.task = read.args
            for key, channel in self.channels.items():
                if type(channel) not in names.VALUE_CHANNELS:
                    self.channel_copies[key] = channel.copy()

    def _whole(self, value: Any, largest: int) -> tuple[dict[str, Snapshot], dict[str, Any]] | None:
        """Everything in one snapshot, as it nearly always goes; None where something has to be looked at by itself."""
        runtime = self.configurable.get(names.RUNTIME)
        scratchpad = self.configurable.get(names.SCRATCHPAD)
        run_context = runtime.context if runtime is not None else None
        if runtime is not None and runtime.store is not None:
            note_file(runtime.store)
        self.run_context: Any = dict(run_context) if type(run_context) is dict else run_context
        # a peek: True would steal V1's answer
        self.null_resume: Any = scratchpad.get_null_resume(False) if scratchpad is not None else None
        user = {key: self.configurable[key] for key in _user_keys(tuple(self.configurable))}
        if UNCOPYABLE:
            inside = run_context.values() if type(run_context) is dict else (run_context,)
            if any(type(item) in UNCOPYABLE for item in (*user.values(), *self.metadata.values(), *inside)):
                return None
        rest = (
            user,
            self.metadata,
            None if runtime is None else (runtime.previous, run_context),
            None if scratchpad is None else (scratchpad.resume, self.null_resume),
            self.configurable.get(names.NODE_ERROR) if names.NODE_ERROR is not None else None,
        )
        parts = (value, channel_values(self.channels), rest)  # conversations are in the first two
        try:
            return {_WHOLE: take(parts, largest)}, {}
        except SnapshotError:
            return None

    def _unpack(self, whole: tuple[Any, ...]) -> dict[str, Any]:
        """What :meth:`_whole` took, by name."""
        value, channels, (user, metadata, run, answers, node_error) = whole
        parts = {INPUT: value}
        parts.update((f"channel:{key}", item) for key, item in channels.items())
        parts.update((f"user:{key}", item) for key, item in user.items())
        parts.update((f"metadata:{key}", item) for key, item in metadata.items())
        if run is not None:
            parts[PREVIOUS] = run[0]
            parts.update(split_context(run[1]))
        if answers is not None:
            parts[RESUME], parts[NULL_RESUME] = answers
        if names.NODE_ERROR in self.configurable:
            parts[NODE_ERROR] = node_error
        return parts

    def _beside(self) -> dict[str, Any]:
        """Everything mutable besides the input that V2 will see, by name."""
        beside: dict[str, Any] = {f"channel:{key}": value for key, value in channel_values(self.channels).items()}
        for key, value in self.configurable.items():
            if not key.startswith(names.PRIVATE_PREFIX) and key not in names.COORDINATES:
                beside[f"user:{key}"] = value
        for key, value in self.metadata.items():
            beside[f"metadata:{key}"] = value
        runtime = self.configurable.get(names.RUNTIME)
        if runtime is not None:
            beside[PREVIOUS] = runtime.previous
            beside.update(split_context(runtime.context))
        scratchpad = self.configurable.get(names.SCRATCHPAD)
        if scratchpad is not None:
            beside[RESUME] = scratchpad.resume
            beside[NULL_RESUME] = self.null_resume
        if names.NODE_ERROR in self.configurable:
            beside[NODE_ERROR] = self.configurable[names.NODE_ERROR]
        return beside

    @property
    def here(self) -> tuple[str, ...]:
        """Names by which a command from a subgraph means this node's own graph, as production's runner knows it."""
        namespace = self.configurable.get(names.CHECKPOINT_NS)
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
        parts = dict(self._shared)
        for name, snapshot in self._bundle.items():
            part = restored(snapshot)
            if name == _WHOLE:
                return self._unpack(part)
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


def capture(value: Any, config: RunnableConfig, *, is_async: bool, largest: int = sys.maxsize) -> Captured:
    """Capture a node's call before V1 runs.

    Arguments:
        value: the node's input.
        config: its configuration.
        is_async: whether the node is awaited on the running loop.
        largest: bytes beyond which there is no snapshot.

    Raises:
        SnapshotError: the input can't be copied; everything else is best effort.
        TooLargeError: a snapshot would be larger than ``largest``.
    """
    return Captured(value, config, is_async=is_async, largest=largest)
