"""The mark that the decorator leaves on a function, for the graph's compilation to find. Imports no LangGraph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from otel_shadow._runtime.compare import Differ

if TYPE_CHECKING:
    from otel_shadow._runtime.engine import Engine

ATTRIBUTE = "__otel_shadow__"


@dataclass(frozen=True, slots=True)
class ShadowMark:
    """What the decorator was given for a node.

    Arguments:
        v2: V2: a callable, a runnable, ``module:name``, ``"self"``; None: what ``shadow.toml`` names.
        options: keys of ``[nodes.X]``; the file outranks them.
        manager: the manager to use instead of the process's own.
    """

    v2: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    differ: Differ | None = None
    manager: Engine | None = None


def mark_of(node: Any) -> ShadowMark | None:
    """Return the mark of a node's function, through the runnables that LangGraph and LangChain put around it."""
    for candidate in (node, *(getattr(node, name, None) for name in ("func", "afunc"))):
        found = getattr(candidate, ATTRIBUTE, None)
        if found is None:
            found = getattr(getattr(candidate, "func", None), ATTRIBUTE, None)  # functools.partial
        if isinstance(found, ShadowMark):
            return found
    return None
