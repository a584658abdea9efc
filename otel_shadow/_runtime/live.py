"""Live mode: V2 serves, and V1 answers in its stead when V2 fails, within the same call."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from otel_shadow._runtime.execution import Execution
from otel_shadow._runtime.fault_barrier import passes
from otel_shadow._runtime.redact import error_type
from otel_shadow.record import Observation, Status


class V2TimeoutError(Exception):
    """A live V2 took longer than its time limit."""


class V2CancelledError(Exception):
    """A live V2 was cancelled, though nobody had cancelled the node."""


class V2ExitError(Exception):
    """A live V2 raised what is no ``Exception``: ``SystemExit``, a panic of a library in Rust."""


class Stragglers:
    """Live V2s of one node that are over their time and have not returned.

    Nothing can end them. While as many as may be are there, V1 answers at once: each further V2 would hang as well,
    keep the user waiting up to the time limit, and take one more thread from the process.

    Arguments:
        bound: how many there may be.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._running: list[Callable[[], bool]] = []

    @property
    def full(self) -> bool:
        """Whether there are as many as may be."""
        if self._running:
            self._running = [alive for alive in self._running if alive()]
        return len(self._running) >= self._bound

    def add(self, alive: Callable[[], bool]) -> None:
        """One more, for as long as ``alive()``."""
        self._running = [*self._running, alive]


_FAILURES = {"timeout": Status.TIMEOUT, "not_implemented": Status.NOT_IMPLEMENTED}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A live V2 and what surrounds it.

    Arguments:
        passing: exceptions that are no failure of V2's and pass through (interrupts, parent commands, drains).
        unusable: exceptions that mean "V2 answered what the graph can't use".
        commit: makes what V2 has done to the run the run's; until then V2 has done nothing to it.
    """

    passing: tuple[type[BaseException], ...]
    unusable: tuple[type[BaseException], ...]
    commit: Callable[[], None]

    def reason(self, error: BaseException) -> str:
        """Why V1 answers in V2's stead."""
        if isinstance(error, V2TimeoutError):
            return "timeout"
        if isinstance(error, NotImplementedError):
            return "not_implemented"
        return "unusable_output" if isinstance(error, self.unusable) else "error"


def serve(call: Execution, attempt: Attempt, v2: Callable[[], Any], v1: Callable[[], Any]) -> Any:
    """V2's value, or V1's where V2 failed. An interrupt, a parent command, a cancellation or an exit passes."""
    started = _open(call)
    try:
        value = v2()
        attempt.commit()
    except attempt.passing:
        _passed(call, attempt, started)
        raise
    except BaseException as error:
        if passes(error):
            _served(call, started, Status.CANCELLED)
            raise
        _failed(call, attempt, error, started)
        return call.through(v1)
    _served(call, started)
    return call.through_v2(value)


async def aserve(
    call: Execution, attempt: Attempt, v2: Callable[[], Awaitable[Any]], v1: Callable[[], Awaitable[Any]]
) -> Any:
    """The same, awaited."""
    started = _open(call)
    try:
        value = await v2()
        attempt.commit()
    except attempt.passing:
        _passed(call, attempt, started)
        raise
    except BaseException as error:
        if passes(error):
            _served(call, started, Status.CANCELLED)
            raise
        _failed(call, attempt, error, started)
        return await call.athrough(v1)
    _served(call, started)
    return call.through_v2(value)


class _Thread:
    """A daemon thread of its own (with the caller's context) for one call of V2."""

    def __init__(self, function: Callable[[], Any], done: Callable[[], object] | None = None) -> None:
        self._outcome: list[tuple[Any, BaseException | None]] = []
        self._function: Callable[[], Any] = partial(contextvars.copy_context().run, function)
        self._done = done
        self.thread = threading.Thread(target=self._run, name="otel-shadow-live", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._outcome.append((self._function(), None))
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread
            self._outcome.append((None, error))
        if self._done is not None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                self._done()

    def outcome(self, stragglers: Stragglers) -> Any:
        """What V2 returned or raised; V2TimeoutError where it has done neither."""
        if not self._outcome:
            stragglers.add(self.thread.is_alive)
            raise V2TimeoutError
        value, error = self._outcome[0]
        if isinstance(error, asyncio.CancelledError):
            raise V2CancelledError from error
        if error is not None:
            raise error if isinstance(error, Exception) else V2ExitError from error
        return value


def within(timeout_s: float, function: Callable[[], Any], stragglers: Stragglers) -> Any:
    """Execution ``function`` in a thread of its own (with this context) and wait no longer than ``timeout_s`` seconds.

    Raises:
        V2TimeoutError: it took longer, and the thread is left to itself; or there are too many such threads already.
        V2CancelledError: it was cancelled from within.
        V2ExitError: it tried to end the thread or the process. No signal arrives in a thread of ours.
    """
    if stragglers.full:
        raise V2TimeoutError
    running = _Thread(function)
    running.thread.join(timeout_s)
    return running.outcome(stragglers)


async def awithin_thread(timeout_s: float, function: Callable[[], Any], stragglers: Stragglers) -> Any:
    """The same, awaited. Not in the loop's own pool: V2s that hang there would leave V1 none of its few threads.

    Raises:
        V2TimeoutError: and the others, as :func:`within`.
    """
    if stragglers.full:
        raise V2TimeoutError
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    running = _Thread(function, lambda: loop.call_soon_threadsafe(ended.set))
    try:
        async with asyncio.timeout(timeout_s):
            await ended.wait()
    except TimeoutError:
        pass
    except asyncio.CancelledError:
        stragglers.add(running.thread.is_alive)  # nobody waits for it any more
        raise
    return running.outcome(stragglers)


async def awithin(timeout_s: float, function: Callable[[], Awaitable[Any]], stragglers: Stragglers) -> Any:
    """Await no longer than ``timeout_s`` seconds, in a task of its own: one that ignores its cancellation is left.

    Raises:
        V2TimeoutError: it took longer and was cancelled, or there are too many already that ignore that.
        V2CancelledError: it was cancelled from within.
    """
    if stragglers.full:
        raise V2TimeoutError
    task = asyncio.ensure_future(function())
    try:
        await asyncio.wait({task}, timeout=timeout_s)
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(_forget)
    if not task.done():
        stragglers.add(lambda: not task.done())
        raise V2TimeoutError
    if task.cancelled():
        raise V2CancelledError
    return task.result()


def _forget(task: asyncio.Future[Any]) -> None:
    """Take the late error, or the loop reports it as never retrieved."""
    if not task.cancelled():
        task.exception()


def _open(call: Execution) -> float:
    call.open_live_span()
    return perf_counter()


def _served(call: Execution, started: float, status: Status = Status.SUCCESS) -> None:
    call.served = "v2"
    call.v2 = Observation(status, perf_counter() - started, span_id=call.span.span_id)


def _passed(call: Execution, attempt: Attempt, started: float) -> None:
    """An interrupt, a parent command or a drain goes on to the run, with what belongs to it."""
    with call.node.services.fault_barrier("commit", call.node.name):
        attempt.commit()
    _served(call, started)


def _failed(call: Execution, attempt: Attempt, error: BaseException, started: float) -> None:
    reason = attempt.reason(error)
    status = _FAILURES.get(reason, Status.ERROR)
    call.fallback_reason = reason
    call.v2 = Observation(status, perf_counter() - started, error_type=error_type(error), span_id=call.span.span_id)
    call.close_live_span()
