"""The one method of LangGraph that we wrap: ``StateGraph.compile``, to see each graph once it is built."""

from __future__ import annotations

import functools
import gc
import logging
from collections.abc import Callable
from typing import Any

from langgraph.graph.state import CompiledStateGraph, StateGraph

from otel_shadow.errors import ShadowError
from otel_shadow.langgraph.attach import detach
from otel_shadow.langgraph.guards import install_guards, uninstall_guards

logger = logging.getLogger("otel_shadow")

Attach = Callable[[Any], Any]

_attachers: list[Attach] = []
_original: Any = None


def install(attach: Attach, *, existing: bool = False) -> None:
    """Call ``attach(graph)`` for each graph that is compiled from now on.

    Arguments:
        attach: gives the graph's nodes their sockets.
        existing: also for the graphs that are there already.
    """
    global _original
    if attach not in _attachers:
        _attachers.append(attach)
    if _original is None:
        install_guards()
        _original = StateGraph.compile
        StateGraph.compile = _wrapped(_original)  # type: ignore[method-assign]
    if existing:
        for graph in _compiled():
            _offer(attach, graph)


def uninstall(attach: Attach) -> None:
    """Stop; with the last one gone, ``compile`` is the original again and no live graph has a socket."""
    global _original
    if attach in _attachers:
        _attachers.remove(attach)
    if _attachers or _original is None:
        return
    StateGraph.compile, _original = _original, None  # type: ignore[method-assign]
    uninstall_guards()
    for graph in _compiled():
        detach(graph)


def _wrapped(original: Any) -> Any:
    @functools.wraps(original)
    def compile(self: StateGraph[Any, Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        graph = original(self, *args, **kwargs)
        for attach in list(_attachers):
            _offer(attach, graph)
        return graph

    return compile


def _offer(attach: Attach, graph: Any) -> None:
    try:
        attach(graph)
    except ShadowError:
        raise  # the explicit API's wrong configuration; auto-instrumentation has checked its own before
    except Exception as error:  # noqa: BLE001 - the graph works without us
        logger.error("shadow: graph %r gets no shadow: %s", getattr(graph, "name", "?"), type(error).__name__)


def _compiled() -> list[Any]:
    return [thing for thing in gc.get_objects() if isinstance(thing, CompiledStateGraph)]
