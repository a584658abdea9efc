"""Nodes of ``shadow.toml`` that no graph has: told once, when the first run of a graph ends."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from difflib import get_close_matches
from typing import Any
from weakref import WeakKeyDictionary, ref

from langgraph.pregel._loop import AsyncPregelLoop, SyncPregelLoop

from otel_shadow._langgraph.patches import Patches
from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.shadow_context import in_v2
from otel_shadow.config import ShadowConfig

_patches = Patches()
_waiting: list[ref[MissingNodes]] = []
_known: WeakKeyDictionary[Any, MissingNodes] = WeakKeyDictionary()


def note_graph(owner: Any, config: ShadowConfig, graph: str, nodes: Collection[str]) -> None:
    """Note that the graph of this name, with these nodes, was searched for those of ``config``, which ``owner`` has."""
    missing = _known.get(owner)
    if missing is None:
        missing = _known[owner] = MissingNodes(config)
        if missing.wanted:
            _waiting.append(ref(missing))
            _watch_ends()
    missing.compiled(graph, nodes)


class MissingNodes:
    """Nodes that a configuration names and no graph so far has."""

    def __init__(self, config: ShadowConfig) -> None:
        self.wanted = {name: table.graph for name, table in config.nodes.items()}
        """The name of its graph for each node, where the configuration names one."""
        self._nodes: dict[str, set[str]] = {}
        self._told = False

    def compiled(self, graph: str, nodes: Collection[str]) -> None:
        """Note that a graph was compiled, and its nodes."""
        if self._told:
            return
        self._nodes.setdefault(graph, set()).update(name for name in nodes if not name.startswith("__"))
        for name in nodes:
            if self.wanted.get(name, graph) in (None, graph):
                self.wanted.pop(name, None)

    def tell(self) -> None:
        """Log the nodes that are missing, the first time."""
        if self._told:
            return
        self._told = True
        if found := "; ".join(self.sentences()):
            graphs = ", ".join(sorted(self._nodes))
            text = "otel-shadow: no shadow runs for what shadow.toml names: %s (graphs so far: %s); otel-shadow doctor "
            say(logging.WARNING, text + "module:graph checks them", found, graphs)

    def sentences(self) -> list[str]:
        """Return a sentence for each node that is missing."""
        return [self._sentence(name, graph) for name, graph in sorted(self.wanted.items())]

    def _sentence(self, name: str, graph: str | None) -> str:
        having = sorted(one for one, nodes in self._nodes.items() if name in nodes)
        if having:  # then the name of its graph is wrong
            return f"graph {graph!r} of [nodes.{name}] is none{_nearest(graph or '', having) or _listed(having)}"
        nodes = sorted(set().union(*self._nodes.values()))
        return f"no graph has a node {name!r}{_nearest(name, nodes)}"


def _nearest(name: str, names: Collection[str]) -> str:
    close = get_close_matches(name, names, 1)
    return f", did you mean {close[0]!r}?" if close else ""


def _listed(names: Collection[str]) -> str:
    return f", the node is in {', '.join(map(repr, names))}"


def _watch_ends() -> None:
    """Wrap the end of a run, until the first one ends."""
    if not _patches.installed:
        _patches.replace(SyncPregelLoop, "__exit__", _ended)
        _patches.replace(AsyncPregelLoop, "__aexit__", _aended)


def stop_watching() -> None:
    """Put LangGraph's own ends back, and forget who waits for one."""
    _waiting.clear()
    _patches.undo()


def _ended(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def leave(self: Any, *given: Any) -> Any:
        try:
            return original(self, *given)
        finally:
            _tell_of(self)

    return leave


def _aended(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def leave(self: Any, *given: Any) -> Any:
        try:
            return await original(self, *given)
        finally:
            _tell_of(self)

    return leave


def _tell_of(loop: Any) -> None:
    """Tell what is missing, if the run that ended is no part of another one. It is V1's thread: nothing is raised."""
    with suppress(Exception):
        if not in_v2() and not loop.is_nested:
            while _waiting:
                missing = _waiting.pop()()
                if missing is not None:
                    missing.tell()
            _patches.undo()
