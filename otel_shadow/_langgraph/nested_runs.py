"""What V1 does with graphs inside its node: runs that go on from their last question, and states that it reads.

A shadow run starts afresh. Beside a V1 that goes on inside a subgraph, or whose ``@task`` calls have their results from
before, it would have to answer questions whose answers it never got: there is no pair. What V1 reads of a thread's
history, and the state with which a graph inside begins its next turn, are kept: a V2 that reads them sees the same.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import aclosing, closing, suppress
from contextvars import ContextVar
from functools import wraps
from time import perf_counter, thread_time
from typing import Any

from langgraph._internal._config import recast_checkpoint_ns
from langgraph.pregel._loop import PregelLoop

from otel_shadow._langgraph import internals
from otel_shadow._langgraph.patches import Patches
from otel_shadow._runtime.shadow_context import SHADOW
from otel_shadow._runtime.snapshot import Snapshot, SnapshotError, TooLargeError, TooSlowError, take
from otel_shadow._runtime.waits import begin_stretch, stretch_s

Address = tuple[Any, ...]
"""What makes two reads the same: the graph's name, the thread, the namespace without ids of tasks, the arguments."""
Reads = dict[Address, list[list[Snapshot]]]
Place = tuple[int, str, str]
"""A saver's id, a thread, and a namespace without ids of tasks."""
_VALUES = "channel_values"

RESUMED = "resumed_inside"
"""Why there is no pair beside a V1 that went on inside."""
_WATCHED: ContextVar[tuple[NestedRuns, ...]] = ContextVar("otel_shadow_nested_runs", default=())
"""More than one where a node runs inside a node."""


class NestedRuns:
    """A watch on the graphs that run, and the states that are read, in this context from now on: those of one V1.

    Arguments:
        largest: bytes that all copies together may have.
        longest_s: seconds of processor time that they may take together.
    """

    __slots__ = ("_before", "_left", "_longest_s", "begun", "reads", "resumed", "spent_s")

    def __init__(self, largest: int, longest_s: float) -> None:
        self.resumed = False
        """Whether something inside went on from where it was, rather than from its beginning."""
        self.reads: Reads = {}
        self.begun: dict[Place, Snapshot | None] = {}
        """What the graphs inside began with; None where they had no past."""
        self.spent_s = 0.0
        """Seconds that copying took, while V1 waited."""
        self._left = largest
        self._longest_s = longest_s
        self._before = _WATCHED.get()
        _WATCHED.set((*self._before, self))

    def stop(self) -> None:
        """Watch no more: V1 is done."""
        _WATCHED.set(self._before)

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        read = sum(state.size for reads in self.reads.values() for read in reads for state in read)
        return read + sum(checkpoint.size for checkpoint in self.begun.values() if checkpoint is not None)

    def note(self, address: Address) -> Callable[[Any], None]:
        """Begin a read, and return what keeps a copy of each state that it gives; what can't be copied is left out."""
        read: list[Snapshot] = []

        def keep(state: Any) -> None:
            if (copied := self._copy(state)) is not None:
                read.append(copied)
                if len(read) == 1:
                    self.reads.setdefault(address, []).append(read)

        return keep

    def begin(self, place: Place, checkpoint: Mapping[str, Any], metadata: Any) -> None:
        """Keep what a graph begins with at ``place``: the first time, before V1 itself adds to it."""
        if place in self.begun:
            return
        self.begun[place] = None
        if checkpoint["channel_versions"]:
            rest = {key: item for key, item in checkpoint.items() if key != _VALUES}
            # conversations are in the first two, where a snapshot looks for them
            self.begun[place] = self._copy((None, checkpoint[_VALUES], (rest, metadata)))

    def _copy(self, value: Any) -> Snapshot | None:
        worked, began = thread_time(), perf_counter()
        begin_stretch()
        try:
            copied = take(value, self._left, worked + self._longest_s - self.spent_s)
        except (SnapshotError, TooLargeError, TooSlowError):
            return None
        finally:
            self.spent_s += stretch_s(began, worked, perf_counter())
        self._left -= copied.size
        return copied


def watch_nested_runs(patches: Patches) -> None:
    """Note where a graph inside V1's node is resumed, and where a ``@task`` call has its result from before."""
    patches.replace(PregelLoop, "_first", _beginning)
    patches.replace(PregelLoop, "accept_push", _pushing)


