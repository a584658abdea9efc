"""What a live V2 does to its task is provisional until it has answered: a V2 that fails has done nothing to it."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.pregel._algo import LazyAtomicCounter, PregelTaskWrites, local_read

from otel_shadow._langgraph import internals


class Trial:
    """A live V2's own view of its task: where it writes, and its copy of the human's answers to interrupts.

    V1, answering in V2's stead, finds the task as it was given; what an abandoned V2 still writes goes nowhere.

    Arguments:
        config: the configuration that the node was called with.
    """

    def __init__(self, config: RunnableConfig) -> None:
        self._config = config
        self._writes: deque[tuple[str, Any]] = deque()
        self._known: dict[str, Any] = config.get(internals.CONF) or {}
        self._consumed = False
        self._private = False

    def begin(self) -> RunnableConfig:
        """The configuration for V2."""
        own = dict(self._known)
        read = own.get(internals.READ)
        self._private = isinstance(read, partial) and read.func is local_read
        if self._private:
            own[internals.READ] = self._read(read)
            own[internals.SEND] = self._writes.extend
            own[internals.SCRATCHPAD] = self._scratchpad(own[internals.SCRATCHPAD])
        return {**self._config, internals.CONF: own}

    def commit(self) -> None:
        """V2 has answered: what it did becomes the task's."""
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
            answer = scratchpad.get_null_resume(False)
            self._consumed = consume and answer is not None
            return answer

        return replace(
            scratchpad,
            call_counter=LazyAtomicCounter(),
            interrupt_counter=LazyAtomicCounter(),
            subgraph_counter=LazyAtomicCounter(),
            get_null_resume=get_null_resume,
            resume=list(scratchpad.resume),
        )
