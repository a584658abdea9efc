"""The ends of a process at which ``atexit`` calls nothing, or too late: shadow runs are finished there, too.

A uvicorn that a signal ends answers its last request and raises the signal again. A worker of ``billiard``'s pool
(Celery's prefork) and a fork of a queue that forks for each job (RQ) end by ``os._exit`` once their work is done. No
such package is imported here: what ends them is wrapped when the application imports it, and ``os._exit`` in forks
alone: elsewhere it is meant to end the process at once.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from time import perf_counter, sleep
from typing import Any, NamedTuple

import wrapt

from otel_shadow._runtime.shadow_context import in_v2
from otel_shadow.background_thread import BackgroundThread

_POLL_S = 0.01
_GRACE_S = 0.5
"""Seconds that a callback may take beyond its own."""
_HURRIED_S = 2.0
"""Seconds that all have once the process is to end at once: to cancel takes milliseconds, but on a busy machine."""
_HURRY = threading.Event()


class ProcessEnd(NamedTuple):
    """What is called when the process ends."""

    callback: Callable[[], object]
    seconds: float
    """After which it is left to itself."""
    is_due: Callable[[], bool]
    """Whether there is anything to do; asked in a process that may be a fork and has done nothing."""


Ends = Callable[[], Iterable[ProcessEnd]]


def in_a_hurry() -> bool:
    """Return whether the process has been told to end while it finished shadow runs: what goes on is cancelled."""
    return _HURRY.is_set()


def finish(ends: Iterable[ProcessEnd]) -> None:
    """Call what is due, each in a thread, and wait no longer than its seconds; a signal that ends the process hurries.

    The threads leave the caller free to handle signals, and no lock that it holds (inside a signal's handler) keeps it.
    """
    due = [end for end in ends if end.is_due()]
    if not due:
        return
    threads = _started(due)
    until = perf_counter() + max(end.seconds for end in due) + _GRACE_S
    try:
        with _hurried_by_termination():
            _wait(threads, until)
    except BaseException:  # what a signal's handler raises
        _HURRY.set()
        _wait(threads, until)
        raise


def _started(ends: Iterable[ProcessEnd]) -> list[threading.Thread]:
    threads: list[threading.Thread] = []
    for end in ends:
        thread = BackgroundThread(target=end.callback, name="otel-shadow-end")
        try:
            thread.start()
            threads.append(thread)
        except RuntimeError:  # the interpreter is ending and starts no more threads
            end.callback()
    return threads


def _wait(threads: list[threading.Thread], until: float) -> None:
    hurried_at: float | None = None
    while any(thread.is_alive() for thread in threads) and perf_counter() < until:
        if in_a_hurry():
            hurried_at = hurried_at or perf_counter()
            until = min(until, hurried_at + _HURRIED_S)
        sleep(_POLL_S)


@contextmanager
def _hurried_by_termination() -> Iterator[None]:
    """Have a ``SIGTERM`` that would kill the process hurry in this block: the process is ending as it is.

    ``Pool.terminate`` sends it, which every ``with Pool(...)`` calls, to workers that have done their share.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, lambda *_: _HURRY.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


# --- what ends a process ---------------------------------------------------------------------------------------------


@functools.cache
def watch(ends: Ends) -> None:
    """Wrap what ends a process past ``atexit``: now, or when the application imports it."""
    for module, name, wrapper in (
        ("uvicorn.server", "Server.shutdown", _uvicorn_shutdown),
        ("billiard.pool", "Worker._do_exit", _billiard_exit),
    ):
        wrapt.register_post_import_hook(functools.partial(_wrap, name, functools.partial(wrapper, ends)), module)


def _wrap(name: str, wrapper: Callable[..., Any], module: Any) -> None:
    owner, _, method = name.partition(".")
    if hasattr(getattr(module, owner, None), method):
        wrapt.wrap_function_wrapper(module, name, wrapper)


def wrap_exit(ends: Ends) -> None:
    """Wrap ``os._exit``, in a fork."""
    if not hasattr(os._exit, "__wrapped__"):  # a fork of a fork has it already
        wrapt.wrap_function_wrapper("os", "_exit", functools.partial(_exit, ends))


def _exit(ends: Ends, exit_now: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
    """Finish shadow runs, then end the process: in the main thread alone, for a watchdog's exit must not wait."""
    try:
        if threading.current_thread() is threading.main_thread() and not in_v2():
            finish(ends())
    finally:
        exit_now(*args, **kwargs)


def _billiard_exit(ends: Ends, do_exit: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
    """Finish shadow runs before the worker tells its parent, who may kill it then, and before signals that flush."""
    try:
        with suppress(Exception):
            finish(ends())
    finally:
        do_exit(*args, **kwargs)


async def _uvicorn_shutdown(ends: Ends, shutdown: Callable[..., Any], server: Any, args: Any, kwargs: Any) -> Any:
    """Run uvicorn's own shutdown, then what is due if a signal is about to end the process; the loop goes on."""
    result = await shutdown(*args, **kwargs)
    due = list(ends())
    if due and getattr(server, "_captured_signals", None) and not getattr(server, "force_exit", False):
        threads = _started(due)
        while any(thread.is_alive() for thread in threads):  # each callback keeps a deadline of its own
            await asyncio.sleep(_POLL_S)
    return result
