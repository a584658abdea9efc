"""Interleaved rounds: every design is measured in every round, in random order, and compared within the round."""

from __future__ import annotations

import asyncio
import gc
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter, thread_time
from typing import Any, Protocol

from benchmarks.rivals import Variant
from benchmarks.workload import CONFIG, NODES, state_of
from otel_shadow._langgraph import internals

CLOCKS: dict[str, Callable[[], float]] = {"wall": perf_counter, "cpu": thread_time}
"""``cpu`` is the time that the calling thread spent on a core, for a machine that is busy with other things (and whose
thread clock is fine enough). It leaves out what a design makes V1 wait for, which flatters those that wait."""

Round = Mapping[str, float]
"""Seconds that one node call took, by design."""


@dataclass(frozen=True)
class Ratio:
    """A ratio over rounds: its median, and the lowest and highest round."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Ratio:
        """Summarise one value per round."""
        return cls(median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.middle:6.2f}  [{self.low:.2f} … {self.high:.2f}]"

    def verdict(self, bound: float) -> str:
        """``met`` or ``missed`` where every round says so, ``undecided`` where the bound lies within their spread."""
        if self.high <= bound:
            return "met"
        if self.low > bound:
            return f"missed ({self.middle / bound:.2f}x the bound)"
        return f"undecided (median {'within' if self.middle <= bound else f'{self.middle / bound:.2f}x'} the bound)"


class Subject(Protocol):
    """A design whose whole runs can be timed, here or in a process of its own."""

    @property
    def name(self) -> str:
        """Its row in the table."""

    def runs(self, calls: int, size: str, clock: str) -> list[float]:
        """Seconds per node of ``calls`` runs of the graph."""


@dataclass(frozen=True)
class Here:
    """A design in this process."""

    variant: Variant

    @property
    def name(self) -> str:
        """Its row in the table."""
        return self.variant.name

    def runs(self, calls: int, size: str, clock: str) -> list[float]:
        """Seconds per node of ``calls`` runs of the graph, the first one not counted."""
        given, tick, times = state_of(size), CLOCKS[clock], []
        for _ in range(calls + 1):
            started = tick()
            self.variant.graph.invoke(given, CONFIG)
            times.append((tick() - started) / len(NODES))
        self.variant.settle()
        return times[1:]


def measure_graphs(subjects: Sequence[Subject], size: str, rounds: int, bursts: int, clock: str) -> list[Round]:
    """Measure whole runs of the graph, per node: what an instrumentor adds to the run itself counts too."""
    done = []
    for _ in range(rounds):
        times: dict[str, list[float]] = {subject.name: [] for subject in subjects}
        for _ in range(bursts):
            for subject in random.sample(subjects, len(subjects)):
                times[subject.name].extend(subject.runs(4, size, clock))
        done.append({name: _floor(values) for name, values in times.items()})
        gc.collect()
    return done


def measure(
    variants: Sequence[Variant], given: Any, rounds: int, bursts: int, clock: Callable[[], float], calls: int = 20
) -> list[Round]:
    """Time ``calls`` executions of one node per burst, ``bursts`` bursts of each design per round.

    The node's sequence is called with the input and configuration that a run of the whole graph gave it. What was left
    running is waited for after each burst, outside the measured time, for every design alike. A round's figure is the
    5 % quantile of its executions: on a machine that others use too, the rest is their time slices.
    """
    done = []
    for _ in range(rounds):
        times: dict[str, list[float]] = {variant.name: [] for variant in variants}
        for _ in range(bursts):
            for variant in random.sample(variants, len(variants)):
                times[variant.name].extend(_burst(variant, given, calls, clock))
                variant.settle()
        done.append({name: _floor(values) for name, values in times.items()})
        gc.collect()
    return done


def _floor(values: list[float]) -> float:
    """Return the 5 % quantile."""
    return sorted(values)[len(values) // 20]


def _burst(variant: Variant, given: Any, calls: int, clock: Callable[[], float]) -> list[float]:
    sequence, value, config = called_with(variant.graph, given, awaited=variant.awaited)
    prepared = [_new_task(config) for _ in range(calls)]
    if variant.awaited:
        return asyncio.run(_aburst(sequence, value, prepared, clock))
    times = []
    for each in prepared:
        started = clock()
        sequence.invoke(value, each)
        times.append(clock() - started)
    return times


async def _aburst(sequence: Any, value: Any, prepared: list[Any], clock: Callable[[], float]) -> list[float]:
    times = []
    for each in prepared:
        started = clock()
        await sequence.ainvoke(value, each)
        times.append(clock() - started)
    return times


def called_with(graph: Any, given: Any, *, awaited: bool = False) -> tuple[Any, Any, Any]:
    """Return a node's sequence, and what a run of the graph called it with."""
    node = graph.nodes[NODES[1]]
    sequence = node.node
    seen: list[Any] = []
    kind = type(sequence)

    class Seen(kind):  # type: ignore[misc, valid-type]
        def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
            seen.append((input, config))
            return super().invoke(input, config, **kwargs)

        async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
            seen.append((input, config))
            return await super().ainvoke(input, config, **kwargs)

    sequence.__class__ = Seen
    try:
        if awaited:
            asyncio.run(graph.ainvoke(given, CONFIG))
        else:
            graph.invoke(given, CONFIG)
    finally:
        sequence.__class__ = kind
    return (sequence, *seen[0])


def _new_task(config: Any) -> Any:
    """Return the call as another execution: with its own queue of writes, or it would be taken for a retry."""
    known = dict(config[internals.CONF])
    writes: deque[Any] = deque()
    read = known[internals.READ]
    known[internals.READ] = partial(read.func, *read.args[:3], read.args[3]._replace(writes=writes))
    known[internals.SEND] = writes.extend
    return {**config, internals.CONF: known}


def added(rounds: Sequence[Round], name: str, unit: str, base: str = "no shadow") -> Ratio:
    """Return what ``name`` adds to a node call, as a multiple of what ``unit`` adds.

    A round in which the unit itself drowned in the machine's noise (it added nothing) says nothing, and is left out.
    """
    usable = [r for r in rounds if r[unit] > r[base]]
    return Ratio.of([(r[name] - r[base]) / (r[unit] - r[base]) for r in usable] or [float("nan")])
