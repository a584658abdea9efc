"""A state's own code that exits, interrupts or ends a generator while it is copied, compared or asked: V1 goes on."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from small_graphs import awaited, call, left, small_graph

from otel_shadow import side_effect
from otel_shadow._runtime.fault_barrier import is_from_outside
from otel_shadow.testing.capture import ShadowCapture

BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


class Panic(BaseException):
    """No ``Exception``."""


def throw(error: type[BaseException]) -> Any:
    raise error


EXITS: dict[str, Callable[[], Any]] = {
    "exit": lambda: sys.exit(1),
    "SystemExit": lambda: throw(SystemExit),
    "KeyboardInterrupt": lambda: throw(KeyboardInterrupt),
    "GeneratorExit": lambda: throw(GeneratorExit),
    "CancelledError": lambda: throw(asyncio.CancelledError),
    "panic": lambda: throw(Panic),
}


def with_hooks(*names: str) -> Callable[[Callable[[], Any]], Any]:
    """A maker of objects whose own methods of these names do what they are told; once, then all is well."""

    def make(leave: Callable[[], Any]) -> Any:
        def hook(self: Any, *args: Any) -> Any:
            return leave()

        made: Any = type("Hooked", (Plain,), dict.fromkeys(names, hook))
        return made()

    return make


class Plain:
    def __init__(self) -> None:
        self.x = 1


PLACES = [
    ("__reduce__",),
    ("__reduce_ex__",),
    ("__getstate__",),
    ("__setstate__",),
    ("__deepcopy__",),
    ("__reduce_ex__", "__deepcopy__"),
    ("__getattr__",),
    ("__getattribute__",),
    ("__eq__",),
    ("__hash__",),
    ("__repr__", "__str__"),
    ("__len__", "__bool__"),
    ("__iter__", "__getitem__", "__contains__"),
    ("__sizeof__",),
    ("__class_getitem__", "__instancecheck__"),
]


def on_a_loop(run: Any) -> Any:
    """Run without ``asyncio.run``, which writes the run's result as text."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(run)
    finally:
        loop.close()


@BOTH
@pytest.mark.parametrize("names", PLACES, ids="+".join)
@pytest.mark.parametrize("exit_by", EXITS)
def test_a_states_own_code_ends_nothing(
    make_shadow_capture: Any, exit_by: str, names: tuple[str, ...], is_async: bool
) -> None:
    """Whatever method of the input's or of V1's value exits: V1's value arrives, and the execution is recorded."""
    made: list[Any] = []  # not yet: LangGraph looks for graphs among what a node refers to

    def v1(state: Any) -> Any:
        return {"trail": ["v1"], "next_node": "right", "data": {"it": made[0]}}

    capture = make_shadow_capture({"nodes": {"left": {"compare": {"fields": ["*"]}}}})
    graph = capture.attach(small_graph(awaited(v1) if is_async else v1), {"left": left})
    made.append(with_hooks(*names)(EXITS[exit_by]))
    given = {"text": "hello", "data": {"it": made[0]}}
    result = on_a_loop(graph.ainvoke(given)) if is_async else call(graph, given)
    assert result["trail"] == ["v1", "right"]
    assert result["data"]["it"] is made[0]
    (record,) = capture.records
    assert record.v1_served


@pytest.mark.parametrize("exit_by", EXITS)
def test_a_state_that_exits_when_it_is_made_again(make_shadow_capture: Any, exit_by: str) -> None:
    """On production's own loop, where an exit in a task would end the run of everybody."""
    value = with_hooks("__setstate__")(EXITS[exit_by])

    async def v1(state: Any) -> Any:
        await asyncio.sleep(0)
        return left(state)

    capture = make_shadow_capture({"nodes": {"left": {"executor": "loop"}}})
    graph = capture.attach(small_graph(v1), {"left": v1})

    async def turns() -> None:
        for _ in range(3):
            assert (await graph.ainvoke({"text": "hello", "data": {"it": value}}))["trail"] == ["left", "right"]
            await asyncio.sleep(0.05)  # the shadow runs on this loop

    asyncio.run(turns())
    assert len(capture.records) == 3


