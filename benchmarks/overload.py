"""Budgets 8 and 9: a full queue costs V1 nothing, killed parents leave no worker, memory stays within its bound."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks import workload
from benchmarks.rounds import Ratio
from benchmarks.soak import measure
from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow._langgraph.instrument.attach import attach
from otel_shadow.config import ShadowConfig
from otel_shadow.flags import FeatureFlags

_PARENT = """
import time
from benchmarks.isolation import Running, Setting, burns_on, v1
from benchmarks import workload
running = Running(Setting("x", burns_on, "process", 2), v1)
running.graph.invoke(workload.state_of("S"), workload.CONFIG)
running.graph.invoke(workload.state_of("S"), workload.CONFIG)
time.sleep(0.3)
print(*running.manager.workers.pids, flush=True)
time.sleep(60)
"""


def run(pairs: int = 10_000) -> None:
    """Print the results."""
    _full_queue()
    _killed_parent()
    _memory(pairs)


def _shadowed(limits: dict[str, Any], v2: Any) -> tuple[Any, Any]:
    config = ShadowConfig.from_mapping(
        {"nodes": {"two": {"timeout_ms": 600_000}}, "arms": {"holdout": 0.0}, "limits": limits}
    )
    manager = ShadowTrafficManager(config, FeatureFlags(), log_file="/dev/null")
    graph = workload.graph_of(workload.v1)
    attach(graph, manager, lambda _, node: v2 if node == "two" else None)
    return graph, manager


def _full_queue(rounds: int = 7, calls: int = 60) -> None:
    end = threading.Event()
    full, manager = _shadowed({"queue": 1, "concurrency": 1}, lambda state: end.wait() and {})
    free, other = _shadowed({"queue": 100_000}, workload.v1)
    state = workload.state_of("M")
    for _ in range(3):
        full.invoke(state, workload.CONFIG)
        time.sleep(0.1)
    ratios = []
    for _ in range(rounds):
        times: dict[str, list[float]] = {"full": [], "free": []}
        for _ in range(calls):
            for name, graph in (("full", full), ("free", free)):
                started = time.perf_counter()
                graph.invoke(state, workload.CONFIG)
                times[name].append(time.perf_counter() - started)
        other.flush(10)
        ratios.append(sorted(times["full"])[calls // 10] / sorted(times["free"])[calls // 10])
    shed = 3 + rounds * calls - 2
    print(f"\nBudget 8: a graph run with the queue full over one with it free  {Ratio.of(ratios)}")
    end.set()
    manager.flush(10)
    reason = manager.nodes[("measured", "two")].limiter.reason
    dropped = manager.fault_barrier.counts["emit_dropped"]
    print(f"  {shed} shadow runs shed; the limiter says {reason!r}; dropped records {dropped}")
    for each in (manager, other):
        each.shutdown(1.0)


def _killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        parent.send_signal(signal.SIGKILL)
        started = time.perf_counter()
        while any(_runs(pid) for pid in pids) and time.perf_counter() - started < 10:
            time.sleep(0.005)
    seconds = time.perf_counter() - started
    print(f"  parent killed with -9 while {len(pids)} workers burn: the last one gone after {seconds:.2f} s (bound 1)")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _memory(pairs: int) -> None:
    end = threading.Event()
    bound = 32 * 1024 * 1024
    limits = {"queue": 100_000, "snapshot_bytes": bound, "concurrency": 4}
    graph, manager = _shadowed(limits, lambda state: end.wait() and {})
    state = workload.state_of("M")
    for _ in range(50):
        graph.invoke(state, workload.CONFIG)
    before = measure().memory_bytes
    for _ in range(pairs):
        graph.invoke(state, workload.CONFIG)
    grown = measure().memory_bytes - before
    waiting = manager.dispatcher.waiting_bytes
    print(f"Budget 9: {pairs} pairs with a V2 that hangs: {grown / 2**20:.1f} MiB more resident")
    depth = manager.dispatcher.depth
    print(f"  bound {bound / 2**20:.0f} MiB; snapshots that wait: {waiting / 2**20:.1f} MiB, {depth} pairs")
    end.set()
    manager.shutdown(2.0)
