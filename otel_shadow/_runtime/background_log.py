"""The package's own log messages, logged in a thread of their own.

A handler of the application may block, raise, or be locked by a V2 that hangs in it. No thread that has something to
say here waits for a handler or sees what it raises.
"""

from __future__ import annotations

import logging
from typing import Any

from otel_shadow._runtime.background_queue import BackgroundQueue

logger = logging.getLogger("otel_shadow")

_BOUND = 100
"""Messages that may wait; what comes beyond is lost."""
_Message = tuple[int, str, tuple[Any, ...]]


class _BackgroundLog(BackgroundQueue[_Message]):
    """A queue of messages. While there is nothing to say there is no thread."""

    def __init__(self) -> None:
        super().__init__("otel-shadow-log", _BOUND, 0)
        self.end()

    def say(self, level: int, message: str, *args: Any) -> None:
        self._offer((level, message, args), 0)

    def _work_on(self, item: _Message) -> None:
        level, message, args = item
        try:
            logger.log(level, message, *args)
        except BaseException:  # noqa: BLE001 - a handler's own fault; telling of it would meet the same handler
            return


_LOG = _BackgroundLog()


def say(level: int, message: str, *args: Any) -> None:
    """Log ``message`` under ``otel_shadow`` soon, in a thread of its own. Never waits, never raises.

    Arguments:
        level: of ``logging``.
        message: with ``%`` placeholders for ``args``; neither may hold personal data.
    """
    _LOG.say(level, message, *args)


def settle(timeout_s: float) -> bool:
    """Wait until every message is logged, no longer than ``timeout_s`` seconds, and return whether every one is."""
    return _LOG.drain(timeout_s)
