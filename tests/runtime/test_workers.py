"""Worker processes: warm when they are ready, timed while V2 runs, bounded in what they send, ended as a whole."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partialmethod
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from small_graphs import call, small_graph
from waiting import PATIENCE_S, until

from otel_shadow._langgraph.instrument.attach import attach
from otel_shadow._runtime.executors import worker_handle
from otel_shadow._runtime.executors.frames import FrameSocket, FrameTooLargeError, WorkerFrame
from otel_shadow._runtime.executors.process import WorkerPool
from otel_shadow._runtime.executors.run_time import RunTime
from otel_shadow._runtime.executors.worker_handle import WorkerBusyError, WorkerHandle
from otel_shadow._runtime.fault_barrier import FaultBarrier
from otel_shadow.config import ShadowConfig
from otel_shadow.testing.capture import ShadowCapture

HERE = Path(__file__).parent
NEVER = threading.Event()
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")


def settings(**more: Any) -> dict[str, Any]:
    """One worker, whose V2 does what V1 does."""
    node = {"v2": "v2_functions:same", "executor": "process", "timeout_ms": 60_000}
    return {"nodes": {"left": node}, "process": {"idle_priority": False}, "arms": {"holdout": 0.0}, **more}


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    made = WorkerPool(ShadowConfig.from_mapping(settings()), FaultBarrier())
    made.start_workers()
    until(lambda: made._idle)
    yield made
    made.stop(5)


@pytest.fixture
def shadow(make_shadow_capture: Callable[..., ShadowCapture]) -> Callable[..., tuple[ShadowCapture, Any]]:
    """A graph whose first node has ``v2`` in a worker."""

    def make(v2: str, timeout_ms: int = 60_000, inspect: Any = None, **more: Any) -> tuple[ShadowCapture, Any]:
        node = {"v2": f"v2_functions:{v2}", "executor": "process", "timeout_ms": timeout_ms}
        made = make_shadow_capture(settings(**more) | {"nodes": {"left": node}}, inspect=inspect)
        graph = small_graph()
        attach(graph, made.manager)
        return made, graph

    return make


# --- warm -----------------------------------------------------------------------------------------------------------


def test_a_worker_is_warm_when_it_is_ready(shadow: Any) -> None:
    """The first shadow run finds imported whatever it needs: it imports nothing that the worker had not."""
    capture, graph = shadow("same")
    workers = capture.manager.workers
    workers.start_workers()
    until(lambda: workers._idle)
    before = pickle.loads(workers.call("v2_functions:modules", b"", PATIENCE_S))
    call(graph)
    assert [record.v2.status for record in capture.records if record.v2] == ["success"]
    after = pickle.loads(workers.call("v2_functions:modules", b"", PATIENCE_S))
    assert after - before == set()


# --- timed ----------------------------------------------------------------------------------------------------------


def test_the_limit_begins_when_the_job_begins(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes before (the way to the worker, unpickling, its isolation) is not V2's; a V2 that is over it is."""
    monkeypatch.setattr(worker_handle, "HAND_OVER_S", PATIENCE_S)
    assert pool.call("v2_functions:late", b"0.5", 0.2) == b"done"
    with pytest.raises(TimeoutError):
        pool.call("v2_functions:over_time", b"", 0.2)


