"""What of a stretch of otel-shadow's work in V1's thread is its own doing.

V1's thread waits there for a core, for the interpreter, or because a class's own ``__reduce__`` or ``__deepcopy__``
waits for something. Only the last is otel-shadow's doing. It is measured from the moment at which such code runs, so
that states without any cost nothing.
"""

from __future__ import annotations

import threading
from time import thread_time

from otel_shadow._runtime.thread_clocks import ClockReading, ThreadClocks

_LONG_WAIT_S = 0.02
"""Seconds of waiting from which it is asked whose fault they are."""


class _Stretch(threading.local):
    """The stretch of otel-shadow's work that this thread does."""

    own_code: tuple[ThreadClocks, ClockReading] | None = None
    """The thread's clocks, as they were when a state's own code first ran."""


_stretch = _Stretch()


def begin_stretch() -> None:
    """Begin a stretch of work in which no state's own code has run yet."""
    _stretch.own_code = None


def own_code_runs() -> None:
    """Note that code of the state's classes runs next."""
    if _stretch.own_code is None:
        clocks = ThreadClocks()
        _stretch.own_code = clocks, clocks.start()


def stretch_s(began_s: float, worked_s: float, now_s: float) -> float:
    """Return the seconds of this stretch that are otel-shadow's doing: processor time, and waits to blame it for.

    Arguments:
        began_s: when it began.
        worked_s: this thread's processor time then.
        now_s: when it ended: just now.
    """
    worked = thread_time() - worked_s
    own_code = _stretch.own_code
    if own_code is None or now_s - began_s - worked <= _LONG_WAIT_S:
        return worked
    clocks, began = own_code
    return worked + clocks.blocked(began)
