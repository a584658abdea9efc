"""One overlay per store and saver that a shadow meets, so that V2 reads its own writes."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.store.base import BaseStore

from otel_shadow._langgraph.isolation.saver import ShadowSaver
from otel_shadow._langgraph.isolation.sqlite import note_file
from otel_shadow._langgraph.isolation.store import OverlayStore
from otel_shadow._runtime.shadow_context import ShadowContext


def overlay_store(
    scope: ShadowContext, store: BaseStore, loop: asyncio.AbstractEventLoop | None = None
) -> OverlayStore:
    """The overlay of ``store`` in ``scope``; an overlay is its own.

    Arguments:
        loop: production's loop, if it has one; by default the loop that the scope remembers.
    """
    if isinstance(store, OverlayStore):
        return store
    note_file(store)
    if loop is None:
        loop = scope.state.get("loop")
    # the overlay holds the store, so its id stays taken
    return cast("OverlayStore", scope.state.setdefault(("store", id(store)), OverlayStore(store, loop)))


def overlay_saver(scope: ShadowContext, saver: BaseCheckpointSaver[Any]) -> ShadowSaver:
    """The private saver that stands in for ``saver`` in ``scope``."""
    if isinstance(saver, ShadowSaver):
        return saver
    return cast("ShadowSaver", scope.state.setdefault(("saver", id(saver)), ShadowSaver(saver)))
