"""The end of a process, however it is a process: by ``atexit``, and where ``multiprocessing`` leaves that out."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from multiprocessing import util


class AtExit:
    """Calls ``callback`` when the interpreter ends, and when a child of ``multiprocessing`` does (which runs no
    ``atexit``). A child that was forked has the callback too.

    Arguments:
        callback: must be harmless when called twice.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._finalizer: util.Finalize | None = None
        atexit.register(callback)
        util.register_after_fork(self, AtExit._in_child)
        self._in_child()

    def _in_child(self) -> None:
        """``multiprocessing`` forgets its finalizers in a child: this one again."""
        self._finalizer = util.Finalize(None, self._callback, exitpriority=100)

    def cancel(self) -> None:
        """Call nothing."""
        atexit.unregister(self._callback)
        if self._finalizer is not None:
            self._finalizer.cancel()
            self._finalizer = None
