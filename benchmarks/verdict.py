"""The always-valid evidence (NO-GO and bands) on simulated streams; beside what teams use instead, on the same streams.

The GO, which is given at whole cycles by other tests, has its bars in ``benchmarks/bars.py``.

    python benchmarks/verdict.py                     2,000 streams a setting (about ten minutes on two cores)
    python benchmarks/verdict.py --streams 200       a first impression
    python benchmarks/verdict.py --only parity       groups of settings whose name contains "parity"

Everything is seeded. The last column says whether the limit is met; the exit code is 1 if one is not.

The alternatives look at the same streams:

* naive: after every event, GO as soon as the share so far is at least the bound (from 100 events on);
* raw: one look at the end;
* Wilson: after every event, GO as soon as the lower end of the 95 % Wilson interval reaches the bound;
* Argo: Argo Rollouts' analysis: one measurement per 100 events, each passes if its share reaches the bound; GO if at
  most 3 of them failed (``failureLimit: 3``) at the end;
* Kayenta: Mann-Whitney test at 98 % of the 100-event shares against a baseline drawn at the bound itself; GO unless
  significantly worse.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from otel_shadow.verdict import Decision, Policy, Summary, evaluate, prepare
from otel_shadow.verdict.latency import Ranks, Ratio, buckets, shift
from otel_shadow.verdict.sequential import DOWN, UP, running

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LOG_LEVEL = math.log(20.0)
EVENTS = 10_000
CHUNK = 25


@dataclass
class Row:
    """One line of the table: what was measured, its limit, and what the alternatives did."""

    setting: str
    measure: str
    value: float
    bar: float
    others: dict[str, float] = field(default_factory=dict)
    unit: str = "%"

    @property
    def met(self) -> bool:
        return self.value <= self.bar


# --- streams -------------------------------------------------------------------------------------------------------
def iid(rng: np.random.Generator, streams: int, share: float, events: int = EVENTS) -> tuple[Ints, Ints]:
    """Every event is a session of its own."""
    return (rng.random((streams, events)) < share).astype(np.int64), np.ones((streams, events), np.int64)


def correlated(
    rng: np.random.Generator, streams: int, share: float, sessions: int, turns: int = 6, rho: float = 0.3
) -> tuple[Ints, Ints]:
    """Sessions whose own share is drawn from a beta distribution: turns correlate by ``rho``."""
    spread = (1.0 - rho) / rho
    own = rng.beta(share * spread, (1.0 - share) * spread, (streams, sessions))
    n = np.full((streams, sessions), turns, np.int64)
    return rng.binomial(n, own), n


def long_worse(rng: np.random.Generator, streams: int, sessions: int) -> tuple[Ints, Ints]:
    """80 % of the sessions have 2 turns at 98.79 %, 20 % have 20 at 93.34 %: events 94.9 %, session means 97.7 %."""
    long = rng.random((streams, sessions)) < 0.2
    n = np.where(long, 20, 2)
    return rng.binomial(n, np.where(long, 0.9334, 0.987885)), n


def oscillating(rng: np.random.Generator, streams: int, events: int = EVENTS) -> tuple[Ints, Ints]:
    """Stretches of 50 at 90 % and 99.8 %, the good one whenever the running mean stays at most 94.9 %."""
    total, shares = 0.0, np.empty(events)
    for start in range(0, events, 50):
        good = (total + 50 * 0.998) / (start + 50) <= 0.949
        shares[start : start + 50] = 0.998 if good else 0.90
        total += 50 * shares[start]
    return (rng.random((streams, events)) < shares).astype(np.int64), np.ones((streams, events), np.int64)


# --- otel-shadow ----------------------------------------------------------------------------------------------------
def evidence(k: Ints, n: Ints, m: float, max_turns: int) -> tuple[Floats, Floats]:
    """Return log E of GO and NO-GO after every session, as the verdict has it: of both units, and their mean."""
    up, down = [], []
    scale = np.minimum(1.0, max_turns / n) / max_turns
    for a, b in ((np.ones(n.shape), k / n), (n * scale, k * scale)):
        up.append(running(a, b, m, UP))
        down.append(running(a, a - b, 1.0 - m, DOWN))
    return np.minimum(*up), np.logaddexp(*down) - math.log(2.0)


def first(reached: NDArray[np.bool_]) -> Floats:
    """Return the index of the first look that holds; infinity if none does."""
    found = reached.any(axis=1)
    return np.where(found, reached.argmax(axis=1), np.inf)


def chunks(streams: int, seed: int) -> Iterator[tuple[np.random.Generator, int]]:
    """Yield generators for pieces of the streams, so that no piece needs much memory."""
    for place in range(0, streams, CHUNK):
        yield np.random.default_rng([seed, place]), min(CHUNK, streams - place)


@dataclass
class Paths:
    """When each stream said GO and NO-GO, in events (infinity: never), and what the alternatives said."""

    go: Floats
    no_go: Floats
    others: dict[str, Floats]


def paths(
    streams: int, seed: int, make: Callable[[np.random.Generator, int], tuple[Ints, Ints]], m: float, max_turns: int,
    alternatives: bool = False,
) -> Paths:  # fmt: skip
    go, no_go, others = [], [], []
    for rng, count in chunks(streams, seed):
        k, n = make(rng, count)
        up, down = evidence(k, n, m, max_turns)
        events = np.cumsum(n, axis=1)
        for said, level in ((go, up), (no_go, down)):
            place = first(level >= LOG_LEVEL)
            known = np.isfinite(place)
            at = np.full(count, np.inf)
            at[known] = events[np.flatnonzero(known), place[known].astype(int)]
            said.append(at)
        if alternatives:
            others.append(alternatives_said(k, n, m, rng))
    names = list(others[0]) if others else []
    joined = {name: np.concatenate([part[name] for part in others]) for name in names}
    return Paths(np.concatenate(go), np.concatenate(no_go), joined)


# --- alternatives --------------------------------------------------------------------------------------------------
def alternatives_said(k: Ints, n: Ints, m: float, rng: np.random.Generator) -> dict[str, Floats]:
    """For each alternative, 1.0 where it said GO."""
    successes, events = np.cumsum(k, axis=1), np.cumsum(n, axis=1)
    share = successes / events
    looked = events >= 100
    z = 1.959964
    middle = share + z * z / (2 * events)
    half = z * np.sqrt(share * (1 - share) / events + z * z / (4 * events * events))
    wilson = (middle - half) / (1 + z * z / events)
    blocks = _blocks(k, n)
    failed = (blocks < m).sum(axis=1)
    baseline = rng.binomial(100, m, blocks.shape) / 100
    return {
        "naive": ((share >= m) & looked).any(axis=1).astype(float),
        "raw": (share[:, -1] >= m).astype(float),
        "Wilson": (wilson >= m).any(axis=1).astype(float),
        "Argo": (failed <= 3).astype(float),
        "Kayenta": np.array([not _worse(a, b) for a, b in zip(blocks, baseline, strict=True)], float),
    }


def _blocks(k: Ints, n: Ints) -> Floats:
    """Shares of pieces of about 100 events."""
    size = max(round(100 / n.mean()), 1)
    count = k.shape[1] // size
    successes = k[:, : count * size].reshape(len(k), count, size).sum(axis=2)
    return np.asarray(successes / n[:, : count * size].reshape(len(n), count, size).sum(axis=2))


def _worse(shares: Floats, baseline: Floats) -> bool:
    """One-sided Mann-Whitney with the normal approximation and ties: significantly below the baseline at 98 %."""
    both = np.r_[shares, baseline]
    _, inverse, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    left, right, total = len(shares), len(baseline), len(both)
    u = ranks[:left].sum() - left * (left + 1) / 2
    ties = (counts**3 - counts).sum() / (total * (total - 1))
    deviation = math.sqrt(left * right / 12 * (total + 1 - ties))
    return deviation > 0 and (u - left * right / 2) / deviation < -2.0537


# --- settings ------------------------------------------------------------------------------------------------------
def parity_iid(streams: int) -> Iterator[Row]:
    null = paths(streams, 1, lambda rng, count: iid(rng, count, 0.949), 0.95, 1, alternatives=True)
    yield _false_go("parity 0.949 iid, 10,000 looks", null)
    for share, bar in ((0.97, 700), (0.98, 280), (0.99, 150)):
        found = paths(streams, 2, lambda rng, count, share=share: iid(rng, count, share, 4000), 0.95, 1)
        yield Row(f"parity {share} iid", "median events to GO", float(np.median(found.go)), bar, unit="")
    for share, bar in ((0.93, 1050), (0.90, 190)):
        found = paths(streams, 3, lambda rng, count, share=share: iid(rng, count, share, 5000), 0.95, 1)
        yield Row(f"parity {share} iid", "median events to NO-GO", float(np.median(found.no_go)), bar, unit="")


def parity_sessions(streams: int) -> Iterator[Row]:
    for share in (0.949, 0.950):
        found = paths(
            streams, 4, lambda rng, count, share=share: correlated(rng, count, share, 1700), 0.95, 20, alternatives=True
        )
        yield _false_go(f"parity {share}, 1,700 sessions of 6", found)
    found = paths(streams, 5, lambda rng, count: long_worse(rng, count, 1800), 0.95, 20, alternatives=True)
    yield _false_go("parity, long sessions worse", found)


def parity_drift(streams: int) -> Iterator[Row]:
    found = paths(streams, 6, lambda rng, count: oscillating(rng, count), 0.95, 1, alternatives=True)
    yield _false_go("parity oscillating 0.90/0.998", found)


def parity_day_and_night(streams: int) -> Iterator[Row]:
    """Through the public API: looks over 48 h at 8,000 sessions of 6 turns, 12 h at 97.5 % and 12 h at 91.3 %."""
    policy, sessions = Policy(criteria=("parity",)), 8000
    start = datetime(2025, 1, 9, 7, tzinfo=UTC)
    ever = without = 0
    for place in range(streams):
        rng = np.random.default_rng([7, place])
        begin = np.sort(rng.random(sessions) * 48.0)
        day = begin % 24.0 < 12.0
        hits = rng.random((sessions, 6)) < np.where(day, 0.975, 0.913)[:, None]
        at = start.timestamp() + begin[:, None] * 3600.0 + np.arange(6) * 30.0
        summary = Summary.from_arrays("a", np.repeat(np.arange(sessions), 6), at.ravel(), hits.ravel())
        said = [evaluate(summary, policy, start + timedelta(hours=hour)) for hour in (12, 24, 36, 48, 49)]
        ever += any(verdict.decision is Decision.GO for verdict in said)
        rows = [verdict.criterion("parity") for verdict in said]
        without += any((row.log_e_go or 0.0) >= LOG_LEVEL for row in rows)
    others = {"without whole cycles": without / streams * 100}
    yield Row("parity, day 0.975 and night 0.913", "false GO", ever / streams * 100, 1.0, others)


def handoff(streams: int) -> Iterator[Row]:
    for rate, measure, bar in ((0.031, "false GO", 5.0), (0.01, "GO", 6000), (0.06, "NO-GO", 1000)):
        found = paths(
            streams, 8, lambda rng, count, rate=rate: correlated(rng, count, 1 - rate, 2000), 0.97, 20,
            alternatives=measure == "false GO",
        )  # fmt: skip
        if measure == "false GO":
            yield _false_go(f"handoff {rate}, sessions of 6", found)
        else:
            median = float(np.median(found.go if measure == "GO" else found.no_go))
            yield Row(f"handoff {rate}, sessions of 6", f"median events to {measure}", median, bar, unit="")


def latency(streams: int) -> Iterator[Row]:
    """Ratio of p95: exactly 1.15, sessions of 5 that share half of the variance; and 1.0, iid. σ 0.5, 10 % holdout."""
    streams = min(streams, 1000)
    wrong = 0
    for place in range(streams):
        rng = np.random.default_rng([9, place])
        session = np.repeat(np.arange(2400), 5)
        own = np.repeat(rng.normal(0, 0.5 * math.sqrt(0.5), 2400), 5)
        x = np.exp(3.0 + own + rng.normal(0, 0.5 * math.sqrt(0.5), len(own)))
        held = np.repeat(rng.random(2400) < 0.10, 5)
        wrong += _ratio_go(session, np.where(held, x, 1.15 * x), held, 1000) < math.inf
    yield Row("latency ratio 1.15, sessions of 5", "false GO", wrong / streams * 100, 5.0)
    found = []
    for place in range(streams):
        rng = np.random.default_rng([10, place])
        x, held = np.exp(3.0 + rng.normal(0, 0.5, 16_000)), rng.random(16_000) < 0.10
        found.append(_ratio_go(np.arange(16_000), x, held, 500))
    yield Row("latency ratio 1.0 iid, 10 % holdout", "median requests to GO", float(np.median(found)), 8000, unit="")


def _ratio_go(session: Ints, x: Floats, held: NDArray[np.bool_], every: int) -> float:
    bucket = buckets(x).astype(np.int64)
    for end in range(every, len(x) + 1, every):
        seen, mine = slice(0, end), held[:end]
        left = Ranks.of(session[seen][mine], bucket[seen][mine])
        right = Ranks.of(session[seen][~mine], bucket[seen][~mine])
        if left.sessions and Ratio.of(left, right, paired=False).log_at_most(shift(1.15)) >= LOG_LEVEL:
            return end
    return math.inf


def noise(streams: int) -> Iterator[Row]:
    """V1 disagrees with itself on 9 % of the requests, V2 with it on 11.1 %: δ = 0.02 exceeded by 0.1 points."""
    m, wrong = (1 - 0.02) / 2, []
    for rng, count in chunks(streams, 11):
        n = np.full((count, 1700), 6)
        z = (rng.random((count, 1700, 6)) < 0.111).astype(int) - (rng.random((count, 1700, 6)) < 0.09)
        k = (n - z.sum(axis=2)) / 2.0
        scale = 1.0 / 20.0
        units = [(np.ones(n.shape), k / n), (n * scale, k * scale)]
        up = np.minimum(*(running(a, b, m, UP) for a, b in units))
        wrong.append(np.isfinite(first(up >= LOG_LEVEL)))
    yield Row("noise floor at δ + 0.1 points", "false GO", float(np.concatenate(wrong).mean() * 100), 5.0)


def invariance(streams: int) -> Iterator[Row]:
    """Yield the largest change of a log E by order and split of the evidence."""
    worst = 0.0
    for place in range(min(streams, 20)):
        rng = np.random.default_rng([12, place])
        columns = _columns(rng, 6000)
        whole = Summary.from_arrays(**columns)
        order, shard = rng.permutation(6000), rng.integers(0, 5, 6000)
        parts = [Summary.from_arrays(**{k: v[order][shard == part] for k, v in columns.items()}) for part in range(5)]
        left, right = evaluate(whole), evaluate(parts[0].merge(*parts[1:]))
        for one, other in zip(left.criteria, right.criteria, strict=True):
            for name in ("log_e_go", "log_e_no_go", "proven", "level"):
                worst = max(worst, abs((getattr(one, name) or 0.0) - (getattr(other, name) or 0.0)))
    yield Row("any permutation, 5 shards merged", "largest change of log E, limit or level", worst, 1e-9, unit="")


def _columns(rng: np.random.Generator, events: int) -> dict[str, NDArray[np.generic]]:
    session = rng.integers(0, events // 6, events)
    begin = rng.random(events) * 48.0
    held = session % 10 == 0
    return {
        "node": np.array(["greeting", "qualification"])[rng.integers(0, 2, events)],
        "session": session,
        "timestamp": 1.7e9 + begin[session] * 3600.0 + rng.random(events) * 300.0,
        "match": np.where(held, np.nan, rng.random(events) < 0.97),
        "status": np.where(held, "", np.where(rng.random(events) < 0.01, "error", "success")),
        "v1_latency_ms": rng.lognormal(3.0, 0.5, events),
        "arm": np.where(held, "holdout", "shadowed"),
        "v2_latency_ms": np.where(held, np.nan, rng.lognormal(3.0, 0.5, events)),
        "pair": np.arange(events),
    }


def speed(streams: int) -> Iterator[Row]:
    """Ten million executions: arrays to a summary with its sums, then the verdict."""
    columns = _columns(np.random.default_rng(13), 10_000_000)
    began = time.perf_counter()
    summary = Summary.from_arrays(**columns)
    prepare(summary)
    built = time.perf_counter()
    evaluate(summary)
    yield Row("10 million executions", "seconds to a summary and its looks", built - began, 6.0, unit="")
    yield Row("10 million executions", "ms to a verdict", (time.perf_counter() - built) * 1e3, 10.0, unit="")


def _false_go(setting: str, found: Paths) -> Row:
    others = {name: float(said.mean() * 100) for name, said in found.others.items()}
    return Row(setting, "false GO", float(np.isfinite(found.go).mean() * 100), 5.0, others)


SETTINGS: dict[str, Callable[[int], Iterator[Row]]] = {
    "parity_iid": parity_iid,
    "parity_sessions": parity_sessions,
    "parity_drift": parity_drift,
    "parity_day_and_night": parity_day_and_night,
    "handoff": handoff,
    "latency": latency,
    "noise": noise,
    "invariance": invariance,
    "speed": speed,
}


def text(row: Row) -> str:
    """One line of the table, in Markdown."""
    value = f"{row.value:.2g}" if row.value < 0.01 else f"{row.value:,.1f}".removesuffix(".0")
    bar = f"≤ {row.bar:,g}"
    others = ", ".join(f"{name} {share:.0f} %" for name, share in row.others.items())
    verdict, unit = "met" if row.met else "MISSED", row.unit and " %"
    return f"| {row.setting} | {row.measure} | {value}{unit} | {bar}{unit} | {verdict} | {others} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print("| setting | measure | otel-shadow | limit | | false GO of the alternatives |\n|---|---|---|---|---|---|")
    met = True
    for name, setting in SETTINGS.items():
        if options.only in name:
            for row in setting(options.streams):
                print(text(row), flush=True)
                met &= row.met
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