def test_no_worker_is_no_fault_of_v2s(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job for which there is no free worker has not run."""
    monkeypatch.setattr(worker_handle, "HAND_OVER_S", 0.0)
    pool._idle.clear()
    with pytest.raises(WorkerBusyError):
        pool.call("v2_functions:late", b"0", 0.1)


def test_a_pairs_latency_is_what_v2_ran(shadow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way to the worker and back is not in it, nor compared with the limit."""
    way_s = 0.6

    def slow(self: WorkerPool, target: str, payload: bytes, timeout_s: float) -> Any:
        NEVER.wait(way_s)
        return there(self, target, payload, timeout_s)

    there = WorkerPool.call
    monkeypatch.setattr(WorkerPool, "call", slow)
    monkeypatch.setattr(WorkerHandle, "run", partialmethod(unlimited, WorkerHandle.run))
    capture, graph = shadow("same", timeout_ms=500)
    call(graph)
    [record] = capture.records
    assert record.v2.status == "success"
    assert record.v2.latency_s < way_s


def unlimited(
    worker: WorkerHandle, run: Any, target: str, payload: bytes, begun_by: float, timeout_s: float, most: Any
) -> Any:
    """A busy machine's worker takes as long as it likes to begin."""
    return run(worker, target, payload, begun_by + PATIENCE_S, timeout_s, most)


def test_a_busy_worker_is_no_failure_of_v2s(shadow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that no worker took is cancelled: no error, no timeout."""

    def busy(*_: Any) -> Any:
        raise WorkerBusyError

    monkeypatch.setattr(WorkerHandle, "run", busy)
    capture, graph = shadow("same")
    call(graph)
    assert [(record.v2.status, record.v2.error_type) for record in capture.records] == [
        ("cancelled", "WorkerBusyError")
    ]


@LINUX
def test_waiting_for_a_core_is_not_running() -> None:
    """A process at idle priority on a core that another one uses runs next to nothing of the time that passes."""
    code = """
import os, sys
from time import perf_counter
from otel_shadow._runtime.executors.run_time import RunTime
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
burner = os.fork()
if not burner:
    while os.getppid() != 1:
        pass
    os._exit(0)
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
time = RunTime()
while time.passed < 1.0:
    pass
print(time.seconds < time.passed / 2)
os.kill(burner, 9)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


def test_sleeping_is_running() -> None:
    """V2 that waits by its own will (for a model, say) is charged with it."""
    time = RunTime()
    until(lambda: time.passed > 0.05)
    assert time.seconds > 0.0
    assert time.left(1e-9) < 0.0


# --- bounded --------------------------------------------------------------------------------------------------------


def test_a_worker_that_does_not_read_costs_no_more_than_the_limit(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that does not fit into the socket is given up at its time, and its worker replaced."""
    monkeypatch.setattr(worker_handle, "HAND_OVER_S", 0.1)
    (pid,) = pool.pids
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(WorkerBusyError):
        pool.call("v2_functions:modules", b"x" * 16 * 1024 * 1024, 0.1)
    until(lambda: pid not in pool.pids and pool._idle)


def test_an_answer_that_is_too_large_is_an_error_of_the_pair(shadow: Any) -> None:
    """It is not sent, and has a name; the worker goes on."""
    capture, graph = shadow("big", limits={"snapshot_bytes": 1_000_000})
    call(graph)
    call(graph)
    assert {(record.v2.status, record.v2.error_type) for record in capture.records if record.v2} == {
        ("error", "AnswerTooLargeError")
    }
    assert len(capture.manager.workers.pids) == 1
    assert capture.swallowed == {}


@contextmanager
def closing_both() -> Iterator[tuple[FrameSocket, FrameSocket]]:
    """Both ends of a socket."""
    one, other = map(FrameSocket, socket.socketpair())
    try:
        yield one, other
    finally:
        one.close()
        other.close()


def test_the_parent_takes_no_frame_in_that_is_too_large() -> None:
    """Whatever a worker says, the parent asks the size first."""
    with closing_both() as (one, other):
        one.send(WorkerFrame("done", 1, b"x" * 1000))
        with pytest.raises(FrameTooLargeError):
            other.receive(PATIENCE_S, 999)


def test_a_frame_is_whole_or_late() -> None:
    """Size and order are kept, and neither end waits longer than it is told to."""
    with closing_both() as (one, other):
        one.send(WorkerFrame("done", 7, b"body"))
        one.send(WorkerFrame("stop", 0))
        assert other.receive(PATIENCE_S) == WorkerFrame("done", 7, b"body")
        assert other.receive(PATIENCE_S) == WorkerFrame("stop", 0, b"")
        with pytest.raises(TimeoutError):
            other.receive(0.0)
        with pytest.raises(TimeoutError):
            one.send(WorkerFrame("job", 1, b"x" * 16 * 1024 * 1024), 0.05)
        one.close()
        with pytest.raises(EOFError):
            other.receive(PATIENCE_S)


def test_a_fork_of_v2s_shifts_no_answer(shadow: Any) -> None:
    """V2 forks, and both processes come back from it: each job has its own answer, and one."""
    seen: list[Any] = []
    capture, graph = shadow("forks", inspect=lambda record, v1, v2: seen.append(v2.writes["data"]["text"]))
    for text in ("one", "two", "three"):
        call(graph, {"text": text})
        capture.settle(PATIENCE_S)
    assert seen == ["one", "two", "three"]


def test_starts_that_fail_are_further_and_further_apart(shadow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process can be started, each shadow run says so, and the next start waits."""
    capture, graph = shadow("same")
    workers = capture.manager.workers
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    call(graph)
    assert [record.v2.error_type for record in capture.records if record.v2] == ["WorkerStartError"]
    failures = workers._failures
    assert 1 <= failures < 10
    assert workers._retry_at - perf_counter() < 2.0**failures
    assert workers._retry_at > perf_counter() - 1.0


def test_an_idle_worker_that_the_system_ends_is_replaced(pool: WorkerPool) -> None:
    """At once, without a failure of any V2."""
    (pid,) = pool.pids
    os.kill(pid, signal.SIGKILL)
    until(lambda: pool._idle and pid not in pool.pids)
    assert pool.fault is None


# --- ended whole ------------------------------------------------------------------------------------------------------


def exists(pid: int) -> bool:
    """Whether a process runs (one that has ended and is not waited for doesn't)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


STARTED = ["pool_of_processes", "command_of_system", "fork_that_stays"]


@LINUX
@pytest.mark.parametrize(
    ("children", "how"),
    [*((name, how) for name in STARTED for how in ("hang", "leave")), ("command_of_a_session", "hang")],
)
def test_what_v2_started_ends_with_its_worker(
    shadow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, children: str, how: str
) -> None:
    """A worker that is killed at the time limit, and one that V2 ends, take along what V2 started there."""
    file = tmp_path / "children"
    monkeypatch.setenv("TEST_CHILDREN", str(file))
    for limit_ms in (2_000, 8_000, 32_000):  # on a busy machine V2 is killed before it has told
        capture, graph = shadow(children, timeout_ms=limit_ms)
        call(graph, {"text": how})
        capture.settle(PATIENCE_S)
        if file.exists() and file.read_text().endswith("\n"):
            break
    pids = [int(word) for word in file.read_text().split()]
    assert pids
    until(lambda: not [pid for pid in pids if exists(pid)])


SCRIPT = """
import os, sys, time
sys.path[:0] = {paths!r}
from pathlib import Path
from small_graphs import call, small_graph
from waiting import until
from otel_shadow._langgraph.instrument.attach import attach
from otel_shadow.testing.capture import ShadowCapture
node = {{"v2": "v2_functions:{children}", "executor": "process", "timeout_ms": 600_000}}
process = {{"idle_priority": False}}
capture = ShadowCapture({{"nodes": {{"left": node}}, "process": process, "arms": {{"holdout": 0.0}}}})
graph = small_graph()
attach(graph, capture.manager)
call(graph, {{"text": "hang"}})
file = Path(os.environ["TEST_CHILDREN"])
until(lambda: file.exists() and file.read_text().endswith("\\n"))
print(file.read_text(), *capture.manager.workers.pids, flush=True)
{end}
"""


@LINUX
@pytest.mark.parametrize("children", STARTED)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, None], ids=str)
def test_what_v2_started_does_not_outlive_the_parent(children: str, how: signal.Signals | None, tmp_path: Path) -> None:
    """However the parent ends: killed, terminated, returned."""
    end = "time.sleep(60)" if how is not None else ""
    script = SCRIPT.format(paths=[str(HERE), str(HERE.parent)], children=children, end=end)
    environment = {**os.environ, "TEST_CHILDREN": str(tmp_path / "children")}
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout is not None
    told = parent.stdout.readline() + parent.stdout.readline()
    pids = [int(word) for word in told.split()]
    assert len(pids) > 1
    if how is not None:
        parent.send_signal(how)
    parent.wait(PATIENCE_S)
    parent.stdout.close()
    until(lambda: not [pid for pid in pids if exists(pid)])
