"""The search of a compiled graph for nodes that are to have a shadow; each gets its V2."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any
from weakref import WeakSet

from langgraph.pregel import Pregel

from otel_shadow._langgraph.captured_call import classify, run_id
from otel_shadow._langgraph.instrument.mark import ShadowMark, mark_of
from otel_shadow._langgraph.instrument.missing_nodes import note_graph
from otel_shadow._langgraph.instrument.node_wrapper import is_wrapped, unwrap, wrap
from otel_shadow._langgraph.instrument.tool_names import tool_names
from otel_shadow._langgraph.process_run import Remote, importable
from otel_shadow._langgraph.v2_code import code_of
from otel_shadow._langgraph.v2_runnable import as_runnable, is_async
from otel_shadow._runtime.debug_mode import show
from otel_shadow._runtime.engine import Engine
from otel_shadow._runtime.node import ShadowedNode
from otel_shadow._runtime.redact import class_name, loggable
from otel_shadow._runtime.shadow_context import within_v2
from otel_shadow.config import NodeTable
from otel_shadow.errors import ShadowError

logger = logging.getLogger("otel_shadow")

ResolveV2 = Callable[[str, str], Any]
"""``(graph name, node name) -> V2``: a callable or runnable, ``"self"`` (V2 = V1, a noise check), or None."""

_SELF = "self"
_PRIVATE = frozenset({"__start__"})


def attach(graph: Pregel[Any, Any, Any, Any], engine: Engine, resolve: ResolveV2 | None = None) -> list[str]:
    """Make shadowed nodes of those nodes of ``graph`` that have a V2: by ``resolve``, by mark, by ``[nodes.X]``.

    Arguments:
        engine: runs the shadows of nodes whose mark names no manager of its own.
        resolve: names V2s; it outranks marks and configuration.

    Returns:
        The names of the nodes that are shadowed now. A V2 that can't be imported is logged; its node records
        ``not_implemented`` and V1 runs as ever.

    Raises:
        ConfigError: a V2 that is to run in a worker process can't.
    """
    graph_name = graph.get_name()
    attached: list[str] = []
    own_tools: frozenset[str] | None = None
    note_graph(engine, engine.config, graph_name, graph.nodes)
    for name, node in graph.nodes.items():
        if name in _PRIVATE:
            continue
        mark = mark_of(node.bound)
        owner = (mark.manager if mark is not None else None) or engine
        table = _table(owner, graph_name, name, mark)
        v2 = _v2(resolve(graph_name, name) if resolve is not None else None, mark, table)
        if table is None and v2 is None:
            continue
        table = table or NodeTable()
        runnable = _runnable(v2, node.bound, name)
        if runnable is not None and table.executor == "process":
            path = importable(node.bound if v2 == _SELF else v2, name, owner.config)
            runnable = Remote(path, runnable, owner.workers)
        own_tools = tool_names(graph) if own_tools is None else own_tools
        differ = mark.differ if mark is not None else None
        shadowed = ShadowedNode(
            owner.services,
            graph_name,
            name,
            graph.nodes,
            table,
            differ,
            classify,
            run_id=run_id,
            tools=own_tools | tool_names(runnable),
            code=code_of(v2, node.bound),
        )
        if runnable is not None and table.executor != "process" and is_async(runnable):
            _tell(shadowed)
        owner.add(shadowed)
        if wrap(node, shadowed, runnable):
            attached.append(name)
    return attached


def _exempt(v2: Any) -> Any:
    """Return ``v2``, whose graphs get no shadow themselves: those that it is, or is a chain of."""
    for graph in (v2, *getattr(v2, "steps", ())):
        if isinstance(graph, Pregel):
            _V2_GRAPHS.add(graph)
            detach(graph)
    return v2


_V2_GRAPHS: WeakSet[Pregel[Any, Any, Any, Any]] = WeakSet()


def is_v2(graph: Any) -> bool:
    """Return whether ``graph`` is the V2 of a node."""
    return graph in _V2_GRAPHS


def _tell(shadowed: ShadowedNode) -> None:
    """Say at the start what concerns an awaited V2: that it can't be tried, or that threads are not for it."""
    if shadowed.table.executor == "thread":
        logger.warning(
            'shadow %r: executor = "thread" is not for an awaited V2: it would need a loop beside V1\'s; it is taken '
            'as "auto", and the next release refuses it',
            shadowed.name,
        )
    if (why := shadowed.admission.hindrance) is not None:
        shadowed.admission.tell_untried(why)


def detach(graph: Pregel[Any, Any, Any, Any], engine: Engine | None = None) -> None:
    """Take the shadows of ``graph`` away: all, or those of ``engine``."""
    for node in graph.nodes.values():
        unwrap(node, engine.services if engine is not None else None)


def has_shadow(graph: Pregel[Any, Any, Any, Any]) -> bool:
    return any(is_wrapped(node) for node in graph.nodes.values())


def _table(engine: Engine, graph: str, node: str, mark: ShadowMark | None) -> NodeTable | None:
    """Return the node's configuration: ``shadow.toml`` over decorator arguments; None where there is neither."""
    written = engine.config.nodes.get(node)
    if written is not None and written.graph not in (None, graph):
        written = None
    if mark is None:
        return written
    own = dict(mark.options)
    if engine.config.flags.timeout_ms is not None:
        own.pop("timeout_ms", None)  # the file outranks the decorator, whichever table it says it in
    return NodeTable(**{**own, **(written.model_dump(exclude_unset=True) if written else {})})


def _v2(found: Any, mark: ShadowMark | None, table: NodeTable | None) -> Any:
    if found is not None:
        return found
    if mark is not None and mark.v2 is not None:
        return mark.v2
    return table.v2 if table is not None else None


def _runnable(v2: Any, v1: Any, node: str) -> Any:
    try:
        if isinstance(v2, str) and v2 == _SELF:
            return v1
        with within_v2():  # what its module compiles is a part of it
            found = resolve_name(v2) if isinstance(v2, str) else v2
        runnable = as_runnable(found) if found is not None else None
        return runnable if runnable is v1 else _exempt(runnable)
    except Exception as error:  # noqa: BLE001 - importing the user's module may raise anything
        told = loggable(error, ShadowError)
        show(f"the import of V2 of node {node!r}", error)
        which = v2 if isinstance(v2, str) else class_name(type(v2))  # no repr: it may show keys, or raise
        logger.error("shadow %r: V2 %r can't be loaded (%s); recorded as not_implemented", node, which, told)
        return None
