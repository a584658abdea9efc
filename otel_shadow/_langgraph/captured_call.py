"""A node's call, captured: one snapshot and a handful of references before V1 runs, V1's writes after it.

Taking it is the only part of the isolation that runs on V1's path; nothing is built there. Everything that V2 could
share with production by reference goes into one pickle together with the input, so that what was one object stays one
object. Where one part can't be copied, the snapshot is taken part by part (``captured_parts``).
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import weakref
from collections import deque
from functools import lru_cache, partial
from math import inf
from sys import getsizeof
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph._internal._config import recast_checkpoint_ns
from langgraph.errors import GraphBubbleUp, GraphInterrupt, ParentCommand
from langgraph.pregel._algo import local_read
from langgraph.pregel._read import PregelNode
from langgraph.types import Send

from otel_shadow._langgraph import internals
from otel_shadow._langgraph.captured_parts import UNCOPYABLE, Parts, PartSnapshots, channel_values
from otel_shadow._langgraph.limits_of_v1 import ended_at_limit
from otel_shadow._langgraph.nested_runs import RESUMED, NestedRuns
from otel_shadow._langgraph.store_reads import note_file
from otel_shadow._runtime.redact import class_name
from otel_shadow._runtime.services import random_id
from otel_shadow._runtime.side_effects import Recording
from otel_shadow._runtime.snapshot import ATOMS, Snapshot, SnapshotError, TooLargeError, take
from otel_shadow.record import Status

_set_parent = var_child_runnable_config.set
_NO_DECISION = internals.BOOKKEEPING - {internals.TASKS}
_CALLED: dict[int, weakref.ref[deque[Any]]] = {}
"""Queues of writes of the tasks that were called and still live, by their ids."""


@lru_cache(256)
def _user_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys of ``configurable`` that are not LangGraph's own; runs of one graph have the same."""
    return tuple(key for key in keys if not key.startswith(internals.PRIVATE_PREFIX))


def classify(error: BaseException) -> Status:
    """Return the status of a node's exception: a parent command is a decision, a drain a cancellation.

    A cancellation by one of LangGraph's time limits is an error of the node's.
    """
    if isinstance(error, GraphInterrupt):
        return Status.INTERRUPT
    if isinstance(error, ParentCommand):
        return Status.SUCCESS
    if isinstance(error, GraphBubbleUp | asyncio.CancelledError | GeneratorExit):
        return Status.ERROR if isinstance(error, asyncio.CancelledError) and ended_at_limit() else Status.CANCELLED
    return Status.ERROR


def run_id(config: RunnableConfig | None) -> str:
    """Return an id of the graph's run in which a node is called with ``config``: LangChain's, which callbacks see."""
    run = getattr((config or {}).get("callbacks"), "parent_run_id", None)
    return f"run {run}" if run is not None else random_id()


class CapturedCall:
    """Everything that a call of a node would see, as it was before V1 ran, and what V1 wrote.

    Arguments:
        node: the node that was called with ``value`` and ``config``; its writers make V2's decision.
        awaited: whether V1 is awaited on the running loop.
        largest: bytes beyond which there is no snapshot.
        until: this thread's processor time (s) at which the snapshot is to be done.

    Raises:
        SnapshotError: the input can't be copied.
        TooLargeError: a snapshot would be larger than ``largest``.
        TooSlowError: it takes longer.
    """

    size: int
    """Bytes that the snapshots hold."""
    is_retry = False
    """Whether the same execution was captured before, at an earlier attempt."""
    recording: Recording | None = None
    """V1's own calls of tools, where some are to be replayed."""
    nested: NestedRuns | None = None
    """What V1 does with graphs inside."""
    _status = Status.SUCCESS
    _command: ParentCommand | None = None
    _error_class: type[BaseException] | None = None
    _writes: Snapshot

    def __init__(
        self,
        value: Any,
        config: RunnableConfig,
        node: PregelNode,
        v2: Runnable[Any, Any],
        *,
        awaited: bool,
        largest: int = sys.maxsize,
        until: float = inf,
    ) -> None:
        known = config.get(internals.CONF)
        configurable: dict[str, Any] = dict(known) if known else {}
        configurable.pop(internals.CALL, None)
        metadata = config.get("metadata")
        # The rest leads to the run itself, which must be gone when it ends, however long a shadow run waits.
        self.tags = config.get("tags")
        self.recursion_limit = config.get("recursion_limit", 25)
        self.configurable = configurable
        self.loop = asyncio.get_running_loop() if awaited else None
        self.called_on_loop = not awaited and asyncio._get_running_loop() is not None
        self.context = context = contextvars.copy_context()
        context.run(_set_parent, None)  # it leads to the run; V2 gets a configuration of its own
        self._node = node
        self._v2 = v2
        read = configurable.get(internals.READ)
        if isinstance(read, partial) and read.func is local_read:
            _, self.channels, self.managed, self.task = read.args  # of the channels only classes and names are read
            values, self._given, self.channel_copies = channel_values(self.channels, value)
            self.is_retry = _called_before(self.task.writes)
        else:
            self.channels, self.managed, self.task = {}, {}, None
            values, self._given, self.channel_copies = {}, [], {}
        self._parts = _taken(value, values, configurable, dict(metadata) if metadata else {}, largest, until)
        self.size = self._parts.size
        self._largest = largest

    def complete(self, error: BaseException | None, until: float = inf) -> str | None:
        """Add V1's writes, now that its sequence of node and writers has ended.

        Arguments:
            error: what V1 raised, if it did; it is not kept (its traceback holds V1's locals).
            until: this thread's processor time (s) at which the snapshot of the writes is to be done.

        Returns:
            Why no V2 can be compared with this V1; None where one can.

        Raises:
            TooLargeError: all snapshots would be larger than allowed.
            TooSlowError: it takes longer.
        """
        if self.recording is not None:
            self.recording.stop()
        if self.nested is not None:
            self.nested.stop()
            if self.nested.resumed:
                return RESUMED
            if self.nested.reads or self.nested.begun:
                self.size += self.nested.size
        if error is not None:
            self._status = classify(error)
            self._command = ParentCommand(error.args[0]) if isinstance(error, ParentCommand) else None
            cancelled = isinstance(error, asyncio.CancelledError)  # an error where a time limit did it
            self._error_class = TimeoutError if cancelled else type(error)
        self._writes = _kept(self.writes(), self.left, until)
        self.size += self._writes.size
        return None

    @property
    def left(self) -> int:
        """Bytes that further copies may have."""
        return self._largest - self.size

    @property
    def spent_s(self) -> float:
        """Seconds that copies took while V1 ran."""
        return self.nested.spent_s if self.nested is not None else 0.0

    def writes(self) -> list[tuple[str, Any]]:
        """Return V1's writes so far: state fields, branches, joins and sends, no errors, questions or answers."""
        if self.task is None:
            return []
        return [write for write in list(self.task.writes) if write[0] not in _NO_DECISION]

    # --- off the path ----------------------------------------------------------------------------------------------

    @property
    def here(self) -> tuple[str, ...]:
        """Names by which a command from a subgraph means this node's own graph, as production's runner knows it."""
        namespace = self.configurable.get(internals.CHECKPOINT_NS)
        known = [namespace, recast_checkpoint_ns(namespace)] if namespace else []
        return (*known, *([self.task.name] if self.task is not None else []))

    def restore(self) -> Parts:
        """Make fresh copies of all that was captured; aliases within it are kept.

        A class that can be captured and not be made again is a SnapshotError.
        """
        try:
            value, channels, (user, metadata, run) = self._parts.restore()
        except Exception as error:  # user classes raise anything from __setstate__ and the like
            raise SnapshotError(class_name(type(error))) from error
        return Parts(value, channels | {key: value[key] for key in self._given}, user, metadata, *run)


