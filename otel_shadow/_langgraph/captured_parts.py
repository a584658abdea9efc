"""What a capture holds: snapshots by name, references to what no copy can be made of, and how they are read back.

What can be copied goes into one snapshot, so that what was one object stays one object. Where one part can't be copied
(clients, connections, locks), it is shared by reference, its class is remembered, and the rest is copied part by part.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from langgraph._internal._config import recast_checkpoint_ns

from otel_shadow._langgraph import internals
from otel_shadow._runtime.redact import class_name
from otel_shadow._runtime.snapshot import ATOMS, Snapshot, SnapshotError, take

INPUT = "input"
CONTEXT = "context"
PREVIOUS = "previous"
RESUME = "resume"
NULL_RESUME = "null_resume"
NODE_ERROR = "node_error"
Snapshots = dict[str, Snapshot]
"""Snapshots of single parts by name; the one named "" holds several."""

_MAX_CLASSES = 4096

UNCOPYABLE: set[type] = set()
"""Types of values beside the input that neither pickle nor ``deepcopy`` copied: clients, connections, locks."""


class CapturedParts:
    """What was taken of a node's call before V1 ran."""

    channels: Mapping[str, Any]
    """The run's channels; production writes to them, only their classes and names are read."""
    channel_copies: dict[str, Any]
    """Copies of channels that have more state than one value."""
    configurable: dict[str, Any]
    context: contextvars.Context
    """A copy of the context variables of the caller."""
    given: list[str]
    """Names of channels whose value is the input's own field of that name."""
    loop: asyncio.AbstractEventLoop | None
    """The loop the node was awaited on; None for a synchronous call."""
    managed: dict[str, Any]
    metadata: dict[str, Any]
    null_resume: Any
    recursion_limit: int
    run_context: Any
    shared: dict[str, Any]
    """Parts that are shared by reference."""
    snapshots: Snapshots
    tags: list[str] | None
    task: Any
    whole: Snapshot | None
    """One snapshot of everything, as it nearly always is; None: see ``snapshots`` and ``shared``."""

    @property
    def here(self) -> tuple[str, ...]:
        """Names by which a command from a subgraph means this node's own graph, as production's runner knows it."""
        namespace = self.configurable.get(internals.CHECKPOINT_NS)
        known = [namespace, recast_checkpoint_ns(namespace)] if namespace else []
        return (*known, *([self.task.name] if self.task is not None else []))

    def restore(self) -> dict[str, Any]:
        """Make fresh copies of all that was captured, by name; aliases within it are kept.

        Raises:
            SnapshotError: a class can be captured and not be made again.
        """
        if self.whole is not None:
            return self._unpacked(_restored(self.whole))
        parts = dict(self.shared)
        for name, snapshot in self.snapshots.items():
            part = _restored(snapshot)
            parts.update(part if name == "" else {name: part})
        return parts

    def _unpacked(self, whole: tuple[Any, ...]) -> dict[str, Any]:
        value, channels, (user, metadata, run, answers, node_error) = whole
        parts = {INPUT: value}
        parts.update((f"channel:{key}", item) for key, item in channels.items())
        parts.update((f"channel:{key}", value[key]) for key in self.given)
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


def _restored(snapshot: Snapshot) -> Any:
    try:
        return snapshot.restore()
    except Exception as error:  # user classes raise anything from __setstate__ and the like
        raise SnapshotError(class_name(type(error))) from error


def split_context(context: Any) -> dict[str, Any]:
    """Return the runtime context whole, or by fields where one of them may be a client that can't be copied."""
    if type(context) is dict:
        return {f"{CONTEXT}.{key}": value for key, value in context.items()}
    if type(context) in UNCOPYABLE and is_dataclass(context):
        return {f"{CONTEXT}.{item.name}": getattr(context, item.name) for item in fields(context)}
    return {CONTEXT: context}


def snapshots_of(value: Any, beside: dict[str, Any]) -> tuple[Snapshots, dict[str, Any]]:
    """Take snapshots part by part where needed.

    Arguments:
        value: the node's input, which must be copied.
        beside: everything else, by name.

    Returns:
        The snapshots, and the parts that have to be shared by reference.

    Raises:
        SnapshotError: the input can't be copied.
    """
    shared = {name: item for name, item in beside.items() if type(item) in ATOMS or type(item) in UNCOPYABLE}
    parts = {name: item for name, item in beside.items() if name not in shared}
    parts[INPUT] = value
    try:
        return {"": take(parts)}, shared
    except SnapshotError:
        return _one_by_one(parts, shared)


def _one_by_one(parts: dict[str, Any], shared: dict[str, Any]) -> tuple[Snapshots, dict[str, Any]]:
    """Take snapshots one by one: something among ``parts`` can't be copied, and only the input must be."""
    snapshots = {INPUT: take(parts.pop(INPUT))}
    while parts:
        name, item = parts.popitem()
        try:
            snapshots[name] = take(item)
        except SnapshotError:
            if type(item) not in (dict, list, tuple, set):  # the next one of these may well be copyable
                _remember(type(item))
            split = split_context(item) if name == CONTEXT else {}
            if name in split or not split:
                shared[name] = item
            else:
                parts.update(split)
    return snapshots, shared


def _remember(kind: type) -> None:
    if len(UNCOPYABLE) >= _MAX_CLASSES:  # a program that makes classes as it runs
        UNCOPYABLE.clear()
    UNCOPYABLE.add(kind)


class Channels(NamedTuple):
    """What the channels hold; empty ones hold nothing.

    Arguments:
        values: values by channel, apart from those that are ``given``.
        given: names of channels whose value is the input's own field of that name, as it nearly always is.
        copies: copies of channels that have more state than one value.
    """

    values: dict[str, Any]
    given: list[str]
    copies: dict[str, Any]


def channel_values(channels: Mapping[str, Any], given: Any) -> Channels:
    """Read what ``channels`` hold, apart from what the node's input ``given`` holds as well."""
    simple, missing, topic, tasks = internals.VALUE_CHANNELS, internals.MISSING, internals.TOPIC, internals.TASKS
    fields_of = given if type(given) is dict else {}
    values: dict[str, Any] = {}
    same: list[str] = []
    copies: dict[str, Any] = {}
    for key, channel in channels.items():
        kind = type(channel)
        if kind in simple:
            value = channel.value
            if value is missing:
                continue
            if fields_of.get(key, missing) is value:
                same.append(key)
            else:
                values[key] = value
        elif kind is not topic:
            copies[key] = channel.copy()
        elif channel.values:
            copies[key] = channel.copy()
            if key != tasks:
                values[key] = channel.values
    return Channels(values, same, copies)
