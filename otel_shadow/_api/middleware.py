"""The explicit API: a decorator for nodes, and a middleware for graphs that are better left as they are."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from pydantic import ValidationError

from otel_shadow._langgraph.instrument.import_hook import when_langgraph_is_imported
from otel_shadow._langgraph.instrument.mark import ATTRIBUTE, ShadowMark
from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.compare import Differ
from otel_shadow._runtime.manager import ShadowTrafficManager
from otel_shadow.config import NodeTable
from otel_shadow.errors import ConfigError, ShadowError

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
    """Mark a node: in a graph, ``v2`` runs in its shadow. Outside a graph it stays the plain function that it is.

    The function itself is returned, so that signature, injected parameters, drawing, schema and ``Command`` edges are
    LangGraph's to see as ever.

    Arguments:
        v2: the rewrite: a function, coroutine function, runnable, compiled graph or ``"module:name"``; ``"self"``
            runs V1 against itself; None takes what ``[nodes.X]`` of ``shadow.toml`` names.
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
        faults = [
            f"with_shadow_v2: {fault['loc'][0]}: got {fault['input']!r}; {fault['msg']}" for fault in error.errors()
        ]
        raise ConfigError(faults) from None
    mark = ShadowMark(v2, options, compare_with, manager)

    def decorate(node: Node) -> Node:
        watch_compilation()
        return _marked(node, mark)

    return decorate


class ShadowIntegrationMiddleware:
    """Shadows nodes of graphs without touching the functions.

    Arguments:
        v2: V2 by node name.
        manager: default: the process's own.
    """

    def __init__(self, v2: Mapping[str, Any] | None = None, manager: ShadowTrafficManager | None = None) -> None:
        self._v2 = dict(v2 or {})
        self._manager = manager

    @property
    def manager(self) -> ShadowTrafficManager:
        """The manager in use."""
        if self._manager is None:
            from otel_shadow._api.manager import default_manager

            self._manager = default_manager()
        return self._manager

    def wrap(self, name: str, v1: Node, v2: Any = None) -> Node:
        """A copy of node ``v1``, marked: its V2 is ``v2``, or what this middleware has under ``name``."""
        return with_shadow_v2(v2 if v2 is not None else self._v2.get(name), manager=self.manager)(_copy(v1))

    def attach(self, graph: Any) -> Any:
        """Give the nodes of a compiled graph their shadows, and return the graph.

        Raises:
            ConfigError: a V2 is named for a node that the graph does not have.
        """
        from otel_shadow._langgraph.instrument.attach import attach
        from otel_shadow._langgraph.isolation.guards import install_guards

        unknown = sorted(self._v2.keys() - graph.nodes.keys())
        if unknown:
            known = ", ".join(name for name in graph.nodes if not name.startswith("__"))
            raise ConfigError([f"graph {graph.get_name()!r} has no node {name!r}; it has {known}" for name in unknown])
        install_guards()
        attach(graph, self.manager, lambda _, node: self._v2.get(node))
        return graph

    def detach(self, graph: Any) -> Any:
        """Take the shadows of ``graph`` away, and return it."""
        from otel_shadow._langgraph.instrument.attach import detach

        detach(graph)
        return graph


def watch_compilation() -> None:
    """From now on, look for marks in each graph that is compiled. Imports LangGraph no earlier than the application."""
    when_langgraph_is_imported(_install)


def _install() -> None:
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
    """The process's own manager; None, and one line in the log, where file or environment are wrong.

    The code is right: a typing error in a variable, made while V2 is turned down at night, must not end production.
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
    """``node`` itself where it takes attributes (functions, most callable objects), else a wrapper of its kind."""
    if not inspect.ismethod(node):
        with suppress(AttributeError, TypeError, ValueError):  # slots, frozen dataclasses, classes in C, models
            setattr(node, ATTRIBUTE, mark)
            return node
    twin = _copy(node)
    setattr(twin, ATTRIBUTE, mark)
    return twin


def _copy(node: Node) -> Node:
    """A function that does what ``node`` does and is of the same kind: LangGraph asks for it."""
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
