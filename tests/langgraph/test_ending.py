"""Production ends, cancels or closes what V2 is using: no crash, no noise on standard error, and the record says so.

Each case is a program of its own: a segmentation fault or a warning at exit can't be seen from inside.
"""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import Any

import preloaded
import pytest

ROOT = Path(__file__).resolve().parents[2]
PRELUDE = """
import asyncio, threading, time
from typing import TypedDict
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.store.memory import InMemoryStore
from langgraph.config import get_store
from otel_shadow import ShadowInstrumentor

class State(TypedDict, total=False):
    n: int

LIMIT_MS = 600_000

def shadowed(v2, v1=lambda state: {"n": 1}, **options):
    config = {"arms": {"holdout": 0.0}, "limits": {"shutdown_seconds": 0.5}, "flags": {"timeout_ms": LIMIT_MS}}
    ShadowInstrumentor().instrument(config=config, resolve_v2=lambda graph, node: v2, raise_errors=True)
    graph = StateGraph(State)
    graph.add_node("a", v1)
    graph.add_edge(START, "a")
    return graph.compile(**options)

STARTED, CLOSED, ENDED = threading.Event(), threading.Event(), threading.Event()
THREAD = {"configurable": {"thread_id": "demo_001"}}
"""


def played(program: str, folder: Path, *, expected: str | None = None) -> list[dict[str, Any]]:
    """Run ``program``; it must end well and say nothing (but lines with ``expected``). Its log lines."""
    log = folder / "app.log"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OTEL_SHADOW_LOG_FILE": str(log)}
    environment["PYTHONWARNINGS"] = "default::RuntimeWarning,default::ResourceWarning"
    done = preloaded.run(PRELUDE + textwrap.dedent(program), cwd=folder, environment=environment)
    upstream = ("allowed_objects", "import JsonPlus")  # what old versions say at their import
    known = (*upstream, expected) if expected else upstream
    said = [line for line in done.stderr.splitlines() if not any(part in line for part in known)]
    assert (done.returncode, said) == (0, [])
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


EVIDENCE = ("SHADOW_V2", "SHADOW_BASELINE")


def statuses(lines: list[dict[str, Any]]) -> list[str]:
    """What became of V2: its status, or the reason why there is no pair."""
    return [line.get("shadow_status") or line["reason"] for line in lines if line["event"] in EVIDENCE]


def test_the_store_is_closed_while_v2_reads(tmp_path: Path) -> None:
    """A SQLite store whose connection goes away under a reading V2: the process lives."""
    pytest.importorskip("langgraph.store.sqlite")
    program = """
        from langgraph.store.sqlite import SqliteStore
        READ = []
        def v2(state):
            store = get_store()
            while not CLOSED.is_set() or len(READ) < 10:
                READ.append(len(store.search(("a",), limit=1000)))
                STARTED.set()
            READ.append(len(store.search(("a",), limit=1000)))
            ENDED.set()
        with SqliteStore.from_conn_string("store.db") as store:
            store.setup()
            for i in range(500):
                store.put(("a",), str(i), {"v": "x" * 200})
            graph = shadowed(v2, store=store)
            assert graph.invoke({"n": 0}) == {"n": 1}
            assert STARTED.wait(120)
        CLOSED.set()
        assert ENDED.wait(120)
        assert set(READ) == {500}
    """
    assert statuses(played(program, tmp_path)) == ["success"]


def test_the_saver_is_closed_while_v2_runs_graphs(tmp_path: Path) -> None:
    """V2's subgraphs save to a place of their own: closing production's saver is nothing to them."""
    pytest.importorskip("langgraph.checkpoint.sqlite")
    program = """
        from langgraph.checkpoint.sqlite import SqliteSaver
        inner = StateGraph(State).add_node("inner", lambda state: {"n": 2}).add_edge(START, "inner").compile()
        def v2(state):
            while not CLOSED.is_set():
                inner.invoke({"n": 0})
                STARTED.set()
            inner.invoke({"n": 0})
            ENDED.set()
            return {"n": 1}
        with SqliteSaver.from_conn_string("saver.db") as saver:
            assert shadowed(v2, checkpointer=saver).invoke({"n": 0}, THREAD) == {"n": 1}
            assert STARTED.wait(120)
        CLOSED.set()
        assert ENDED.wait(120)
    """
    assert statuses(played(program, tmp_path)) == ["success"]


