"""Forks, ends and signals, in processes of their own: no deadlock, no orphan; pairs in flight end or are cancelled."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PRELUDE = """
import asyncio, multiprocessing, os, signal, sys, threading, time
sys.path[:0] = [{tests!r}]
from small_graphs import call, left, small_graph
from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow.config import ShadowConfig
from otel_shadow._langgraph.instrument.attach import attach

limits = {{"shutdown_seconds": 1.5, "concurrency": 4}}
config = ShadowConfig.from_mapping(
    {{"nodes": {{"left": {{"timeout_ms": 60000}}}}, "arms": {{"holdout": 0.0}}, "limits": limits}}
)

def quick(state):
    return left(state)

def hang(state):
    time.sleep(3600)

async def ahang(state):
    await asyncio.sleep(3600)

def made(v2):
    manager = ShadowTrafficManager(config, log_file={log!r})
    graph = small_graph()
    attach(graph, manager, lambda _, node: v2 if node == "left" else None)
    return manager, graph

def child(graph, calls):
    for _ in range(calls):
        assert call(graph)["trail"] == ["left", "right"]

def spawned():
    manager, graph = made(quick)
    child(graph, 3)

if __name__ == "__main__":
"""


def play(tmp_path: Path, body: str, stop: signal.Signals | None = None) -> tuple[int, Counter[str], float]:
    """Run ``body`` in a process of its own.

    Returns:
        Its exit code, how many pairs there are of each status, and the seconds it took to end after its body.
    """
    log = tmp_path / "app.log"
    script = tmp_path / "script.py"
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    script.write_text(PRELUDE.format(tests=str(HERE.parent), log=str(log)) + lines + '    print("end", flush=True)\n')
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if stop is not None:
                process.send_signal(stop)
            started = time.monotonic()
            code = process.wait(60)
        finally:
            process.kill()
    assert line == "end\n" or stop is not None
    written = log.read_text().splitlines() if log.exists() else []
    events = [json.loads(line) for line in written]
    pairs = [event for event in events if "v2_status" in event]
    return code, Counter(str(event["v2_status"]) for event in pairs), time.monotonic() - started


def test_interpreter_exit_finishes_what_is_quick(tmp_path: Path) -> None:
    """Pairs that wait or run at the end of the script are recorded."""
    code, statuses, _ = play(tmp_path, "manager, graph = made(quick)\nchild(graph, 20)")
    assert (code, statuses) == (0, {"success": 20})


@pytest.mark.parametrize("v2", ["hang", "ahang"])
def test_interpreter_exit_cancels_what_hangs(tmp_path: Path, v2: str) -> None:
    """Within the deadline, whether it blocks a thread or awaits."""
    code, statuses, seconds = play(tmp_path, f"manager, graph = made({v2})\nchild(graph, 6)")
    assert (code, statuses) == (0, {"cancelled": 6})
    assert seconds < 20


def test_sigterm_that_the_application_turns_into_an_exit(tmp_path: Path) -> None:
    """As servers do: the pairs in flight are cancelled and recorded."""
    body = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
manager, graph = made(hang)
child(graph, 3)
print("ready", flush=True)
while True:  # CPython may miss a signal that comes just before a long sleep, and take it after
    time.sleep(0.05)
"""
    code, statuses, seconds = play(tmp_path, body, signal.SIGTERM)
    assert (code, statuses) == (0, {"cancelled": 3})
    assert seconds < 20


def test_sigterm_that_nobody_handles(tmp_path: Path) -> None:
    """The process ends at once, as it did without us."""
    body = 'manager, graph = made(hang)\nchild(graph, 3)\nprint("ready", flush=True)\ntime.sleep(60)'
    code, _, seconds = play(tmp_path, body, signal.SIGTERM)
    assert code == -signal.SIGTERM
    assert seconds < 10


def test_prefork_with_shadows_in_flight(tmp_path: Path) -> None:
    """Each forked worker runs shadows of its own; those in flight at the fork are the parent's, and reported once."""
    body = """
manager, graph = made(lambda state: time.sleep(0.2) or left(state))
child(graph, 8)
time.sleep(0.05)
pids = []
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        child(graph, 2)
        manager.shutdown(20)
        os._exit(0)
    pids.append(pid)
assert all(os.waitpid(pid, 0)[1] == 0 for pid in pids)
assert manager.flush(20)
"""
    code, statuses, _ = play(tmp_path, body)
    assert (code, statuses) == (0, {"success": 8 + 3 * 2})


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_of_multiprocessing(tmp_path: Path, method: str) -> None:
    """Pairs of a child that just returns are recorded, though ``multiprocessing`` runs no ``atexit`` there."""
    body = f"""
context = multiprocessing.get_context("{method}")
manager, graph = made(quick)
child(graph, 1)
processes = [
    context.Process(target=child, args=(graph, 3)) if "{method}" == "fork" else context.Process(target=spawned)
    for _ in range(2)
]
[process.start() for process in processes]
[process.join() for process in processes]
assert all(process.exitcode == 0 for process in processes)
"""
    code, statuses, _ = play(tmp_path, body)
    assert (code, statuses) == (0, {"success": 1 + 2 * 3})


def test_asyncio_run_that_ends(tmp_path: Path) -> None:
    """Shadows on their own loop outlive the application's loop and are recorded; several runs follow each other."""
    body = """
async def v2(state):
    await asyncio.sleep(0.05)
    return left(state)
manager, graph = made(v2)
for _ in range(3):
    call(graph, is_async=True)
"""
    code, statuses, _ = play(tmp_path, body)
    assert (code, statuses) == (0, {"success": 3})


def test_fork_while_the_limiter_is_asked(tmp_path: Path) -> None:
    """A lock that a thread of the parent held at the fork does not stop the child's shadows."""
    body = """
manager, graph = made(quick)
child(graph, 1)
manager.flush(10)
lock = next(iter(manager.nodes.values())).limiter._lock
lock.acquire()
pid = os.fork()
if pid == 0:
    child(graph, 2)
    manager.shutdown(20)
    os._exit(0)
lock.release()
assert os.waitpid(pid, 0)[1] == 0
"""
    code, statuses, _ = play(tmp_path, body)
    assert (code, statuses) == (0, {"success": 3})
