"""The guard of a node's latencies: what it keeps from a GO, and what it costs good workflows, on the same windows.

    python -m benchmarks.guard --streams 200

A window of a slow node is a false GO if any of seven looks is one; one node in four is slow and has a twentieth of the
turns, or a quarter, and everything else is good. Power: windows that are a GO of all criteria by 1, 2 and 7 days.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from benchmarks.bar_runs import Bar
from benchmarks.looks import AFTER, ALL, NOW, CycleLooks, Guard, make_quick
from benchmarks.turns import Rng, columns, constant, geometric, one_turn, outcomes, times, traffic
from otel_shadow.policy import Policy

GUARDS = {
    "none": Guard(latency=None),
    "10/3, estimate inside": Guard(latency=10.0 / 3.0, inside=True, against=None),
    "3": Guard(latency=3.0, against=None),
    "3, not against": Guard(latency=3.0),
    "10/3, not against": Guard(latency=10.0 / 3.0),
    "11/3, not against": Guard(latency=11.0 / 3.0),
    "4, not against": Guard(latency=4.0),
}
"""Times the margin that each node has to prove. ``estimate inside``: its ratio, as it was seen, has to keep the bound;
``not against``: its own times must be no evidence against the bound, at .10.
"""
WEEK = 7


def first_go(looks: CycleLooks, criteria: tuple[str, ...]) -> list[int]:
    """Return, for each guard, the first look that is a GO; 8 where none is."""
    found = dict.fromkeys(GUARDS, WEEK + 1)
    for look in range(1, WEEK + 1):
        if not looks.all_go(look, GUARDS["none"]):
            continue
        for name, guard in GUARDS.items():
            if found[name] > look and all(looks.says_go(one, look, guard) for one in criteria if one in (NOW, AFTER)):
                found[name] = look
        if max(found.values()) <= look:
            break
    return list(found.values())


def slow_node(rng: Rng, criterion: str, sessions: float, part: float, slower: float) -> list[int]:
    """Return the first GO of a workflow of which a node is slow."""
    others = (1.0 - part) / 3.0
    turns = traffic(rng, WEEK, sessions, geometric(4.0), holdout=constant(1 / 3), node_shares=(part, *[others] * 3))
    v1, v2, mine = times(rng, turns), times(rng, turns), turns.node == 0
    if criterion == NOW:
        v1 = np.where(mine & ~turns.held, slower * v1, v1)
    else:
        v2 = np.where(mine, slower * v2, v2)
    good = np.ones(len(turns), bool)
    policy = Policy(criteria=(criterion,))
    return first_go(CycleLooks(columns(turns, good, good, v1, v2), policy, WEEK), policy.criteria)


def good_workflow(rng: Rng, sessions: float, length: float, policy: Policy) -> list[int]:
    """Return the first GO of a workflow of four good nodes."""
    law = geometric(length) if length > 1.0 else one_turn
    turns = traffic(rng, WEEK, sessions, law, holdout=constant(1 / 3), node_shares=(0.25,) * 4)
    match, fine = (outcomes(rng, turns, np.full(len(turns), share)) for share in (0.99, 0.995))
    return first_go(
        CycleLooks(columns(turns, match, fine, times(rng, turns), times(rng, turns)), policy, WEEK), policy.criteria
    )


def rows(streams: int) -> Iterator[Bar]:
    """Yield all rows: false GOs, then power."""
    for criterion in (AFTER, NOW):
        for sessions in (100.0, 300.0, 1000.0):
            said = [
                slow_node(np.random.default_rng([17, one]), criterion, sessions, 0.05, 1.5) for one in range(streams)
            ]
            for name, first in zip(GUARDS, np.array(said).T, strict=True):
                setting = f"{criterion} 1.5 at a twentieth, {sessions:g} sessions a day of 4, guard {name}"
                yield Bar.of(setting, "false GO", int((first <= WEEK).sum()), streams, 5.0)
    graph = Policy(criteria=ALL)
    relaxed = Policy(criteria=ALL, parity=0.90, handoff=0.05, latency_margin=0.30)
    cells = (
        (150.0, 4.0, graph, (7,)), (500.0, 1.0, graph, (2, 7)), (500.0, 4.0, graph, (1, 2)),
        (2000.0, 1.0, graph, (1, 2)), (500.0, 10.0, graph, (1,)), (50.0, 4.0, relaxed, (7,)),
        (150.0, 4.0, relaxed, (2,)), (150.0, 1.0, relaxed, (7,)),
    )  # fmt: skip
    for sessions, length, policy, days in cells:
        said = [good_workflow(np.random.default_rng([18, one]), sessions, length, policy) for one in range(streams)]
        bounds = "relaxed" if policy is relaxed else "default"
        for day in days:
            hits = {name: int((first <= day).sum()) for name, first in zip(GUARDS, np.array(said).T, strict=True)}
            for name in GUARDS:
                setting = f"{sessions:g} sessions a day of {length:g}, good, {bounds} bounds, guard {name}"
                yield Bar.of(setting, f"GO by {day} d", hits[name], streams, 100.0 * hits["none"] / streams - 5.0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--streams", type=int, default=200)
    options = parser.parse_args()
    make_quick()
    print("| setting | measure | % ± 2 errors | bar | | windows |\n|---|---|---|---|---|---|")
    for bar in rows(options.streams):
        print(bar, flush=True)


if __name__ == "__main__":
    main()
