"""Objects whose end does something: no copy of them is made, so that no copy's end closes or removes what is V1's."""

from __future__ import annotations

import asyncio
import gc
import io
import mmap
import os
import socket
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable
from multiprocessing.shared_memory import ShareableList, SharedMemory
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.store.memory import InMemoryStore
from pydantic import BaseModel
from small_graphs import call, left, small_graph
from waiting import until

from otel_shadow._langgraph.process_run import _packed
from otel_shadow._runtime.shadow_context import ShadowContext
from otel_shadow._runtime.snapshot import SnapshotError, deep_copy, take
from otel_shadow._runtime.snapshot.pickling import dumps_for_another_process
from otel_shadow._runtime.snapshot.refusals import FinalizerError
from otel_shadow.config import ToolsTable
from otel_shadow.testing.capture import ShadowCapture

ENDED: list[str] = []


class Descriptor:
    """Closes a descriptor when it goes."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


class Ends:
    def __del__(self) -> None:
        ENDED.append(type(self).__name__)


class Child(Ends):
    """The finalizer is a base's."""


class OwnCopy(Ends):
    def __deepcopy__(self, memo: Any) -> Any:
        return OwnCopy()


class Slots:
    __slots__ = ("x",)

    def __del__(self) -> None:
        ENDED.append("Slots")


class Model(BaseModel):
    x: int = 0

    def __del__(self) -> None:
        ENDED.append("Model")


class Message(HumanMessage):
    def __del__(self) -> None:
        ENDED.append("Message")


class Failing(Exception):
    def __del__(self) -> None:
        ENDED.append("Failing")


class Swallows:
    """Its own way of being copied copies a part that it may not, and hides that."""

    def __init__(self) -> None:
        self.part = Ends()

    def __deepcopy__(self, memo: Any) -> Any:
        import copy

        try:
            copy.deepcopy(self.part, memo)
        except Exception:
            return Swallows
        return self


class Watched:
    """Has no ``__del__``, but a finalizer that is made with each object."""

    def __init__(self, path: str = "") -> None:
        self.path = path
        weakref.finalize(self, ENDED.append, "Watched")

    def __reduce__(self) -> Any:
        return Watched, (self.path,)


class WatchedModel(BaseModel):
    x: int = 0

    def model_post_init(self, context: Any) -> None:
        weakref.finalize(self, ENDED.append, "WatchedModel")


class Reopens:
    """Leaves its file out when it is pickled, and opens it again."""

    def __init__(self) -> None:
        self.files = {"log": [open(os.devnull)]}  # noqa: SIM115

    def __reduce__(self) -> Any:
        return Reopens, ()


class BytesThatEnd(io.BytesIO):
    def close(self) -> None:
        ENDED.append("BytesThatEnd")
        super().close()


def transport() -> Any:
    loop = asyncio.new_event_loop()
    _, writer = loop.run_until_complete(asyncio.open_connection(sock=socket.socketpair()[0]))
    return writer.transport


OBJECTS: dict[str, Callable[[], Any]] = {
    "child": Child,
    "own copy": OwnCopy,
    "slots": Slots,
    "model": Model,
    "message": lambda: Message("x"),
    "conversation": lambda: [Message("x") for _ in range(6)],
    "exception": lambda: Failing("x"),
    "swallows": Swallows,
    "watched": Watched,
    "watched model": WatchedModel,
    "watched conversation": lambda: [WatchedModel() for _ in range(6)],
    "reopens": Reopens,
    "bytes that end": lambda: BytesThatEnd(b"x"),
    "shared list": lambda: ShareableList([1]),
    "shared memory": lambda: SharedMemory(create=True, size=8),
    "directory": tempfile.TemporaryDirectory,
    "file": tempfile.NamedTemporaryFile,
    "spooled": lambda: tempfile.SpooledTemporaryFile(10),  # noqa: SIM115
    "open file": lambda: open(os.devnull),  # noqa: SIM115
    "socket": socket.socket,
    "map": lambda: mmap.mmap(-1, 10),
    "process": lambda: subprocess.Popen([sys.executable, "-c", ""]),
    "transport": transport,
}
WHERE: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda it: {"it": it},
    "pickle, deep": lambda it: {"a": [({"b": it},)]},
    "deepcopy": lambda it: {"lambda": lambda: 1, "it": it},
    "deepcopy, deep": lambda it: {"lambda": lambda: 1, "a": [HumanMessage("x", additional_kwargs={"it": it})]},
    "columns": lambda it: {"messages": [HumanMessage(str(n)) for n in range(6)], "it": it},
    "within columns": lambda it: {"messages": [HumanMessage(str(n), additional_kwargs={"it": it}) for n in range(6)]},
}


