"""Our own log messages, said in a thread of their own.

A handler of the application may block, raise, or be locked by a V2 that hangs in it. Whoever has something to say here
never waits for that, and never sees it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from time import perf_counter, sleep
from typing import Any

from otel_shadow._runtime.process_lifecycle import on_fork

logger = logging.getLogger("otel_shadow")

_NAP_S = 0.001
_BOUND = 100
"""Messages that may wait; of more, the oldest are lost."""


class BackgroundLog:
    """Says messages one after the other. While nothing is to be said there is no thread."""

    def __init__(self) -> None:
        self._reset()
        on_fork(self._reset)

    def _reset(self) -> None:
        """Begin anew; in the child of a fork too, where the thread stayed with the parent."""
        self._waiting: deque[tuple[int, str, tuple[Any, ...]]] = deque(maxlen=_BOUND)
        self._speaking = threading.Lock()

    def say(self, level: int, message: str, *args: Any) -> None:
        """Log ``message`` soon. Never waits for a handler, never raises."""
        self._waiting.append((level, message, args))
        if not self._speaking.acquire(blocking=False):
            return  # the one who speaks takes this message too
        try:
            threading.Thread(target=self._speak, name="otel-shadow-background_log", daemon=True).start()
        except RuntimeError:  # no more threads: the interpreter is ending, or the system is full
            self._speaking.release()

    def settle(self, timeout_s: float) -> bool:
        """Wait until all is said, no longer than ``timeout_s`` seconds; whether it is."""
        end = perf_counter() + timeout_s
        while (self._waiting or self._speaking.locked()) and perf_counter() < end:
            sleep(_NAP_S)
        return not self._waiting and not self._speaking.locked()

    def _speak(self) -> None:
        while True:
            while self._waiting:
                self._say_next()
            self._speaking.release()
            if not self._waiting or not self._speaking.acquire(blocking=False):
                return

    def _say_next(self) -> None:
        level, message, args = self._waiting.popleft()
        try:
            logger.log(level, message, *args)
        except BaseException:  # noqa: BLE001 - a handler's own fault; telling of it would meet the same handler
            return


_VOICE = BackgroundLog()


def say(level: int, message: str, *args: Any) -> None:
    """Log ``message`` under ``otel_shadow`` soon, in a thread of its own. Never waits, never raises.

    Arguments:
        level: of ``logging``.
        message: with ``%`` placeholders for ``args``; neither may hold personal data.
    """
    _VOICE.say(level, message, *args)


def settle(timeout_s: float) -> bool:
    """Wait until all is said, no longer than ``timeout_s`` seconds; whether it is."""
    return _VOICE.settle(timeout_s)
