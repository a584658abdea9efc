"""How long a thread has waited for a core: what the kernel tells, read without giving the interpreter away."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_shadow._runtime import run_queue
from otel_shadow._runtime.run_queue import queued_s, thread_file
from otel_shadow._runtime.thread_clocks import ThreadClocks
from otel_shadow._runtime.waits import begin_stretch, own_code_runs

KERNEL = Path("/proc/thread-self/schedstat")
on_linux = pytest.mark.skipif(not KERNEL.exists(), reason="the system keeps no such statistics")


def _read_by_python() -> None:
    KERNEL.read_text()


def _stretch() -> None:
    begin_stretch()
    own_code_runs()


def _charge() -> None:
    clocks = ThreadClocks()
    began = clocks.start()
    clocks.blocked(began)
    clocks.charged(began)
    clocks.charged(began, ended=False)


@pytest.fixture
def others() -> Iterator[Callable[[], list[Any]]]:
    """A call after which another thread waits for the interpreter, and never gets it unless it is given away."""
    gate, ready, ran = threading.Lock(), threading.Event(), []

    def run() -> None:
        ready.set()
        with gate:
            ran.append(1)

    def wake() -> list[Any]:
        gate.release()
        return ran

    before = sys.getswitchinterval()
    gate.acquire()
    other = threading.Thread(target=run)
    other.start()
    ready.wait()
    sys.setswitchinterval(60.0)
    try:
        yield wake
    finally:
        sys.setswitchinterval(before)
        other.join()


@on_linux
@pytest.mark.parametrize("read", [queued_s, _stretch, _charge])
def test_nobody_else_gets_the_interpreter(others: Callable[[], list[Any]], read: Callable[[], Any]) -> None:
    """A busy thread would keep it for milliseconds, in which V1 waits."""
    ran = others()
    for _ in range(3000):
        read()
    assert ran == []


@on_linux
def test_who_reads_a_file_in_python_gives_the_interpreter_away(others: Callable[[], list[Any]]) -> None:
    """The test above would see it."""
    ran = others()
    for _ in range(3000):
        _read_by_python()
    assert ran == [1]


@on_linux
def test_it_is_what_the_kernel_tells() -> None:
    """The second number of the file, in nanoseconds, of this thread by either name."""
    for file in (run_queue.THIS_THREAD, thread_file(threading.get_native_id())):
        before = queued_s(file)
        told = int(KERNEL.read_text().split()[1]) / 1e9
        assert before <= told <= queued_s(file)


def test_where_nothing_is_told_it_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that has ended, a file that says something else, a Python without the C library's functions."""
    assert queued_s(b"/proc/self/task/0/schedstat") == 0.0
    assert queued_s(b"/dev/null") == 0.0
    monkeypatch.setattr(run_queue, "_C", None)
    assert queued_s() == 0.0
