"""Waits for the application to import LangGraph, and imports it no earlier."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import wrapt

from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.redact import class_name

LANGGRAPH = ("langgraph.graph.state", "langgraph.func")
"""The modules in which graphs come to be; whichever the application imports first."""


def when_langgraph_is_imported(act: Callable[[], None]) -> None:
    """Call ``act`` once LangGraph is there: now, or when the application imports it.

    A registered hook can't be removed, so ``act`` has to know whether it is still wanted. It is not called again while
    it runs: it may itself import the other of LangGraph's modules. What it raises (a LangGraph that is too new for us)
    is logged: the application's own import of LangGraph succeeds, and its graphs have no shadow.
    """
    busy = False

    def hook(_: Any) -> None:
        nonlocal busy
        if busy:
            return
        busy = True
        try:
            act()
        except Exception as error:  # noqa: BLE001 - the application must come up whatever we can't do
            say(logging.ERROR, "otel-shadow is off, the application runs V1 only: %s", _reason(error))
        finally:
            busy = False

    for module in LANGGRAPH:
        wrapt.register_post_import_hook(hook, module)


def _reason(error: Exception) -> str:
    """Return what may be logged of ``error``: an import's message names modules, others may hold anything."""
    return str(error) if isinstance(error, ImportError) else class_name(type(error))
