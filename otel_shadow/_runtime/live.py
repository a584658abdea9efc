"""Live mode: V2 answers; where V2 fails or exceeds its time limit, V1 answers within the same execution."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from otel_shadow._runtime.execution import Execution
from otel_shadow._runtime.executors.daemon_pool import start_job
from otel_shadow._runtime.fault_barrier import passes
from otel_shadow._runtime.redact import error_type
from otel_shadow.record import Observation, Status


class V2TimeoutError(Exception):
    """A live V2 that took longer than its time limit."""


class V2CancelledError(Exception):
    """A live V2 that was cancelled, though the node was not."""


class V2ExitError(Exception):
    """A live V2 that raised what is no ``Exception``: ``SystemExit``, a panic of a library in Rust."""


_THREAD = "otel-shadow-live"
_FAILURES = {"timeout": Status.TIMEOUT, "not_implemented": Status.NOT_IMPLEMENTED}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A live V2 and what surrounds it.

    Arguments:
        passing: exceptions that are no failure of V2 and pass through (interrupts, parent commands, drains).
        unusable: exceptions that mean that the graph can't use V2's answer.
        commit: hands V2's writes and answers to the run, which gets them only then.
    """

    passing: tuple[type[BaseException], ...]
    unusable: tuple[type[BaseException], ...]
    commit: Callable[[], None]

    def reason(self, error: BaseException) -> str:
        """Return why V1 answers in place of V2."""
        if isinstance(error, V2TimeoutError):
            return "timeout"
        if isinstance(error, NotImplementedError):
            return "not_implemented"
        return "unusable_output" if isinstance(error, self.unusable) else "error"


class _V2Serves:
    """A block in which V2 serves an execution. Its end notes what became of V2, and swallows V2's failure.

    An interrupt, a parent command and a drain pass, with V2's writes committed; a cancellation and an exit pass. After
    any other exception the code behind the block runs: V1 answers there.
    """

    def __init__(self, execution: Execution, attempt: Attempt) -> None:
        self._execution = execution
        self._attempt = attempt

    def __enter__(self) -> None:
        self._execution.open_live_span()
        self._started = perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if error is None:
            self._served(Status.SUCCESS)
        elif isinstance(error, self._attempt.passing):
            with self._execution.node.services.fault_barrier("commit", self._execution.node.name):
                self._attempt.commit()
            self._served(Status.SUCCESS)
        elif passes(error):
            self._served(Status.CANCELLED)
        else:
            self._failed(error)
            return True
        return False

    def _served(self, status: Status) -> None:
        self._execution.served = "v2"
        self._execution.v2 = self._observation(status, None)

    def _failed(self, error: BaseException) -> None:
        reason = self._attempt.reason(error)
        self._execution.fallback_reason = reason
        self._execution.v2 = self._observation(_FAILURES.get(reason, Status.ERROR), error_type(error))
        self._execution.close_live_span()

    def _observation(self, status: Status, kind: str | None) -> Observation:
        took_s = perf_counter() - self._started
        return Observation(status, took_s, error_type=kind, span_id=self._execution.span.span_id)


def serve(execution: Execution, attempt: Attempt, v2: Callable[[], Any], v1: Callable[[], Any]) -> Any:
    """Return V2's value, or V1's where V2 failed.

    Raises:
        BaseException: what V1 raised where V2 failed; an interrupt, a parent command, a cancellation or an exit of V2.
    """
    with _V2Serves(execution, attempt):
        value = v2()
        attempt.commit()
        return execution.through_v2(value)
    return execution.through(v1)


async def aserve(
    execution: Execution, attempt: Attempt, v2: Callable[[], Awaitable[Any]], v1: Callable[[], Awaitable[Any]]
) -> Any:
    """Await V2 and return its value, or V1's where V2 failed; raises what :func:`serve` raises."""
    with _V2Serves(execution, attempt):
        value = await v2()
        attempt.commit()
        return execution.through_v2(value)
    return await execution.athrough(v1)


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
        async with asyncio.timeout(timeout_s):
            await ended.wait()
    except TimeoutError:
        pass
    except asyncio.CancelledError:
        overdue.add(lambda: not job.done())  # it still runs, and no caller waits for it
        raise
    return _outcome(job, overdue)


async def awithin(timeout_s: float, function: Callable[[], Awaitable[Any]], overdue: OverdueV2s) -> Any:
    """Await ``function()`` no longer than ``timeout_s`` seconds, in a task of its own; raises as :func:`within` does.

    A task that is over its time is cancelled, and left to itself where it ignores that.
    """
    overdue.refuse_more()
    task = asyncio.ensure_future(function())
    try:
        await asyncio.wait({task}, timeout=timeout_s)
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


def _set_soon(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(ended.set)


def _forget(task: asyncio.Future[Any]) -> None:
    """Take the late error, which the loop would else report as never retrieved."""
    if not task.cancelled():
        task.exception()
