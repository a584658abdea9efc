"""LangChain tools inside a shadow: blocked, allowed, or answered with what V1's own call returned."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langgraph.errors import GraphBubbleUp

from otel_shadow._langgraph.patches import Patches
from otel_shadow._runtime.side_effects import CallKey, call_key, check_call, record, recorders
from otel_shadow._runtime.snapshot import Snapshot
from otel_shadow.errors import SideEffectBlockedError

READ_ONLY = "read_only"
"""A tool with this tag, or this key set in its metadata, changes nothing and may run inside a shadow."""


class ToolBlockedError(SideEffectBlockedError, GraphBubbleUp):
    """A tool call that a shadow may not make.

    It passes through tool nodes and agents like an interrupt does: told as a tool's error message, it would send a
    model looking for another way, and the pair would compare something that never happens in production.
    """


def guard_tools(patches: Patches) -> None:
    """Ask the policy before a tool runs inside a shadow, and record V1's calls where a replay needs them."""
    patches.replace(BaseTool, "run", _run)
    patches.replace(BaseTool, "arun", _arun)


def _run(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def run(self: BaseTool, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        replay = _permitted(self, tool_input)
        if replay is not None:
            return _answer(replay.restore(), kwargs.get("tool_call_id"))
        places = recorders()
        if not places:
            return original(self, tool_input, *args, **kwargs)
        key = _key(self, tool_input)  # a tool may change its arguments
        result = original(self, tool_input, *args, **kwargs)
        record(places, key, result)
        return result

    return run


def _arun(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def arun(self: BaseTool, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        replay = _permitted(self, tool_input)
        if replay is not None:
            return _answer(replay.restore(), kwargs.get("tool_call_id"))
        places = recorders()
        if not places:
            return await original(self, tool_input, *args, **kwargs)
        key = _key(self, tool_input)
        result = await original(self, tool_input, *args, **kwargs)
        record(places, key, result)
        return result

    return arun


def _permitted(tool: BaseTool, tool_input: Any) -> Snapshot | None:
    """Return V1's result where it replaces the call, None where the tool is to run; raise where it may not run."""
    try:
        return check_call(tool.name, lambda: _key(tool, tool_input), read_only=_read_only(tool))
    except SideEffectBlockedError as blocked:
        raise ToolBlockedError(blocked.name) from None


def _read_only(tool: BaseTool) -> bool:
    return READ_ONLY in (tool.tags or ()) or bool((tool.metadata or {}).get(READ_ONLY))


def _key(tool: BaseTool, tool_input: Any) -> CallKey:
    """Return the key of a call by the arguments a model chooses; state and runtime that LangGraph injects differ."""
    if not isinstance(tool_input, Mapping):
        return call_key(tool.name, tool_input)
    chosen = _chosen(tool)
    return call_key(tool.name, {key: value for key, value in tool_input.items() if chosen is None or key in chosen})


def _chosen(tool: BaseTool) -> frozenset[str] | None:
    """Return the names of the arguments that are not injected; None where the tool doesn't say."""
    schema: Any = tool.tool_call_schema
    if isinstance(schema, Mapping):
        return frozenset(schema.get("properties", ()))
    fields = getattr(schema, "model_fields", None) or getattr(schema, "__fields__", None)
    return frozenset(fields) if fields else None


def _answer(result: Any, tool_call_id: str | None) -> Any:
    if isinstance(result, ToolMessage) and tool_call_id is not None:
        return result.model_copy(update={"tool_call_id": tool_call_id})
    return result