def _taken(
    value: Any,
    values: dict[str, Any],
    configurable: dict[str, Any],
    metadata: dict[str, Any],
    largest: int,
    until: float,
) -> Snapshot | PartSnapshots:
    """Take everything in one snapshot, as nearly always, or part by part where something can't be copied."""
    user = {key: configurable[key] for key in _user_keys(tuple(configurable))}
    previous = context = resume = null_resume = None
    if (runtime := configurable.get(internals.RUNTIME)) is not None:
        if runtime.store is not None:
            note_file(runtime.store)
        previous, context = runtime.previous, runtime.context
        if type(context) is dict:
            context = dict(context)
    if (scratchpad := configurable.get(internals.SCRATCHPAD)) is not None:
        resume, null_resume = scratchpad.resume, internals.waiting_answer(scratchpad)
    node_error = configurable.get(internals.NODE_ERROR) if internals.NODE_ERROR is not None else None
    whole = value, values, (user, metadata, (previous, context, resume, null_resume, node_error))
    if UNCOPYABLE:
        inside = context.values() if type(context) is dict else (context,)
        if any(type(item) in UNCOPYABLE for item in (*user.values(), *metadata.values(), *inside)):
            return PartSnapshots(whole, largest, until)
    try:
        return take(whole, largest, until)
    except SnapshotError:
        return PartSnapshots(whole, largest, until)


class Uncopied:
    """A stand-in for a value of V1's that can't be copied; it is equal to none."""

    __slots__ = ()


def _kept(writes: list[tuple[str, Any]], largest: int, until: float) -> Snapshot:
    """Take a snapshot of V1's writes: they live on in the run, where later nodes may change them in place.

    A comparison may not touch them there either: what can't be copied is not compared.
    """
    if ATOMS.issuperset([type(value) for _, value in writes]):  # a router's decision: nothing that could change
        size = sum(getsizeof(value) for _, value in writes)
        if size > largest:
            raise TooLargeError
        return Snapshot(None, kept=writes, size=size)
    try:
        return take(writes, largest, until)
    except SnapshotError:
        return take([(channel, _copyable(value, largest, until)) for channel, value in writes], largest, until)


def _copyable(value: Any, largest: int, until: float) -> Any:
    try:
        take(value, largest, until)
    except SnapshotError:
        return Send(value.node, Uncopied()) if isinstance(value, Send) else Uncopied()
    return value


def _called_before(writes: deque[Any]) -> bool:
    """Return whether a task with this very queue of writes was called before.

    A retry calls the same prepared task again and uses its queue; a resume prepares a new one under the same id.
    """
    key = id(writes)
    known = _CALLED.get(key)
    if known is not None and known() is writes:
        return True
    _CALLED[key] = weakref.ref(writes, partial(_forget, key))
    return False


def _forget(key: int, gone: weakref.ref[deque[Any]]) -> None:
    if _CALLED.get(key) is gone:
        _CALLED.pop(key, None)
