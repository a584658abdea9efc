"""The hook on the making of graphs: ``StateGraph.compile`` and ``@entrypoint`` are wrapped, and pass on each graph."""

from __future__ import annotations

import functools
import gc
import logging
from collections.abc import Callable
from itertools import compress
from typing import Any

from langgraph.func import entrypoint
from langgraph.graph.state import StateGraph
from langgraph.pregel import Pregel

from otel_shadow._langgraph.instrument.attach import detach, has_shadow, is_v2
from otel_shadow._langgraph.instrument.missing_nodes import stop_watching
from otel_shadow._langgraph.isolation.guards import install_guards, uninstall_guards
from otel_shadow._langgraph.patches import Patches
from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.debug_mode import show
from otel_shadow._runtime.redact import class_name
from otel_shadow._runtime.shadow_context import in_v2
from otel_shadow.errors import ShadowError

Attach = Callable[[Any], Any]

_attachers: list[Attach] = []
_patches = Patches()


def install(attach: Attach, *, existing: bool = False) -> None:
    """Call ``attach(graph)`` for each graph that is compiled from now on.

    Arguments:
        attach: gives the graph's nodes their shadows.
        existing: also for the graphs that are there already.
    """
    new = attach not in _attachers
    if new:
        _attachers.append(attach)
    install_guards()  # also where another attacher came first: the guards may have been taken away since
    if not _patches.installed:
        _patches.replace(StateGraph, "compile", _wrapped)
        _patches.replace(entrypoint, "__call__", _wrapped)
    if existing and new:  # an attacher that was there has got each graph when it was compiled
        for graph in _compiled():
            _offer(attach, graph)


def uninstall(attach: Attach, manager: Any = None) -> None:
    """Undo :func:`install`, and take the shadows of ``manager`` from live graphs; guards stay for what still runs."""
    if attach in _attachers:
        _attachers.remove(attach)
    for graph in _compiled():
        detach(graph, manager)
    if not _attachers:
        _patches.undo()
        stop_watching()


def clean_up() -> None:
    """Put LangGraph back as it was, if no graph has a shadow; to be called when no shadow run waits any more."""
    if not _attachers and not any(has_shadow(graph) for graph in _compiled()):
        uninstall_guards()


def _wrapped(original: Any) -> Any:
    @functools.wraps(original)
    def build(self: Any, *args: Any, **kwargs: Any) -> Any:
        graph = original(self, *args, **kwargs)
        if in_v2():
            say(logging.DEBUG, "otel-shadow: graph %r is a part of V2, and gets no shadow", graph.get_name())
            return graph
        for attach in list(_attachers):
            _offer(attach, graph)
        return graph

    return build


def _offer(attach: Attach, graph: Any) -> None:
    if is_v2(graph):
        return
    try:
        attach(graph)
    except ShadowError:
        raise  # the explicit API's wrong configuration; auto-instrumentation has checked its own before
    except Exception as error:  # noqa: BLE001 - the graph works without a shadow
        show(f"the search of graph {graph.get_name()!r} for nodes", error)
        say(logging.ERROR, "shadow: graph %r gets no shadow: %s", graph.get_name(), class_name(type(error)))


def _compiled() -> list[Any]:
    # not isinstance: it asks every object there is for its __class__, and lazy ones then load what they stand for;
    # and each class is asked once: Pregel is an abstract class, whose issubclass is slow beside a million objects
    things = gc.get_objects()
    kinds = {kind for kind in set(map(type, things)) if issubclass(kind, Pregel)}
    return list(compress(things, map(kinds.__contains__, map(type, things))))
