"""The decorator: it marks a node, and graphs that are compiled from then on give the node its shadow."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from otel_shadow._langgraph.instrument.import_hook import when_langgraph_is_imported
from otel_shadow._langgraph.instrument.mark import ATTRIBUTE, ShadowMark
from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.compare import Differ
from otel_shadow.config import NodeTable
from otel_shadow.errors import ConfigError, ShadowError
from otel_shadow.validation import sentences

if TYPE_CHECKING:
    from otel_shadow._api.manager import ShadowTrafficManager

Node = TypeVar("Node", bound=Callable[..., Any])


def with_shadow_v2(
    v2: Any = None,
    *,
    compare: Mapping[str, Any] | None = None,
    compare_with: Differ | None = None,
    timeout_ms: int | None = None,
    sample: float | None = None,
    live: bool | None = None,
    manager: ShadowTrafficManager | None = None,
) -> Callable[[Node], Node]:
    """Mark a node: in a graph, ``v2`` runs in its shadow. Outside a graph the function does what it always did.

    The function itself is returned: LangGraph sees its signature, injected parameters, drawing, schema and ``Command``
    edges as they are.

    Arguments:
        v2: the rewrite: a function, coroutine function, runnable, compiled graph, ``"module:name"`` or
            ``"module:Class.method"``; ``"self"`` runs V1 against itself; None takes what ``[nodes.X]`` of
            ``shadow.toml`` names.
        compare: keys of ``[nodes.X.compare]``.
        compare_with: ``(v1 writes, v2 writes) -> names of the fields that differ``.
        timeout_ms: V2's time limit in milliseconds.
        sample: share of sessions that are shadowed, 0 to 1.
        live: whether V2 of this node may go live.
        manager: default: the process's own, from ``shadow.toml`` and the environment.

    Raises:
        ConfigError: an argument is out of range.
    """
    given = {"compare": compare, "timeout_ms": timeout_ms, "sample": sample, "live": live}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    try:
        NodeTable(**options)
    except ValidationError as error:
        raise ConfigError([f"with_shadow_v2: {told}" for told in sentences(error, NodeTable)]) from None
    mark = ShadowMark(v2, options, compare_with, manager)

    def decorate(node: Node) -> Node:
        when_langgraph_is_imported(_look_for_marks)
        return _marked(node, mark)

    return decorate


def _look_for_marks() -> None:
    from otel_shadow._langgraph.instrument.compile_hook import install

    install(_attach_marked)


def _attach_marked(graph: Any) -> None:
    from otel_shadow._langgraph.instrument.attach import attach
    from otel_shadow._langgraph.instrument.mark import mark_of

    marks = [mark for node in graph.nodes.values() if (mark := mark_of(node.bound)) is not None]
    if not marks:
        return
    manager = next((mark.manager for mark in marks if mark.manager is not None), None) or _shared()
    if manager is not None:
        attach(graph, manager)


_TOLD: set[str] = set()


def _shared() -> ShadowTrafficManager | None:
    """Return the process's own manager; None, and one line in the log, where file or environment are wrong.

    A typing error in an environment variable, made while V2 is turned down at night, must not stop production.
    """
    from otel_shadow._api.manager import default_manager

    try:
        return default_manager()
    except (ShadowError, OSError) as error:
        if str(error) not in _TOLD:
            _TOLD.add(str(error))
            say(logging.ERROR, "otel-shadow is off, the application runs V1 only: %s", error)
        return None


def _marked(node: Node, mark: ShadowMark) -> Node:
    """Return ``node`` itself where it takes attributes (functions, most callable objects), else a wrapper."""
    if not inspect.ismethod(node):
        with suppress(AttributeError, TypeError, ValueError):  # slots, frozen dataclasses, classes in C, models
            setattr(node, ATTRIBUTE, mark)
            return node
    twin = copied(node)
    setattr(twin, ATTRIBUTE, mark)
    return twin


def copied(node: Node) -> Node:
    """Return a function that does what ``node`` does and is of its kind, on which LangGraph's treatment depends."""
    call = getattr(node, "__call__", None)  # noqa: B004
    if inspect.isasyncgenfunction(node) or inspect.isasyncgenfunction(call):

        @functools.wraps(node)
        async def agenerated(*args: Any, **kwargs: Any) -> Any:
            async for part in node(*args, **kwargs):
                yield part

        return agenerated  # type: ignore[return-value]
    if inspect.isgeneratorfunction(node):

        @functools.wraps(node)
        def generated(*args: Any, **kwargs: Any) -> Any:
            return (yield from node(*args, **kwargs))

        return generated  # type: ignore[return-value]
    if inspect.iscoroutinefunction(node) or inspect.iscoroutinefunction(call):

        @functools.wraps(node)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return await node(*args, **kwargs)

        return awaited  # type: ignore[return-value]

    @functools.wraps(node)
    def called(*args: Any, **kwargs: Any) -> Any:
        return node(*args, **kwargs)

    return called  # type: ignore[return-value]
