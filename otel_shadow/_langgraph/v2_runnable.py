"""V2 as a runnable, in every form that a LangGraph node may have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.runnables import Runnable, RunnableLambda, RunnableSequence
from langgraph._internal._runnable import RunnableCallable, RunnableSeq, coerce_to_runnable, is_async_callable

V2 = Runnable[Any, Any] | Callable[..., Any]


def as_runnable(v2: V2) -> Runnable[Any, Any]:
    """Return ``v2`` as a runnable, made as LangGraph makes its nodes: parameters are injected by signature.

    What is neither callable nor a runnable is a TypeError.
    """
    return coerce_to_runnable(v2, name=getattr(v2, "__name__", None) or type(v2).__name__, trace=False)


def is_async(v2: V2, default: bool = False) -> bool:
    """Return whether ``v2`` has to be awaited.

    ``default`` is the answer for what can do both (a compiled graph, a chat model, a chain): how production called V1.
    """
    if not isinstance(v2, Runnable):
        return is_async_callable(v2)
    only = _only(v2)
    return default if only is None else only


def is_awaited_branch(writer: Any) -> bool:
    """Return whether a node's ``writer`` is a conditional edge whose path function can only be awaited."""
    path = getattr(getattr(getattr(writer, "func", None), "__self__", None), "path", None)
    return isinstance(path, Runnable) and is_async(path)


def _only(runnable: Any) -> bool | None:
    """Return True for a runnable that must be awaited, False for one that must be called, None for either."""
    if isinstance(runnable, RunnableCallable):
        # LangGraph gives a plain function an awaitable side that calls it in the loop's pool
        borrowed = getattr(runnable.afunc, "__wrapped__", None) is runnable.func
        return _sides(runnable.func is not None, runnable.afunc is not None and not borrowed)
    if isinstance(runnable, RunnableLambda):
        return _sides(hasattr(runnable, "func"), hasattr(runnable, "afunc"))
    if isinstance(runnable, RunnableSequence | RunnableSeq):
        return _any_of(runnable.steps)
    nodes = getattr(runnable, "nodes", None)
    if isinstance(nodes, dict):
        return _any_of(node.bound for node in nodes.values() if hasattr(node, "bound"))
    return None


def _sides(sync: bool, awaited: bool) -> bool | None:
    if not sync:
        return True
    return None if awaited else False


def _any_of(steps: Any) -> bool | None:
    """Return True if a part must be awaited; else None, for parts that run in an executor leave the choice open."""
    return True if any(_only(step) is True for step in steps) else None
