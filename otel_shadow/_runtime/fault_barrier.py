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
from opcode import opname
from pathlib import Path
from time import monotonic
from types import CodeType, TracebackType
from typing import Any

from otel_shadow import semconv
from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.debug_mode import show
from otel_shadow._runtime.redact import class_name

_LOG_EVERY_S = 60.0


def passes(error: BaseException) -> bool:
    """Return whether ``error`` of a version that was awaited or called ends more than that version: an exit, a signal.

    For what otel-shadow itself does, ask :func:`is_from_outside`.
    """
    return isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | CancelledError) or _from_a_signal(error)


def is_from_outside(error: BaseException) -> bool:
    """Return whether ``error``, which interrupted work of otel-shadow's own, is meant for the application.

    That is what a signal's handler raised, and what the interpreter raised between two instructions: ``Ctrl-C``, an
    exception for this thread (``PyThreadState_SetAsyncExc``: the time limits of job queues). What a state's own code
    raises while it is copied, compared or asked is a fault of that code, be it ``SystemExit`` or ``KeyboardInterrupt``.
    Nothing is awaited and no generator waits in such work, so that no cancellation and no end of a generator is meant.
    """
    if _from_a_signal(error):
        return True
    kind = type(error)
    if issubclass(kind, Exception | GeneratorExit | CancelledError) or kind.__name__ == _PANIC:
        return False
    code, instruction = _raised_at(error)
    if code is None or instruction in _RAISE:
        return False
    called_exit = issubclass(kind, SystemExit) and instruction.startswith(_CALL)
    return not called_exit or code.co_filename.startswith(_PACKAGE)


_PANIC = "PanicException"
"""What PyO3 raises where a library in Rust breaks."""
_RAISE = ("RAISE_VARARGS", "RERAISE")
_CALL = ("CALL", "PRECALL")
_PACKAGE = str(Path(__file__).parents[1])


def _raised_at(error: BaseException) -> tuple[CodeType | None, str]:
    """Return the code in which ``error`` was raised, and the instruction at which that was."""
    trace: TracebackType | None = _TRACEBACK(error)
    if trace is None:
        return None, ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return code, opname[code.co_code[trace.tb_lasti]] if trace.tb_lasti >= 0 else ""


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


def _code(handler: Any) -> CodeType | None:
    """Return the code of a function, a method, a partial or a callable object; None of what C code handles."""
    function = getattr(handler, "func", handler)
    called = function if hasattr(function, "__code__") else function.__call__
    code = getattr(called, "__code__", None)
    return code if isinstance(code, CodeType) else None


_handler: Callable[[int], Any] = _signal.getsignal  # without the enumeration that makes it ten times slower
_TRACEBACK = BaseException.__dict__["__traceback__"].__get__


class FaultBarrier:
    """A swallower of what otel-shadow raises (never what is meant for V1): counts every one, logs each kind rarely.

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
            if is_from_outside(error):
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
