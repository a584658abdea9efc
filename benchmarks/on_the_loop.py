"""Budgets 5 to 7 for an awaited V2, by executor: V1's latency and its loop's lag, what comes before, and its cost.

V1 is awaited, at ``RATE`` requests a second. ``auto`` is measured once the trial has ended, ``loop`` once a V2 that
holds the loop is paused: what V1 suffers until then is a table of its own. Each time no V2 is known yet.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import workload
from benchmarks.isolation import LAG_BOUND, OVER_NOTHING, RATE, Running, Setting, av1, beat, burns_on, p95, table
from otel_shadow import semconv


async def anothing(state: Any) -> Any:
    """Do nothing, as V2."""
    return {"current_step": "asked"}


async def awaits(state: Any) -> Any:
    """Wait for 50 ms on the loop."""
    await asyncio.sleep(0.05)
    return {}


async def waits_for_ever(state: Any) -> Any:
    """Wait for what never comes, without holding the loop."""
    await asyncio.get_running_loop().create_future()


async def blocks(state: Any) -> Any:
    """Hold the loop for 50 ms."""
    time.sleep(0.05)
    return {}


async def blocks_long(state: Any) -> Any:
    """Hold the loop for half a second."""
    time.sleep(0.5)
    return {}


async def computes(state: Any) -> Any:
    """Use the loop's core for 50 ms."""
    end = time.perf_counter() + 0.05
    while time.perf_counter() < end:
        pass
    return {}


SETTINGS = (
    Setting("no shadow", None),
    Setting("V2 does nothing", anothing, "auto"),
    Setting("V2 awaits 50 ms, auto", awaits, "auto"),
    Setting("V2 never returns, auto", waits_for_ever, "auto"),
    Setting("V2 blocks 50 ms, auto", blocks, "auto"),
    Setting("V2 blocks 50 ms, loop", blocks, "loop"),
    Setting("V2 blocks 500 ms, loop", blocks_long, "loop"),
    Setting("V2 computes 50 ms, auto", computes, "auto"),
    Setting("V2 computes 50 ms, loop", computes, "loop"),
    Setting("V2 blocks 50 ms, process", blocks, "process"),
    Setting("V2 computes, process", computes, "process"),
    Setting("two burners, process", burns_on, "process", 2),
)
BOUNDS = {
    setting.name: 1.03 if setting.workers == 2 else 1.05 if setting.name == "V2 computes, process" else 1.10
    for setting in SETTINGS[2:]
}
_SETTLED_WITHIN_S = 90.0


@dataclass
class Seen:
    """What one setting showed, a value per round; seconds.

    Arguments:
        late: V1's p95, once V2 is settled.
        lag: the loop's lag, 99th percentile, in that time.
        before: the longest request until then.
        until: how long that lasted.
        worker: processor time of the worker that tried V2.
        ran: share of V1's node calls for which V2 ran to its end, once it is settled.
    """

    late: list[float] = field(default_factory=list)
    lag: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    until: list[float] = field(default_factory=list)
    worker: list[float] = field(default_factory=list)
    ran: list[float] = field(default_factory=list)


def run(rounds: int = 7, requests: int = 120) -> None:
    """Print the tables."""
    logging.getLogger("otel_shadow").setLevel(logging.ERROR)  # each pause would be told
    seen = {setting.name: Seen() for setting in SETTINGS}
    for _ in range(rounds):
        for setting in random.sample(SETTINGS, len(SETTINGS)):
            with tempfile.TemporaryDirectory() as folder:
                os.environ[semconv.ENV_STATE_DIR] = folder
                running = Running(setting, av1, log_file=f"{folder}/lines")
                asyncio.run(_round(setting, running, requests, seen[setting.name], Path(folder)))
                running.close()
    late = {name: each.late for name, each in seen.items()}
    table("Awaited: V1's p95 over its p95 without shadow", late, BOUNDS, OVER_NOTHING)
    lags = dict.fromkeys(BOUNDS, LAG_BOUND)
    table("Awaited: the loop's lag (p99) over that without shadow", {n: s.lag for n, s in seen.items()}, lags, None)
    _before(seen)


def _before(seen: dict[str, Seen]) -> None:
    """Print what V1 suffers, and what it takes, until V2 is tried, or paused."""
    print("\nUntil V2 is tried (auto) or paused (loop), medians: V1's longest request, how long it lasts, the worker's")
    print("processor time. Afterwards: the share of V1's calls for which V2 ran")
    for setting in SETTINGS:
        each = seen[setting.name]
        line = f"  {setting.name:26} {median(each.before) * 1000:6.0f} ms {median(each.until):6.1f} s"
        line += f" {median(each.worker):6.2f} s" if setting.executor == "auto" and setting.v2 else " " * 9
        print(f"{line}   ran {median(each.ran):.2f}")


async def _round(setting: Setting, running: Running, requests: int, seen: Seen, folder: Path) -> None:
    used = _children_s()
    started = time.perf_counter()
    before, _ = await _traffic(running, lambda number: not _is_settled(setting, folder))
    seen.until.append(time.perf_counter() - started)
    seen.worker.append(_children_s() - used)
    seen.before.append(before[-1])
    running.flush()
    begun = _ran(folder / "lines")
    times, lag = await _traffic(running, lambda number: number < requests)
    await asyncio.sleep(1.5)
    running.flush()
    seen.late.append(p95(times))
    seen.lag.append(lag)
    seen.ran.append((_ran(folder / "lines") - begun) / len(times))


def _is_settled(setting: Setting, state: Path) -> bool:
    """Return whether the outcome of V2's trial, or its pause, lies in the folder that keeps them."""
    return setting.v2 is None or setting.executor == "process" or any(state.glob("*.json"))


def _ran(log: Path) -> int:
    """Return for how many pairs V2 ran to its end, or to its time limit."""
    lines = map(json.loads, log.read_text().splitlines()) if log.exists() else ()
    return sum(line["event"] == semconv.EVENT_V2 and line["shadow_status"] in ("success", "timeout") for line in lines)


def _children_s() -> float:
    """Return the processor seconds of children that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def _traffic(running: Running, goes_on: Callable[[int], bool]) -> tuple[list[float], float]:
    """Send requests at ``RATE`` while ``goes_on``, at least one; return sorted seconds, and the loop's lag (p99)."""
    late: list[float] = []
    state = workload.state_of("M")

    async def one(due: float) -> float:
        await running.graph.ainvoke(state, workload.CONFIG)
        return time.perf_counter() - due

    heart = asyncio.create_task(beat(late))
    started = time.perf_counter()
    turns: list[asyncio.Task[float]] = []
    while not turns or (goes_on(len(turns)) and time.perf_counter() - started < _SETTLED_WITHIN_S):
        due = started + len(turns) / RATE
        await asyncio.sleep(max(due - time.perf_counter(), 0.0))
        turns.append(asyncio.create_task(one(due)))
    times = sorted(await asyncio.gather(*turns))
    heart.cancel()
    return times, sorted(late)[int(len(late) * 0.99)]
