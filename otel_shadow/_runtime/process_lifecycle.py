"""Forks and the end of the process: the one registry of what is called then."""

from __future__ import annotations

import atexit
import logging
import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import util
from types import MethodType
from typing import Any
from weakref import WeakKeyDictionary

from otel_shadow._runtime.process_ends import ProcessEnd, finish, watch, wrap_exit

_HANDLER_S = 0.25
"""Seconds in which a log handler of which V2 is holding the lock may let it go, and then flush, at the end."""
OURS = "otel-shadow"
"""How the names of all threads of otel-shadow begin."""


_RESETS: WeakKeyDictionary[object, Callable[[Any], object]] = WeakKeyDictionary()
"""Methods to call in the child of a fork, by their object."""
_ENDS: dict[Callable[[], object], tuple[ProcessEnd, util.Finalize]] = {}
"""What to call at the end of the process, by its function."""


def on_fork(reset: Callable[[], object]) -> None:
    """Call ``reset`` in every child of a fork: threads stayed with the parent, and may have held locks.

    ``reset`` is a bound method, one per object; the registration ends with the object. Methods are called in the order
    of their registration, whether or not one of them fails.
    """
    if not isinstance(reset, MethodType):
        raise TypeError(f"a bound method is needed to reset its object after a fork, not {reset!r}")
    _RESETS[reset.__self__] = reset.__func__


def _reset_in_child() -> None:
    faults: list[BaseException] = []
    for owner, reset in list(_RESETS.items()):
        try:
            reset(owner)
        except BaseException as fault:  # noqa: BLE001 - as if each had a hook of its own
            faults.append(fault)
    if _ENDS:
        wrap_exit(_ends)
    if faults:
        raise faults[0]  # the interpreter prints it and goes on


os.register_at_fork(after_in_child=_reset_in_child)


def at_exit(callback: Callable[[], object], seconds: float = 5.0, is_due: Callable[[], bool] = lambda: True) -> None:
    """Call ``callback`` (perhaps twice) when the process ends, in the children of forks too.

    ``atexit`` calls it when the interpreter ends, before what was registered later by then: OpenTelemetry's providers
    shut themselves down there, those too that were made after us. A child of ``multiprocessing`` runs no ``atexit``: a
    finalizer calls it there. What else ends a process is in :mod:`process_ends`.

    Arguments:
        callback: keeps its own deadline.
        seconds: what it takes at most; a little later the process ends without it, where ``atexit`` is not the caller.
        is_due: whether there is anything to do, likewise.
    """
    atexit.register(callback)
    end = ProcessEnd(callback, seconds, is_due)
    _ENDS[callback] = end, _finalizer(end)
    watch(_ends)


def _renew() -> None:
    """Register what ``atexit`` calls anew, so that it is called first: as the main thread ends, before ``atexit``."""
    for callback in list(_ENDS):
        atexit.unregister(callback)
        atexit.register(callback)


# The one hook between the end of the program and ``atexit``: concurrent.futures uses it. Without it, or where the
# interpreter is ending already, the order stays that of the registrations.
with suppress(AttributeError, RuntimeError):
    threading._register_atexit(_renew)  # type: ignore[attr-defined]


def _ends() -> list[ProcessEnd]:
    return [end for end, _ in list(_ENDS.values())]


def cancel_at_exit(callback: Callable[[], object]) -> None:
    """Undo :func:`at_exit`; does nothing where ``callback`` is not registered."""
    atexit.unregister(callback)
    if (registered := _ENDS.pop(callback, None)) is not None:
        registered[1].cancel()


def _finalizer(end: ProcessEnd) -> util.Finalize:
    return util.Finalize(None, finish, ([end],), exitpriority=100)


def _finalize_in_child(_: object) -> None:
    """Register the finalizers anew: ``multiprocessing`` forgets them in a child."""
    _ENDS.update({end.callback: (end, _finalizer(end)) for end in _ends()})


util.register_after_fork(_finalize_in_child, _finalize_in_child)


def _leave_stuck_log_handlers() -> None:
    """Take the log handlers in which a thread of otel-shadow hangs, V2's among them, from what ``logging`` ends.

    At the end of the process ``logging`` waits for the lock of every handler, for as long as it takes. A handler that
    is left out is flushed by a daemon thread, if it still can be.
    """
    for reference in list(logging._handlerList):  # type: ignore[attr-defined,unused-ignore]
        handler = reference()
        lock: Any = getattr(handler, "lock", None)
        if handler is None or lock is None or not _is_ours(lock):
            continue
        if lock.acquire(timeout=_HANDLER_S):
            lock.release()
            continue
        logging._handlerList.remove(reference)  # type: ignore[attr-defined,unused-ignore]
        handler.lock = threading.RLock()
        flushing = threading.Thread(target=handler.flush, name="otel-shadow-end", daemon=True)
        flushing.start()
        flushing.join(_HANDLER_S)


def _is_ours(lock: Any) -> bool:
    """Return whether a thread of otel-shadow holds ``lock``, an ``RLock``: its text alone says who does."""
    owner = re.search(r"owner=(\d+)", repr(lock))
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return owner is not None and names.get(int(owner[1]), "").startswith(OURS)


atexit.register(_leave_stuck_log_handlers)  # later than logging's, hence called before it