@pytest.mark.parametrize("exit_by", EXITS)
def test_a_session_that_exits(make_shadow_capture: Any, exit_by: str) -> None:
    """The session's id, and what the record reads, are objects that exit when they are turned into text."""
    value = with_hooks("__str__", "__repr__", "__hash__", "__eq__", "__getattr__", "__len__")(EXITS[exit_by])
    capture = make_shadow_capture({"session": {"id": "data.it", "step": "data.it", "message": "data.it.text"}})
    graph = capture.attach(small_graph(), {"left": left})
    assert call(graph, {"text": "hello", "data": {"it": value}})["trail"] == ["left", "right"]


@pytest.mark.parametrize("exit_by", EXITS)
def test_an_argument_that_exits(make_shadow_capture: Any, exit_by: str) -> None:
    """V1's call of a function whose result is to be replayed, with an argument that can't be written."""
    made: list[Any] = []

    @side_effect
    def lookup(of: Any) -> str:
        return "found"

    def v1(state: Any) -> Any:
        assert lookup(made[0]) == "found"
        return left(state)

    capture = make_shadow_capture({"tools": {"replay": ["lookup"]}})
    made.append(with_hooks("__repr__")(EXITS[exit_by]))
    assert call(capture.attach(small_graph(v1), {"left": left}))["trail"] == ["left", "right"]


@pytest.mark.parametrize("exit_by", EXITS)
def test_a_recorded_exception_that_exits_when_it_is_asked(make_shadow_capture: Any, exit_by: str) -> None:
    """V1's call raises what is kept for a replay, and its class answers for ``args`` and ``__dict__`` itself."""
    made: list[Any] = []

    @side_effect
    def lookup() -> str:
        raise made[0]()

    def v1(state: Any) -> Any:
        with pytest.raises(made[0]):
            lookup()
        return left(state)

    capture = make_shadow_capture({"tools": {"replay": ["lookup"]}})
    answer = property(lambda self: EXITS[exit_by]())
    made.append(type("AskedError", (Exception,), {"args": answer, "__dict__": answer}))
    assert call(capture.attach(small_graph(v1), {"left": left}))["trail"] == ["left", "right"]


class Interrupted:
    """``Ctrl-C`` is pressed while this is copied: in its own code, which goes on a while."""

    def __reduce__(self) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return dict, ([(n, n) for n in range(1000)],)


@BOTH
def test_a_real_interrupt_arrives(shadow_capture: ShadowCapture, is_async: bool) -> None:
    """A signal is the application's, also when it comes while a state's own code runs."""
    graph = shadow_capture.attach(small_graph(), {"left": left})
    with pytest.raises(KeyboardInterrupt):
        call(graph, {"text": "hello", "data": {"it": Interrupted()}}, is_async=is_async)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, Panic])
def test_what_v1_itself_raises_arrives(shadow_capture: ShadowCapture, kind: type[BaseException]) -> None:
    """V1 exits or interrupts: that is V1's answer."""
    graph = shadow_capture.attach(small_graph(lambda state: throw(kind)), {"left": left})
    with pytest.raises(kind):
        call(graph)


class StoppedError(BaseException):
    """What a job queue raises in a thread of its own when a job's time is over."""


def test_what_is_raised_in_a_thread_from_another_is_not_swallowed(shadow_capture: ShadowCapture) -> None:
    """A time limit by ``PyThreadState_SetAsyncExc`` that arrives in the middle of our work ends the job."""
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: run())

    class Overdue:
        def __reduce__(self) -> Any:
            number = ctypes.c_ulong(threading.get_ident())
            ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(StoppedError))
            for _ in range(1000):
                pass
            return dict, ()

    graph = shadow_capture.attach(small_graph(), {"left": left})

    def run() -> None:
        try:
            seen.append(call(graph, {"text": "hello", "data": {"it": Overdue()}}))
        except StoppedError as error:
            seen.append(error)

    thread.start()
    thread.join()
    assert [type(item) for item in seen] == [StoppedError]


def test_what_tells_them_apart() -> None:
    """An exception that code raised, or that was never raised, is no interruption."""
    for error in (SystemExit(), KeyboardInterrupt(), Panic(), ValueError()):
        assert not is_from_outside(error)
    for leave in EXITS.values():
        with pytest.raises(BaseException) as raised:
            leave()
        assert not is_from_outside(raised.value)
