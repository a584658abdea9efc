"""V1 raises whatever can be raised: the graph's caller sees exactly what it would see without us."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from langgraph.errors import GraphBubbleUp, GraphInterrupt, ParentCommand
from langgraph.types import Command
from small_graphs import call, left, small_graph

from otel_shadow._runtime import background_log
from otel_shadow.testing.capture import ShadowCapture


class BadString(Exception):
    def __str__(self) -> str:
        raise ValueError("Maria Silva")

    __repr__ = __str__


class BadInit(Exception):
    def __init__(self, a: int, b: int) -> None:
        """Takes what ``args`` does not tell."""


class BadAttributes(Exception):
    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        raise RuntimeError("Maria Silva")


class BadClass(Exception):
    @property
    def __class__(self) -> Any:
        raise RuntimeError("Maria Silva")


class BadTruth(Exception):
    def __bool__(self) -> bool:
        raise ValueError("Maria Silva")

    def __eq__(self, other: object) -> bool:
        raise ValueError("Maria Silva")

    __hash__ = None  # type: ignore[assignment]


class Panic(BaseException):
    """No ``Exception``."""


class Held(Exception):
    def __init__(self) -> None:
        self.me, self.lock = self, threading.Lock()


RAISED: dict[str, Callable[[], BaseException]] = {
    "bad string": BadString,
    "bad init": lambda: BadInit(1, 2),
    "bad attributes": BadAttributes,
    "bad class": BadClass,
    "bad truth": BadTruth,
    "panic": Panic,
    "cycle": Held,
    "group": lambda: ExceptionGroup("Maria", [ValueError("Maria"), TypeError()]),
    "base group": lambda: BaseExceptionGroup("Maria", [Panic("Maria")]),
    "stop": lambda: StopIteration("Maria"),
    "stop async": lambda: StopAsyncIteration("Maria"),
    "timeout": TimeoutError,
    "cancelled": asyncio.CancelledError,
    "memory": MemoryError,
    "recursion": RecursionError,
    "interrupt": lambda: GraphInterrupt(()),
    "bubble": GraphBubbleUp,
    "parent": lambda: ParentCommand(Command(graph=Command.PARENT, goto="Maria")),
    "no parent": lambda: ParentCommand(None),  # type: ignore[arg-type]
    "not implemented": NotImplementedError,
}


def outcome(graph_of: Callable[[Any], Any], make: Callable[[], BaseException], colour: str) -> Any:
    """What the caller sees: a value, or the exception's type, identity, causes and whether V1's frame is in it."""
    raised: list[BaseException] = []

    def v1(state: Any) -> Any:
        raised.append(make())
        raise raised[0]

    async def v1_awaited(state: Any) -> Any:
        v1(state)

    try:
        return call(graph_of(v1_awaited if colour == "awaited" else v1), is_async=colour != "sync")
    except BaseException as error:
        frames, trace = set(), error.__traceback__
        while trace is not None:
            frames.add(trace.tb_frame.f_code.co_name)
            trace = trace.tb_next
        return type(error), error is raised[0], type(error.__context__), type(error.__cause__), "v1" in frames


@pytest.mark.parametrize("colour", ["sync", "async", "awaited"])
@pytest.mark.parametrize("name", RAISED)
def test_the_caller_sees_what_it_would_see(
    shadow_capture: ShadowCapture, caplog: pytest.LogCaptureFixture, name: str, colour: str
) -> None:
    """With a shadow and without: the same, to the frame. One execution is recorded; no message leaves."""
    plain = outcome(small_graph, RAISED[name], colour)
    with caplog.at_level(logging.DEBUG):
        shadowed = outcome(lambda v1: shadow_capture.attach(small_graph(v1), {"left": left}), RAISED[name], colour)
        (record,) = shadow_capture.records
        assert background_log.settle(10)
    assert shadowed == plain
    assert record.v1_served or record.reason == "not_captured"
    for said in shadow_capture.exported().values():
        assert b"Maria" not in said
    assert [told for told in caplog.messages if "Maria" in told] == []


def test_a_node_that_ends_in_another_context(shadow_capture: ShadowCapture, caplog: pytest.LogCaptureFixture) -> None:
    """V1 is closed outside its own context: nobody logs a traceback with V1's message, and nothing is swallowed."""

    async def v1(state: Any) -> Any:
        try:
            await asyncio.sleep(3600)
        except GeneratorExit:
            raise ValueError("Maria Silva") from None

    async def main() -> None:
        node = graph.nodes["left"].node.ainvoke({"text": "hello"}, {"configurable": {"a": 1}})
        waiting = contextvars.copy_context().run(node.send, None)
        with pytest.raises(RuntimeError):  # LangGraph awaits its callbacks, with and without us
            node.close()
        waiting.cancel()

    graph = shadow_capture.attach(small_graph(v1), {"left": left})
    with caplog.at_level(logging.DEBUG):
        asyncio.run(main())
        shadow_capture.settle()
    assert [record.v1.status for record in shadow_capture.records] == ["error"]
    assert "Maria" not in caplog.text
    assert "Failed to detach" not in caplog.text
    assert shadow_capture.swallowed == {}
