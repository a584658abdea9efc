"""The end of a process, however it is a process: by ``atexit``, and where ``multiprocessing`` or a server skips it."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable
from multiprocessing import util
from typing import Any
from weakref import WeakSet

import wrapt

_POLL_S = 0.01


class AtExit:
    """Calls ``callback`` when the interpreter ends, and when a child of ``multiprocessing`` does (which runs no
    ``atexit``). A child that was forked has the callback too.

    uvicorn, told to end by a signal, answers its last request and then raises the signal again, which nobody handles
    any more: it ends the process without ``atexit``. There the callback runs after the last request.

    Arguments:
        callback: must be harmless when called twice.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._finalizer: util.Finalize | None = None
        atexit.register(callback)
        util.register_after_fork(self, AtExit._in_child)
        self._in_child()
        _watch_uvicorn()
        _ALL.add(self)

    def _in_child(self) -> None:
        """``multiprocessing`` forgets its finalizers in a child: this one again."""
        self._finalizer = util.Finalize(None, self._callback, exitpriority=100)

    def cancel(self) -> None:
        """Execution nothing."""
        _ALL.discard(self)
        atexit.unregister(self._callback)
        if self._finalizer is not None:
            self._finalizer.cancel()
            self._finalizer = None


_ALL: WeakSet[AtExit] = WeakSet()
_watched = False


def _watch_uvicorn() -> None:
    """Look at uvicorn's end once it is there: now, or when the application imports it."""
    global _watched
    if not _watched:
        _watched = True
        wrapt.register_post_import_hook(_wrap_uvicorn, "uvicorn.server")


def _wrap_uvicorn(module: Any) -> None:
    if hasattr(getattr(module, "Server", None), "shutdown"):
        wrapt.wrap_function_wrapper(module, "Server.shutdown", _shutdown)


async def _shutdown(shutdown: Callable[..., Any], server: Any, args: Any, kwargs: Any) -> Any:
    """uvicorn's own, then ours if a signal is about to end the process; the loop goes on meanwhile."""
    result = await shutdown(*args, **kwargs)
    ends = [each._callback for each in list(_ALL)]
    if ends and getattr(server, "_captured_signals", None) and not getattr(server, "force_exit", False):
        threads = [threading.Thread(target=end, name="otel-shadow-end", daemon=True) for end in ends]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):  # each keeps its deadline
            await asyncio.sleep(_POLL_S)
    return result
