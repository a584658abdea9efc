"""The event loops that run in this process at this moment."""

from __future__ import annotations

import asyncio
import sys
import threading
from itertools import islice
from types import FrameType, MethodType
from typing import Any

_OUTERMOST = 16
"""Outermost frames of a thread among which is the one that runs its loop."""


def running_loop(but: frozenset[int] = frozenset()) -> asyncio.AbstractEventLoop | None:
    """Return an event loop that some thread of this process runs now; None where there is none.

    asyncio keeps no list of them. A thread that runs a loop holds it in a local variable of one of its outermost
    frames (``run_forever``, ``asyncio.run``), or was started to run it.

    Arguments:
        but: idents of threads that don't count.
    """
    threads = {thread.ident: thread for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        if ident in but:
            continue
        for found in (*_targets(threads.get(ident)), *_in_frames(frame)):
            if isinstance(found, asyncio.AbstractEventLoop) and _runs(found):
                return found
    return None


def _runs(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return loop.is_running()
    except Exception:  # noqa: BLE001 - any class may call itself a loop
        return False


def _targets(thread: threading.Thread | None) -> tuple[Any, ...]:
    """Return the object whose method a thread was started with."""
    target = getattr(thread, "_target", None)
    return (target.__self__,) if isinstance(target, MethodType) else (getattr(target, "__self__", None),)


def _in_frames(frame: FrameType | None) -> list[Any]:
    """Return what the outermost frames of a thread hold in ``self``, ``loop`` and the like."""
    frames: list[FrameType] = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return [held for outer in islice(reversed(frames), _OUTERMOST) for held in _held(outer)]


def _held(frame: FrameType) -> list[Any]:
    code = frame.f_code
    if not {"self", "loop", "runner"}.intersection(code.co_varnames):
        return []
    local = frame.f_locals
    found = [local.get("self"), local.get("loop")]
    found += [getattr(holder, "_loop", None) for holder in (local.get("runner"), local.get("self"))]
    return [item for item in found if item is not None]
