"""A view of production's store: reads go through, V2 reads its own writes, and the writes vanish with the shadow."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from langgraph.store.base import BaseStore, GetOp, ListNamespacesOp, Op, PutOp, Result, SearchOp
from langgraph.store.base.batch import AsyncBatchedBaseStore
from langgraph.store.memory import InMemoryStore

from otel_shadow._langgraph.isolation.loops import await_on, call_on, running_loop
from otel_shadow._langgraph.isolation.sqlite import is_sqlite, read

_TRIES = 5
_UNBOUNDED = 2**31


class _Step(NamedTuple):
    op: Op
    base_at: int | None
    """Index among the operations that go to the base store; None if it is not asked."""


class OverlayStore(BaseStore):
    """Copy on write over ``base``.

    Reads never refresh a time to live, and give copies. A search puts V2's own items after production's, unranked.
    Methods that ``base`` has beyond the interface are not reachable: they might write.

    Arguments:
        base: production's store.
        loop: production's event loop; asynchronous reads run there, because stores are bound to their loop.
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
        """Run ``ops``; writes stay here."""
        plan, asked = self._plan(ops)
        return self._finish(plan, self._read(asked) if asked else [])

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """The same, awaited."""
        plan, asked = self._plan(ops)
        return self._finish(plan, await self._aread(asked) if asked else [])

    def _read(self, asked: list[Op]) -> list[Result]:
        if is_sqlite(self.base):
            return read(self.base, asked)
        loop = self._loop
        if loop is None or loop is running_loop() or not isinstance(self.base, AsyncBatchedBaseStore):
            return _read_again(self.base, asked)
        return call_on(loop, lambda: self.base.abatch(asked))

    async def _aread(self, asked: list[Op]) -> list[Result]:
        if is_sqlite(self.base):
            return read(self.base, asked)
        if self._loop is None or self._loop is running_loop():
            return await self.base.abatch(asked)
        return await await_on(self._loop, lambda: self.base.abatch(asked))

    def _plan(self, ops: Iterable[Op]) -> tuple[list[_Step], list[Op]]:
        plan: list[_Step] = []
        asked: list[Op] = []
        for op in ops:
            through = self._through(op)
            plan.append(_Step(op, len(asked) if through is not None else None))
            if through is not None:
                asked.append(through)
        return plan, asked

    def _through(self, op: Op) -> Op | None:
        """What to ask the base store for ``op``: more than wanted where the overlay hides some of it."""
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
        """Keys of which the overlay, not the base store, knows the value."""
        own = {(namespace, key) for namespace, items in list(self._own._data.items()) for key in list(items)}
        return own | self._deleted

    def _finish(self, plan: Sequence[_Step], found: Sequence[Any]) -> list[Result]:
        with self._lock:
            return [self._result(op, None if at is None else found[at]) for op, at in plan]

    def _result(self, op: Op, base: Any) -> Result:
        match op:
            case PutOp():
                self._put(op)
                return None
            case GetOp():
                own = self._own.batch([op])[0] if op.namespace in self._own._data else None
                hidden = (op.namespace, op.key) in self._deleted
                return own if own is not None else None if hidden else copy.deepcopy(base)
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
        self._own.batch([op._replace(value=copy.deepcopy(op.value), index=False, ttl=None)])

    def _merge(self, op: SearchOp, base: list[Any]) -> list[Any]:
        hidden = self._hidden()
        through = [copy.deepcopy(item) for item in base if (item.namespace, item.key) not in hidden]
        own: Any = self._own.batch([op._replace(query=None, offset=0, limit=_UNBOUNDED)])[0]
        return [*through, *own][op.offset : op.offset + op.limit]


def _read_again(base: BaseStore, asked: list[Op]) -> list[Result]:
    """Read, again if production changed an in-memory store meanwhile."""
    for _ in range(_TRIES - 1):
        try:
            return base.batch(asked)
        except RuntimeError as error:
            if "during iteration" not in str(error):
                raise
    return base.batch(asked)
