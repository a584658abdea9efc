"""Calls from a shadow to production's event loop: for what is bound to it, and for awaited code of the graph's own.

The loop may end at any moment: a script's ``asyncio.run`` does at the end of its run. Then V2 has no place to go on,
which is no fault of V2's.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop as Loop
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from otel_shadow._runtime.shadow_context import LOOP_ENDED, SHADOW

R = TypeVar("R")
_LOOK_AGAIN_S = 0.05


class LoopEndedError(RuntimeError):
    """A call to production's event loop, which has ended. The shadow run counts as cancelled, whatever V2 does next."""

    def __init__(self) -> None:
        super().__init__("production's event loop is closed")
        if (scope := SHADOW.get()) is not None:
            scope.state[LOOP_ENDED] = True


def running_loop() -> Loop | None:
    """Return the loop that runs in this thread."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def call_on(loop: Loop, make: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """Run ``make()`` on ``loop`` and wait for it in this thread, which is not the loop's.

    Raises:
        LoopEndedError: the loop has ended.
    """
    future = _start(loop, make)
    while True:
        try:
            return future.result(_LOOK_AGAIN_S)
        except TimeoutError:
            if future.done():  # raised by what ran, not by the waiting
                raise
            _check(loop, future)


async def await_on(loop: Loop, make: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """Run ``make()`` on ``loop`` and await it on another loop; raises what :func:`call_on` raises."""
    future = _start(loop, make)
    waiting = asyncio.wrap_future(future)
    while True:
        done, _ = await asyncio.wait({waiting}, timeout=_LOOK_AGAIN_S)
        if done:
            return await waiting
        _check(loop, future)


def _start(loop: Loop, make: Callable[[], Coroutine[Any, Any, R]]) -> Future[R]:
    """Make the coroutine on the loop: one that is made here would stay unawaited if the loop ended first."""
    future: Future[R] = Future()

    def start() -> None:
        if future.set_running_or_notify_cancel():
            loop.create_task(make()).add_done_callback(lambda task: _hand_over(task, future))

    try:
        loop.call_soon_threadsafe(start)
    except RuntimeError:
        raise LoopEndedError from None
    return future


def _hand_over(task: asyncio.Task[R], future: Future[R]) -> None:
    if task.cancelled():
        future.set_exception(LoopEndedError())
    elif (error := task.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(task.result())


def _check(loop: Loop, future: Future[Any]) -> None:
    if not future.done() and not loop.is_running():
        future.cancel()
        raise LoopEndedError
