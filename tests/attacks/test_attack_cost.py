"""What the snapshot may cost V1: huge states, states copied slowly and in vain, again and again."""

from __future__ import annotations

import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from small_graphs import call, left, small_graph

from otel_shadow._runtime.limits import OverheadBudget
from otel_shadow._runtime.snapshot import TooLargeError, take
from otel_shadow.testing.capture import ShadowCapture


def test_an_account_earns_a_share_of_v1s_time() -> None:
    """Five milliseconds or a tenth of V1's time for each execution, up to one second in advance."""
    overhead_budget = OverheadBudget()
    for _ in range(1000):
        overhead_budget.settle(0.0, 0.0)
    overhead_budget.settle(1.004, 0.0)
    assert not overhead_budget.overdrawn, "one second was saved, and five milliseconds earned"
    overhead_budget.settle(0.5, 0.01)
    executions = 0
    while overhead_budget.overdrawn:
        overhead_budget.settle(0.0, 0.01)
        executions += 1
    assert executions == 99
    overhead_budget.settle(1.0, 0.0)
    while overhead_budget.overdrawn:
        overhead_budget.settle(0.0, 2.0)
        executions += 1
    assert executions == 104, "a slow V1 pays it back sooner"


def test_a_cheap_snapshot_is_never_refused() -> None:
    """Four milliseconds each, for ever."""
    overhead_budget = OverheadBudget()
    for _ in range(100_000):
        overhead_budget.settle(0.004, 0.0)
        assert not overhead_budget.overdrawn


class Slow:
    """Copied slowly, and in vain: its copy is asked for after a long while of work."""

    def __init__(self, copies: list[int]) -> None:
        self.copies = copies
        self.lock = threading.Lock()

    def __deepcopy__(self, memo: Any) -> Any:
        self.copies.append(1)
        threading.Event().wait(0.3)
        raise TypeError("cannot copy")


def test_copying_in_vain_ends(shadow_capture: ShadowCapture) -> None:
    """A state copied slowly and in vain: after a second in all V1 runs without us, and the record says so."""
    copies: list[int] = []
    graph = shadow_capture.attach(small_graph(), {"left": left})
    state = {"text": "hello", "data": {"slow": Slow(copies)}}
    for n in range(20):
        assert call(graph, state, session=f"session_{n}")["trail"] == ["left", "right"]
    reasons = [record.reason for record in shadow_capture.records]
    assert 0 < reasons.count("not_captured:Slow") <= 4
    assert reasons[-10:] == ["shed:overhead"] * 10
    assert shadow_capture.manager.nodes["small", "left"].limiter.reason == "overhead"
    shed = [record for record in shadow_capture.records if record.reason == "shed:overhead"]
    assert {record.v2.status for record in shed if record.v2} == {"shed"}


def test_a_state_beyond_the_bound_is_left_alone(make_shadow_capture: Any) -> None:
    """More than may wait in all can't wait: the snapshot ends at the bound, and the pair is shed for memory."""
    capture = make_shadow_capture({"limits": {"snapshot_bytes": 200_000}})
    graph = capture.attach(small_graph(), {"left": left})
    big = {"text": "hello", "items": [str(n) * 10 for n in range(100_000)]}
    assert call(graph, big)["trail"] == ["left", "right"]
    assert call(graph)["trail"] == ["left", "right"]
    assert [record.reason for record in capture.records] == ["shed:memory", None]


def test_a_snapshot_takes_no_more_memory_than_it_may() -> None:
    """Fifty megabytes of state and a bound of one: about one is ever held."""
    state = [f"{n:050d}" for n in range(1_000_000)]
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            take(state, 1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("largest", [None, 100_000_000])
def test_the_bound_changes_no_snapshot(largest: int | None) -> None:
    """Large strings and bytes, which pickle writes by themselves, are whole."""
    state = {"a": b"x" * 300_000, "b": "y" * 300_000, "c": list(range(100_000)), "d": bytearray(b"z" * 70_000)}
    assert take(state, largest).restore() == state


def test_a_raised_recursion_limit_ends_no_process() -> None:
    """An application with a recursion limit of a million, and a state that is deeper than the stack of C code."""
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from small_graphs import call, left, small_graph
from otel_shadow.testing.capture import ShadowCapture

sys.setrecursionlimit(1_000_000)
deep = []
for _ in range(200_000):
    deep = [deep]
capture = ShadowCapture()
graph = capture.attach(small_graph(), {"left": left})
print(call(graph, {"text": "hello", "items": deep})["trail"])
print(call(graph, {"text": "hello", "items": [[[1]]]})["trail"])
print([record.reason for record in capture.records])
"""
    tests = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-c", code, str(tests)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tests.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == ["['left', 'right']"] * 2
    assert done.stdout.splitlines()[2] == "['not_captured:RecursionError', None]"
