"""The package's own log messages, logged in a thread of their own.

A handler of the application may block, raise, or be locked by a V2 that hangs in it: no thread that logs here waits for
a handler or sees what it raises.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from otel_shadow._runtime.background_queue import BackgroundQueue

logger = logging.getLogger("otel_shadow")

_BOUND = 100
"""Messages that may wait; what comes beyond is lost."""


class _BackgroundLog(BackgroundQueue[tuple[int, str, tuple[Any, ...]]]):
    """A queue of messages: level, text, arguments."""

    def _work_on(self, item: tuple[int, str, tuple[Any, ...]]) -> None:
        level, message, args = item
        with suppress(BaseException):  # to log a handler's fault would meet the same handler
            logger.log(level, message, *args)


_LOG = _BackgroundLog("otel-shadow-log", _BOUND, 0)
_LOG.end()  # while there is nothing to say there is no thread


def say(level: int, message: str, *args: Any) -> None:
    """Log ``message`` under ``otel_shadow`` soon, in a thread of its own. Never waits, never raises.

    Arguments:
        level: of ``logging``.
        message: with ``%`` placeholders for ``args``; neither may hold personal data.
    """
    _LOG.offer((level, message, args))


def settle(timeout_s: float) -> bool:
    """Wait until every message is logged, no longer than ``timeout_s`` seconds, and return whether every one is."""
    return _LOG.drain(timeout_s)
