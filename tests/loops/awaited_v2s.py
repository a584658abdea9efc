"""Awaited V2s with import paths, for trials in workers."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from small_graphs import left

HERE: list[str] = []
"""Processes in which a V2 of this module ran, so that a test sees what came to production."""


async def good(state: Any) -> Any:
    """Await, and answer as V1 does."""
    HERE.append("good")
    await asyncio.sleep(0)
    return left(state)


async def sleeps(state: Any) -> Any:
    """Hold the loop."""
    HERE.append("sleeps")
    time.sleep(0.06)
    return left(state)


async def hangs(state: Any) -> Any:
    """Hold the loop for ever."""
    HERE.append("hangs")
    while True:
        time.sleep(0.01)


async def loads_late(state: Any) -> Any:
    """Load a module at the first call only, as clients do."""
    import sched

    HERE.append("loads_late")
    return {**left(state), "score": float(len(sched.__name__))}


async def fails(state: Any) -> Any:
    """Fail, as a V2 may."""
    HERE.append("fails")
    raise ValueError("no")


async def counts(state: Any) -> Any:
    """Write down that it ran, where the environment says."""
    with open(os.environ["COUNT_FILE"], "a") as file:
        file.write(f"{os.getpid()}\n")
    return left(state)
