"""The mark of a shadow: a context variable that everything inside V2's execution can see, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from otel_shadow.config import ToolsTable


@dataclass(slots=True)
class ShadowContext:
    """One running shadow: what it may call, and what it tried to do.

    Arguments:
        graph: name of the graph.
        node: name of the node.
        tools: the side-effect policy.
        recorded_calls: results of V1's own tool calls by (tool, arguments), for ``replay``.
        state: private overlays of the isolation (stores, savers, caches), keyed by what they cover.
        timeout_s: V2's time limit in seconds.
        carrier: the pair's trace context in W3C headers, for what runs in another process.
    """

    graph: str
    node: str
    tools: ToolsTable = field(default_factory=ToolsTable)
    recorded_calls: Mapping[Any, Any] = field(default_factory=dict)
    state: dict[Any, Any] = field(default_factory=dict)
    timeout_s: float = float("inf")
    carrier: dict[str, str] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)


SHADOW: ContextVar[ShadowContext | None] = ContextVar("otel_shadow_scope", default=None)


def is_shadow() -> bool:
    """Whether the caller runs inside a shadow: its answer reaches nobody, so it should touch nothing.

    Holds in the thread and in every task and context copied inside the shadow. A thread that V2 starts by hand without
    copying its context is not covered.
    """
    return SHADOW.get() is not None
