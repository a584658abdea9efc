"""V2s that worker processes import: well-behaved ones and others."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, interrupt
from opentelemetry import baggage, context, trace

from otel_shadow._runtime.shadow_context import is_shadow

INITIALISED: list[int] = []


def init() -> None:
    """Called once per worker."""
    INITIALISED.append(os.getpid())


def trace_to_file() -> None:
    """Set up tracing that writes each span to the file named in the environment when it is flushed."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class ToFile(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            with open(os.environ["TEST_SPANS"], "a") as file:
                for span in spans:
                    file.write(span.to_json(indent=None) + "\n")
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(ToFile(), schedule_delay_millis=60_000))
    trace.set_tracer_provider(provider)


def same(state: dict[str, Any]) -> dict[str, Any]:
    """What V1 does."""
    return {"trail": ["left"], "current_step": "one", "next_node": "right"}


async def same_async(state: dict[str, Any]) -> dict[str, Any]:
    """What V1 does, awaited."""
    return same(state)


def facts(state: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
    """Tells where it runs."""
    data = {
        "pid": os.getpid(),
        "shadow": is_shadow(),
        "main": getattr(sys.modules["__main__"], "__file__", ""),
        "mode": baggage.get_baggage("shadow.mode"),
        "trace": f"{trace.get_current_span().get_span_context().trace_id:032x}",
        "thread": config["configurable"].get("thread_id"),
        "initialised": list(INITIALISED),
        "text": state.get("text"),
    }
    return {"data": data, "next_node": "right"}


def surroundings(state: dict[str, Any]) -> dict[str, Any]:
    """Tells what OpenTelemetry's context holds."""
    held = {key: context.get_value(key) for key in ("association", "session.id", "lock", "too long")}
    data = {
        "baggage": dict(baggage.get_all()),
        "held": {key: value for key, value in held.items() if value is not None},
        "tracestate": trace.get_current_span().get_span_context().trace_state.to_header(),
    }
    return {"data": data, "next_node": "right"}


async def awaited_surroundings(state: dict[str, Any]) -> dict[str, Any]:
    """Tells it, awaited."""
    return surroundings(state)


def command(state: dict[str, Any]) -> Command[str]:
    """Decides by a command."""
    return Command(update={"current_step": "one"}, goto="right")


def ask(state: dict[str, Any]) -> dict[str, Any]:
    """Interrupts, or goes on with the answer."""
    return {"trail": [str(interrupt("which one?"))], "next_node": "right"}


def spin(state: dict[str, Any]) -> dict[str, Any]:
    """Burns CPU for ever, and says that it has begun where it is asked to."""
    if place := os.environ.get("TEST_SPINNING"):
        Path(place).touch()
    while True:
        pass


def span_then_spin(state: dict[str, Any]) -> dict[str, Any]:
    """Ends a span, then burns CPU for ever."""
    with trace.get_tracer("v2").start_as_current_span("inside v2"):
        pass
    return spin(state)


def sleep(state: dict[str, Any]) -> dict[str, Any]:
    """Sleeps for ever."""
    time.sleep(3600)
    return {}


def leave(state: dict[str, Any]) -> dict[str, Any]:
    """Ends its process."""
    os._exit(7)


def devour(state: dict[str, Any]) -> dict[str, Any]:
    """Allocates until it is stopped."""
    hoard = []
    while True:
        hoard.append(bytearray(16 * 1024 * 1024))


def forks(state: dict[str, Any]) -> dict[str, Any]:
    """Forks, and parent and child both return."""
    os.fork()
    return {"data": {"text": state["text"]}, "next_node": "right"}


def then(how: str) -> None:
    """Hang or leave, now that the children are there."""
    if how == "leave":
        os._exit(7)
    while True:
        time.sleep(3600)


def pool_of_processes(state: dict[str, Any]) -> dict[str, Any]:
    """Has children through a pool, and says which."""
    with ProcessPoolExecutor(2) as pool:
        pids = {pool.submit(os.getpid).result()}
        pool.submit(time.sleep, 3600)
        Path(os.environ["TEST_CHILDREN"]).write_text(" ".join(map(str, pids | set(pool._processes))) + "\n")
        then(state["text"])
    return {}


def command_of_system(state: dict[str, Any]) -> dict[str, Any]:
    """Likewise, through a command."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    Path(os.environ["TEST_CHILDREN"]).write_text(f"{child.pid}\n")
    then(state["text"])
    return {}


def command_of_a_session(state: dict[str, Any]) -> dict[str, Any]:
    """Likewise, through a command that leaves the process group."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
    Path(os.environ["TEST_CHILDREN"]).write_text(f"{child.pid}\n")
    then(state["text"])
    return {}


def fork_that_stays(state: dict[str, Any]) -> dict[str, Any]:
    """Likewise, through a fork."""
    child = os.fork()
    if not child:
        then("hang")
    Path(os.environ["TEST_CHILDREN"]).write_text(f"{child}\n")
    then(state["text"])
    return {}


# --- jobs, which workers run without LangGraph ----------------------------------------------------------------------


def modules(payload: bytes, begin: Callable[[], None]) -> bytes:
    """What is imported."""
    begin()
    return pickle.dumps(set(sys.modules))


def late(payload: bytes, begin: Callable[[], None]) -> bytes:
    """Takes longer before it begins than it may take."""
    time.sleep(float(payload))
    begin()
    return b"done"


def over_time(payload: bytes, begin: Callable[[], None]) -> bytes:
    """Begins, and hangs."""
    begin()
    time.sleep(3600)
    return b""


def unpicklable(state: dict[str, Any]) -> dict[str, Any]:
    """Returns what can't be sent."""
    return {"data": {"f": lambda: 1}}


class OddError(Exception):
    """Pickles, but can't be restored."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("x")


def odd(state: dict[str, Any]) -> dict[str, Any]:
    """Raises what can't be sent."""
    raise OddError(1, 2)


def big(state: dict[str, Any]) -> dict[str, Any]:
    """Returns fifty megabytes."""
    return {"data": {"blob": b"x" * 50_000_000}, "next_node": "right"}


def wants_store(state: dict[str, Any], *, store: Any) -> dict[str, Any]:
    """Needs what a worker has not."""
    return {}


class Desk:
    """V2s that are found through a class, and a comparison function of the same kind."""

    greeting = "right"

    def plain(state: dict[str, Any]) -> dict[str, Any]:  # type: ignore[misc]
        """A function that a class only holds."""
        return same(state)

    @staticmethod
    def static(state: dict[str, Any]) -> dict[str, Any]:
        return same(state)

    @classmethod
    def of_class(cls, state: dict[str, Any]) -> dict[str, Any]:
        return {**same(state), "next_node": cls.greeting}

    @staticmethod
    def trail_differs(v1: dict[str, Any], v2: dict[str, Any]) -> list[str]:
        return ["trail"]
