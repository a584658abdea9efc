"""Places on event loops for V2s that are awaited: production's loop, on which V2 is driven, and a lasting one of ours.

No loop of ours runs beside production's: clients, locks and queues belong to the loop that first waited on them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from contextvars import Context
from typing import Any, TypeVar
from weakref import WeakSet

from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.executors.daemon_pool import DaemonPool
from otel_shadow._runtime.executors.driven import Drive
from otel_shadow._runtime.executors.loop_guard import LoopGuard
from otel_shadow._runtime.executors.loop_objects import say_what_was_left
from otel_shadow._runtime.executors.loop_side import SIDES
from otel_shadow._runtime.executors.loop_watchdog import WATCHDOG
from otel_shadow._runtime.redact import class_name
from otel_shadow.background_thread import BackgroundThread

T = TypeVar("T")
OWN_LOOP = "otel-shadow-loop"
"""Name of the threads that run a loop of ours."""
_GRACE_S = 0.25
"""Seconds for which the end of a V2 that was cancelled is waited for."""
_FOREIGN = ("different event loop", "different loop", "Event loop is closed")
"""What asyncio says of an object that belongs to another loop, or to one that has ended."""


class V2CutOffError(Exception):
    """A V2 whose loop ended while it was in flight: no fault of V2's."""


class V2PausedError(Exception):
    """A V2 that was closed because it, or another call of it, held the loop."""


