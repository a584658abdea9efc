"""A long run at a fixed rate: memory, threads and files stay flat."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Usage:
    """What the process holds."""

    memory_bytes: int
    threads: int
    files: int


def measure() -> Usage:
    """Return resident memory, threads and open files of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Usage(pages * os.sysconf("SC_PAGE_SIZE"), threading.active_count(), len(os.listdir("/proc/self/fd")))


def soak(graph: Any, seconds: float, rate: float, make: Any = None) -> Usage:
    """Call ``graph`` ``rate`` times a second for ``seconds`` seconds; what the process holds after that."""
    start = time.perf_counter()
    number = 0
    while time.perf_counter() - start < seconds:
        given = make(number) if make else {"text": str(number), "items": [number % 10]}
        graph.invoke(given, {"configurable": {"thread_id": f"session_{number % 500}"}})
        number += 1
        time.sleep(max(start + number / rate - time.perf_counter(), 0.0))
    return measure()


def run(seconds: float = 600.0, rate: float = 50.0) -> None:
    """Print what is held, once a tenth."""
    from benchmarks import rivals, workload

    variant = rivals.ours()
    state = workload.state_of("M")
    print(f"\nSoak: {seconds:.0f} s at {rate:.0f}/s, four shadowed nodes")
    for part in range(1, 11):
        held = soak(variant.graph, seconds / 10, rate, lambda _: state)
        print(
            f"  {part * seconds / 10:6.0f} s  {held.memory_bytes / 2**20:7.1f} MiB  "
            f"{held.threads} threads  {held.files} files"
        )
    variant.settle()
