"""How the parts of a capture are copied: in one snapshot where they can be, one by one where one of them can't.

What no copy can be made of (clients, connections, locks) is shared by reference, and its class is remembered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from otel_shadow._langgraph import internals
from otel_shadow._runtime.redact import class_name
from otel_shadow._runtime.snapshot import ATOMS, Snapshot, SnapshotError, take

INPUT = "input"
CONTEXT = "context"
PREVIOUS = "previous"
RESUME = "resume"
NULL_RESUME = "null_resume"
NODE_ERROR = "node_error"
Bundle = dict[str, Snapshot]
"""Snapshots of single parts by name; the one named "" holds several."""

_MAX_CLASSES = 4096

UNCOPYABLE: set[type] = set()
"""Types of values beside the input that neither pickle nor ``deepcopy`` copied: clients, connections, locks."""


def split_context(context: Any) -> dict[str, Any]:
    """The runtime context whole, or by fields where one of them may be a client that can't be copied."""
    if type(context) is dict:
        return {f"{CONTEXT}.{key}": value for key, value in context.items()}
    if type(context) in UNCOPYABLE and is_dataclass(context):
        return {f"{CONTEXT}.{item.name}": getattr(context, item.name) for item in fields(context)}
    return {CONTEXT: context}


def bundle(value: Any, beside: dict[str, Any]) -> tuple[Bundle, dict[str, Any]]:
    """Snapshots, and what has to be shared by reference.

    Arguments:
        value: the node's input, which must be copied.
        beside: everything else, by name.

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


def _one_by_one(parts: dict[str, Any], shared: dict[str, Any]) -> tuple[Bundle, dict[str, Any]]:
    """Something among ``parts`` can't be copied: the input must be, the rest goes by reference where it has to."""
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


def restored(snapshot: Snapshot) -> Any:
    """A fresh copy.

    Raises:
        SnapshotError: a class can be captured and not be made again.
    """
    try:
        return snapshot.restore()
    except Exception as error:  # user classes raise anything from __setstate__ and the like
        raise SnapshotError(class_name(type(error))) from error


class Channels(NamedTuple):
    """What the channels hold; empty ones hold nothing.

    ``given`` names those whose value is the input's own field of that name, as it nearly always is; ``copies`` are
    channels of other kinds.
    """

    values: dict[str, Any]
    given: list[str]
    copies: dict[str, Any]


def channel_values(channels: Mapping[str, Any], given: Any) -> Channels:
    """What ``channels`` hold, apart from what the node's input ``given`` holds as well."""
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
