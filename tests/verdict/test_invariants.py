"""What must not change a number of the verdict: the order of the lines, into which parts they are split and merged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.bars import falls_with_load
from benchmarks.turns import DAY, START, by_day, columns, constant, geometric, outcomes, times, traffic
from otel_shadow.policy import Policy
from otel_shadow.verdict import Summary, Verdict, evaluate
from otel_shadow.verdict.cycle_tally import cycle_evidence
from otel_shadow.verdict.window import frame

AT = datetime.fromtimestamp(START + 2.2 * DAY, UTC)
NUMBERS = ("estimate", "lower", "upper", "proven", "level", "log_e_go", "log_e_no_go", "sessions", "events")


def made(seed: int) -> dict[str, Any]:
    """Two days of two nodes whose sample, holdout and load change, with every kind of outcome."""
    rng = np.random.default_rng(seed)
    turns = traffic(
        rng, 2, 60.0, geometric(4.0), holdout=by_day([1.0 / 3.0, 0.1]), sample=by_day([0.3, 1.0]),
        adaptive=falls_with_load, load_sd=0.5, node_shares=(0.7, 0.3),
    )  # fmt: skip
    match, fine = (outcomes(rng, turns, constant(share)(turns.at)) for share in (0.95, 0.97))
    return columns(turns, match, fine, times(rng, turns), times(rng, turns, "slow sessions"))


def told(verdict: Verdict) -> list[tuple[object, ...]]:
    """Every number of every row."""
    rows = [*verdict.criteria, *(row for node in verdict.nodes for row in node.criteria)]
    return [(row.criterion, row.node, row.decision, *(getattr(row, name) for name in NUMBERS)) for row in rows]


def p_values(summary: Summary) -> list[float]:
    """The p-values of the shares, of every node and of all, cycle by cycle and in all."""
    found = frame(summary, Policy(), AT)
    assert found is not None
    nodes = [("g", "node0"), ("g", "node1")]
    evidence = cycle_evidence(summary, found.cycles, [[nodes[0]], [nodes[1]], nodes])
    windows = [(0, 0), (1, 1), (0, 1), (0, 2)]
    return [
        p
        for group in evidence
        for history, m in ((group.parity, 0.95), (group.handoff, 0.97))
        for first, last in windows
        for p in (history.p_at_most(first, last, m), history.p_at_least(first, last, m))
    ]


def same(one: Summary, other: Summary) -> None:
    """Hold all numbers of two summaries equal."""
    assert p_values(one) == pytest.approx(p_values(other), abs=1e-9)
    for a, b in zip(told(evaluate(one, Policy(), AT)), told(evaluate(other, Policy(), AT)), strict=True):
        assert a[:3] == b[:3]
        assert list(a[3:]) == pytest.approx(list(b[3:]), abs=1e-9)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6), st.booleans())
def test_order_shards_and_merges_change_no_number(seed: int, shards: int, by_session: bool) -> None:
    """Log E, p, levels, limits, bands and estimates are the same to 1e-9, sessions torn apart or not."""
    given_ = made(seed)
    size = len(given_["session"])
    rng = np.random.default_rng(seed)
    order, drawn = rng.permutation(size), rng.integers(0, shards, size)
    owner = given_["session"] % shards if by_session else drawn
    columns_ = {name: values if isinstance(values, str) else values[order] for name, values in given_.items()}
    parts = [
        Summary.from_arrays(
            **{
                name: values if isinstance(values, str) else values[owner[order] == shard]
                for name, values in columns_.items()
            }
        )
        for shard in range(shards)
    ]
    whole = Summary.from_arrays(**given_)
    merged = parts[-1]
    for part in parts[:-1][::-1]:  # a tree of merges, against one of all
        merged = part.merge(merged)
    same(whole, merged)
    same(whole, parts[0].merge(*parts[1:]).merge(whole))
