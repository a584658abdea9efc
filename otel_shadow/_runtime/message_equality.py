"""What of a chat message differs between two runs of the same code, and so is no difference: ids, above all.

LangChain's messages are models with ``content`` and ``type``; their calls of tools are mappings. A model's provider
gives each call an id of its own, and the tool's answer names the call by it: what counts is which call an answer
belongs to, and not how its id reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CALLS = frozenset(
    {
        "tool_call",
        "tool_call_chunk",
        "invalid_tool_call",
        "server_tool_call",
        "function",
        "function_call",
        "tool_use",
        "server_tool_use",
    }
)
"""Types of mappings that call a tool: LangChain's own, OpenAI's and Anthropic's."""
_CALL_IDS = ("id", "call_id")
_LINKS = ("tool_call_id", "tool_use_id", "call_id")
"""Keys under which an answer names the call that it answers."""
_VOLATILE = frozenset({"id", "response_metadata", "usage_metadata", "tool_call_chunks", "chunk_position"})
"""Fields of a chat message that differ between two runs of the same code, or whether it was streamed."""
_CHUNK = "MessageChunk"
_REMOVE = "remove"
"""Type of the message that removes another one, which it names by its id."""


def is_message(items: Mapping[Any, Any]) -> bool:
    return "content" in items and "type" in items


def is_call(value: Any) -> bool:
    """Return whether ``value`` is a mapping that calls a tool."""
    return isinstance(value, Mapping) and isinstance(kind := value.get("type"), str) and kind in _CALLS


def message_items(items: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a message's fields without what differs between two runs of the same code; a chunk's as the whole's."""
    if items["type"] == _REMOVE:
        return dict(items)
    found = {key: item for key, item in items.items() if key not in _VOLATILE}
    if isinstance(kind := items["type"], str) and kind.endswith(_CHUNK):
        found["type"] = kind.removesuffix(_CHUNK).lower()
    if isinstance(content := items["content"], list):
        found["content"] = [_block(block) for block in content]
    return found


def _block(block: Any) -> Any:
    """Return a block of a message's content without the id that the provider gave it."""
    if not isinstance(block, dict) or is_call(block):
        return block
    return {key: item for key, item in block.items() if key != "id"}


class CallIds:
    """Ids of calls in two values as they are found there: each answer belongs to the call with its id."""

    def __init__(self) -> None:
        self._calls: set[tuple[Any, Any]] = set()
        self._answers: list[tuple[Any, Any]] = []

    def take(self, a: dict[Any, Any], b: dict[Any, Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """Note the ids of two mappings that are compared, and return the mappings without them."""
        keys, noted = (_CALL_IDS, self._calls.add) if is_call(a) and is_call(b) else (_LINKS, self._answers.append)
        ids = [key for key in keys if _is_id(a.get(key, 0)) and _is_id(b.get(key, 0))]
        for key in ids:
            noted((a[key], b[key]))
        return (_without(a, ids), _without(b, ids)) if ids else (a, b)

    def agree(self) -> bool:
        """Return whether each answer belongs to the same call in both values."""
        return all(pair[0] == pair[1] or pair in self._calls for pair in self._answers)


def _is_id(value: Any) -> bool:
    return value is None or type(value) is str


def _without(items: dict[Any, Any], keys: list[str]) -> dict[Any, Any]:
    return {key: item for key, item in items.items() if key not in keys}