def close(value: Any) -> None:
    if isinstance(value, asyncio.Transport):
        loop = value.get_protocol()._loop  # type: ignore[attr-defined]
        value.abort()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        return
    for item in value if isinstance(value, list) else [value]:
        if hasattr(item, "wait"):
            item.wait()
        if hasattr(item, "shm"):
            item = item.shm
        for name in ("cleanup", "close", "unlink"):
            if hasattr(item, name) and not isinstance(item, BaseModel):
                getattr(item, name)()
        for file in getattr(item, "files", {}).get("log", ()):
            file.close()


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_copy_is_made_that_ends(name: str, where: str) -> None:
    """Wherever it lies, and whichever way the state is copied: it is refused by its class's name, and nothing ended."""
    it = OBJECTS[name]()
    ENDED.clear()
    with pytest.raises(SnapshotError):
        take(WHERE[where](it))
    with pytest.raises(SnapshotError):
        deep_copy(WHERE[where](it))
    gc.collect()
    assert ENDED == []
    close(it)


@pytest.mark.parametrize("make", [lambda: io.BytesIO(b"x"), lambda: io.StringIO("x"), lambda: HumanMessage("x")])
def test_what_frees_memory_only_is_captured(make: Callable[[], Any]) -> None:
    """Buffers in memory have a finalizer of C's that does nothing else."""
    it = make()
    watching = weakref.ref(it)  # somebody looks whether it is still there: that is no finalizer
    assert type(take({"it": it}).restore()["it"]) is type(watching())


def test_v1s_descriptor_stays_open(shadow_capture: ShadowCapture, tmp_path: Path) -> None:
    """Two turns with an object that closes a descriptor: V1 goes on reading it, and the record names the class."""
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    state = {"text": "hello", "data": {"it": Descriptor(file)}}
    graph = shadow_capture.attach(small_graph(), {"left": left})
    for _ in range(2):
        call(graph, state)
        shadow_capture.settle()
        gc.collect()
        os.fstat(file)
    assert [record.reason for record in shadow_capture.records] == ["not_captured:Descriptor"] * 2


def test_v1s_answer_is_not_copied_either(shadow_capture: ShadowCapture, tmp_path: Path) -> None:
    """V1 returns such an object: it is not compared, and stays whole."""
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)

    def v1(state: Any) -> Any:
        return {**left(state), "data": {"it": Descriptor(file)}}

    result = call(shadow_capture.attach(small_graph(v1), {"left": left}))
    assert shadow_capture.records[0].comparison.decisions_match
    gc.collect()
    os.fstat(file)
    assert result["data"]["it"].number == file


def test_what_is_shared_by_reference_is_not_sent_to_a_worker() -> None:
    """A worker's copy of shared memory would unlink it when the worker ends; nor does a worker send one back."""
    memory = SharedMemory(create=True, size=8)
    try:
        for it in ([memory], {"a": Child()}, Watched(), HumanMessage("x", additional_kwargs={"it": Child()})):
            with pytest.raises(FinalizerError):
                dumps_for_another_process(it)
        ENDED.clear()
        scope = ShadowContext("g", "n", ToolsTable())
        assert b"FinalizerError" in _packed({"it": Child()}, None, 0.0, scope)
    finally:
        memory.close()
        memory.unlink()


def test_a_stores_item_is_not_copied_either(shadow_capture: ShadowCapture) -> None:
    """V2 reads an item of production's store that holds such an object: its read fails, and nothing ends."""
    store = InMemoryStore()
    store.put(("a",), "k", {"it": Child()})
    ENDED.clear()

    def v2(state: Any, *, store: Any) -> Any:
        store.get(("a",), "k")
        return left(state)

    from langgraph.graph import END, START, StateGraph
    from langgraph.store.base import BaseStore
    from small_graphs import State

    v2.__annotations__ = {"state": State, "store": BaseStore}
    graph = StateGraph(State).add_node("left", left).add_edge(START, "left").add_edge("left", END).compile(store=store)
    call(shadow_capture.attach(graph, {"left": v2}))
    until(lambda: len(shadow_capture.records) == 1)
    gc.collect()
    assert ENDED == []
