"""An application whose V2 hangs, in the form named by the first argument; it prints what its users got, and ends.

The second argument is ``sync`` or ``async``. Run by ``test_attack_exit.py``.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from langchain_core.runnables import RunnableLambda, RunnableParallel
from langgraph.graph import START, StateGraph
from small_graphs import State, call, left, small_graph

from otel_shadow import FeatureFlags
from otel_shadow._runtime.process_lifecycle import cancel_at_exit
from otel_shadow.testing.capture import ShadowCapture

FORM, COLOUR = sys.argv[1], sys.argv[2]
NEVER = threading.Event()


def hang(state: Any) -> Any:
    NEVER.wait()


class Hanging(logging.Handler):
    """A handler that never returns from its record, and holds its lock."""

    def emit(self, record: logging.LogRecord) -> None:
        NEVER.wait()


class HangingToo(Hanging):
    """One that never returns from its flush either."""

    def flush(self) -> None:
        NEVER.wait()


HANDLER = HangingToo() if FORM == "handler_and_flush" else Hanging()


def hang_in_a_handler(state: Any) -> Any:
    logger = logging.getLogger("v2's own")
    logger.addHandler(HANDLER)
    logger.warning("hello")


async def hang_in_a_handler_awaited(state: Any) -> Any:
    await asyncio.to_thread(hang_in_a_handler, state)


async def hang_awaited(state: Any) -> Any:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


async def hang_in_a_thread(state: Any) -> Any:
    await asyncio.to_thread(NEVER.wait)


def hanging_graph() -> Any:
    graph = StateGraph(State).add_node("a", hang).add_node("b", hang)
    return graph.add_edge(START, "a").add_edge(START, "b").compile()


FORMS: dict[str, Any] = {
    "plain": lambda: hang,
    "awaited": lambda: hang_awaited,
    "thread": lambda: hang_in_a_thread,
    "graph": hanging_graph,
    "handler": lambda: hang_in_a_handler,
    "handler_and_flush": lambda: hang_in_a_handler,
    "handler_in_thread": lambda: hang_in_a_handler_awaited,
    "parallel": lambda: RunnableParallel(a=RunnableLambda(hang), b=RunnableLambda(hang)),
}


def in_own_pool(state: Any) -> Any:
    """V2 with a pool of its own, at work when the process ends."""
    NEVER.wait(0.5)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(left, state).result()


def in_parallel() -> Any:
    """A V2 graph with nodes side by side, still waiting when the process ends."""
    graph = StateGraph(State).add_node("a", left).add_node("b", lambda state: NEVER.wait(0.3) or {})
    return graph.add_edge(START, "a").add_edge(START, "b").compile()


def main() -> None:
    late = {"own_pool": lambda: in_own_pool, "in_parallel": in_parallel}
    capture = ShadowCapture(
        {"limits": {"shutdown_seconds": 0.5 if FORM in FORMS else 20, "concurrency": 2}},
        FeatureFlags(v2_timeout_ms=200 if FORM in FORMS else 20_000, timeout_is_explicit=True),
    )
    graph = capture.attach(small_graph(), {"left": {**FORMS, **late}[FORM]()})
    for n in range(3):
        print(call(graph, session=f"session_{n}", is_async=COLOUR == "async")["trail"])
    if FORM in FORMS:
        capture.manager.flush(10)
    finish = capture.manager.shutdown

    def tell(timeout: float | None = None) -> None:
        finish(timeout)
        print(sorted({str(record.v2.status) for record in capture._records.seen if record.v2}))

    cancel_at_exit(capture.manager.shutdown)
    import atexit

    atexit.register(tell)


main()