def _beginning(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def first(self: Any, *args: Any, **kwargs: Any) -> Any:
        if watched := _WATCHED.get():
            _note(watched, _begins, self)
        return original(self, *args, **kwargs)

    return first


def _pushing(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def accept_push(self: Any, *args: Any, **kwargs: Any) -> Any:
        pushed = original(self, *args, **kwargs)
        if pushed is not None and (watched := _WATCHED.get()):
            _note(watched, _is_called, pushed)
        return pushed

    return accept_push


def _note(watched: tuple[NestedRuns, ...], note: Callable[[NestedRuns, Any], None], what: Any) -> None:
    if SHADOW.get() is not None:
        return
    with suppress(Exception):  # an internal that a later LangGraph has not: V1 must not notice
        for one in watched:
            note(one, what)


def _begins(nested: NestedRuns, loop: Any) -> None:
    if not loop.checkpointer:
        return
    if loop.checkpoint["channel_versions"] and loop.config[internals.CONF].get(internals.RESUMING):
        nested.resumed = True
    elif not any(isinstance(channel, internals.DELTA) for channel in loop.specs.values()):  # those lie in the history
        place = place_of(loop.checkpointer, loop.checkpoint_config[internals.CONF])
        nested.begin(place, loop.checkpoint, loop.checkpoint_metadata)


def _is_called(nested: NestedRuns, task: Any) -> None:
    answers = task.config[internals.CONF].get(internals.SCRATCHPAD)
    nested.resumed |= bool(task.writes or (answers is not None and answers.resume))


# --- what a graph begins with ----------------------------------------------------------------------------------------


def place_of(saver: Any, conf: Mapping[str, Any]) -> Place:
    """Return where ``saver`` keeps a graph's checkpoints by the configurable keys ``conf``."""
    namespace = recast_checkpoint_ns(conf.get(internals.CHECKPOINT_NS) or "")
    return id(saver), str(conf[internals.THREAD_ID]), namespace


def checkpoint_at(begun: Mapping[Place, Snapshot | None], place: Place) -> tuple[dict[str, Any], Any] | None:
    """Return checkpoint and metadata with which V1's graph began at ``place``; None where it had no past."""
    found = begun.get(place)
    if found is None:
        return None
    _, values, (rest, metadata) = found.restore()
    return {**rest, _VALUES: values}, metadata


# --- reads of a state ------------------------------------------------------------------------------------------------


def keepers(address: Address | None) -> list[Callable[[Any], None]]:
    """Return what keeps the states of a read that begins now, outside a shadow: nothing where nobody watches."""
    watched = _WATCHED.get()
    return [one.note(address) for one in watched] if watched and address is not None else []


def kept(states: Generator[Any, None, None], keep: list[Callable[[Any], None]]) -> Iterator[Any]:
    """Yield ``states``, keeping each."""
    with closing(states):
        for state in states:
            for one in keep:
                one(state)
            yield state


async def akept(states: AsyncGenerator[Any, None], keep: list[Callable[[Any], None]]) -> AsyncIterator[Any]:
    """Yield ``states`` as they are awaited, keeping each."""
    async with aclosing(states):
        async for state in states:
            for one in keep:
                one(state)
            yield state


def address_of(graph: Any, config: Any, kind: str, more: Mapping[str, Any]) -> Address | None:
    """Return the address of a read by ``config``; None where it has none."""
    try:
        conf = config[internals.CONF]
        namespace = recast_checkpoint_ns(conf.get(internals.CHECKPOINT_NS) or "")
        thread, checkpoint = str(conf[internals.THREAD_ID]), conf.get(internals.CHECKPOINT_ID)
        return kind, graph.get_name(), thread, namespace, checkpoint, repr(sorted(more.items()))
    except Exception:  # noqa: BLE001 - the application may pass anything; LangGraph tells it what is wrong
        return None


def recorded(reads: Reads, address: Address | None, seen: dict[Address, int]) -> list[Any] | None:
    """Return what V1's read of ``address`` gave, the n-th for the n-th; ``seen`` counts them. None: V1 made none."""
    found = reads.get(address) if address is not None else None
    if found is None or address is None:
        return None
    at = seen.get(address, 0)
    seen[address] = at + 1
    return [state.restore() for state in found[min(at, len(found) - 1)]]
