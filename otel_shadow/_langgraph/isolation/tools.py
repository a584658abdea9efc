"""LangChain tools inside a shadow: blocked, allowed, or answered with what V1's own call came to."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langgraph.errors import GraphBubbleUp

from otel_shadow._langgraph.patches import Patches
from otel_shadow._runtime.side_effects import (
    CallKey,
    CallOutcome,
    RecordedCall,
    call_key,
    check_call,
    names,
    recorders,
)  # fmt: skip
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
            return _answer(replay.replay(), kwargs.get("tool_call_id"))
        places = recorders()
        if not places:
            return original(self, tool_input, *args, **kwargs)
        with RecordedCall(places, _key(self, tool_input)) as call:  # its key first: a tool may change its arguments
            call.value = original(self, tool_input, *args, **kwargs)
        return call.value

    return run


def _arun(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def arun(self: BaseTool, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        replay = _permitted(self, tool_input)
        if replay is not None:
            return _answer(replay.replay(), kwargs.get("tool_call_id"))
        places = recorders()
        if not places:
            return await original(self, tool_input, *args, **kwargs)
        with RecordedCall(places, _key(self, tool_input)) as call:
            call.value = await original(self, tool_input, *args, **kwargs)
        return call.value

    return arun


def _permitted(tool: BaseTool, tool_input: Any) -> CallOutcome | None:
    """Return V1's outcome where it replaces the call, None where the tool is to run; raise where it may not run."""
    try:
        key, written = partial(_key, tool, tool_input), partial(_is_written, tool)
        return check_call(tool.name, key, read_only=_read_only(tool), written=written)
    except SideEffectBlockedError as blocked:
        raise ToolBlockedError(blocked.name) from None


def _is_written(tool: BaseTool) -> bool:
    """Return whether the tool's name stands in code: it is its function's, or the default of its class."""
    field = type(tool).model_fields.get("name")
    functions = (getattr(tool, "func", None), getattr(tool, "coroutine", None))
    return (field is not None and field.default == tool.name) or any(names(item, tool.name) for item in functions)


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
