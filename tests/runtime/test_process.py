"""V2 in worker processes: the record of a thread's; what hangs, dies or can't be sent costs a worker, nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_graphs import call, left, small_graph
from waiting import PATIENCE_S, until

from otel_shadow._langgraph.instrument.attach import attach
from otel_shadow.errors import ConfigError
from otel_shadow.testing.capture import ShadowCapture

Make = Callable[..., ShadowCapture]
HERE = Path(__file__).parent


@pytest.fixture
def shadow(make_shadow_capture: Make) -> Callable[..., tuple[ShadowCapture, Any]]:
    """A graph whose first node has ``v2`` in a worker process."""

    def make(
        v2: str, timeout_ms: int = 60_000, process: Any = None, inspect: Any = None, **config: Any
    ) -> tuple[ShadowCapture, Any]:
        node = {"v2": f"v2_functions:{v2}", "executor": "process", "timeout_ms": timeout_ms}
        made = make_shadow_capture(
            {
                "nodes": {"left": node},
                "process": {"idle_priority": False} | (process or {}),
                "arms": {"holdout": 0.0},
                **config,
            },
            inspect=inspect,
        )
        graph = small_graph()
        attach(graph, made.manager)
        return made, graph

    return make


def pairs(capture: ShadowCapture) -> list[Any]:
    """The pairs so far."""
    capture.manager.flush(PATIENCE_S)
    return capture.records


def test_where_v2_failed_comes_back_with_its_exception(shadow: Any) -> None:
    """An exception loses its traceback on the way, and one that can't be sent loses more: the place is told."""
    source = (HERE / "v2_functions.py").read_text(encoding="utf-8").splitlines()
    (line,) = [number for number, text in enumerate(source, 1) if text.strip() == "raise OddError(1, 2)"]
    capture, graph = shadow("odd")
    call(graph)
    assert [told["v2_location"] for told in capture.lines("SHADOW_V2")] == [f"v2_functions:{line}"]


