"""What a node's writes say, without running the graph: the state fields they set, and where the graph goes next.

Limits: path functions run once more than in production; writes of nodes that run beside this one are not seen; a join
counts as a target when this node's part of it arrived.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable
from typing import Any

from langgraph.errors import ParentCommand
from langgraph.types import Command, Send

from otel_shadow import semconv
from otel_shadow._langgraph import internals
from otel_shadow._runtime.execution_result import Several

PARENT_PREFIX = "parent:"
"""Marks a target in the parent graph."""

SendArguments = tuple[tuple[str, Any], ...]
"""Node and argument of each ``Send``, in a stable order."""


def v1_targets(
    writes: Iterable[tuple[str, Any]], error: BaseException | None = None, here: Collection[str] = ()
) -> tuple[str, ...]:
    """Return where the graph goes after V1.

    Arguments:
        writes: V1's writes, read after its sequence returned.
        error: what V1 raised, if it did.
        here: names by which a command means this node's own graph.

    Returns:
        Sorted node names; ``("__end__",)`` where nothing follows; ``parent:<node>`` in the parent graph; nothing
        where V1 failed or was interrupted.
    """
    if error is None:
        return targets_of(writes)
    if isinstance(error, ParentCommand):
        return command_targets(error.args[0], here)
    return ()


def v1_sends(writes: Iterable[tuple[str, Any]], error: BaseException | None = None) -> SendArguments:
    """Return node and argument of each ``Send`` that V1 decided on."""
    if isinstance(error, ParentCommand):
        return command_sends(error.args[0])
    return sends_of(writes) if error is None else ()


def targets_of(writes: Iterable[tuple[str, Any]]) -> tuple[str, ...]:
    """Return the targets among ``writes``: branches, joins and sends; END where there is none."""
    found = set()
    for channel, value in writes:
        if channel.startswith(internals.BRANCH_PREFIX):
            found.add(channel.removeprefix(internals.BRANCH_PREFIX))
        elif channel.startswith(internals.JOIN_PREFIX):
            found.add(channel.rpartition(":")[2])
        elif channel == internals.TASKS and isinstance(value, Send):
            found.add(value.node)
    return tuple(sorted(found)) or (semconv.END,)


def sends_of(writes: Iterable[tuple[str, Any]]) -> SendArguments:
    """Return node and argument of each ``Send`` among ``writes``, by node, else in the order written."""
    sends = [
        (value.node, value.arg) for channel, value in writes if channel == internals.TASKS and isinstance(value, Send)
    ]
    return tuple(sorted(sends, key=lambda send: send[0]))


def command_targets(command: Command[Any], here: Collection[str]) -> tuple[str, ...]:
    """Return where a command that left the node goes: into this graph if it names it, else into the parent."""
    prefix = "" if command.graph in here else PARENT_PREFIX
    found = {prefix + (item.node if isinstance(item, Send) else str(item)) for item in _goto(command)}
    return tuple(sorted(found)) or (prefix + semconv.END,)


def command_sends(command: Command[Any]) -> SendArguments:
    """Return node and argument of each ``Send`` in a command."""
    return sends_of((internals.TASKS, item) for item in _goto(command))


def _goto(command: Command[Any]) -> list[Any]:
    goto: Any = command.goto
    return list(goto) if isinstance(goto, list | tuple) else [goto]


def fields(writes: Iterable[tuple[str, Any]], known: Container[str]) -> dict[str, Any]:
    """Return the state fields among ``writes``, by name, without the machinery's own channels.

    Arguments:
        writes: channel and value of each write.
        known: the graph's channels. A write to a channel that the graph lacks is ignored by the graph, and here: its
            name could be anything.

    Returns:
        The value of each field; :class:`Several` values where it was written several times.
    """
    found: dict[str, Any] = {}
    for channel, value in writes:
        if channel in internals.BOOKKEEPING or channel.startswith((internals.BRANCH_PREFIX, internals.JOIN_PREFIX)):
            continue
        if channel not in known:
            continue
        if channel not in found:
            found[channel] = value
        elif isinstance(found[channel], Several):
            found[channel].append(value)
        else:
            found[channel] = Several([found[channel], value])
    return found
