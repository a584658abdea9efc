"""What V2 leaves with an event loop that is somebody else's: callbacks, futures, and what these raise.

The loop hands an exception that nobody takes to the application's handler, and many a handler ends the application.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context
from typing import Any
from weakref import ref

from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.redact import class_name
from otel_shadow._runtime.shadow_context import SHADOW

_HANDLER = "call_exception_handler"
_TOLD: set[tuple[str, str]] = set()
"""What was told of: once in a process."""
_MOST_TOLD = 100


class V2Future(asyncio.Future[Any]):
    """A future that V2, or a library in a step of V2's, has made."""


class V2Callback:
    """A callback of V2's; equal to the function that V2 gave, by which it is removed.

    Arguments:
        function: what V2 gave to the loop.
        call: calls it.
    """

    __slots__ = ("call", "function")

    def __init__(self, function: Callable[..., Any], call: Callable[..., None]) -> None:
        self.function = function
        self.call = call

    def __call__(self, *args: Any) -> None:
        """Call it, as a step of V2's."""
        self.call(self.function, args)

    def __eq__(self, other: object) -> bool:
        """Return whether ``other`` is this callback or its function."""
        return bool(self.function == (other.function if isinstance(other, V2Callback) else other))

    def __hash__(self) -> int:
        """Return the function's hash."""
        return hash(self.function)

    def __repr__(self) -> str:
        """Return what the function is in messages."""
        return repr(self.function)


def is_v2_callback(function: Any, context: Context | None) -> bool:
    """Return whether V2 gives ``function`` to the loop, to be called in ``context`` (None: the present one).

    The steps of tasks are none; what belongs to V1 comes with V1's context.
    """
    shadow = SHADOW.get() if context is None else context.get(SHADOW)
    if shadow is None or isinstance(function, V2Callback):
        return False
    return not isinstance(getattr(function, "__self__", None), asyncio.Future)


def keep_from_handlers(loop: asyncio.AbstractEventLoop) -> None:
    """Keep what V2's callbacks and futures raise from the exception handler of ``loop``, as long as it lives."""
    theirs, known = vars(loop).get(_HANDLER), ref(loop)
    if getattr(theirs, "of_shadow", False):
        return

    def handle(context: dict[str, Any]) -> None:
        if is_of_v2(context):
            say_what_was_left("task", context.get("exception"))
        elif theirs is not None:
            theirs(context)
        elif (its_loop := known()) is not None:
            getattr(type(its_loop), _HANDLER)(its_loop, context)

    handle.of_shadow = True  # type: ignore[attr-defined]
    vars(loop)[_HANDLER] = handle


def is_of_v2(context: dict[str, Any]) -> bool:
    """Return whether an exception handler's ``context`` tells of a callback, a future or a task of V2's."""
    handle, future = context.get("handle"), context.get("future") or context.get("task")
    if handle is not None:
        called_in = getattr(handle, "_context", None)
        return isinstance(called_in, Context) and called_in.get(SHADOW) is not None
    parts = (future, *(getattr(future, "_children", None) or ()))  # of gather
    return any(isinstance(part, V2Future) or getattr(part, "shadow", None) is not None for part in parts)


def say_what_was_left(what: str, error: object) -> None:
    """Log the type of an exception that nobody takes; asyncio would log message and locals."""
    raised = f" that raised {class_name(type(error))}" if error is not None else ""
    if (what, raised) in _TOLD or len(_TOLD) >= _MOST_TOLD:
        return
    _TOLD.add((what, raised))
    say(logging.WARNING, "V2 left a %s behind%s", what, raised)
