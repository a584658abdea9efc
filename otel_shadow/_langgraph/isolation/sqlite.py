"""Reading a SQLite store from a shadow: through a connection of its own.

Production may close its connection at any time, and a thread that is reading from it then ends the process with a
segmentation fault. So the file's name is noted while V1 runs (the connection is open then), and V2 opens the file anew,
for reading only. A store that has no file can't be read.
"""

from __future__ import annotations

import copy
import sqlite3
import threading
from contextlib import closing
from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

from langgraph.store.base import BaseStore, Op, Result

_FILES: WeakKeyDictionary[BaseStore, str] = WeakKeyDictionary()
_OTHERS: set[type] = set()
"""Store classes seen to have no SQLite connection."""


def is_sqlite(store: BaseStore) -> bool:
    """Whether ``store`` reads through a connection of the ``sqlite3`` module."""
    if type(store) in _OTHERS:
        return False
    if isinstance(getattr(store, "conn", None), sqlite3.Connection):
        return True
    _OTHERS.add(type(store))
    return False


def note_file(store: BaseStore) -> None:
    """Remember which file ``store`` keeps; a store that is busy is asked another time."""
    if not is_sqlite(store) or store in _FILES:
        return
    known: Any = store
    if known.lock.acquire(blocking=False):
        try:
            found = {name: file for _, name, file in known.conn.execute("PRAGMA database_list")}
            _FILES[store] = found.get("main") or ""
        finally:
            known.lock.release()


def read(store: BaseStore, asked: list[Op]) -> list[Result]:
    """Run reading operations on the file of ``store``.

    Raises:
        RuntimeError: the store is in memory, or its file was never noted.
        sqlite3.OperationalError: the file is gone.
    """
    file = _FILES.get(store)
    if not file:
        raise RuntimeError("a shadow reads a SQLite store from its file; this one has none")
    with closing(_open(file)) as connection:
        return _twin(store, connection).batch(asked)


def _open(file: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(file)}?mode=rw", uri=True, isolation_level=None)
    connection.execute("PRAGMA query_only = 1")
    return connection


def _twin(store: Any, connection: sqlite3.Connection) -> BaseStore:
    """The same store on another connection, with nothing that reaches back: not the lock, not the sweeper."""
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
