"""Streams of every shape that the tests of whole cycles tell apart, each with the policy and the times of its looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from streams import columns as even_columns

from benchmarks.bars import falls_with_load
from benchmarks.turns import (
    ALWAYS,
    DAY,
    START,
    Shares,
    by_day,
    columns,
    constant,
    geometric,
    one_turn,
    outcomes,
    times,
    traffic,
)
from otel_shadow.policy import Policy
from otel_shadow.verdict import Summary, Verdict, evaluate

Lengths = Callable[[np.random.Generator, int], np.ndarray]
THIRD, GOOD, FINE = constant(1.0 / 3.0), constant(0.99), constant(0.995)
FOUR_TURNS = geometric(4.0)


@dataclass(frozen=True)
class Stream:
    """Evidence, the policy it is judged by, and the days since its beginning at which it is looked at."""

    columns: dict[str, Any]
    policy: Policy
    days: tuple[float, ...]
    start: float = START

    def summary(self) -> Summary:
        """The evidence as it is given."""
        return Summary.from_arrays(**self.columns)

    def verdicts(self) -> list[Verdict]:
        """The verdicts at all looks, on one summary."""
        summary = self.summary()
        at = [datetime.fromtimestamp(self.start, UTC) + timedelta(days=day) for day in self.days]
        return [evaluate(summary, self.policy, moment) for moment in at]


def flow(
    seed: int, days: int, sessions: float, length: Lengths = FOUR_TURNS, *, match: Shares = GOOD,
    fine: Shares = FINE, kind: str = "log-normal", slower: Shares = ALWAYS,
    contention: Shares = ALWAYS, at: tuple[float, ...] = (), policy: Policy | None = None,
    rounded: int | None = None, more: dict[str, Any] | None = None, **shape: Any,
) -> Stream:  # fmt: skip
    """A stream of the simulator.

    Arguments:
        slower: V2's times over V1's; contention: V1's in ordinary slots over V1's in holdout slots.
        rounded: decimals of the times: few make ties.
        more: further columns.
        shape: arguments of ``traffic``.
    """
    rng = np.random.default_rng(seed)
    turns = traffic(rng, days, sessions, length, **shape)
    good, ends = (outcomes(rng, turns, share(turns.at)) for share in (match, fine))
    v1 = times(rng, turns, kind) * np.where(turns.held, 1.0, contention(turns.at))
    v2 = times(rng, turns, kind) * slower(turns.at)
    if rounded is not None:
        v1, v2 = np.maximum(np.round(v1, rounded), 1.0), np.maximum(np.round(v2, rounded), 1.0)
    given = columns(turns, good, ends, v1, v2) | (more or {})
    return Stream(given, policy or Policy(), at or tuple(day + 0.02 for day in range(1, days + 1)))


def by_session(seed: int, at: tuple[float, ...], policy: Policy | None = None, **given: Any) -> Stream:
    """A stream of ``streams.columns``: its holdout is a share of the sessions."""
    made = even_columns(seed=seed, **given)
    return Stream(made, policy or Policy(), at, float(made["timestamp"].min()))


def four(seed: int, sessions: float, days: int = 3, **more: Any) -> Stream:
    """Four nodes with slots."""
    return flow(seed, days, sessions, holdout=more.pop("holdout", THIRD), node_shares=(0.4, 0.3, 0.2, 0.1), **more)


def _plain(count: int, sessions: int, seed: int, **more: Any) -> dict[str, Any]:
    """Columns of one node, sessions drawn at random over two days and some."""
    rng = np.random.default_rng(seed)
    session = rng.integers(0, sessions, count)
    held = session % 3 == 0
    made: dict[str, Any] = {
        "node": "a", "session": session, "pair": np.arange(count), "original_target": np.where(session % 2, "x", "y"),
        "timestamp": START + rng.random(sessions)[session] * 2.3 * DAY + rng.random(count) * 600.0,
        "match": np.where(held, np.nan, rng.random(count) < 0.985), "status": np.where(held, "", "success"),
        "v1_latency_ms": rng.lognormal(3.0, 0.5, count), "arm": np.where(held, "holdout", "shadowed"),
        "v2_latency_ms": np.where(held, np.nan, rng.lognormal(3.0, 0.5, count)),
    }  # fmt: skip
    return made | more


def _noise(seed: int) -> Stream:
    rng = np.random.default_rng(seed)
    count = 9_000
    twice = rng.random(count) < 0.5
    agreed = np.where(twice, (rng.random(count) < 0.9).astype(float), np.nan)
    given = _plain(count, 2_000, seed, self_match=agreed, match=np.where(rng.random(count) < 0.91, 1.0, 0.0))
    given["match"] = np.where(given["status"] == "success", given["match"], np.nan)
    return Stream(given, Policy(), (1.1, 2.1))


def _two_builds(seed: int) -> Stream:
    given = _plain(8_000, 1_500, seed)
    given["build"] = np.where(given["timestamp"] < START + 0.8 * DAY, "1.0", "1.1")
    return Stream(given, Policy(), (1.9, 2.2))


def _shed(seed: int) -> Stream:
    """Shadows shed by load, without the probability being told."""
    rng = np.random.default_rng(seed)
    given = _plain(9_000, 2_000, seed)
    shed = (given["arm"] == "shadowed") & (rng.random(9_000) < 0.4 + 0.4 * ((given["timestamp"] // 3600.0) % 2))
    for name in ("match", "v2_latency_ms"):
        given[name] = np.where(shed, np.nan, given[name])
    given["status"] = np.where(shed, "", given["status"])
    return Stream(given, Policy(), (1.2, 2.2))


def _shifting_shares(seed: int) -> Stream:
    """Sessions held out in other shares by the hour, untold."""
    given = _plain(9_000, 2_000, seed)
    rng = np.random.default_rng(seed)
    often = np.where((given["timestamp"] - START) % DAY < DAY / 2, 0.1, 0.5)
    held = rng.random(9_000) < often
    for name in ("match", "v2_latency_ms"):
        given[name] = np.where(held, np.nan, given[name])
    given["arm"], given["status"] = np.where(held, "holdout", "shadowed"), np.where(held, "", "success")
    return Stream(given, Policy(), (1.2, 2.2))


def _errors(seed: int) -> Stream:
    made = four(seed, 400.0, 2)
    rng = np.random.default_rng(seed)
    size, held = len(made.columns["session"]), made.columns["arm"] == "holdout"
    made.columns["v1_status"] = np.where(rng.random(size) < np.where(held, 0.01, 0.05), "error", "success")
    made.columns["v1_rate_limited"] = (made.columns["v1_status"] == "error") & (rng.random(size) < 0.3)
    made.columns["v2_rate_limited"] = (made.columns["status"] == "error") & (rng.random(size) < 0.5)
    return Stream(made.columns, Policy(rate_limited="excluded"), made.days)


def _intents(seed: int) -> Stream:
    made = four(seed, 300.0, 2)
    size = len(made.columns["session"])
    made.columns["intent"] = np.array(["price", "date", "other"])[np.random.default_rng(seed).integers(0, 3, size)]
    return Stream(made.columns, Policy(intents=("price",)), made.days)


def _two_graphs(seed: int) -> Stream:
    made = four(seed, 300.0, 2)
    made.columns["graph"] = np.where(made.columns["session"] % 2 == 0, "g", "h")
    return Stream(made.columns, Policy(), made.days)


def _long_turns(seed: int) -> Stream:
    """Sessions that last for hours: they straddle blocks of slots, and cycles."""
    made = four(seed, 300.0, 3)
    first = np.flatnonzero(np.r_[True, np.diff(made.columns["session"]) != 0])
    size = np.diff(np.r_[first, len(made.columns["session"])])
    place = np.arange(len(made.columns["session"])) - np.repeat(first, size)
    made.columns["timestamp"] = made.columns["timestamp"] + place * 1_500.0
    return made


def _one_decision(seed: int) -> Stream:
    made = four(seed, 300.0, 2)
    alone = made.columns["node"] == "node1"
    for name in ("original_target", "shadow_target"):
        made.columns[name] = np.where(alone, "a", made.columns[name])
    return made


def _crowded(seed: int) -> Stream:
    """Many lines of few sessions: a limit lies far below the slowest lines."""
    rng = np.random.default_rng(seed)
    own = np.exp(rng.normal(0.0, 0.6, 90))
    given = _plain(60_000, 90, seed)
    for name in ("v1_latency_ms", "v2_latency_ms"):
        given[name] = given[name] * own[given["session"]]
    return Stream(given, Policy(), (1.1, 2.1))


def streams() -> Iterator[tuple[str, Callable[[], Stream]]]:
    """Names, and how each is made."""
    node, ramp = Policy(judge="node"), by_day([0.1, 1.0])
    short = Policy(max_cycles=2)
    later = Policy(window_start=datetime.fromtimestamp(START + 0.7 * DAY, UTC))
    wide = Policy(parity=0.9, handoff=0.06, latency_margin=0.4)
    hours = Policy(cycle_hours=6.0, block_hours=2.0, max_cycles=3)
    own = Policy(nodes={"node0": {"latency_margin": 0.5}})
    for name, policy in (("graph", Policy()), ("node", node), ("wide", wide)):
        yield (
            f"spotless, {name}",
            lambda policy=policy: four(1, 500.0, policy=policy, match=constant(1.0), fine=constant(1.0)),
        )
        yield f"good, {name}", lambda policy=policy: four(2, 900.0, policy=policy)
        yield f"mismatches, {name}", lambda policy=policy: four(3, 400.0, policy=policy, match=constant(0.93))
        yield f"slow V2, {name}", lambda policy=policy: four(4, 400.0, policy=policy, slower=constant(1.4))
    yield "contention", lambda: four(5, 600.0, contention=constant(1.3))
    yield "a node with a margin of its own", lambda: four(6, 500.0, policy=own)
    yield "rolling", lambda: four(7, 250.0, 5, policy=short, at=(1.5, 2.5, 3.5, 4.9, 5.02))
    yield "rolling, worse at the end", lambda: four(8, 400.0, 4, policy=short, match=by_day([1.0, 1.0, 1.0, 0.8]))
    yield "window_start", lambda: four(9, 400.0, policy=later)
    yield "cycles of six hours", lambda: four(10, 700.0, 1, policy=hours, at=(0.1, 0.26, 0.6, 1.01))
    yield "ramp of the sample", lambda: four(11, 500.0, sample=ramp)
    yield "slots change", lambda: four(12, 600.0, 3, holdout=by_day([1.0 / 3.0, 0.1, 0.1]))
    yield "probability falls with load", lambda: four(13, 600.0, adaptive=falls_with_load, load_sd=0.5)
    yield "all change", lambda: four(
        14, 500.0, 3, holdout=by_day([1.0 / 3.0, 0.1]), sample=by_day([0.3, 1.0]), adaptive=falls_with_load, load_sd=0.4
    )  # fmt: skip
    yield "LLM", lambda: four(15, 400.0, kind="LLM")
    yield "retries", lambda: four(16, 400.0, kind="retries")
    yield "slow sessions", lambda: four(17, 400.0, kind="slow sessions", load_sd=0.3)
    yield "ties", lambda: four(18, 400.0, rounded=-1)
    yield "all equal", lambda: four(19, 200.0, 2, rounded=-4)
    yield "long sessions", lambda: _long_turns(20)
    yield "one decision", lambda: _one_decision(21)
    yield "two graphs", lambda: _two_graphs(22)
    yield "errors of V1", lambda: _errors(23)
    yield "intents", lambda: _intents(24)
    yield "one node, one turn", lambda: flow(25, 3, 800.0, one_turn, holdout=THIRD)
    yield "one node, no holdout", lambda: flow(26, 2, 300.0)
    yield "two turns a day", lambda: flow(27, 3, 2.0, one_turn, holdout=THIRD)
    yield "twenty sessions", lambda: flow(28, 2, 20.0, holdout=THIRD)
    yield "sessions held out", lambda: by_session(29, (0.5, 1.1, 2.1), sessions=2_000, holdout=0.33)
    yield "sessions held out, four nodes", lambda: by_session(
        30, (1.1, 2.1), Policy(judge="node"), sessions=3_000, holdout=0.33, nodes=("a", "b", "c", "d"),
        original_target=lambda rng, n: np.where(np.arange(n) % 3, "x", "y"), v2_ratio=1.05,
    )  # fmt: skip
    yield "noise", lambda: _noise(31)
    yield "two builds", lambda: _two_builds(32)
    yield "shed", lambda: _shed(33)
    yield "shares differ", lambda: _shifting_shares(34)
    yield "few sessions of many lines", lambda: _crowded(35)
    yield "many lines", lambda: four(36, 7_000.0, 2, kind="slow sessions", at=(2.02,))
    yield "many lines of many weights", lambda: four(37, 7_000.0, 2, adaptive=falls_with_load, load_sd=0.5, at=(2.02,))
