"""The hook on the application's import of LangGraph, which otel-shadow imports no earlier."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import wrapt

from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.debug_mode import show
from otel_shadow._runtime.redact import loggable

LANGGRAPH = ("langgraph.graph.state", "langgraph.func")
"""The modules in which graphs are made; the hook runs after the one that the application imports first."""


def when_langgraph_is_imported(act: Callable[[], None]) -> None:
    """Call ``act`` once LangGraph is there: now, or when the application imports it.

    A registered hook can't be removed, so ``act`` must check whether its work is still needed. ``act`` is not called
    again while it runs, because it may import the other module of LangGraph. What ``act`` raises (for a LangGraph that
    is too new, say) is logged: the application's import of LangGraph succeeds, and its graphs have no shadow.
    """
    busy = False

    def hook(_: Any) -> None:
        nonlocal busy
        if busy:
            return
        busy = True
        try:
            act()
        except Exception as error:  # noqa: BLE001 - the application must start without shadows, too
            show("the hook on LangGraph's import", error)
            problem = loggable(error, ImportError)  # whose message names modules
            say(logging.ERROR, "otel-shadow is off, the application runs V1 only: %s", problem)
        finally:
            busy = False

    for module in LANGGRAPH:
        wrapt.register_post_import_hook(hook, module)