@pytest.mark.parametrize("v2", ["same", "same_async"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_pair_is_the_same_as_in_a_thread(shadow: Any, v2: str, is_async: bool) -> None:
    """Decision, step and comparison are made as ever; V2 may be sync or async whatever V1 is."""
    capture, graph = shadow(v2)
    assert call(graph, is_async=is_async)["trail"] == ["left", "right"]
    [record] = pairs(capture)
    assert (record.v2.status, record.comparison.outcome, record.v2.target) == ("success", "match", "right")


def test_world_of_a_worker(shadow: Any) -> None:
    """V2 runs in another process, as a shadow, in the pair's trace, with its thread id, and without our main module."""
    seen: list[Any] = []
    told = {"process": {"init": "v2_functions:init"}, "privacy": {"propagate": "all"}}
    capture, graph = shadow("facts", **told, inspect=lambda record, v1, v2: seen.append(v2.writes["data"]))
    call(graph, {"text": "hi"}, session="s_7")
    [record] = pairs(capture)
    [data] = seen
    assert data["pid"] != os.getpid()
    assert data["shadow"] is True
    assert data["mode"] == "v2_shadow"
    assert data["trace"] == record.trace_id
    assert (data["thread"], data["text"]) == ("s_7", "hi")
    assert data["initialised"] == [data["pid"]]
    assert data["main"].endswith("worker_process.py")


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="this system has no such class")
def test_a_worker_is_idle_from_the_start(shadow: Any) -> None:
    """It takes what nobody else wants: looked at from here, for on a busy machine it may take minutes to say so."""
    capture, graph = shadow("same", process={"idle_priority": True})
    call(graph)
    until(lambda: [os.sched_getscheduler(pid) for pid in capture.manager.workers.pids] == [os.SCHED_IDLE])


def test_command_and_interrupt_come_back(shadow: Any) -> None:
    """A command is V2's decision; an interrupt is an outcome of its own."""
    capture, graph = shadow("command")
    call(graph)
    assert pairs(capture)[0].v2.target == "right"
    capture, graph = shadow("ask")
    call(graph)
    assert pairs(capture)[0].v2.status == "interrupt"


@pytest.mark.parametrize("v2", ["spin", "sleep"])
def test_worker_over_its_time_is_killed_and_replaced(shadow: Any, v2: str) -> None:
    """The pair is a timeout, the worker is gone, and the next pair has a new one."""
    capture, graph = shadow(v2, timeout_ms=300)
    pool = capture.manager.workers
    call(graph)
    before = until(lambda: set(pool.pids))
    call(graph)
    assert [record.v2.status for record in pairs(capture)] == ["timeout", "timeout"]
    until(lambda: not any(exists(pid) for pid in before))
    until(lambda: capture.manager.dispatcher.abandoned == 0)


@pytest.mark.parametrize(
    ("v2", "error"),
    [("leave", "WorkerDiedError"), ("unpicklable", ""), ("odd", "OddError")],
)
def test_failures_are_errors_of_v2(shadow: Any, v2: str, error: str) -> None:
    """``os._exit``, a value that can't be sent and an exception that can't be restored are recorded; the next runs."""
    capture, graph = shadow(v2)
    call(graph)
    call(graph)
    records = pairs(capture)
    assert [record.v2.status for record in records] == ["error", "error"]
    assert all(error in record.v2.error_type for record in records)


def test_memory_bound_is_v2s_error(shadow: Any) -> None:
    """Beyond ``process.memory_bytes`` V2 gets a ``MemoryError``."""
    capture, graph = shadow("devour", process={"memory_bytes": 2 * 1024**3})
    call(graph)
    [record] = pairs(capture)
    assert (record.v2.status, record.v2.error_type) == ("error", "MemoryError")


def test_fifty_megabytes_come_back(shadow: Any) -> None:
    """A large value is compared like any other."""
    capture, graph = shadow("big")
    call(graph)
    assert pairs(capture)[0].v2.status == "success"


def test_workers_that_cannot_start_are_errors_not_a_standstill(shadow: Any) -> None:
    """An ``init`` that fails ends in error records that name the fault, and V1 runs."""
    capture, graph = shadow("same", process={"init": "v2_functions:no_such"})
    call(graph)
    [record] = pairs(capture)
    assert (record.v2.status, record.v2.error_type) == ("error", "WorkerStartError")


def test_spans_are_flushed_before_a_kill(shadow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans that V2 ended before it was killed are exported, marked, in the pair's trace, under the shadow's span."""
    file, ended = tmp_path / "spans", tmp_path / "ended"
    monkeypatch.setenv("TEST_SPANS", str(file))
    monkeypatch.setenv("TEST_SPINNING", str(ended))
    monkeypatch.setattr("otel_shadow._runtime.executors.process._FLUSH_S", PATIENCE_S)
    process = {"init": "v2_functions:trace_to_file"}
    for limit_ms in (1_000, 4_000, 16_000, 64_000):  # on a busy machine V2 is killed before it has begun
        capture, graph = shadow("span_then_spin", timeout_ms=limit_ms, process=process)
        call(graph)
        capture.settle(PATIENCE_S)
        if ended.exists():
            break
    until(lambda: file.read_text().endswith("\n"))
    records = {f"0x{record.v2.span_id}": record for record in capture.records}
    for span in map(json.loads, file.read_text().splitlines()):
        assert span["name"] == "inside v2"
        assert span["context"]["trace_id"] == f"0x{records[span['parent_id']].trace_id}"
        assert span["attributes"]["shadow.mode"] == "v2_shadow"


@pytest.mark.parametrize(
    ("v2", "config", "what"),
    [
        ("v2_functions:wants_store", {}, "no the live store"),
        (lambda state: {}, {}, "can be imported"),
        ("v2_functions:same", {"tools": {"replay": ["t"]}}, "replay"),
        ("__main__:same", {}, "can be imported"),
    ],
)
def test_what_process_mode_lacks_is_refused(make_shadow_capture: Make, v2: Any, config: Any, what: str) -> None:
    """At configuration, with the node, the reason and the remedy."""
    sys.modules["__main__"].same = left  # type: ignore[attr-defined]
    capture = make_shadow_capture({"nodes": {"left": {"executor": "process"}}, **config})
    with pytest.raises(ConfigError, match=what):
        attach(small_graph(), capture.manager, lambda _, node: v2 if node == "left" else None)


SCRIPT = """
import os, sys, time
sys.path[:0] = {paths!r}
from pathlib import Path
from small_graphs import call, small_graph
from waiting import until
from otel_shadow._langgraph.instrument.attach import attach
from otel_shadow.testing.capture import ShadowCapture
node = {{"v2": "v2_functions:spin", "executor": "process", "timeout_ms": 600_000}}
process = {{"idle_priority": False}}
capture = ShadowCapture({{"nodes": {{"left": node}}, "process": process, "arms": {{"holdout": 0.0}}}})
graph = small_graph()
attach(graph, capture.manager)
call(graph)
until(Path(os.environ["TEST_SPINNING"]).exists)
print(*capture.manager.workers.pids, flush=True)
{end}
"""


@pytest.mark.parametrize(
    ("end", "how"),
    [
        ("time.sleep(60)", signal.SIGKILL),
        ("time.sleep(60)", signal.SIGTERM),
        ("", None),
        ("os.fork() or os._exit(0)", None),
    ],
)
def test_no_worker_outlives_its_parent(end: str, how: signal.Signals | None, tmp_path: Path) -> None:
    """However the parent ends, while V2 burns CPU: killed, terminated, returned, or forked before."""
    script = SCRIPT.format(paths=[str(HERE), str(HERE.parent)], end=end)
    environment = {**os.environ, "TEST_SPINNING": str(tmp_path / "spinning")}
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    assert pids
    if how is not None:
        process.send_signal(how)
    process.wait(PATIENCE_S)
    process.stdout.close()
    until(lambda: not [pid for pid in pids if exists(pid)])


def exists(pid: int) -> bool:
    """Whether a process runs (one that has ended and is not waited for doesn't)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
