"""Files of otel-shadow that one call of a node passes, and that its line passes to the verdict; run as a program.

It prints one JSON object: ``call`` (by thread, in the order in which each file is entered first) and ``line``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from waiting import until

import otel_shadow
from otel_shadow import ShadowRecord, Sink

PACKAGE = Path(otel_shadow.__file__).parent
NAMES = {"MainThread": "caller", "otel-shadow-dispatcher": "dispatcher", "otel-shadow-records": "records"}


class Tracer:
    """Files entered by each thread while it is on."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, None]] = {}
        self.on = False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        file = frame.f_code.co_filename
        if self.on and event == "call" and frame.f_code.co_name != "<module>" and file.startswith(str(PACKAGE)):
            thread = NAMES.get(threading.current_thread().name, "worker")
            self.seen.setdefault(thread, {})[str(Path(file).relative_to(PACKAGE))] = None

    @contextlib.contextmanager
    def tracing(self) -> Iterator[None]:
        self.on = True
        yield
        self.on = False


class Told(Sink):
    """When it has a record, the queues of all other sinks have it too."""

    def __init__(self) -> None:
        self.arrived = threading.Event()

    def emit(self, record: ShadowRecord) -> None:
        self.arrived.set()


def call_of_a_node(tracer: Tracer, log: Path) -> dict[str, list[str]]:
    from langgraph.graph import END, START, MessagesState, StateGraph
    from opentelemetry.sdk.trace import TracerProvider

    told = Told()
    manager = otel_shadow.ShadowTrafficManager(
        otel_shadow.ShadowConfig.from_mapping({"arms": {"holdout": 0.0}}),
        sinks=[told], tracer_provider=TracerProvider(), log_file=str(log),
    )  # fmt: skip

    @otel_shadow.with_shadow_v2(lambda state: {"messages": [("ai", "Hello!")]}, manager=manager)
    def greeting(state: MessagesState) -> dict[str, object]:
        return {"messages": [("ai", "Hi!")]}

    graph = StateGraph(MessagesState).add_node(greeting).add_edge(START, "greeting").add_edge("greeting", END).compile()

    def call() -> None:
        told.arrived.clear()
        graph.invoke({"messages": [("user", "hello")]}, {"configurable": {"thread_id": "demo_001"}})
        profile = sys.getprofile()
        sys.setprofile(None)  # to wait is no part of the call
        assert told.arrived.wait(30)
        until(lambda: not any(queue.busy for queue in manager.record_queue._all_queues()))
        sys.setprofile(profile)

    call()  # the first call imports what it needs
    with tracer.tracing():
        call()
    manager.shutdown(5)
    return {thread: list(files) for thread, files in tracer.seen.items()}


def line_to_the_verdict(tracer: Tracer, log: Path) -> list[str]:
    from otel_shadow.cli import main

    def judge() -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            main(["verdict", str(log)])

    judge()
    tracer.seen.clear()
    with tracer.tracing():
        judge()
    return list(tracer.seen["caller"])


def run(log: Path) -> None:
    tracer = Tracer()
    threading.setprofile(tracer)
    sys.setprofile(tracer)
    os.environ["OTEL_SHADOW_HASH_KEY"] = "a key"
    call = call_of_a_node(tracer, log)
    line = line_to_the_verdict(tracer, log)
    sys.setprofile(None)
    print(json.dumps({"call": call, "line": line}))


if __name__ == "__main__":
    run(Path(sys.argv[1]))
