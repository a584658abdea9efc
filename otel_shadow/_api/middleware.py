"""The middleware: shadows for nodes of graphs whose code stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_shadow._api.decorator import Node, copied, with_shadow_v2
from otel_shadow._api.manager import ShadowTrafficManager, default_manager
from otel_shadow.errors import ConfigError


class ShadowIntegrationMiddleware:
    """Shadows for nodes of graphs, by node name; the functions of the nodes stay as they are.

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
            self._manager = default_manager()
        return self._manager

    def wrap(self, name: str, v1: Node, v2: Any = None) -> Node:
        """Return a copy of node ``v1``, marked: its V2 is ``v2``, or what this middleware has under ``name``."""
        return with_shadow_v2(v2 if v2 is not None else self._v2.get(name), manager=self.manager)(copied(v1))

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
