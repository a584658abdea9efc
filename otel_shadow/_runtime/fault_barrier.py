"""The one place that swallows exceptions of otel-shadow: they are counted and named, and none reaches V1."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import logging
import os
import signal
import threading
from asyncio import CancelledError
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dis import opname
from time import monotonic
from types import CodeType, TracebackType
from typing import Any

from otel_shadow import semconv
from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.debug_mode import show
from otel_shadow._runtime.redact import class_name

_LOG_EVERY_S = 60.0


def passes(error: BaseException) -> bool:
    """Return whether ``error`` came from outside (a signal, a cancellation) and is no fault of what ran.

    Any other ``BaseException`` is a fault: a panic of a Rust library, a test's ``fail()`` in a state's ``__reduce__``.
    """
    return isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | CancelledError) or _from_a_signal(error)


def _from_a_signal(error: BaseException) -> bool:
    """Return whether a signal's handler raised it: the time limits of job queues do so, wherever the main thread is."""
    if threading.current_thread() is not threading.main_thread():
        return False
    handlers = {_code(handler) for handler in map(_handler, range(1, signal.NSIG)) if callable(handler)}
    trace: TracebackType | None = _TRACEBACK(error)
    while trace is not None:
        if trace.tb_frame.f_code in handlers:
            return True
        trace = trace.tb_next
    return False


def from_outside(error: BaseException) -> bool:
    """Return whether ``error``, out of V2's code, is not V2's: a signal's, whichever handler turned it into this."""
    if threading.current_thread() is not threading.main_thread():
        return False
    return _from_a_signal(error) or (isinstance(error, KeyboardInterrupt) and not _raised_by_code(error))


def _raised_by_code(error: BaseException) -> bool:
    """Return whether a ``raise`` statement raised it; Python's own handler of Ctrl-C interrupts anywhere."""
    trace: TracebackType | None = _TRACEBACK(error)
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    return opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"


def _code(handler: Any) -> CodeType | None:
    """Return the code of a function, a method, a partial or a callable object; None of what C code handles."""
    function = getattr(handler, "func", handler)
    called = function if hasattr(function, "__code__") else function.__call__
    code = getattr(called, "__code__", None)
    return code if isinstance(code, CodeType) else None


_handler: Callable[[int], Any] = _signal.getsignal  # without the enumeration that makes it ten times slower
_TRACEBACK = BaseException.__dict__["__traceback__"].__get__


class FaultBarrier:
    """A swallower of what otel-shadow raises (never cancellation or exit): counts every one, logs each kind rarely.

    ``OTEL_SHADOW_RAISE=true`` makes it re-raise, for tests; it is read once, so that no V2 can switch it on.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._logged: dict[tuple[str, str], float] = {}
        self._raises = os.environ.get(semconv.ENV_RAISE, "").lower() == "true"

    @contextmanager
    def __call__(self, operation: str, node: str = "-") -> Iterator[None]:
        """Guard a block (``with``); ``operation`` is one of a few literals, a metric attribute."""
        try:
            yield
        except BaseException as error:
            if passes(error):
                raise
            self.caught(operation, node, error)

    def caught(self, operation: str, node: str, error: BaseException) -> None:
        """Count and (rarely) log ``error`` by its type: its message may hold personal data."""
        self.counts[operation] += 1
        if self._raises:
            raise error
        show(f"otel-shadow's {operation} at node {node!r}", error)
        kind = class_name(type(error))
        now = monotonic()
        if now - self._logged.get((operation, kind), -_LOG_EVERY_S) >= _LOG_EVERY_S:
            self._logged[(operation, kind)] = now
            say(logging.WARNING, "shadow %r: %s raised %s; counted, V1 unaffected", node, operation, kind)
