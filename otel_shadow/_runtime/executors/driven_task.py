"""Tasks of V2's on an event loop that is somebody else's."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from contextvars import Context
from types import FrameType
from typing import Any

from otel_shadow._runtime.shadow_context import SHADOW


class DrivenTask(asyncio.Task[Any]):
    """A task of V2's that knows whether V2 itself or somebody outside cancels it."""

    shadow: Any = None
    """The shadow run's context."""
    ours = False
    """Whether it is being cancelled by its :class:`Drive`."""

    def __init__(self, driven: Any, **more: Any) -> None:
        self.driven = driven  # by get_coro() an eager task that has ended makes Python 3.12.1 crash
        super().__init__(driven, **more)

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel it; a root that somebody outside cancels belongs to a loop that ends."""
        driven = self.driven
        if not self.ours and SHADOW.get() is None:
            drive = driven.drive
            drive.cancelled_from_outside |= drive.root is self
            driven.cancelled_at_rest |= not drive.loop.is_running()
        return super().cancel(msg)

    def add_done_callback(self, fn: Any, /, *, context: Context | None = None) -> None:
        """Add a callback; one of V2's can't end the loop."""
        super().add_done_callback(self.driven.drive.callback(fn, context), context=context)


def in_the_end_of_a_loop() -> bool:
    """Return whether ``asyncio.run``, or a relative of it, is cancelling what is left."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "_cancel_all_tasks":
            return True
        frame = frame.f_back
    return False


def quiet(task: Any, shadow: Any) -> None:
    """Mark ``task`` as the shadow run's; asyncio is to log neither its exception nor that its loop was closed on it."""
    with suppress(AttributeError):
        task.shadow = shadow
        task._log_destroy_pending = False
    task.add_done_callback(_forget, context=Context())


def _forget(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
