"""Running a coroutine on production's event loop from elsewhere, when that loop may end at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

R = TypeVar("R")
_LOOK_AGAIN_S = 0.05


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def call_on(loop: asyncio.AbstractEventLoop, make: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """Run ``make()`` on ``loop`` and wait for it in this thread, which is not the loop's.

    Raises:
        RuntimeError: the loop has ended; nothing is left unawaited.
    """
    future = _start(loop, make)
    while True:
        try:
            return future.result(_LOOK_AGAIN_S)
        except TimeoutError:
            if future.done():  # the work's own
                raise
            _check(loop, future)


async def await_on(loop: asyncio.AbstractEventLoop, make: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """The same for a caller on another loop."""
    future = _start(loop, make)
    waiting = asyncio.wrap_future(future)
    while True:
        done, _ = await asyncio.wait({waiting}, timeout=_LOOK_AGAIN_S)
        if done:
            return await waiting
        _check(loop, future)


def _start(loop: asyncio.AbstractEventLoop, make: Callable[[], Coroutine[Any, Any, R]]) -> Future[R]:
    """The coroutine is made on the loop: one made here would stay unawaited if the loop ended first."""
    future: Future[R] = Future()

    def start() -> None:
        if future.set_running_or_notify_cancel():
            loop.create_task(make()).add_done_callback(lambda task: _hand_over(task, future))

    loop.call_soon_threadsafe(start)
    return future


def _hand_over(task: asyncio.Task[R], future: Future[R]) -> None:
    if task.cancelled():
        future.set_exception(RuntimeError("production's event loop ended meanwhile"))
    elif (error := task.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(task.result())


def _check(loop: asyncio.AbstractEventLoop, future: Future[Any]) -> None:
    """Go on waiting while there is hope."""
    if not future.done() and not loop.is_running():
        future.cancel()
        raise RuntimeError("production's event loop is closed")
