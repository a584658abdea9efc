"""Processes that end as soon as V1 has answered: what V2 does beside the last answers is told, the end is bounded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from waiting import PATIENCE_S

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
TESTS = Path(__file__).resolve().parents[1]
APPLICATION = """
import os, time
from small_graphs import left, small_graph
from otel_shadow import Sink
from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow.config import ShadowConfig
from otel_shadow._langgraph.instrument.attach import attach

def slow(state):
    time.sleep({"slow": 1.0, "hanging": 3600.0}[os.environ["V2"]])
    return left(state)

def exiting(state):
    os._exit(7)

class Flushed(Sink):
    def emit(self, record):
        pass
    def flush(self, timeout_s):
        os.write(1, b"flushed\\n")

config = ShadowConfig.from_mapping({
    "nodes": {"left": {"v2": "application:exiting" if os.environ["V2"] == "exiting" else "application:slow"}},
    "arms": {"holdout": 0.0},
    "limits": {"shutdown_seconds": 5.0 if os.environ["V2"] == "slow" else 1.0},
})
manager = ShadowTrafficManager(config, log_file=os.environ["LOG"], sinks=[Flushed()])
graph = small_graph()
attach(graph, manager)

def ask(n):
    return graph.invoke({"text": str(n), "items": []}, {"configurable": {"thread_id": str(n)}})["trail"]
"""
ENDS = {
    "a fork that exits at once": """
for n in range(4):
    if (child := os.fork()) == 0:
        application.ask(n)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
""",
    "multiprocessing": """
import multiprocessing
pool = multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1)
assert pool.map(application.ask, range(4), 1) == [["left", "right"]] * 4
pool.close()
pool.join()
""",
    "concurrent.futures": """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
    assert list(pool.map(application.ask, range(4))) == [["left", "right"]] * 4
""",
    "billiard": """
import billiard
pool = billiard.get_context("fork").Pool(2, maxtasksperchild=1)
answers = [pool.apply_async(application.ask, (n,)) for n in range(4)]
assert [answer.get() for answer in answers] == [["left", "right"]] * 4
pool.close()
pool.join()
""",
    "Celery": """
import signal, subprocess
import tasks
worker = subprocess.Popen([
    sys.executable, "-m", "celery", "-A", "tasks", "worker", "--pool", "prefork", "--concurrency", "2",
    "--max-tasks-per-child", "1", "--loglevel", "error",
], stdout=subprocess.DEVNULL)
try:
    answers = [tasks.ask.delay(n) for n in range(4)]
    assert [answer.get(timeout=100) for answer in answers] == [["left", "right"]] * 4
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(100) == 0
finally:
    worker.kill()
""",
}
TASKS = """
import os
import application
from celery import Celery

for folder in ("queue", "results", "control"):
    os.makedirs(folder, exist_ok=True)
app = Celery("tasks", broker="filesystem://", backend="file://" + os.path.abspath("results"))
app.conf.broker_transport_options = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
app.conf.worker_prefetch_multiplier = 1

@app.task
def ask(n):
    return application.ask(n)
"""


def run(folder: Path, program: str, v2: str, code: int = 0) -> list[str]:
    """Run ``program`` to its end; the lines of its standard output."""
    (folder / "application.py").write_text(APPLICATION, encoding="utf-8")
    (folder / "tasks.py").write_text(TASKS, encoding="utf-8")
    environment = {**os.environ, "LOG": str(folder / "app.log"), "V2": v2}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (folder, TESTS, TESTS.parent)))
    command = [sys.executable, "-c", "import os, sys, application\n" + program]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout.splitlines()


def told(folder: Path) -> Counter[Any]:
    """What the log says of the node's executions."""
    lines = [json.loads(line) for line in (folder / "app.log").read_text(encoding="utf-8").splitlines()]
    return Counter(
        line.get("shadow_status") or line["reason"]
        for line in lines
        if line["event"] in ("SHADOW_V2", "SHADOW_BASELINE") and line["node"] == "left"
    )


@pytest.mark.parametrize("end", list(ENDS))
def test_every_execution_of_a_process_that_ends_early_is_told(tmp_path: Path, end: str) -> None:
    """V2 takes longer than what is left of the process: the process waits for it, within ``shutdown_seconds``."""
    if end in ("billiard", "Celery"):
        pytest.importorskip(end.lower())
    run(tmp_path, ENDS[end], "slow")
    assert told(tmp_path) == {"success": 4}


@pytest.mark.parametrize("end", [end for end in ENDS if end != "Celery"])
def test_a_v2_that_hangs_does_not_keep_such_a_process(tmp_path: Path, end: str) -> None:
    """It is cancelled, and that is told."""
    if end == "billiard":
        pytest.importorskip(end)
    run(tmp_path, ENDS[end], "hanging")
    assert told(tmp_path) == {"cancelled": 4}


def test_a_pool_that_is_terminated_when_its_last_worker_ends(tmp_path: Path) -> None:
    """``with Pool(...)`` terminates workers that have answered; one that is finishing shadow runs cuts them short."""
    program = """
import multiprocessing, signal
def ask(n):
    application.ask(n)
child = multiprocessing.get_context("fork").Process(target=ask, args=(1,))
child.start()
status = f"/proc/{child.pid}/status"
while child.is_alive():
    caught = next((line for line in open(status) if line.startswith("SigCgt")), "SigCgt: 0").split()[1]
    if int(caught, 16) >> signal.SIGTERM - 1 & 1:
        break  # it has a handler for SIGTERM: it is finishing
child.terminate()
child.join()
assert child.exitcode == 0
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("what a process handles is read from /proc")
    run(tmp_path, program, "hanging")
    assert told(tmp_path) == {"cancelled": 1}


def test_a_watchdog_that_exits_waits_for_nothing(tmp_path: Path) -> None:
    """A thread that ends a process in which something hangs has its reasons: nothing is called there."""
    program = """
import threading
application.ask(1)
threading.Thread(target=os._exit, args=(3,)).start()
threading.Event().wait()
"""
    assert run(tmp_path, program, "hanging", code=3) == []


def test_a_process_that_was_started_exits_at_once(tmp_path: Path) -> None:
    """``os._exit`` of a process that is no fork is Python's own, and calls nothing."""
    program = """
application.ask(1)
assert not hasattr(os._exit, "__wrapped__")
os._exit(4)
"""
    assert run(tmp_path, program, "hanging", code=4) == []


def test_a_v2_that_exits_waits_for_nothing(tmp_path: Path) -> None:
    """V2 may end the process, as documented; it does not wait for itself first."""
    program = """
import threading
application.ask(1)
threading.Event().wait()
"""
    assert run(tmp_path, program, "exiting", code=7) == []


def test_a_fork_that_has_executed_nothing_ends_as_ever(tmp_path: Path) -> None:
    """No thread is started there, and no sink is asked: its locks may be held by a thread that was not forked."""
    program = """
application.ask(1)
assert application.manager.flush(60)
for _ in range(3):
    if (child := os.fork()) == 0:
        os._exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
"""
    assert run(tmp_path, program, "slow") == ["flushed", "flushed"]
