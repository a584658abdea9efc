"""The store inside a shadow: reads go through, own writes are read back, and production's store never changes."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.store.base import BaseStore, SearchOp
from langgraph.store.memory import InMemoryStore

from otel_shadow._langgraph.isolation.stores import PrivateStore, private_store
from otel_shadow._runtime.shadow_context import ShadowContext

NS = ("people",)
SPACES = st.sampled_from([("people",), ("people", "old"), ("places",)])
KEYS = st.sampled_from(["a", "b", "c"])
PUTS = st.lists(st.tuples(SPACES, KEYS, st.one_of(st.none(), st.integers(0, 3))), max_size=8)


def write(store: BaseStore, puts: list[tuple[tuple[str, ...], str, int | None]]) -> None:
    for namespace, key, value in puts:
        if value is None:
            store.delete(namespace, key)
        else:
            store.put(namespace, key, {"v": value})


def content(store: BaseStore, **search: Any) -> dict[tuple[tuple[str, ...], str], Any]:
    return {(item.namespace, item.key): item.value for item in store.search((), limit=100, **search)}


@given(before=PUTS, after=PUTS)
def test_the_overlay_reads_like_a_store_that_was_written_to(before: Any, after: Any) -> None:
    """Whatever is written and deleted, reads are those of a real store with the same history; the base is untouched."""
    base, real = InMemoryStore(), InMemoryStore()
    write(base, before)
    write(real, before)
    untouched = content(base)
    overlay = PrivateStore(base)
    write(overlay, after)
    write(real, after)
    assert content(overlay) == content(real)
    assert content(overlay, filter={"v": 1}) == content(real, filter={"v": 1})
    for namespace in [("people",), ("people", "old"), ("places",)]:
        for key in "abc":
            mine, theirs = overlay.get(namespace, key), real.get(namespace, key)
            assert (mine and mine.value) == (theirs and theirs.value)
    assert content(base) == untouched


@given(st.integers(0, 5), st.integers(1, 5))
def test_pages_of_a_search(offset: int, limit: int) -> None:
    """Offset and limit cut the merged list: pages together are the whole."""
    base = InMemoryStore()
    write(base, [(NS, key, 1) for key in "abcde"])
    overlay = PrivateStore(base)
    write(overlay, [(NS, "b", None), (NS, "c", 9), (NS, "z", 5)])
    whole = [item.key for item in overlay.search(NS, limit=100)]
    assert sorted(whole) == ["a", "c", "d", "e", "z"]
    assert [item.key for item in overlay.search(NS, offset=offset, limit=limit)] == whole[offset : offset + limit]


def test_namespaces_of_both() -> None:
    """Listing shows production's and V2's own."""
    base = InMemoryStore()
    base.put(("a",), "k", {})
    overlay = PrivateStore(base)
    overlay.put(("b",), "k", {})
    assert overlay.list_namespaces() == [("a",), ("b",)]
    assert base.list_namespaces() == [("a",)]


def test_reading_leaves_no_namespace_behind() -> None:
    """An in-memory store makes a namespace of what it is asked for; the overlay doesn't ask for what isn't there."""
    base = InMemoryStore()
    assert PrivateStore(base).get(("new",), "k") is None
    assert base.list_namespaces() == []


def test_values_are_copies() -> None:
    """Changing what was read, or what was written, in place changes nothing in production or in the overlay."""
    base = InMemoryStore()
    base.put(NS, "a", {"tags": []})
    overlay = PrivateStore(base)
    overlay.get(NS, "a").value["tags"].append(1)
    overlay.search(NS)[0].value["tags"].append(1)
    given_value: dict[str, Any] = {"tags": []}
    overlay.put(NS, "b", given_value)
    given_value["tags"].append(1)
    assert base.get(NS, "a").value == overlay.get(NS, "a").value == overlay.get(NS, "b").value == {"tags": []}


class Recording(InMemoryStore):
    """Remembers what it was asked, and on which thread."""

    supports_ttl = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Any] = []
        self.threads: set[str] = set()

    def batch(self, ops: Any) -> Any:
        ops = list(ops)
        self.asked += ops
        return super().batch(ops)

    async def abatch(self, ops: Any) -> Any:
        self.threads.add(threading.current_thread().name)
        return await super().abatch(ops)


def test_reads_refresh_no_time_to_live() -> None:
    """A read by V2 doesn't keep an item alive in production."""
    base = Recording()
    base.put(NS, "a", {})
    overlay = PrivateStore(base)
    base.asked.clear()
    overlay.get(NS, "a", refresh_ttl=True)
    overlay.search(NS, refresh_ttl=True)
    assert [op.refresh_ttl for op in base.asked] == [False, False]
    assert isinstance(base.asked[1], SearchOp)


def test_awaited_reads_run_on_productions_loop() -> None:
    """Stores are bound to the loop they were made on."""
    base = Recording()
    base.put(NS, "a", {"v": 1})

    async def production() -> Any:
        overlay = PrivateStore(base, asyncio.get_running_loop())
        return await asyncio.to_thread(lambda: asyncio.run(overlay.aget(NS, "a")))

    assert asyncio.run(production()).value == {"v": 1}
    assert base.threads == {threading.current_thread().name}


def test_a_closed_loop_is_an_error_and_no_noise() -> None:
    """Production's ``asyncio.run`` is over: V2 gets an exception, and no coroutine is left unawaited."""
    loop = asyncio.new_event_loop()
    loop.close()
    overlay = PrivateStore(Recording(), loop)
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(overlay.asearch(NS))


def test_a_store_in_memory_needs_no_loop() -> None:
    """Production's ``asyncio.run`` is over: a store that is bound to no loop is read all the same."""
    loop = asyncio.new_event_loop()
    loop.close()
    base = InMemoryStore()
    base.put(NS, "a", {"v": 1})
    found = asyncio.run(PrivateStore(base, loop).aget(NS, "a"))
    assert found is not None
    assert found.value == {"v": 1}


def test_one_overlay_per_store() -> None:
    """Whichever way V2 gets at a store, it reads its own writes; an overlay is never covered again."""
    scope, base = ShadowContext("g", "n"), InMemoryStore()
    overlay = private_store(scope, base)
    assert private_store(scope, base) is overlay is private_store(scope, overlay)
    assert private_store(ShadowContext("g", "n"), base) is not overlay
