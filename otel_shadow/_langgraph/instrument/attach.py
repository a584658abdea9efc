"""Finds the nodes of a compiled graph that are to have a shadow, and gives them their sockets."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

from langgraph.pregel import Pregel

from otel_shadow._langgraph.instrument.mark import ShadowMark, mark_of
from otel_shadow._langgraph.instrument.node_wrapper import is_wrapped, unwrap, wrap
from otel_shadow._langgraph.process_run import Remote, importable
from otel_shadow._langgraph.v2 import coerce
from otel_shadow._runtime.manager import ShadowTrafficManager
from otel_shadow._runtime.node import ShadowedNode
from otel_shadow._runtime.redact import class_name
from otel_shadow.config import NodeTable
from otel_shadow.errors import ShadowError

logger = logging.getLogger("otel_shadow")

ResolveV2 = Callable[[str, str], Any]
"""``(graph name, node name) -> V2``: a callable or runnable, ``"self"`` (V2 = V1, a noise check), or None."""

_SELF = "self"
_PRIVATE = frozenset({"__start__"})


def attach(
    graph: Pregel[Any, Any, Any, Any], manager: ShadowTrafficManager, resolve: ResolveV2 | None = None
) -> list[str]:
    """Give a socket to each node of ``graph`` that has a V2: by mark, by ``resolve``, by ``[nodes.X]``.

    Returns:
        The names of the nodes that have one now. A V2 that can't be imported is logged; its node records
        ``not_implemented`` and V1 runs as ever.

    Raises:
        ConfigError: a V2 that is to run in a worker process can't.
    """
    name = graph.get_name()
    attached = []
    for key, node in graph.nodes.items():
        if key in _PRIVATE:
            continue
        mark = mark_of(node.bound)
        owner = (mark.manager if mark is not None else None) or manager
        table = _table(owner, name, key, mark)
        found = resolve(name, key) if resolve is not None else None
        v2 = (
            found
            if found is not None
            else (mark.v2 if mark is not None and mark.v2 is not None else table and table.v2)
        )
        if table is None and v2 is None:
            continue
        runnable = _runnable(v2, node.bound, key)
        if runnable is not None and table is not None and table.executor == "process":
            path = importable(node.bound if v2 == _SELF else v2, key, owner.config)
            runnable = Remote(path, runnable, owner.workers)
        site = _site(owner, graph, name, key, table or NodeTable(), mark)
        wrap(node, owner, site, runnable)
        if is_wrapped(node):
            attached.append(key)
    return attached


def detach(graph: Pregel[Any, Any, Any, Any], manager: ShadowTrafficManager | None = None) -> None:
    """Take the sockets of ``graph`` away: all, or those of ``manager``."""
    for node in graph.nodes.values():
        unwrap(node, manager)


def has_socket(graph: Pregel[Any, Any, Any, Any]) -> bool:
    """Whether a node of ``graph`` has a shadow."""
    return any(is_wrapped(node) for node in graph.nodes.values())


def _table(manager: ShadowTrafficManager, graph: str, node: str, mark: ShadowMark | None) -> NodeTable | None:
    """The node's configuration: ``shadow.toml`` over decorator arguments; None where there is neither."""
    written = manager.config.nodes.get(node)
    if written is not None and written.graph not in (None, graph):
        written = None
    if mark is None:
        return written
    own = dict(mark.options)
    if manager.config.flags.timeout_ms is not None:
        own.pop("timeout_ms", None)  # the file outranks the decorator, whichever table it says it in
    return NodeTable(**{**own, **(written.model_dump(exclude_unset=True) if written else {})})


def _site(
    manager: ShadowTrafficManager, graph: Any, name: str, node: str, table: NodeTable, mark: ShadowMark | None
) -> ShadowedNode:
    differ = mark.differ if mark is not None else None
    return manager.site(name, node, lambda: ShadowedNode(manager.config, name, node, graph.nodes, table, differ))


def _runnable(v2: Any, v1: Any, node: str) -> Any:
    try:
        if isinstance(v2, str) and v2 == _SELF:
            return v1
        return coerce(load(v2) if isinstance(v2, str) else v2) if v2 is not None else None
    except Exception as error:  # noqa: BLE001 - importing the user's module may raise anything
        why = str(error) if isinstance(error, ShadowError) else class_name(type(error))
        which = v2 if isinstance(v2, str) else class_name(type(v2))  # no repr: it may show keys, or raise
        logger.error("shadow %r: V2 %r can't be loaded (%s); recorded as not_implemented", node, which, why)
        return None


def load(path: str) -> Any:
    """The object at ``module:name``.

    Raises:
        ImportError: there is no such module.
        AttributeError: the module has no such name.
    """
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
