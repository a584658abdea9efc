"""Budgets 5 to 7 in threads and processes: V1's latency, and its loop's lag, beside every kind of V2 that blocks."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from benchmarks import workload
from benchmarks.rivals import provider
from benchmarks.rounds import Ratio
from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow._langgraph.instrument.attach import attach
from otel_shadow.config import ShadowConfig
from otel_shadow.flags import FeatureFlags

RATE = 20.0
"""Requests per second."""
CONCURRENCY = 8
END = threading.Event()
"""Ends the V2s that this process hosts, once they were measured."""


def v1(state: Any) -> Any:
    """Wait for five milliseconds, as for a model's answer."""
    time.sleep(0.005)
    return {"current_step": "asked"}


async def av1(state: Any) -> Any:
    """Wait for five milliseconds on the loop."""
    await asyncio.sleep(0.005)
    return {"current_step": "asked"}


def nothing(state: Any) -> Any:
    """Do nothing, as V2."""
    return {"current_step": "asked"}


def sleeps(state: Any) -> Any:
    """Wait for 50 ms."""
    time.sleep(0.05)
    return {}


def hangs(state: Any) -> Any:
    """Hang."""
    END.wait()


def burns(state: Any) -> Any:
    """Burn a core for 50 ms."""
    end = time.perf_counter() + 0.05
    while time.perf_counter() < end:
        pass
    return {}


def burns_on(state: Any) -> Any:
    """Burn a core until it is killed."""
    while True:
        pass


@dataclass(frozen=True)
class Setting:
    """One V2 in one executor."""

    name: str
    v2: Callable[[Any], Any] | None
    executor: str = "thread"
    workers: int = 1


IN_PROCESS = (
    Setting("no shadow", None),
    Setting("V2 does nothing", nothing),
    Setting("V2 sleeps 50 ms", sleeps),
    Setting("V2 hangs", hangs),
    Setting("V2 burns 50 ms, thread", burns),
    Setting("V2 burns 50 ms, process", burns, "process"),
    Setting("two burners, process", burns_on, "process", 2),
)
BOUNDS = {
    "V2 sleeps 50 ms": 1.10, "V2 hangs": 1.10, "V2 burns 50 ms, process": 1.05, "two burners, process": 1.03,
}  # fmt: skip
OVER_NOTHING = 1.03
LAG_BOUND = 1.5


class Running:
    """A graph in a setting, with its manager."""

    def __init__(self, setting: Setting, node: Any, log_file: str = "/dev/null") -> None:
        self.graph = workload.graph_of(node)
        self.manager: Any = None
        if setting.v2 is None:
            return
        path = f"{setting.v2.__module__}:{setting.v2.__name__}"
        table = {"executor": setting.executor, "timeout_ms": 1000, "v2": path}
        config = ShadowConfig.from_mapping(
            {
                "nodes": {"two": table},
                "arms": {"holdout": 0.0},
                "limits": {"breaker_failures": 1_000_000, "abandoned_threads": 1000, "shutdown_seconds": 1.0},
                "process": {"workers": setting.workers},
            }
        )
        self.manager = ShadowTrafficManager(config, FeatureFlags(), tracer_provider=provider(), log_file=log_file)
        attach(self.graph, self.manager)
        if setting.executor == "process":
            self._warm(setting.workers)

    def _warm(self, workers: int) -> None:
        end = time.monotonic() + 60
        while self.manager.workers.capacity < workers and time.monotonic() < end:
            time.sleep(0.05)

    def flush(self) -> None:
        """Wait a second at most for what was begun."""
        if self.manager is not None:
            self.manager.flush(1.0)

    def close(self) -> None:
        """End it."""
        END.set()
        if self.manager is not None:
            self.manager.shutdown(1.0)
        END.clear()


def latencies(running: Running, requests: int) -> list[float]:
    """Return the seconds of each of ``requests`` calls at ``RATE``, ``CONCURRENCY`` at a time, waiting included."""
    state = workload.state_of("M")

    def one(due: float) -> float:
        running.graph.invoke(state, workload.CONFIG)
        return time.perf_counter() - due

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        pending = []
        start = time.perf_counter()
        for number in range(requests):
            due = start + number / RATE
            time.sleep(max(due - time.perf_counter(), 0.0))
            pending.append(pool.submit(one, due))
        return sorted(future.result() for future in pending)


async def beat(late: list[float]) -> None:
    """Sleep 1 ms again and again, and note how late each sleep ends, in seconds."""
    while True:
        due = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        late.append(time.perf_counter() - due)


async def lag(running: Running, requests: int) -> float:
    """99th percentile of how late a task that sleeps 1 ms wakes, in seconds, while requests come in."""
    late: list[float] = []
    heart = asyncio.create_task(beat(late))
    state = workload.state_of("M")
    turns = []
    for _ in range(requests):
        turns.append(asyncio.create_task(running.graph.ainvoke(state, workload.CONFIG)))
        await asyncio.sleep(1 / RATE)
    await asyncio.gather(*turns)
    heart.cancel()
    return sorted(late)[int(len(late) * 0.99)]


def p95(values: list[float]) -> float:
    """Return the 95th percentile of sorted values."""
    return values[int(len(values) * 0.95)]


def run(rounds: int = 7, requests: int = 120) -> None:
    """Print both tables."""
    late: dict[str, list[float]] = {setting.name: [] for setting in IN_PROCESS}
    lags: dict[str, list[float]] = {setting.name: [] for setting in IN_PROCESS}
    for _ in range(rounds):
        for setting in random.sample(IN_PROCESS, len(IN_PROCESS)):
            running = Running(setting, v1)
            late[setting.name].append(p95(latencies(running, requests)))
            running.close()
            running = Running(setting, av1)
            lags[setting.name].append(asyncio.run(lag(running, requests)))
            running.close()
    table("V1's p95 over its p95 without shadow", late, BOUNDS, OVER_NOTHING)
    processes = {setting.name: LAG_BOUND for setting in IN_PROCESS if setting.executor == "process"}
    table("Event loop's lag (p99) over that without shadow", lags, processes, None)


def table(title: str, found: dict[str, list[float]], bounds: dict[str, float], beside: float | None) -> None:
    """Print each setting's figures over those without a shadow in the same round.

    Arguments:
        title: what the figures are.
        found: by setting, a value per round.
        bounds: of the ratios, by setting.
        beside: the bound over a V2 that does nothing.
    """
    base, nothing_ = found["no shadow"], found["V2 does nothing"]
    print(f"\n{title} (which was {sorted(base)[len(base) // 2] * 1000:.1f} ms)")
    for name, values in found.items():
        ratio = Ratio.of([value / own for value, own in zip(values, base, strict=True)])
        line = f"  {name:26} {ratio}"
        if name in bounds:
            line += f"  bound {bounds[name]}: {ratio.verdict(bounds[name])}"
        if beside is not None and "burn" not in name and "computes" not in name and name in bounds:
            other = Ratio.of([value / own for value, own in zip(values, nothing_, strict=True)])
            line += f"; over a V2 that does nothing {other.middle:.2f}, bound {beside}: {other.verdict(beside)}"
        print(line)
