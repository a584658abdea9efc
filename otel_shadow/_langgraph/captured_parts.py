"""The parts of a captured call: what V2 will see, and how they are copied one by one where not all can be copied."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from otel_shadow._langgraph import internals
from otel_shadow._runtime.snapshot import ATOMS, Snapshot, SnapshotError, take

Name = tuple[str, Any]
"""Group and key of one part."""
Run = tuple[Any, Any, Any, Any, Any]
"""What belongs to the run: from ``previous`` on, the fields of :class:`Parts`."""
Whole = tuple[Any, dict[str, Any], tuple[dict[str, Any], dict[str, Any], Run]]
"""Input, channels and the rest; conversations are in the first two, where a snapshot looks for them."""

_CONTEXT = 1
_MAX_CLASSES = 4096

UNCOPYABLE: set[type] = set()
"""Types of values beside the input that neither pickle nor ``deepcopy`` copied: clients, connections, locks."""


class Parts(NamedTuple):
    """Everything that a node's call can see, in fresh copies."""

    input: Any
    channels: dict[str, Any]
    """Values by name; of a topic, the list of its values."""
    user: dict[str, Any]
    """The configurable keys that are not LangGraph's own."""
    metadata: dict[str, Any]
    previous: Any
    context: Any
    resume: list[Any] | None
    null_resume: Any
    node_error: Any


def channel_values(channels: Mapping[str, Any], given: Any) -> tuple[dict[str, Any], list[str], dict[str, Any]]:
    """Read what ``channels`` hold, apart from what the node's input ``given`` holds as well; empty ones hold nothing.

    Returns:
        Values by channel; names of channels whose value is the input's own field of that name, as it nearly always is;
        copies of channels that have more state than one value.
    """
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
    return values, same, copies


class PartSnapshots:
    """Snapshots part by part, where one part can't be copied: that one is shared by reference, its class remembered.

    Stands in for one :class:`Snapshot` of the whole. An input that can't be copied is a SnapshotError.
    """

    def __init__(self, whole: Whole) -> None:
        value, channels, (user, metadata, run) = whole
        self._context = run[_CONTEXT]
        groups = ("channels", channels), ("user", user), ("metadata", metadata)
        parts: dict[Name, Any] = {(group, key): item for group, items in groups for key, item in items.items()}
        parts.update((("run", at), item) for at, item in enumerate(run))
        parts.update(_fields_of(parts.pop(("run", _CONTEXT))))
        self._shared = {name: item for name, item in parts.items() if type(item) in ATOMS or type(item) in UNCOPYABLE}
        self._single: dict[Name, Snapshot] = {}
        parts = {name: item for name, item in parts.items() if name not in self._shared}
        try:
            self._together = take((value, parts))
        except SnapshotError:  # something can't be copied, and only the input must be
            self._together = take((value, {}))
            self._take_each(parts)
        self.size = sum(part.size for part in (self._together, *self._single.values()))

    def _take_each(self, parts: dict[Name, Any]) -> None:
        while parts:
            name, item = parts.popitem()
            try:
                self._single[name] = take(item)
            except SnapshotError:
                if type(item) not in (dict, list, tuple, set):  # the next one of these may well be copyable
                    _remember(type(item))
                split = _fields_of(item) if name == ("run", _CONTEXT) else {name: item}
                if name in split:
                    self._shared[name] = item
                else:
                    parts.update(split)

    def restore(self) -> Whole:
        """Make fresh copies of all that was captured; aliases are kept within what was copied at once."""
        value, found = self._together.restore()
        found |= self._shared | {name: snapshot.restore() for name, snapshot in self._single.items()}
        groups: dict[str, dict[Any, Any]] = {"channels": {}, "user": {}, "metadata": {}, "run": {}, "context": {}}
        for (group, key), item in found.items():
            groups[group][key] = item
        previous, context, resume, null_resume, node_error = (groups["run"].get(at) for at in range(5))
        if type(self._context) is dict or groups["context"]:
            context = _with_fields(self._context, groups["context"])
        run = previous, context, resume, null_resume, node_error
        return value, groups["channels"], (groups["user"], groups["metadata"], run)


def _fields_of(context: Any) -> dict[Name, Any]:
    """Return the runtime context whole, or by fields where one of them may be a client that can't be copied."""
    if type(context) is dict:
        return {("context", key): value for key, value in context.items()}
    if type(context) in UNCOPYABLE and is_dataclass(context):
        return {("context", item.name): getattr(context, item.name) for item in fields(context)}
    return {("run", _CONTEXT): context}


def _with_fields(context: Any, changed: dict[str, Any]) -> Any:
    if type(context) is dict:
        return changed
    twin = copy.copy(context)
    for name, value in changed.items():
        object.__setattr__(twin, name, value)  # the dataclass may be frozen
    return twin


def _remember(kind: type) -> None:
    if len(UNCOPYABLE) >= _MAX_CLASSES:  # a program that makes classes as it runs
        UNCOPYABLE.clear()
    UNCOPYABLE.add(kind)
