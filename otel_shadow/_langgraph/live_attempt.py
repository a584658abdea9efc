"""A live V2: its time limit, its own view of the task, and what it does there, which counts once it has answered."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from functools import partial
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.pregel._algo import PregelTaskWrites, local_read

from otel_shadow._langgraph import internals
from otel_shadow._langgraph.v2_runnable import is_async
from otel_shadow._runtime.snapshot import take
from otel_shadow._runtime.time_limit import OverdueV2s, awithin, awithin_thread, within


class LiveAttempt:
    """A live V2's own view of its task: where it writes, and its copy of the human's answers to interrupts.

    Where V1 answers in place of V2, it finds the task as it was given; what an abandoned V2 still writes is not used.
    ``config`` is what the node was called with.
    """

    def __init__(self, config: RunnableConfig) -> None:
        self._config = config
        self._writes: deque[tuple[str, Any]] = deque()
        self._known: dict[str, Any] = config.get(internals.CONF) or {}
        self._consumed = False
        self._private = False

    def begin(self) -> RunnableConfig:
        """Make the configuration for V2."""
        own = dict(self._known)
        read = own.get(internals.READ)
        self._private = isinstance(read, partial) and read.func is local_read
        if self._private:
            own[internals.READ] = self._read(read)
            own[internals.SEND] = self._writes.extend
            own[internals.SCRATCHPAD] = self._scratchpad(own[internals.SCRATCHPAD])
        return {**self._config, internals.CONF: own}

    def commit(self) -> None:
        """Make what V2 did the task's, now that it has answered."""
        if self._private:
            if self._consumed:
                self._known[internals.SCRATCHPAD].get_null_resume(True)
            self._known[internals.SEND](list(self._writes))

    def _read(self, read: Any) -> Any:
        scratchpad, channels, managed, task = read.args[:4]
        own = PregelTaskWrites(task.path, task.name, self._writes, task.triggers)
        return partial(local_read, scratchpad, channels, managed, own, *read.args[4:])

    def _scratchpad(self, scratchpad: Any) -> Any:
        def get_null_resume(consume: bool = False) -> Any:
            if self._consumed:
                return None
            answer = internals.waiting_answer(scratchpad)
            self._consumed = consume and answer is not None
            return answer

        return replace(
            scratchpad, **internals.fresh_counters(), get_null_resume=get_null_resume, resume=list(scratchpad.resume)
        )


class TimeLimited(Runnable[Any, Any]):
    """A live V2 with a time limit in seconds; ``overdue`` are the node's V2s over their time that have not returned."""

    def __init__(self, inner: Runnable[Any, Any], timeout_s: float, overdue: OverdueV2s) -> None:
        self._inner = inner
        self._timeout_s = timeout_s
        self._overdue = overdue

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Return V2's value, or raise ``V2TimeoutError`` where it took longer."""
        if is_async(self._inner):
            awaited = partial(self._inner.ainvoke, input, config, **kwargs)
            return within(self._timeout_s, lambda: asyncio.run(awaited()), self._overdue)
        return within(self._timeout_s, partial(self._inner.invoke, input, config, **kwargs), self._overdue)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Await V2's value, or raise ``V2TimeoutError`` where it took longer."""
        if not is_async(self._inner, default=True):
            called = partial(self._inner.invoke, input, config, **kwargs)
            return await awithin_thread(self._timeout_s, called, self._overdue)
        return await awithin(self._timeout_s, partial(self._inner.ainvoke, input, config, **kwargs), self._overdue)


def copied(value: Any) -> Any:
    """Return a copy of ``value`` for a live V2, so that V1 finds it untouched; itself where it can't be copied."""
    try:
        return take(value).restore()
    except Exception:  # noqa: BLE001 - user classes raise anything
        return value
