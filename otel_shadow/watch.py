"""Waits for the application to import LangGraph, and imports it no earlier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import wrapt

LANGGRAPH = ("langgraph.graph.state", "langgraph.func")
"""The modules in which graphs come to be; whichever the application imports first."""


def when_langgraph_is_imported(act: Callable[[], None]) -> None:
    """Call ``act`` once LangGraph is there: now, or when the application imports it.

    A registered hook can't be removed, so ``act`` has to know whether it is still wanted. It is not called again while
    it runs: it may itself import the other of LangGraph's modules.
    """
    busy = False

    def hook(_: Any) -> None:
        nonlocal busy
        if busy:
            return
        busy = True
        try:
            act()
        finally:
            busy = False

    for module in LANGGRAPH:
        wrapt.register_post_import_hook(hook, module)
