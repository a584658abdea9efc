"""Private stores and savers: V2 reads its own writes, and they vanish with the shadow. There is one per original."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.base import BaseStore, GetOp, ListNamespacesOp, Op, PutOp, Result, SearchOp
from langgraph.store.memory import InMemoryStore

from otel_shadow._langgraph import internals
from otel_shadow._langgraph.nested_runs import Place, checkpoint_at, place_of
from otel_shadow._langgraph.store_reads import aread_store, note_file, read_store
from otel_shadow._runtime.shadow_context import ShadowContext
from otel_shadow._runtime.snapshot import Snapshot, deep_copy

BEGUN = "begun"
"""Key, in the state of a shadow run, of what the graphs inside V1 began with."""
_UNBOUNDED = 2**31


def private_store(
    scope: ShadowContext, store: BaseStore, loop: asyncio.AbstractEventLoop | None = None
) -> PrivateStore:
    """Return the private store over ``store`` inside one shadow; ``loop`` is production's, by default as remembered."""
    if isinstance(store, PrivateStore):
        return store
    note_file(store)
    if loop is None:
        loop = scope.state.get("loop")
    # the private store holds the store, so its id stays taken
    return cast("PrivateStore", scope.state.setdefault(("store", id(store)), PrivateStore(store, loop)))


def private_saver(scope: ShadowContext, saver: BaseCheckpointSaver[Any]) -> PrivateSaver:
    if isinstance(saver, PrivateSaver):
        return saver
    begun = scope.state.get(BEGUN, {})
    return cast("PrivateSaver", scope.state.setdefault(("saver", id(saver)), PrivateSaver(saver, begun)))


class PrivateSaver(InMemorySaver):
    """A saver in memory for the graphs inside V2, at first with what V1's graphs have ``begun`` with.

    It never reads the saver it ``covers``. Production may close that one at any time, and reading a closed SQLite
    connection from another thread ends the process with a segmentation fault. It has the same serializer, so that V2
    fails on what production can't save.
    """

    def __init__(self, covers: BaseCheckpointSaver[Any], begun: Mapping[Place, Snapshot | None]) -> None:
        super().__init__(serde=covers.serde)
        self.covers = covers
        self._begun = begun

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return V2's own checkpoint, else that with which V1's graph began in the same place."""
        own = super().get_tuple(config)
        conf = config[internals.CONF]
        if own is not None or not self._begun or conf.get(internals.CHECKPOINT_ID):
            return own
        found = checkpoint_at(self._begun, place_of(self.covers, conf))
        if found is None:
            return None
        checkpoint: Any = found[0]
        place: RunnableConfig = {
            internals.CONF: {
                internals.THREAD_ID: conf[internals.THREAD_ID],
                internals.CHECKPOINT_NS: conf.get(internals.CHECKPOINT_NS) or "",
            }
        }
        self.put(place, checkpoint, found[1], checkpoint["channel_versions"])
        return super().get_tuple(config)


class PrivateStore(BaseStore):
    """A store that copies on write: reads go through to ``base``, writes stay here.

    Reads never refresh a time to live, and give copies. A search puts V2's own items after production's, unranked.
    Methods that ``base`` has beyond the interface are not reachable: they might write.
    """

    __slots__ = ("_deleted", "_lock", "_loop", "_own", "base", "supports_ttl", "ttl_config")

    def __init__(self, base: BaseStore, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.base = base
        self.supports_ttl = base.supports_ttl
        self.ttl_config = base.ttl_config
        self._loop = loop
        self._own = InMemoryStore()
        self._deleted: set[tuple[tuple[str, ...], str]] = set()
        self._lock = threading.Lock()

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        plan = [(op, self._through(op)) for op in ops]
        asked = [through for _, through in plan if through is not None]
        return self._results(plan, read_store(self.base, self._loop, asked) if asked else [])

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        plan = [(op, self._through(op)) for op in ops]
        asked = [through for _, through in plan if through is not None]
        return self._results(plan, await aread_store(self.base, self._loop, asked) if asked else [])

    def _through(self, op: Op) -> Op | None:
        """Return what to ask the base store for ``op``: more than wanted where some of it is hidden here."""
        match op:
            case PutOp():
                return None
            case GetOp():
                return None if self._decides(op.namespace, op.key) else op._replace(refresh_ttl=False)
            case SearchOp():
                hidden = len(self._hidden())
                return op._replace(refresh_ttl=False, offset=0, limit=op.offset + op.limit + hidden)
            case ListNamespacesOp():
                return op._replace(offset=0, limit=_UNBOUNDED)
            case _:
                raise NotImplementedError(f"a shadow can't run the store operation {type(op).__name__}")

    def _decides(self, namespace: tuple[str, ...], key: str) -> bool:
        if (namespace, key) in self._hidden():
            return True
        # the in-memory store creates the namespace it is asked for, which production would see
        return isinstance(self.base, InMemoryStore) and namespace not in self.base._data

    def _hidden(self) -> set[tuple[tuple[str, ...], str]]:
        """Return the keys whose value is known here, not in the base store."""
        own = {(namespace, key) for namespace, items in list(self._own._data.items()) for key in list(items)}
        return own | self._deleted

    def _results(self, plan: list[tuple[Op, Op | None]], found: list[Result]) -> list[Result]:
        """Run the operations of ``plan`` here; ``found`` are the base store's answers to those that go through."""
        answers = iter(found)
        with self._lock:
            return [self._result(op, None if through is None else next(answers)) for op, through in plan]

    def _result(self, op: Op, base: Any) -> Result:
        match op:
            case PutOp():
                self._put(op)
                return None
            case GetOp():
                own = self._own.batch([op])[0] if op.namespace in self._own._data else None
                hidden = (op.namespace, op.key) in self._deleted
                return own if own is not None else None if hidden else deep_copy(base)
            case SearchOp():
                return self._merge(op, base)
            case ListNamespacesOp():
                mine: Any = self._own.batch([op._replace(offset=0, limit=_UNBOUNDED)])[0]
                return sorted({*base, *mine})[op.offset : op.offset + op.limit]
            case _:  # refused by _through
                raise NotImplementedError(type(op).__name__)

    def _put(self, op: PutOp) -> None:
        key = (op.namespace, op.key)
        if op.value is None:
            self._deleted.add(key)
        else:
            self._deleted.discard(key)
        self._own.batch([op._replace(value=deep_copy(op.value), index=False, ttl=None)])

    def _merge(self, op: SearchOp, base: list[Any]) -> list[Any]:
        hidden = self._hidden()
        through = [deep_copy(item) for item in base if (item.namespace, item.key) not in hidden]
        own: Any = self._own.batch([op._replace(query=None, offset=0, limit=_UNBOUNDED)])[0]
        return [*through, *own][op.offset : op.offset + op.limit]
