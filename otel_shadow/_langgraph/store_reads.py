"""Reading production's store from a shadow: on production's event loop, or from the file of a SQLite store.

Stores are bound to the event loop that they were made on, and that loop may end at any moment.

Production may close its SQLite connection at any time, and a thread that is reading from it then ends the process with
a segmentation fault. So the file's name is noted while V1 runs (the connection is open then), and V2 opens the file
anew, for reading only. A store that has no file can't be read.
"""

from __future__ import annotations

import copy
import sqlite3
import threading
from asyncio import AbstractEventLoop as Loop
from contextlib import closing
from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

from langgraph.store.base import BaseStore, Op, Result
from langgraph.store.base.batch import AsyncBatchedBaseStore
from langgraph.store.memory import InMemoryStore

from otel_shadow._langgraph.loop_calls import await_on, call_on, running_loop

_FILES: WeakKeyDictionary[BaseStore, str] = WeakKeyDictionary()
_OTHERS: set[type] = set()
"""Store classes seen to have no SQLite connection."""
_TRIES = 5


def note_file(store: BaseStore) -> None:
    """Remember the file of a SQLite ``store`` while its connection is open; a busy store is asked another time."""
    if not _is_sqlite(store) or store in _FILES:
        return
    known: Any = store
    if known.lock.acquire(blocking=False):
        try:
            found = {name: file for _, name, file in known.conn.execute("PRAGMA database_list")}
            _FILES[store] = found.get("main") or ""
        finally:
            known.lock.release()


def read_store(store: BaseStore, loop: Loop | None, asked: list[Op]) -> list[Result]:
    """Run reading operations on production's ``store``, on its ``loop`` where it has one.

    Raises:
        LoopEndedError: production's loop has ended.
        RuntimeError: a SQLite store is in memory, or its file was never noted.
        sqlite3.OperationalError: the file of a SQLite store is gone.
    """
    if _is_sqlite(store):
        return _read_file(store, asked)
    if loop is None or loop is running_loop() or not isinstance(store, AsyncBatchedBaseStore):
        return _read_here(store, asked)
    return call_on(loop, lambda: store.abatch(asked))


async def aread_store(store: BaseStore, loop: Loop | None, asked: list[Op]) -> list[Result]:
    """Await reading operations on ``store``; arguments and exceptions are those of :func:`read_store`."""
    if _is_sqlite(store):
        return _read_file(store, asked)
    if type(store).abatch is InMemoryStore.abatch:  # bound to no loop
        return await _await_here(store, asked)
    if loop is None or loop is running_loop():
        return await store.abatch(asked)
    return await await_on(loop, lambda: store.abatch(asked))


def _read_here(store: BaseStore, asked: list[Op]) -> list[Result]:
    """Read, again if production changed an in-memory store meanwhile."""
    for _ in range(_TRIES - 1):
        try:
            return store.batch(asked)
        except RuntimeError as error:
            _raise_unless_changed(error)
    return store.batch(asked)


async def _await_here(store: BaseStore, asked: list[Op]) -> list[Result]:
    """Await what :func:`_read_here` reads: an index may have embeddings that are awaited."""
    for _ in range(_TRIES - 1):
        try:
            return await store.abatch(asked)
        except RuntimeError as error:
            _raise_unless_changed(error)
    return await store.abatch(asked)


def _raise_unless_changed(error: RuntimeError) -> None:
    if "during iteration" not in str(error):
        raise error


# --- SQLite ----------------------------------------------------------------------------------------------------------


def _is_sqlite(store: BaseStore) -> bool:
    if type(store) in _OTHERS:
        return False
    if isinstance(getattr(store, "conn", None), sqlite3.Connection):
        return True
    _OTHERS.add(type(store))
    return False


def _read_file(store: BaseStore, asked: list[Op]) -> list[Result]:
    file = _FILES.get(store)
    if not file:
        raise RuntimeError("a shadow reads a SQLite store from its file; this one has none")
    with closing(sqlite3.connect(f"file:{quote(file)}?mode=rw", uri=True, isolation_level=None)) as connection:
        connection.execute("PRAGMA query_only = 1")
        return _on_connection(store, connection).batch(asked)


def _on_connection(store: Any, connection: sqlite3.Connection) -> BaseStore:
    """Copy ``store`` onto another connection, with nothing that reaches back: not the lock, not the sweeper."""
    if getattr(store, "index_config", None):
        import sqlite_vec  # type: ignore[import-not-found,import-untyped,unused-ignore]

        connection.enable_load_extension(True)
        sqlite_vec.load(connection)
        connection.enable_load_extension(False)
    twin: Any = copy.copy(store)
    twin.conn = connection
    twin.lock = threading.Lock()
    twin.is_setup = True
    twin._ttl_stop_event = threading.Event()
    twin._ttl_sweeper_thread = None
    found: BaseStore = twin
    return found
