"""States and values that fight back: V1's own value reaches the caller, and what is said of it is a type's name."""

from __future__ import annotations

import asyncio
import copy
import gc
import io
import os
import signal
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, SimpleNamespace
from typing import Any

import pytest
from langgraph.errors import ParentCommand
from langgraph.types import Command
from opentelemetry import trace
from small_graphs import awaited, call, left, small_graph

from otel_shadow._runtime.snapshot import SnapshotError, TooLargeError, deep_copy, take
from otel_shadow.testing.capture import ShadowCapture

BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


class Panic(BaseException):
    """What a library in Rust raises when it breaks: no ``Exception``."""


class Panics:
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise Panic("Maria Silva")


class PanicsTwice(Panics):
    def __deepcopy__(self, memo: Any) -> Any:
        raise Panic("Maria Silva")


class Sly:
    """Asked for its class, its state or an attribute, it raises."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"Maria Silva {name}")


class Unequal:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("Maria Silva")

    __hash__ = None  # type: ignore[assignment]


def deep(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


def cycle() -> dict[str, Any]:
    made: dict[str, Any] = {}
    made["self"] = made
    return made


STATES: dict[str, Callable[[], Any]] = {
    "panic": Panics,
    "two panics": PanicsTwice,
    "no attribute": Sly,
    "unequal": Unequal,
    "lock": threading.Lock,
    "generator": lambda: (n for n in range(3)),
    "file": lambda: io.BytesIO(b"x").getbuffer(),
    "thread local": threading.local,
    "weak reference": lambda: weakref.ref(SimpleNamespace),
    "event": asyncio.Event,
    "deep": lambda: deep(100_000),
    "cycle": cycle,
    "lambda": lambda: lambda: 1,
    "module": lambda: threading,
    "class": lambda: Sly,
    "surrogate": lambda: "\ud800",
    "exception": lambda: ValueError("Maria Silva"),
    "frame": lambda: __import__("sys")._getframe(),
}


def surroundings() -> str:
    return str(getattr(trace.get_current_span(), "name", "none"))


@BOTH
@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("where", ["input", "output"])
def test_v1s_value_arrives(shadow_capture: ShadowCapture, name: str, where: str, is_async: bool) -> None:
    """Whatever the state holds, or V1 returns: the caller gets that very object, and no span of ours stays current."""
    sly = STATES[name]()

    def v1(state: Any) -> Any:
        given = {"trail": ["v1"], "next_node": "right"}
        return {**given, "data": {"it": sly}} if where == "output" else given

    graph = shadow_capture.attach(small_graph(awaited(v1) if is_async else v1), {"left": left})
    given = {"text": "hello", "data": {"it": sly}} if where == "input" else {"text": "hello"}
    with shadow_capture.tracer_provider.get_tracer("application").start_as_current_span("root"):
        result = call(graph, given, is_async=is_async)
        assert surroundings() == "root"
    assert result["trail"] == ["v1", "right"]
    assert result["data"]["it"] is sly
    (record,) = shadow_capture.records
    assert record.v1_served
    assert (record.v2 is None) == (record.reason is not None)
    assert shadow_capture.swallowed == {}
    for channel, said in shadow_capture.exported().items():
        assert b"Maria" not in said, channel


class Swallows:
    """Hides that a part of it was refused."""

    def __init__(self) -> None:
        self.part = [(n for n in range(3))]

    def __deepcopy__(self, memo: Any) -> Any:
        with suppress(Exception):
            copy.deepcopy(self.part, memo)
        return self


class Witness:
    """An object of V1's whose end can be seen."""


REFUSED: dict[str, Callable[[], Any]] = {**STATES, "swallows": Swallows}


@pytest.mark.parametrize("name", [name for name in REFUSED if name != "frame"])
@pytest.mark.parametrize("allowed", [(), (10,), (10**9, 0.0)], ids=["enough", "few bytes", "no time"])
def test_a_failed_capture_keeps_nothing_of_the_state(name: str, allowed: tuple[Any, ...]) -> None:
    """V1's objects go when V1 drops them: none waits for the garbage collector in an exception of ours."""
    witness = Witness()
    state, seen = {"witness": witness, "it": REFUSED[name]()}, weakref.ref(witness)
    gc.disable()
    try:
        for attempt in (lambda given: take(given, *allowed), deep_copy):
            with suppress(Exception):
                attempt(state)
        del state, witness
        assert seen() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("allowed", [(), (10,)], ids=["enough", "few bytes"])
