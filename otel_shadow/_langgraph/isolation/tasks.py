"""``@task`` and other calls inside V2: run here and now, never through production's runner."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.pregel._call import SyncAsyncFuture, get_runnable_for_task
from langgraph.pregel._retry import arun_with_retry, run_with_retry
from langgraph.types import PregelExecutableTask

from otel_shadow._langgraph import internals
from otel_shadow.background_thread import BackgroundThread

_MAX_THREADS = 32
"""Calls of one shadow that run side by side; further ones run in the caller's thread, one after the other."""


def new_id() -> str:
    """Make a random UUID, version 4. Applications seed and mock ``uuid4``; a shadow must not use up their numbers."""
    return str(uuid.UUID(bytes=os.urandom(16), version=4))


class LocalCalls:
    """A runner of the tasks that V2 calls: side by side as in LangGraph, each with its writes, retries and time limit.

    The threads are daemons, so a task that hangs never keeps the process from ending.
    """

    def __init__(self) -> None:
        self.pending: set[asyncio.Task[Any]] = set()
        self._threads = threading.BoundedSemaphore(_MAX_THREADS)

    def bind(self, config: RunnableConfig) -> Callable[..., Any]:
        def call(
            func: Callable[..., Any], value: Any, *, retry_policy: Any = None, timeout: Any = None, **_: Any
        ) -> Any:
            runnable = get_runnable_for_task(func)
            writes: deque[tuple[str, Any]] = deque()
            inner = self._config(config, runnable.get_name(), writes)
            task = PregelExecutableTask(
                name=runnable.get_name(),
                input=value,
                proc=runnable,
                writes=writes,
                config=inner,
                triggers=(),
                retry_policy=retry_policy or (),
                cache_key=None,
                id=inner[internals.CONF][internals.TASK_ID],
                path=(),
                **({"timeout": timeout} if timeout is not None else {}),
            )
            return self._await(task) if _in_task() else self._thread(task)

        return call

    def _config(self, config: RunnableConfig, name: str, writes: deque[tuple[str, Any]]) -> RunnableConfig:
        task_id = new_id()
        outer = config[internals.CONF]
        parent = outer[internals.CHECKPOINT_NS]
        inner: RunnableConfig = {**config, internals.CONF: dict(outer)}
        inner[internals.CONF].update(
            {
                internals.TASK_ID: task_id,
                internals.SEND: writes.extend,
                internals.CHECKPOINT_NS: f"{parent}{internals.NS_SEP}{name}{internals.NS_END}{task_id}",
                internals.CALL: self.bind(inner),
            }
        )
        scratchpad = outer.get(internals.SCRATCHPAD)
        if scratchpad is not None:
            inner[internals.CONF][internals.SCRATCHPAD] = replace(scratchpad, **internals.fresh_counters(), resume=[])
        return inner

    def _await(self, task: PregelExecutableTask) -> asyncio.Task[Any]:
        async def go() -> Any:
            await arun_with_retry(task, None)
            return _returned(task)

        running = asyncio.create_task(go())
        self.pending.add(running)
        running.add_done_callback(self.pending.discard)
        return running

    def _thread(self, task: PregelExecutableTask) -> SyncAsyncFuture[Any]:
        future: SyncAsyncFuture[Any] = SyncAsyncFuture()
        context = contextvars.copy_context()

        def go() -> None:
            try:
                context.run(run_with_retry, task, None)
                future.set_result(_returned(task))
            except BaseException as error:  # noqa: BLE001 - the future carries it
                future.set_exception(error)

        if not self._threads.acquire(blocking=False):
            go()
            return future

        def release_after() -> None:
            try:
                go()
            finally:
                self._threads.release()

        BackgroundThread(target=release_after, name="otel-shadow-task").start()
        return future

    async def aclose(self) -> None:
        """Cancel what V2 started and did not await."""
        leftover = [task for task in self.pending if not task.done()]
        for task in leftover:
            task.cancel()
        if leftover:
            await asyncio.gather(*leftover, return_exceptions=True)


def _returned(task: PregelExecutableTask) -> Any:
    return next((value for channel, value in task.writes if channel == internals.RETURN), None)


def _in_task() -> bool:
    try:
        return asyncio.current_task() is not None
    except RuntimeError:  # no loop in this thread
        return False
