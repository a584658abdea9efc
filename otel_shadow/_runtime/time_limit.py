"""The time limit of a live V2, in a thread or awaited, and the V2s that go on after it.

A shadow run's time limit is kept elsewhere: by ``dispatcher.Dispatcher._time_out`` in a thread, by
``executors.loop._Call`` where V2 is awaited, by ``executors.worker_handle`` in a worker process.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from typing import Any

from otel_shadow._runtime.executors.daemon_pool import start_job

_THREAD = "otel-shadow-live"


class V2TimeoutError(Exception):
    """A live V2 that took longer than its time limit."""


class V2CancelledError(Exception):
    """A live V2 that was cancelled, though the node was not."""


class V2ExitError(Exception):
    """A live V2 that raised what is no ``Exception``: ``SystemExit``, a panic of a library in Rust."""


class OverdueV2s:
    """The live V2s of one node that are over their time and have not returned; nothing can end them.

    Once there are ``bound`` of them V1 answers at once: a further V2 would probably hang as well, keep the user waiting
    up to the time limit, and take one more thread from the process.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._running: list[Callable[[], bool]] = []

    def refuse_more(self) -> None:
        """Raise :class:`V2TimeoutError` where there are as many as there may be."""
        if self._running:
            self._running = [alive for alive in self._running if alive()]
        if len(self._running) >= self._bound:
            raise V2TimeoutError

    def add(self, alive: Callable[[], bool]) -> None:
        """Count one more V2, for as long as ``alive()``."""
        self._running = [*self._running, alive]


def within(timeout_s: float, function: Callable[[], Any], overdue: OverdueV2s) -> Any:
    """Call ``function`` in a thread of its own (with this context) and wait no longer than ``timeout_s`` seconds.

    Raises:
        V2TimeoutError: ``function`` took longer, and its thread goes on; or there are too many such threads already.
        V2CancelledError: ``function`` was cancelled from within.
        V2ExitError: ``function`` tried to end the thread or the process (no signal arrives in this thread).
        Exception: what ``function`` raised.
    """
    overdue.refuse_more()
    job = start_job(_THREAD, partial(contextvars.copy_context().run, function))
    wait((job,), timeout_s)
    return _outcome(job, overdue)


async def awithin_thread(timeout_s: float, function: Callable[[], Any], overdue: OverdueV2s) -> Any:
    """Call ``function`` as :func:`within` does, and await its end; a cancelled caller leaves the thread to itself.

    The thread is none of the loop's own pool: V2s that hang there would leave V1 none of its few threads.
    """
    overdue.refuse_more()
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    job = start_job(_THREAD, partial(contextvars.copy_context().run, function))
    job.add_done_callback(lambda _: _set_soon(loop, ended))
    try:
        await _set_within(timeout_s, ended)
    except asyncio.CancelledError:
        overdue.add(lambda: not job.done())  # it still runs, and no caller waits for it
        raise
    return _outcome(job, overdue)


async def awithin(timeout_s: float, function: Callable[[], Awaitable[Any]], overdue: OverdueV2s) -> Any:
    """Await ``function()`` no longer than ``timeout_s`` seconds, in a task of its own; raises as :func:`within` does.

    A task that is over its time is cancelled, and left to itself where it ignores that.
    """
    overdue.refuse_more()
    task, ended = asyncio.ensure_future(function()), asyncio.Event()
    task.add_done_callback(lambda _: ended.set(), context=contextvars.Context())
    try:
        await _set_within(timeout_s, ended)
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(_forget)
    if not task.done():
        overdue.add(lambda: not task.done())
        raise V2TimeoutError
    if task.cancelled():
        raise V2CancelledError
    return task.result()


def _outcome(job: Future[Any], overdue: OverdueV2s) -> Any:
    """Return what a V2 in a thread returned, or raise what :func:`within` raises."""
    if not job.done():
        overdue.add(lambda: not job.done())
        raise V2TimeoutError
    error = job.exception()
    if isinstance(error, asyncio.CancelledError):
        raise V2CancelledError from error
    if error is not None:
        raise error if isinstance(error, Exception) else V2ExitError from error
    return job.result()


async def _set_within(timeout_s: float, ended: asyncio.Event) -> None:
    """Wait until ``ended`` is set, for ``timeout_s`` seconds at most.

    asyncio's own timers keep the caller's context, with all that a request holds, in the loop until they are due.
    """
    timer = asyncio.get_running_loop().call_later(timeout_s, ended.set, context=contextvars.Context())
    try:
        await ended.wait()
    finally:
        timer.cancel()


def _set_soon(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(ended.set)


def _forget(task: asyncio.Future[Any]) -> None:
    """Take the late error, which the loop would else report as never retrieved."""
    if not task.cancelled():
        task.exception()