def test_a_failed_capture_says_nothing_on_standard_error(allowed: tuple[Any, ...], capfd: Any) -> None:
    """A view of a buffer goes before its buffer, as without us; else Python tells of a ``BufferError``."""
    state = {"it": [io.BytesIO(b"x").getbuffer()]}
    with pytest.raises((SnapshotError, TooLargeError)):
        take(state, *allowed)
    del state
    gc.collect()
    assert capfd.readouterr().err == ""


@BOTH
@pytest.mark.parametrize("name", ["generator", "file", "lock"])
def test_no_frame_of_ours_is_garbage(shadow_capture: ShadowCapture, name: str, is_async: bool) -> None:
    """Nothing of ours on V1's path stays behind in a cycle when a capture fails."""
    graph = shadow_capture.attach(small_graph(awaited(left) if is_async else left), {"left": left})
    call(graph, {"text": "hello", "data": {"it": STATES[name]()}}, is_async=is_async)
    shadow_capture.settle()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        call(graph, {"text": "hello", "data": {"it": STATES[name]()}}, is_async=is_async)
        shadow_capture.settle()
        gc.collect()
        frames = [found for found in gc.garbage if isinstance(found, FrameType)]
        assert [frame.f_code for frame in frames if "/otel_shadow/" in frame.f_code.co_filename] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def test_a_value_that_can_not_be_copied_is_not_compared_alive(shadow_capture: ShadowCapture) -> None:
    """V1 returned what nothing can copy: no thread of ours touches V1's own object later."""
    touched: list[str] = []

    class Client:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def __eq__(self, other: object) -> bool:
            touched.append("compared")
            return True

        __hash__ = None  # type: ignore[assignment]

    def v1(state: Any) -> Any:
        return {"trail": ["left"], "data": {"client": Client()}, "next_node": "right"}

    graph = shadow_capture.attach(small_graph(v1), {"left": v1})
    call(graph)
    (record,) = shadow_capture.records
    assert record.comparison.decisions_match
    assert record.comparison.diff_fields == ("data",)
    assert touched == []


def test_the_exception_of_v1_keeps_its_traceback(shadow_capture: ShadowCapture) -> None:
    """Also that of a command to the parent graph."""
    raised = ParentCommand(Command(graph=Command.PARENT, goto="a_graph_that_no_test_has"))

    def v1(state: Any) -> Any:
        raise raised

    graph = shadow_capture.attach(small_graph(v1), {"left": left})
    with pytest.raises(ParentCommand) as seen:
        call(graph)
    assert seen.value is raised
    assert "v1" in [frame.name for frame in seen.traceback]
    (record,) = shadow_capture.records
    assert record.v1.target == "_other"


def test_signals_are_not_swallowed(shadow_capture: ShadowCapture) -> None:
    """``Ctrl-C`` while we copy the state is the application's, as in any of its own code."""

    class Interrupted:
        def __reduce_ex__(self, protocol: Any) -> Any:
            os.kill(os.getpid(), signal.SIGINT)
            return dict, ()

    graph = shadow_capture.attach(small_graph(), {"left": left})
    with pytest.raises(KeyboardInterrupt):
        call(graph, {"text": "hello", "data": {"it": Interrupted()}})
    assert surroundings() == "none" or surroundings() != "v1.node"


def test_the_culprit_is_named_by_code() -> None:
    """A class made at run time, which no module knows, is not named."""
    made = type("Maria_Silva_1199", (PanicsTwice,), {})
    with pytest.raises(SnapshotError) as seen:
        take({"it": made()})
    assert seen.value.type_name == "PanicsTwice"


def test_names_made_at_run_time_stay_here(shadow_capture: ShadowCapture) -> None:
    """Classes, channels, nodes and tools named after a person: none of the names leaves."""
    name = "MariaSilva_11987654321"

    def error() -> Exception:
        return type(name, (ValueError,), {})("x")  # type: ignore[no-any-return]

    def raising(state: Any) -> Any:
        raise error()

    def odd_channel(state: Any, config: Any) -> Any:
        config["configurable"]["__pregel_send"]([(name, 1)])
        return left(state)

    def odd_target(state: Any) -> Any:
        return Command(goto=name, graph=Command.PARENT)

    for v2 in (raising, odd_channel, odd_target):
        call(shadow_capture.attach(small_graph(), {"left": v2}))
    with pytest.raises(ValueError):
        call(shadow_capture.attach(small_graph(raising), {"left": left}))
    call(shadow_capture.attach(small_graph(), {"left": left}), {"data": {"it": type(name, (PanicsTwice,), {})()}})
    assert len(shadow_capture.records) == 5
    assert {record.v2.error_type for record in shadow_capture.records if record.v2} >= {"ValueError", None}
    for channel, said in shadow_capture.exported().items():
        assert b"Maria" not in said, channel
