"""The mark of a shadow: a context variable that is set inside a shadow run and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    declared: set[str] = field(default_factory=set)
    """Names of tools that a record may carry; names that stand in code join them as they are blocked."""
    recorded_calls: Mapping[Any, Any] = field(default_factory=dict)
    """Results of V1's own tool calls by (tool, arguments), for ``replay``."""
    state: dict[Any, Any] = field(default_factory=dict)
    """Private overlays of the isolation (stores, savers, caches), keyed by what they cover."""
    timeout_s: float = float("inf")
    ran_s: float | None = None
    """Seconds that V2 ran, where it ran in another process: the way there and back, and waiting, are not V2's."""
    carrier: Any = None
    """What goes of OpenTelemetry's context to what runs in another process."""
    blocked: list[str] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)
    location: str | None = None
    """Where in the code V2 failed, where another process found it out."""
    rate_limited: bool = False
    """Whether a service answered 429, where another process found it out."""


LOOP_ENDED = "loop_ended"
"""Why a shadow run was cancelled: a loop that V2 needs has ended. Set in the shadow run's state where V2 met it."""
SHADOW: ContextVar[ShadowContext | None] = ContextVar("otel_shadow_scope", default=None)
IN_V2: ContextVar[bool] = ContextVar("otel_shadow_in_v2", default=False)
"""Set while a V2 is imported, and while one serves live."""


@contextmanager
def within_v2() -> Iterator[None]:
    """Mark a block as V2's: what is compiled or run in it is a part of V2, and no V1 of its own."""
    token = IN_V2.set(True)
    try:
        yield
    finally:
        IN_V2.reset(token)


def in_v2() -> bool:
    """Return whether the caller is part of a V2: being imported, in a shadow run, or serving live."""
    return SHADOW.get() is not None or IN_V2.get()


def is_shadow() -> bool:
    """Return whether the caller runs inside a shadow run: its answer is not served, and it should change nothing.

    Holds in the thread of the shadow run and in every task and context copied there. A thread that V2 starts by hand
    without copying its context is not covered.
    """
    return SHADOW.get() is not None
