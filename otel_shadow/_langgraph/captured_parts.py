"""The parts of a captured call: what the channels hold, and snapshots part by part where one part can't be copied.

What can't be copied (clients, connections, locks) is shared by reference, and its class is remembered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

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


def channel_values(
    channels: Mapping[str, Any], given: Any
) -> tuple[dict[str, Any], list[str], dict[str, Any]]:  # fmt: skip
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
    try:
        return {"": take({**parts, INPUT: value})}, shared
    except SnapshotError:  # something can't be copied, and only the input must be
        snapshots = {INPUT: take(value)}
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


def split_context(context: Any) -> dict[str, Any]:
    """Return the runtime context whole, or by fields where one of them may be a client that can't be copied."""
    if type(context) is dict:
        return {f"{CONTEXT}.{key}": value for key, value in context.items()}
    if type(context) in UNCOPYABLE and is_dataclass(context):
        return {f"{CONTEXT}.{item.name}": getattr(context, item.name) for item in fields(context)}
    return {CONTEXT: context}


def restored(snapshot: Snapshot) -> Any:
    """Return a fresh copy of what ``snapshot`` holds; its classes may fail at it, which is a ``SnapshotError``."""
    try:
        return snapshot.restore()
    except Exception as error:  # user classes raise anything from __setstate__ and the like
        raise SnapshotError(class_name(type(error))) from error


def _remember(kind: type) -> None:
    if len(UNCOPYABLE) >= _MAX_CLASSES:  # a program that makes classes as it runs
        UNCOPYABLE.clear()
    UNCOPYABLE.add(kind)
