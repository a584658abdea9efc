"""The mark of a shadow: a context variable that is set inside a shadow run and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from otel_shadow.config import ToolsTable


@dataclass(slots=True)
class ShadowContext:
    """Context of one shadow run: what V2 may call, and what it tried to do."""

    graph: str
    node: str
    tools: ToolsTable = field(default_factory=ToolsTable)
    recorded_calls: Mapping[Any, Any] = field(default_factory=dict)
    """Results of V1's own tool calls by (tool, arguments), for ``replay``."""
    state: dict[Any, Any] = field(default_factory=dict)
    """Private overlays of the isolation (stores, savers, caches), keyed by what they cover."""
    timeout_s: float = float("inf")
    ran_s: float | None = None
    """Seconds that V2 ran, where it ran in another process: the way there and back, and waiting, are not V2's."""
    carrier: dict[str, str] = field(default_factory=dict)
    """The pair's trace context in W3C headers, for what runs in another process."""
    blocked: list[str] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)


SHADOW: ContextVar[ShadowContext | None] = ContextVar("otel_shadow_scope", default=None)


def is_shadow() -> bool:
    """Return whether the caller runs inside a shadow run: its answer is not served, and it should change nothing.

    Holds in the thread of the shadow run and in every task and context copied there. A thread that V2 starts by hand
    without copying its context is not covered.
    """
    return SHADOW.get() is not None
