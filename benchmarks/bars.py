"""The bars of the verdict: how often it is a false GO, how often a GO; on made-up weeks of which the truth is known.

    python -m benchmarks.bars                       1,000 windows a row, 300 of much traffic (hours)
    python -m benchmarks.bars --quick               a look (62 and 18)
    python -m benchmarks.bars --only ramp           rows whose name contains "ramp"
    python -m benchmarks.bars --streams 200         another number of windows
    python -m benchmarks.bars --out bars.jsonl      keeps what was run, and goes on where it was stopped
    python -m benchmarks.bars --out bars.jsonl --told    what it holds, as the page on statistics has it

A false GO is a GO at a look at which the truth is outside its bound. Each number has two Monte Carlo errors beside it;
a bar is met where the number is above it (a share of GO: below it) by no more than these. Everything is seeded. Exit
code is 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.bar_runs import Results, Setting, go_table, worst_of_rows
from benchmarks.looks import (  # isort: split
    AFTER,
    ALL,
    HANDOFF,
    NOW,
    PARITY,
    CycleLooks,
    Said,
    go_of_verdicts,
    is_outside,
    make_quick,
)

from benchmarks.turns import (  # isort: split
    Floats,
    Rng,
    Shares,
    by_day,
    columns,
    constant,
    geometric,
    one_turn,
    outcomes,
    times,
    traffic,
    uniform,
)

from otel_shadow.policy import Policy

WEEK = 7


# --- shares --------------------------------------------------------------------------------------------------------
def of_share(
    share: Shares, criterion: str = PARITY, sessions: float = 100.0, kind: str = "correlated", cycles: int = WEEK,
    sample: Shares | None = None,
) -> Callable[[Rng], bool]:  # fmt: skip
    """Return windows in which a share is so by the time in days."""
    policy = Policy(criteria=(criterion,))

    def window(rng: Rng) -> bool:
        turns = traffic(rng, cycles, sessions, uniform, sample=sample or constant(1.0))
        expected = share(turns.begun)
        good = outcomes(rng, turns, expected, kind)
        everything = np.ones(len(turns), bool)
        given = columns(turns, good) if criterion == PARITY else columns(turns, everything, good)
        looks = CycleLooks(given, policy, cycles)
        bound = policy.parity if criterion == PARITY else 1.0 - policy.handoff
        outside = np.flatnonzero(is_outside(turns, expected, bound, cycles)) + 1
        return any(looks.says_go(criterion, look) for look in outside.tolist())

    return window


def night(day: float, dark: float) -> Shares:
    """Return one share by day and another by night."""
    return lambda at: np.where(at % 1.0 < 0.5, day, dark)


def until(hours: float, before: float, after: float) -> Shares:
    """Return one value in the first hours and another after them."""
    return lambda at: np.where(at * 24.0 < hours, before, after)


def bad_hours(hours: float, mean: float = 0.949, good: float = 0.985) -> Shares:
    """Return shares whose mean over the first day, or over two where the first is bad as a whole, is ``mean``."""
    of = 24.0 if hours < 24.0 else 48.0
    return until(hours, good - (good - mean) * of / hours, good)


# --- ratios --------------------------------------------------------------------------------------------------------
def of_ratio(
    ratio: Shares, criterion: str = NOW, kind: str = "log-normal", sessions: float = 500.0, cycles: int = WEEK,
    sample: Shares | None = None, adaptive: Callable[[Floats], Floats] | None = None, load_sd: float = 0.3,
    holdout: Shares | None = None, speed: Shares | None = None,
    whole_verdict: bool = False,
) -> Callable[[Rng], bool]:  # fmt: skip
    """Return windows in which a ratio of times is so, always outside its bound."""
    policy = Policy(criteria=(criterion,))

    def window(rng: Rng) -> bool:
        turns = traffic(
            rng, cycles, sessions, one_turn, holdout=holdout or constant(1.0 / 3.0), load_sd=load_sd,
            sample=sample or constant(1.0), adaptive=adaptive,
        )  # fmt: skip
        pace = np.ones(len(turns)) if speed is None else speed(turns.at)
        slower = ratio(turns.at)
        v1 = times(rng, turns, kind) * pace
        v2 = times(rng, turns, kind) * pace * slower if criterion == AFTER else None
        if criterion == NOW:
            v1 = np.where(turns.held, v1, v1 * slower)
        given = columns(turns, np.ones(len(turns), bool), None, v1, v2)
        if whole_verdict:
            return any(go_of_verdicts(given, policy, cycles)[criterion])
        looks = CycleLooks(given, policy, cycles)
        return any(looks.says_go(criterion, look) for look in range(1, cycles + 1))

    return window


def falls_with_load(load: Floats) -> Floats:
    """Return the probability of a shadow: one below the usual load, a sixteenth at twice the usual."""
    return np.clip(np.where(load <= 1.0, 1.0, load ** (-4.0)), 1.0 / 16.0, 1.0)


# --- workflows -----------------------------------------------------------------------------------------------------
def of_weak_node(criterion: str, part: float, weak: float, sessions: float) -> Callable[[Rng], bool]:
    """Return windows of a workflow with a node that has a part of the turns and is outside."""
    policy = Policy(criteria=(criterion,))
    others = (1.0 - part) / 3.0

    def window(rng: Rng) -> bool:
        holdout = constant(1.0 / 3.0)
        turns = traffic(
            rng, WEEK, sessions, geometric(4.0), holdout=holdout, node_shares=(part, others, others, others)
        )
        mine = turns.node == 0
        good = np.ones(len(turns), bool)
        if criterion in (PARITY, HANDOFF):
            good = outcomes(rng, turns, np.where(mine, weak, 0.99 if criterion == PARITY else 0.995))
        v1, v2 = times(rng, turns), times(rng, turns)
        if criterion == NOW:
            v1 = np.where(mine & ~turns.held, weak * v1, v1)
        if criterion == AFTER:
            v2 = np.where(mine, weak * v2, v2)
        match, fine = (good, None) if criterion == PARITY else (np.ones(len(turns), bool), good)
        looks = CycleLooks(columns(turns, match, fine, v1, v2), policy, WEEK)
        return any(looks.says_go(criterion, look) for look in range(1, WEEK + 1))

    return window


def of_workflow(
    sessions: float,
    length: float,
    parity: float,
    failure: float,
    policy: Policy,
    *,
    whole_verdict: bool = False,
    is_exact: bool = False,
) -> Callable[[Rng], Said]:
    """Return windows of a workflow of four nodes that is as good as told, at equal speeds."""

    def window(rng: Rng) -> Said:
        law = geometric(length) if length > 1.0 else one_turn
        turns = traffic(rng, WEEK, sessions, law, holdout=constant(1.0 / 3.0), node_shares=(0.25,) * 4)
        match = outcomes(rng, turns, np.full(len(turns), parity))
        fine = outcomes(rng, turns, np.full(len(turns), 1.0 - failure))
        given = columns(turns, match, fine, times(rng, turns), times(rng, turns))
        if whole_verdict:
            said = go_of_verdicts(given, policy, WEEK)
            return [all(said[name][look] for name in policy.criteria) for look in range(WEEK)]
        looks = CycleLooks(given, policy, WEEK, is_exact=is_exact)
        first = next((look for look in range(1, WEEK + 1) if looks.all_go(look)), WEEK + 1)
        return [look >= first for look in range(1, WEEK + 1)]

    return window


def _table() -> Iterator[Setting]:
    """Yield the table of GO: by 1, 2 and 7 days as simulated, less five points."""
    graph, node = Policy(criteria=ALL), Policy(criteria=ALL, judge="node")
    relaxed = Policy(criteria=ALL, parity=0.90, handoff=0.05, latency_margin=0.30)
    rows: Sequence[tuple[float, float, tuple[float, ...], tuple[float, ...], tuple[float, ...], tuple[float, ...]]] = (
        (50, 1, (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 3)),
        (50, 4, (0, 0, 2), (0, 0, 0), (0, 0, 0), (0, 0, 90)),
        (50, 10, (0, 0, 4), (0, 0, 0), (0, 0, 0), (0, 0, 95)),
        (150, 1, (0, 0, 23), (0, 0, 23), (0, 0, 0), (0, 1, 92)),
        (150, 4, (0, 2, 98), (0, 0, 98), (0, 0, 55), (0, 95, 100)),
        (150, 10, (0, 4, 100), (0, 0, 100), (0, 0, 94), (0, 98, 100)),
        (500, 1, (3, 24, 91), (2, 24, 91), (0, 2, 88), (26, 89, 100)),
        (500, 4, (69, 96, 100), (62, 96, 100), (0, 57, 100), (100, 100, 100)),
        (500, 10, (100, 100, 100), (91, 100, 100), (20, 96, 100), (100, 100, 100)),
        (2000, 1, (79, 93, 100), (79, 93, 100), (67, 92, 100), (100, 100, 100)),
        (2000, 4, (100, 100, 100), (100, 100, 100), (100, 100, 100), (100, 100, 100)),
    )
    for sessions, length, *cells in rows:
        kinds = (("spotless", 1.0, 0.0, graph), ("good", 0.99, 0.005, graph), ("good, judge node", 0.99, 0.005, node),
                 ("good, relaxed", 0.99, 0.005, relaxed))  # fmt: skip
        for (told, parity, failure, policy), by in zip(kinds, cells, strict=True):
            # Where most windows end on the second day, it is faster to look at no more.
            window = of_workflow(sessions, length, parity, failure, policy, is_exact=by[1] >= 60.0)
            name = f"GO table: {sessions:g} sessions a day of {length:g}, {told}"
            yield Setting(name, window, tuple(max(one - 5.0, 0.0) for one in by), sessions * length)


def settings() -> Iterator[Setting]:
    """Yield all rows."""
    for kind in ("correlated", "whole", "longest"):
        for sessions in (40.0, 100.0, 300.0):
            name = f"{sessions:g} sessions a day, {kind}"
            yield Setting(f"1 parity .949, {name}", of_share(constant(0.949), PARITY, sessions, kind), (5.0,))
            yield Setting(f"2 handoff .031, {name}", of_share(constant(0.969), HANDOFF, sessions, kind), (5.0,))
    yield Setting("1 parity .949, nights worse", of_share(night(0.985, 0.913)), (5.0,))
    yield Setting("2 handoff .031, nights worse", of_share(night(0.995, 0.943), HANDOFF), (5.0,))
    for criterion in (NOW, AFTER):
        for kind in ("log-normal", "LLM", "slow sessions"):
            yield Setting(f"3 {criterion} 1.16, {kind}", of_ratio(constant(1.16), criterion, kind), (5.0,))
        retried = of_ratio(constant(1.16), criterion, "retries", cycles=1)
        yield Setting(f"3 {criterion} 1.16, retries, one look", retried, (8.0,))
    for sessions in (40.0, 200.0, 1400.0):
        drifts: dict[str, list[float]] = {
            "day 1 good": [0.99] + [0.94] * 6,
            "day 2 good": [0.92, 0.97] + [0.94] * 5,
            "linear fall": np.linspace(0.98, 0.90, 7).tolist(),
            "one bad day in three": [0.985, 0.985, 0.875] * 3,
        }
        for told, days in drifts.items():
            window = of_share(by_day(days), PARITY, sessions)
            yield Setting(f"4 drift, {told}, {sessions:g} sessions a day", window, (5.0,), sessions * 9.5)
    exactly = by_day([0.99, 2 * 0.949 - 0.99, 0.949])
    yield Setting("5 mean .949 at every look after a good day", of_share(exactly, PARITY, 200.0), (7.0,))
    for hours in (1.0, 6.0, 24.0):
        for share in (0.02, 0.1, 0.5):
            window = of_share(bad_hours(hours), PARITY, 200.0, sample=until(hours, share, 1.0))
            yield Setting(f"6 ramp: bad {hours:g} h at {share:.0%}", window, (5.0,))
    down = of_share(lambda at: np.where(at % 1.0 < 0.75, 0.985, 0.841), PARITY, 200.0,
                    sample=lambda at: np.where(at % 1.0 < 0.75, 1.0, 0.1))  # fmt: skip
    yield Setting("6 ramp down: bad evenings at 10%", down, (5.0,))
    flat = of_share(constant(0.949), PARITY, 200.0, sample=by_day([0.02, 0.1, 0.25, 0.5, 1.0]))
    yield Setting("6 ramp, flat .949", flat, (5.0,))
    for part in (0.005, 0.02, 0.05):
        yield Setting(f"7 a node of parity .90 with {part:.1%}", of_weak_node(PARITY, part, 0.90, 500.0), (5.0,))
        yield Setting(f"7 a node of handoff .06 with {part:.1%}", of_weak_node(HANDOFF, part, 0.94, 500.0), (5.0,))
    for criterion in (NOW, AFTER):
        yield Setting(f"7 a node of {criterion} 1.5 with 5%", of_weak_node(criterion, 0.05, 1.5, 500.0), (5.0,))
    for slower in (1.16, 1.5, 2.0):
        for runs in (2000.0, 8000.0):
            window = of_ratio(constant(slower), NOW, sessions=runs)
            yield Setting(f"8 contention × {slower}, {runs:g} runs a day, slots", window,
                          (5.0 if slower < 1.2 else 1.0,), runs)  # fmt: skip
    for slower in (1.16, 1.3, 1.5):
        window = of_ratio(constant(slower), NOW, sessions=2000.0, adaptive=falls_with_load, load_sd=0.5)
        yield Setting(f"8 probability falls with the load, × {slower}", window, (5.0 if slower < 1.2 else 1.0,))
    fewer = of_ratio(constant(1.16), NOW, sessions=2000.0, holdout=by_day([1 / 3, 1 / 3, 0.1]),
                     speed=by_day([1.0, 1.0, 0.5]))  # fmt: skip
    yield Setting("9 slots 1/3 → 1/10 on day 3, V1 twice as fast", fewer, (5.0,))
    yield Setting("10 two weeks, parity .949", of_share(constant(0.949), PARITY, cycles=14), (5.0,))
    yield Setting("10 two weeks, handoff .031", of_share(constant(0.969), HANDOFF, cycles=14), (5.0,))
    yield from _table()


def of_whole_verdict() -> Iterator[Setting]:
    """Yield some of the rows by ``evaluate``: everything that the engine does stands between the lines and the GO."""
    for slower in (1.16, 1.5):
        window = of_ratio(constant(slower), NOW, whole_verdict=True, load_sd=0.5, adaptive=falls_with_load)
        yield Setting(f"whole verdict: probability falls with the load, × {slower}", window, (5.0,))
    policy = Policy(criteria=ALL)
    good = of_workflow(500.0, 4.0, 0.99, 0.005, policy, whole_verdict=True)
    yield Setting("whole verdict: 500 sessions a day of 4, good", good, (57.0, 91.0, 95.0), 2000.0)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--streams", type=int, default=None)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--told", action="store_true")
    options = parser.parse_args()
    make_quick()
    results = Results(options.out)
    rows = [setting for setting in (*settings(), *of_whole_verdict()) if options.only in setting.name]
    if options.told:
        print("\n".join((*worst_of_rows(rows, results), "", *go_table(rows, results))))
        return 0
    print("| setting | measure | % ± 2 errors | bar | | windows |\n|---|---|---|---|---|---|")
    met = True
    for setting in rows:
        many = options.streams or (setting.windows // 16 if options.quick else setting.windows)
        results.run(setting, many)
        windows, hits = results.of(setting.name)
        for bar in setting.bars(hits, windows):
            print(bar, flush=True)
            met &= bar.is_met
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
