"""What a node's writes say, without running the graph: the state fields they set, and where the graph goes next.

Limits: path functions run once more than in production; writes of nodes that run beside this one are not seen; a join
counts as a target when this node's part of it arrived; a deferred node is marked as one, whatever it still waits for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from langgraph.types import Command, Send

from otel_shadow import semconv
from otel_shadow._langgraph import internals
from otel_shadow._runtime.execution_result import Several

PARENT_PREFIX = "parent:"
"""Marks a target in the parent graph."""
DEFERRED_PREFIX = "deferred:"
"""Marks a node that runs when all others are done, and so maybe not next."""
_CALL_IN_CONTEXT = "tool_call_with_context"


class RoutingDecision(NamedTuple):
    """Where the graph goes after a node; nowhere yet, where the node failed or was interrupted."""

    targets: tuple[str, ...] = ()
    """Sorted node names; ``("__end__",)`` where nothing follows; ``parent:<node>`` in the parent graph,
    ``deferred:<node>`` for one that waits for all others."""
    sends: tuple[tuple[str, Any], ...] = ()
    """Node and argument of each ``Send``, by node, else in the order written."""


def decided(writes: Iterable[tuple[str, Any]], channels: Mapping[str, Any]) -> RoutingDecision:
    """Return the decision among ``writes`` to ``channels``: branches, joins and sends."""
    found: set[str] = set()
    sends: list[Send] = []
    for channel, value in writes:
        if channel.startswith(internals.BRANCH_PREFIX):
            found.add(_prefix(channel, channels) + channel.removeprefix(internals.BRANCH_PREFIX))
        elif channel.startswith(internals.JOIN_PREFIX):
            found.add(_prefix(channel, channels) + channel.rpartition(":")[2])
        elif channel == internals.TASKS and isinstance(value, Send):
            found.add(value.node)
            sends.append(value)
    return RoutingDecision(tuple(sorted(found)) or (semconv.END,), _by_node(sends))


def decided_by(command: Command[Any], here: Collection[str], channels: Mapping[str, Any]) -> RoutingDecision:
    """Return the decision of a command that left the node: for this graph if ``here`` names it, else for the parent.

    Arguments:
        channels: those of this graph.
    """
    prefix = "" if command.graph in here else PARENT_PREFIX
    goto: Any = command.goto
    goes: list[Any] = list(goto) if isinstance(goto, list | tuple) else [goto]
    sends = [item for item in goes if isinstance(item, Send)]
    found = {prefix + send.node for send in sends}
    for name in (str(item) for item in goes if not isinstance(item, Send)):
        found.add((prefix or _prefix(internals.BRANCH_PREFIX + name, channels)) + name)
    return RoutingDecision(tuple(sorted(found)) or (prefix + semconv.END,), _by_node(sends))


def _prefix(channel: str, channels: Mapping[str, Any]) -> str:
    return DEFERRED_PREFIX if isinstance(channels.get(channel), internals.DEFERRED) else ""


def _by_node(sends: Iterable[Send]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(((send.node, _sent(send.arg)) for send in sends), key=lambda pair: pair[0]))


def _sent(arg: Any) -> Any:
    """Return what a ``Send`` decides; an agent's carries a call of a tool and, for its context, the whole state.

    That state is what the node's own writes made of it, and those are compared by themselves, as configured.
    """
    if isinstance(arg, dict) and arg.get("__type") == _CALL_IN_CONTEXT:
        return arg.get("tool_call")
    return arg


def fields(writes: Iterable[tuple[str, Any]], known: Collection[str]) -> dict[str, Any]:
    """Return the state fields among ``writes``, by name; :class:`Several` values where one was written several times.

    A write to a channel that is not ``known`` is ignored by the graph, and here: its name could be anything.
    """
    found: dict[str, Any] = {}
    for channel, value in writes:
        decision = channel.startswith((internals.BRANCH_PREFIX, internals.JOIN_PREFIX))
        if decision or channel in internals.BOOKKEEPING or channel not in known:
            continue
        if channel not in found:
            found[channel] = value
        elif isinstance(found[channel], Several):
            found[channel].append(value)
        else:
            found[channel] = Several([found[channel], value])
    return found
