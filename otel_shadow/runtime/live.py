"""Live mode: V2 serves, and V1 answers in its stead when V2 fails, within the same call."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from otel_shadow.record import Observation, Status
from otel_shadow.runtime.call import Call
from otel_shadow.runtime.redact import error_type


class V2TimeoutError(Exception):
    """A live V2 took longer than its time limit."""


class V2CancelledError(Exception):
    """A live V2 was cancelled, though nobody had cancelled the node."""


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

    def reason(self, error: Exception) -> str:
        """Why V1 answers in V2's stead."""
        if isinstance(error, V2TimeoutError):
            return "timeout"
        if isinstance(error, NotImplementedError):
            return "not_implemented"
        return "unusable_output" if isinstance(error, self.unusable) else "error"


def serve(call: Call, attempt: Attempt, v2: Callable[[], Any], v1: Callable[[], Any]) -> Any:
    """V2's value, or V1's where V2 failed. An interrupt, a parent command, a cancellation or an exit passes."""
    started = _open(call)
    try:
        value = v2()
        attempt.commit()
    except attempt.passing:
        _passed(call, attempt, started)
        raise
    except Exception as error:  # noqa: BLE001 - V1 answers whatever V2 raises
        _failed(call, attempt, error, started)
        return call.through(v1)
    except BaseException:
        _served(call, started, Status.CANCELLED)
        raise
    _served(call, started)
    return call.through_v2(value)


async def aserve(
    call: Call, attempt: Attempt, v2: Callable[[], Awaitable[Any]], v1: Callable[[], Awaitable[Any]]
) -> Any:
    """The same, awaited."""
    started = _open(call)
    try:
        value = await v2()
        attempt.commit()
    except attempt.passing:
        _passed(call, attempt, started)
        raise
    except Exception as error:  # noqa: BLE001 - as above
        _failed(call, attempt, error, started)
        return await call.athrough(v1)
    except BaseException:
        _served(call, started, Status.CANCELLED)
        raise
    _served(call, started)
    return call.through_v2(value)


def within(timeout_s: float, function: Callable[[], Any]) -> Any:
    """Call ``function`` in a thread of its own (with this context) and wait no longer than ``timeout_s`` seconds.

    Raises:
        V2TimeoutError: it took longer; the thread is left to itself.
        V2CancelledError: it was cancelled from within.
    """
    outcome: list[Any] = []
    context = contextvars.copy_context()

    def body() -> None:
        try:
            outcome.append((context.run(function), None))
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread
            outcome.append((None, error))

    thread = threading.Thread(target=body, name="otel-shadow-live", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if not outcome:
        raise V2TimeoutError
    value, error = outcome[0]
    if isinstance(error, asyncio.CancelledError):
        raise V2CancelledError from error
    if error is not None:
        raise error
    return value


async def awithin(timeout_s: float, awaitable: Awaitable[Any]) -> Any:
    """Await no longer than ``timeout_s`` seconds, in a task of its own: one that ignores its cancellation is left.

    Raises:
        V2TimeoutError: it took longer and was cancelled.
        V2CancelledError: it was cancelled from within.
    """
    task = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait({task}, timeout=timeout_s)
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(_forget)
    if not task.done():
        raise V2TimeoutError
    if task.cancelled():
        raise V2CancelledError
    return task.result()


def _forget(task: asyncio.Future[Any]) -> None:
    """Take the late error, or the loop reports it as never retrieved."""
    if not task.cancelled():
        task.exception()


def _open(call: Call) -> float:
    call.open_live_span()
    return perf_counter()


def _served(call: Call, started: float, status: Status = Status.SUCCESS) -> None:
    call.served = "v2"
    call.v2 = Observation(status, perf_counter() - started, span_id=call.span.span_id)


def _passed(call: Call, attempt: Attempt, started: float) -> None:
    """An interrupt, a parent command or a drain goes on to the run, with what belongs to it."""
    with call.manager.shield("commit", call.site.node):
        attempt.commit()
    _served(call, started)


def _failed(call: Call, attempt: Attempt, error: Exception, started: float) -> None:
    reason = attempt.reason(error)
    status = _FAILURES.get(reason, Status.ERROR)
    call.fallback_reason = reason
    call.v2 = Observation(status, perf_counter() - started, error_type=error_type(error), span_id=call.span.span_id)
    call.close_live_span()
