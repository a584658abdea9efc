"""Budgets 1 to 4: what is added to a node call on V1's path, side by side."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median

from benchmarks import apart, rivals, workload
from benchmarks.rounds import CLOCKS, Here, Ratio, Round, Subject, added, called_with, measure, measure_graphs
from otel_shadow._runtime.snapshot import take


def snapshots(rounds: int, clock: str) -> dict[str, Ratio]:
    """Print budget 2: ``take`` as a share of ``deepcopy``, by size."""
    found = {}
    tick = CLOCKS[clock]
    for size in workload.SIZES:
        state = workload.state_of(size)
        ratios = []
        for _ in range(rounds):
            times: dict[str, list[float]] = {"take": [], "deepcopy": []}
            for _ in range(15):
                for name, copier in random.sample([("take", take), ("deepcopy", copy.deepcopy)], 2):
                    started = tick()
                    for _ in range(10):
                        copier(state)
                    times[name].append(tick() - started)
            ratios.append(median(times["take"]) / median(times["deepcopy"]))
        found[size] = Ratio.of(ratios)
    return found


def off(rounds: int, clock: str, calls: int = 200, loops: int = 15) -> Ratio:
    """Print budget 1: what the wrapper adds while the shadow is off, in bare spans; tight loops, for it is little."""
    tick = CLOCKS[clock]
    state = workload.state_of("S")
    variants = [rivals.plain(), rivals.ours("off", router_v2_shadow=False)]
    direct, wrapped = (called_with(variant.graph, state) for variant in variants)
    tracer = rivals.provider().get_tracer("bench")

    def span() -> None:
        with tracer.start_as_current_span("v1.node", attributes=rivals.ATTRIBUTES):
            pass

    subjects: dict[str, Callable[[], object]] = {
        "direct": lambda: direct[0].invoke(direct[1], direct[2]),
        "wrapped": lambda: wrapped[0].invoke(wrapped[1], wrapped[2]),
        "span": span,
    }
    ratios = []
    for _ in range(rounds):
        times: dict[str, list[float]] = {name: [] for name in subjects}
        for _ in range(loops):
            for name, subject in random.sample(list(subjects.items()), len(subjects)):
                started = tick()
                for _ in range(calls):
                    subject()
                times[name].append(tick() - started)
        ratios.append((min(times["wrapped"]) - min(times["direct"])) / min(times["span"]))
    return Ratio.of(ratios)


def run(rounds: int = 7, bursts: int = 12, clock: str = "wall") -> None:
    """Print the table."""
    print("\nBudget 2: snapshot / deepcopy")
    for size, ratio in snapshots(rounds, clock).items():
        bound = "" if size == "S" else f"  bound 0.25: {ratio.verdict(0.25)}"
        print(f"  {size:2} {ratio}{bound}")
    ratio = off(rounds, clock)
    print(f"\nBudget 1: shadow off, in bare spans\n     {ratio}  bound 0.05: {ratio.verdict(0.05)}")
    for size in ("M", "S"):
        _path(size, rounds, bursts, clock)
    _awaited(rounds, bursts, clock)


def _path(size: str, rounds: int, bursts: int, clock: str) -> None:
    variants = [rivals.plain(), rivals.bare_span(), rivals.ours(), *rivals.available()]
    done = measure(variants, workload.state_of(size), rounds, bursts, CLOCKS[clock])
    span = median([r["bare span"] - r["no shadow"] for r in done]) * 1e6
    print(f"\nAdded per node call, state {size}, in bare spans (one was {span:.0f} µs of {clock} time here)")
    for variant in variants[1:]:
        print(f"  {variant.name:26} {added(done, variant.name, 'bare span')}")
    on = added(done, "otel-shadow", "bare span")
    bound = {"M": 2.5, "S": 2.0}[size]
    print(f"  budget 3 (on <= {bound}): {on.verdict(bound)}")
    _beside(done, "LaunchDarkly Migrator", 0.4)
    if size == "M":
        with ExitStack() as processes:
            others = [processes.enter_context(apart.Apart(name)) for name in apart.available()]
            subjects: list[Subject] = [*map(Here, variants), *others]
            whole = measure_graphs(subjects, size, rounds, bursts, clock)
        print(f"\nThe same by whole runs of the graph, per node, state {size}")
        for subject in subjects[1:]:
            print(f"  {subject.name:26} {added(whole, subject.name, 'bare span')}")
        _beside(whole, "OpenLLMetry", 0.2)


def _awaited(rounds: int, bursts: int, clock: str) -> None:
    """Print what is added to a node that is a coroutine, in units of a span around one."""
    variants = [rivals.plain(awaited=True), rivals.bare_span(awaited=True), rivals.ours(awaited=True)]
    for size in ("M", "S"):
        done = measure(variants, workload.state_of(size), rounds, bursts, CLOCKS[clock])
        print(f"\nAdded per awaited node call, state {size}: {added(done, 'otel-shadow', 'bare span')}")


def _beside(done: list[Round], name: str, limit: float) -> None:
    if name in done[0]:
        ratio = added(done, "otel-shadow", name)
        print(f"  budget 4 (on <= {limit} of {name}): {ratio}  {ratio.verdict(limit)}")