@pytest.mark.parametrize("reading", ["await get_store().aget(('a',), 'k')", "await asyncio.to_thread(read)"])
def test_the_loop_ends_while_v2_reads_the_store(tmp_path: Path, reading: str) -> None:
    """``asyncio.run`` is over while V2 reads a store that belongs to its loop: V2 is cut off."""
    program = f"""
        LIMIT_MS = 2000  # where the read never comes back
        def read():
            return get_store().get(("a",), "k")
        async def v2(state):
            STARTED.set()
            try:
                while True:
                    {reading}
                    await asyncio.sleep(0)
            finally:
                ENDED.set()
        async def main():
            async def v1(state):
                return {{"n": 1}}
            assert await shadowed(v2, v1, store=InMemoryStore()).ainvoke({{"n": 0}}) == {{"n": 1}}
            await asyncio.to_thread(STARTED.wait, 120)
        asyncio.run(main())
        assert ENDED.wait(120)
    """
    assert statuses(played(program, tmp_path)) == ["cancelled:loop_ended"]


@pytest.mark.parametrize("v2", ["time.sleep(60)", "threading.Event().wait()", "[None for _ in iter(int, 1)]"])
def test_the_process_ends_while_v2_hangs(tmp_path: Path, v2: str) -> None:
    """At exit a V2 that sleeps, waits or spins is given up, and its record says cancelled."""
    program = f"""
        def v2(state):
            STARTED.set()
            {v2}
        assert shadowed(v2).invoke({{"n": 0}}) == {{"n": 1}}
        assert STARTED.wait(120)
    """
    assert statuses(played(program, tmp_path)) == ["cancelled"]


def test_the_process_ends_while_an_awaited_v2_hangs(tmp_path: Path) -> None:
    """The same for a coroutine, with a task and a graph of its own open."""
    program = """
        from langgraph.func import task
        @task
        async def forever():
            await asyncio.Event().wait()
        async def v2(state):
            waiting = forever()
            STARTED.set()
            await waiting
        async def v1(state):
            return {"n": 1}
        async def main():
            assert await shadowed(v2, v1).ainvoke({"n": 0}) == {"n": 1}
            await asyncio.to_thread(STARTED.wait, 120)
        asyncio.run(main())
    """
    assert statuses(played(program, tmp_path)) == ["cancelled:loop_ended"]


def test_the_production_run_is_cancelled(tmp_path: Path) -> None:
    """V1 is cancelled in the middle: its caller sees the cancellation, V2's pair says that V1 gave no result."""
    program = """
        async def v1(state):
            STARTED.set()
            await asyncio.Event().wait()
        async def main():
            graph = shadowed(lambda state: {"n": 1}, v1, checkpointer=InMemorySaver())
            run = asyncio.create_task(graph.ainvoke({"n": 0}, THREAD))
            await asyncio.to_thread(STARTED.wait, 120)
            run.cancel()
            try:
                await run
            except asyncio.CancelledError:
                print("cancelled")
        asyncio.run(main())
    """
    [line] = [line for line in played(program, tmp_path) if line["event"] in ("SHADOW_V2", "SHADOW_BASELINE")]
    assert line["v1_status"] == "cancelled"


def test_the_caller_stops_listening(tmp_path: Path) -> None:
    """A stream that is closed after its first chunk."""
    program = """
        async def v1(state):
            return {"n": 1}
        async def main():
            graph = shadowed(lambda state: {"n": 1}, v1)
            stream = graph.astream({"n": 0})
            assert await anext(stream) == {"a": {"n": 1}}
            await stream.aclose()
        asyncio.run(main())
        ShadowInstrumentor().uninstrument()
        graph = shadowed(lambda state: {"n": 1})
        stream = graph.stream({"n": 0})
        next(stream)
        stream.close()
    """
    assert statuses(played(program, tmp_path)) == ["success", "success"]


def test_v2_exits(tmp_path: Path) -> None:
    """``sys.exit`` in V2, called or awaited, ends V2 alone: the next shadows run."""
    program = """
        def v2(state):
            raise SystemExit(3)
        async def av2(state):
            await asyncio.create_task(aexit())
        async def aexit():
            raise SystemExit(3)
        for chosen in (v2, av2, v2, av2):
            assert shadowed(chosen).invoke({"n": 0}) == {"n": 1}
            assert ShadowInstrumentor().manager.flush(120)
            ShadowInstrumentor().uninstrument()
    """
    assert statuses(played(program, tmp_path, expected="a shadow's task raised SystemExit")) == ["error"] * 4
