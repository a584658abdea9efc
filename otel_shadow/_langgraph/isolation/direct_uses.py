"""Stores and savers that V2 calls by itself, as a module's variable and not as its graph's: it gets private ones too.

A node that keeps a store of the module or ends a conversation with ``saver.delete_thread`` would, as a V2, write into
production's. A saver's reads stay as they are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.base import BaseStore
from langgraph.store.base.batch import AsyncBatchedBaseStore

from otel_shadow._langgraph.isolation.stores import private_saver, private_store
from otel_shadow._langgraph.patches import Patches
from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext

_STORE = ("get", "search", "put", "delete", "list_namespaces")
_SAVER = ("put", "put_writes", "delete_thread", "delete_for_runs", "copy_thread", "prune")
Private = Callable[[ShadowContext, Any], Any]


def guard_direct_uses(patches: Patches) -> None:
    """Guard the methods of all stores, which go by ``batch``, and those of the saver in memory."""
    for cls in (BaseStore, AsyncBatchedBaseStore):
        _guard(patches, cls, _STORE, private_store)
    guard_saver(patches, InMemorySaver)


def guard_saver(patches: Patches, cls: type) -> None:
    """Guard what writes in a class of savers: each writes in a way of its own."""
    for base in cls.__mro__:
        if issubclass(base, BaseCheckpointSaver):
            _guard(patches, base, _SAVER, private_saver)


def _guard(patches: Patches, cls: type, names: tuple[str, ...], private: Private) -> None:
    for name in (*names, *(f"a{name}" for name in names)):
        if name in vars(cls) and not patches.has(cls, name):
            patches.replace(cls, name, partial(_on_private, name=name, private=private))


def _on_private(original: Callable[..., Any], name: str, private: Private) -> Callable[..., Any]:
    def method(own: Any) -> Callable[..., Any]:
        """Return what is to be called in this context in the place of ``own``'s method."""
        scope = SHADOW.get()
        other = own if scope is None else private(scope, own)
        return original.__get__(own) if other is own else getattr(other, name)  # type: ignore[no-any-return]

    @wraps(original)
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        return method(self)(*args, **kwargs)

    @wraps(original)
    async def awaited(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await method(self)(*args, **kwargs)

    return awaited if inspect.iscoroutinefunction(original) else called
