"""Whose fault a wait is: of a state's own code that blocks while it is copied, or of all that runs elsewhere.

V1's thread waits in otel-shadow's work for a processor, for the interpreter, or because a class's own ``__reduce__`` or
``__deepcopy__`` waits for something. Only the last is otel-shadow's doing. It is measured from the moment at which such
code runs, so that states without any cost nothing.
"""

from __future__ import annotations

import threading
from time import process_time, thread_time

LONG_WAIT_S = 0.02
"""Seconds of waiting from which it is asked whose fault they are."""
_MOSTLY = 0.8
"""Share of a wait that nothing else explains where a state's own code is to blame."""


class Elsewhere:
    """A measurement of what keeps this thread waiting from now on, without any fault of what runs in it."""

    __slots__ = ("_others_s", "_queued_s")

    def __init__(self) -> None:
        self._others_s = process_time() - thread_time()
        self._queued_s = _queued_s()

    def seconds(self) -> float:
        """Return how long this thread has waited for a processor, and how long other threads of the process ran."""
        return process_time() - thread_time() - self._others_s + _queued_s() - self._queued_s


class _Stretch(threading.local):
    """The stretch of otel-shadow's work that this thread does."""

    elsewhere: Elsewhere | None = None


_stretch = _Stretch()


def begin_stretch() -> None:
    """Begin a stretch of work in which no state's own code has run yet."""
    _stretch.elsewhere = None


def own_code_runs() -> None:
    """Note that code of the state's classes runs next."""
    if _stretch.elsewhere is None:
        _stretch.elsewhere = Elsewhere()


def stretch_s(began_s: float, worked_s: float, now_s: float) -> float:
    """Return the seconds of this stretch that are otel-shadow's doing: processor time, and waits to blame it for.

    Arguments:
        began_s: when it began.
        worked_s: this thread's processor time then.
        now_s: when it ended: just now.
    """
    worked = thread_time() - worked_s
    waited = now_s - began_s - worked
    return worked + blocked_s(waited) if waited > LONG_WAIT_S else worked


def blocked_s(waited_s: float) -> float:
    """Return for how many of the seconds for which this stretch has waited the state's own code is to blame."""
    elsewhere = _stretch.elsewhere
    if elsewhere is None:
        return 0.0
    own_s = waited_s - elsewhere.seconds()
    return own_s if own_s > _MOSTLY * waited_s else 0.0


def _queued_s() -> float:
    """Return the seconds for which this thread could run and had no processor; 0 where the system does not tell."""
    try:
        with open("/proc/thread-self/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