class LoopPlace:
    """A place for one V2 call on an event loop; the calling thread waits for it.

    Arguments:
        loop: the loop. It runs in another thread.
        guard: takes V2's steps, and counts this call until :meth:`release`; None where nobody else is on the loop.
        foreign: whether the loop is not V1's own, so that objects of V1's loop can't be awaited there.
    """

    executor = "loop"
    """What a record calls it."""
    ended_at: float | None = None
    """Monotonic seconds at which V2 ended."""
    _ended: asyncio.AbstractEventLoop | None = None
    """V1's loop, where it has ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop, guard: LoopGuard | None, *, foreign: bool = False) -> None:
        self.loop = loop
        self.guard = guard
        self._foreign = foreign
        self._call: _Call | None = None
        self._counted = guard is not None
        if guard is not None:
            guard.started()

    @property
    def has_ended(self) -> bool:
        """Whether the loop does not run."""
        return self.loop.is_closed() or not self.loop.is_running()

    def wait(self, make: Callable[[], Coroutine[Any, Any, T]], context: Context, timeout_s: float) -> T:
        """Run the coroutine that ``make`` makes as a task of the loop, in ``context``, and wait for its result.

        Arguments:
            make: called in the loop's thread.
            context: of the task.
            timeout_s: seconds, from its first step, after which it is cancelled.

        Raises:
            TimeoutError: it took longer, or :meth:`give_up` was called.
            V2CutOffError: the loop ended.
            V2PausedError: V2 was paused.
            BaseException: what it raised.
        """
        call = self._call = _Call(self, make, context, timeout_s)
        try:
            self.loop.call_soon_threadsafe(call.begin)
        except RuntimeError:  # closed
            raise V2CutOffError from None
        try:
            result: T = call.future.result()
        except CancelledError:
            raise (V2CutOffError if self.has_ended else TimeoutError) from None
        return result

    def explains(self, error: object) -> bool:
        """Return whether V2 failed with ``error`` because this is not the loop of V1, to which it is bound."""
        if not self._foreign:
            return False
        # what a V2 that was cut off held there is held for ever
        bound = self._ended in _CUT if isinstance(error, TimeoutError) else _speaks_of_a_loop(error)
        if bound and self._ended is not None:
            BOUND.add(self._ended)
        return bound

    def give_up(self) -> None:
        """Wait no longer. V2 is cancelled, as soon as its loop gets to it."""
        call = self._call
        if call is not None:
            call.future.cancel()
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(call.cancel)

    def release(self) -> None:
        """Give the place back; a second call changes nothing."""
        if self._counted and self.guard is not None:
            self._counted = False
            self.guard.ended()


_CUT: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
"""Loops that ended while a V2 was in flight."""
BOUND: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
"""Loops that have ended, and to which something that V2 awaits is bound: no V2 of theirs can run elsewhere."""


class OwnLoopPlace(LoopPlace):
    """A place on a lasting loop of ours. A V2 that blocks it takes it along: the next call gets another."""

    executor = "thread"

    def __init__(self, thread: LoopThread, ended: asyncio.AbstractEventLoop | None) -> None:
        super().__init__(thread.loop, None, foreign=True)
        self._ended = ended
        self._thread = thread
        thread.places.add(self)

    def give_up(self) -> None:
        """Wait no longer; a loop that V2 blocks at this moment is left to itself, and its other calls have ended."""
        super().give_up()
        side = SIDES.by_loop.get(self.loop)
        if side is not None and side.step is not None:
            self._thread.leave()

    def lose(self) -> None:
        """End the wait: the loop is gone."""
        if self._call is not None:
            self._call.settle(error=V2CutOffError())

    def release(self) -> None:
        """Give the place back."""
        self._thread.places.discard(self)


class _Call:
    """One V2 call at a :class:`LoopPlace`; all but ``future`` belongs to the loop's thread."""

    def __init__(
        self, place: LoopPlace, make: Callable[[], Coroutine[Any, Any, Any]], context: Context, timeout_s: float
    ) -> None:
        self.future: Future[Any] = Future()
        self._place = place
        self._make = make
        self._context = context
        self._timeout_s = timeout_s
        self._overdue = False
        self._drive: Drive | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Start the task."""
        if self.future.cancelled():
            return
        guard, loop = self._place.guard, self._place.loop
        if SIDES.of(loop).loop_ends:
            self.settle(error=V2CutOffError())
            return
        try:
            coroutine = self._make()
            self._drive = Drive(loop, guard, coroutine, self._context)
        except BaseException as error:  # noqa: BLE001 - the waiting thread is told
            self.settle(error=error)
            return
        if guard is not None:
            WATCHDOG.watch(SIDES.of(loop))
        self._timer = loop.call_later(self._timeout_s, self._over)
        self._drive.root.add_done_callback(self._ended, context=Context())

    def cancel(self) -> None:
        """Cancel V2."""
        if self._drive is not None:
            self._drive.cancel()

    def _over(self) -> None:
        self._overdue = True
        self.cancel()
        self._timer = self._place.loop.call_later(_GRACE_S, self.settle, None, TimeoutError())

    def _ended(self, task: asyncio.Task[Any]) -> None:
        drive, guard = self._drive, self._place.guard
        self._place.ended_at = drive.stepped_at if drive is not None else None
        if self._timer is not None:
            self._timer.cancel()
        if guard is not None:
            WATCHDOG.leave(SIDES.of(self._place.loop))
        if drive is not None and drive.cancelled_from_outside:
            _CUT.add(self._place.loop)
            self.settle(error=V2CutOffError())
        elif self._overdue:
            over = TimeoutError()
            over.__cause__ = drive.cancellation if drive is not None else None
            self.settle(error=over)
        elif drive is not None and (drive.interrupted or (task.cancelled() and drive.is_paused)):
            self.settle(error=V2PausedError())
        elif task.cancelled():
            self.settle(error=asyncio.CancelledError())
        elif (error := task.exception()) is not None:
            self.settle(error=error)
        else:
            self.settle(task.result())

    def settle(self, result: Any = None, error: BaseException | None = None) -> None:
        """Hand the end of the call to the thread that waits for it; the first one counts."""
        with suppress(Exception):  # given up meanwhile
            if error is not None:
                self.future.set_exception(error)
            else:
                self.future.set_result(result)


def _speaks_of_a_loop(error: object) -> bool:
    """Return whether asyncio raised ``error``, or what it was raised for, because an object belongs to another loop."""
    seen: set[int] = set()
    while isinstance(error, BaseException) and id(error) not in seen:
        if isinstance(error, RuntimeError) and any(said in str(error) for said in _FOREIGN):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


class LoopThread(BackgroundThread):
    """A daemon thread, started at once, with an event loop of its own for V2s where no other loop runs."""

    def __init__(self, name: str = OWN_LOOP) -> None:
        super().__init__(name=name)
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(DaemonPool())
        self.loop.set_exception_handler(_say_the_type)
        self.places: set[OwnLoopPlace] = set()
        self.stopped = False
        """Whether :meth:`stop` was called."""
        self.start()

    def leave(self) -> None:
        """Stop, and end the wait of every call: the loop is blocked."""
        self.stop()
        for place in list(self.places):
            place.lose()

    def stop(self) -> None:
        """Cancel what runs and end the thread, as soon as the loop gets to it."""
        self.stopped = True
        with suppress(RuntimeError):  # closed already
            self.loop.call_soon_threadsafe(self.loop.stop)

    def run(self) -> None:
        """Run the loop, in this thread, until :meth:`stop`."""
        asyncio.set_event_loop(self.loop)
        try:
            while not self.stopped:
                self._turn()
        finally:
            _cancel_all(self.loop)
            self.loop.close()

    def _turn(self) -> None:
        try:
            self.loop.run_forever()
        except BaseException as error:  # noqa: BLE001 - a callback that raises SystemExit stops the loop, not its thread
            say(logging.WARNING, "a shadow's task raised %s", class_name(type(error)))


def _say_the_type(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    say_what_was_left("task", context.get("exception"))


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        with suppress(BaseException):
            loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
