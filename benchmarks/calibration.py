"""The bars of the calibration: how often a certified threshold or time limit is broken, by seeded simulation.

``python benchmarks/calibration.py [--streams 2000]`` prints a table; it exits with 1 if a bar is missed. A violation
is a proposal whose *true* risk (known here, because the streams are made up) is above the bound that was promised.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from otel_shadow._calibration.fixed_sequence import certify
from otel_shadow._calibration.timeout import propose_timeout

ALPHA = DELTA = 0.05


@dataclass(frozen=True)
class Outcome:
    """Of one setting: streams with a proposal, violations among all streams, and the median of what was reached."""

    name: str
    streams: int
    proposals: int
    violations: int
    reached: float
    best: float

    @property
    def rate(self) -> float:
        return self.violations / self.streams


Risk = Callable[[np.ndarray], np.ndarray]


def threshold(name: str, sessions: int, wrong: Risk, streams: int, seed: int, naive: bool = False) -> Outcome:
    """Confidences uniform in [0, 1], wrong with probability ``wrong(confidence)``; the true risk is its mean above."""
    source = np.random.default_rng(seed)
    grid = np.linspace(0, 1, 20_001)
    tail = np.cumsum(wrong(grid)[::-1])[::-1] / np.arange(len(grid), 0, -1)
    found = []
    for _ in range(streams):
        score = source.random(sessions)
        error = source.random(sessions) < wrong(score)
        certificate = certify(score, error, ALPHA, DELTA)
        if naive:
            limit = min((one.threshold for one in certificate.curve if one.risk <= ALPHA), default=None)
        else:
            limit = certificate.threshold
        if limit is not None:
            found.append(limit)
    broken = sum(float(np.interp(limit, grid, tail)) > ALPHA for limit in found)
    allowed = grid[tail <= ALPHA]
    best = 1 - (float(allowed.min()) if len(allowed) else 1.0)
    return Outcome(name, streams, len(found), broken, 1 - float(np.median(found)) if found else math.nan, best)


def timeout(name: str, sessions: int, errors: float, cut_at_ms: float, streams: int, seed: int) -> Outcome:
    """Log-normal latencies (median 300 ms, σ 0.6), some failing, cut off at the limit in force."""
    source = np.random.default_rng(seed)
    found = []
    for _ in range(streams):
        taken = 300 * np.exp(0.6 * source.standard_normal(sessions))
        failed = source.random(sessions) < errors
        cut = taken > cut_at_ms
        proposal = propose_timeout(np.minimum(taken, cut_at_ms).tolist(), failed.tolist(), (cut & ~failed).tolist())
        if proposal.timeout_ms is not None:
            found.append(proposal.timeout_ms)
    late = [errors + (1 - errors) * _slower(limit) for limit in found]
    broken = sum(share > 0.03 for share in late)
    return Outcome(name, streams, len(found), broken, float(np.median(found)) if found else math.nan, math.nan)


def _slower(limit_ms: float) -> float:
    return 0.5 * math.erfc(math.log(limit_ms / 300) / 0.6 / math.sqrt(2))


def outcomes(streams: int) -> list[Outcome]:
    """All settings."""

    def falling(score: np.ndarray) -> np.ndarray:
        return 0.15 * (1 - score)

    def step(score: np.ndarray) -> np.ndarray:
        return np.where(score < 0.3, 0.4, 0.02)

    def level(score: np.ndarray) -> np.ndarray:
        return np.full_like(score, 0.0501)

    def bump(score: np.ndarray) -> np.ndarray:
        return np.where((score > 0.35) & (score < 0.5), 0.4, 0.01)

    return [
        threshold("threshold, risk falls with confidence, 1,000 sessions", 1000, falling, streams, 1),
        threshold("threshold, risk falls with confidence, 5,000 sessions", 5000, falling, streams, 2),
        threshold("threshold, a step of risk, 1,000 sessions", 1000, step, streams, 3),
        threshold("threshold, risk 5.01 % at any confidence, 1,000 sessions", 1000, level, streams, 4),
        threshold("threshold, the unsure better than the middle, 1,000 sessions", 1000, bump, streams, 5),
        timeout("time limit, 99 sessions", 99, 0.0, math.inf, streams, 6),
        timeout("time limit, 1,000 sessions", 1000, 0.0, math.inf, streams, 7),
        timeout("time limit, 1,000 sessions, 1 % fail", 1000, 0.01, math.inf, streams, 8),
        timeout("time limit, 1,000 sessions, cut at 1,200 ms", 1000, 0.005, 1200.0, streams, 9),
        timeout("time limit, 1,000 sessions, cut too early (800 ms)", 1000, 0.0, 800.0, streams, 10),
        timeout("time limit, 1,000 sessions, 2.9 % fail", 1000, 0.029, math.inf, streams, 11),
    ]


def naive_outcome(streams: int) -> Outcome:
    """For comparison: the lowest threshold whose empirical risk is at most α."""

    def falling(score: np.ndarray) -> np.ndarray:
        return 0.15 * (1 - score)

    return threshold("(naive: lowest threshold with empirical risk ≤ 5 %)", 1000, falling, streams, 1, naive=True)


def allowance(streams: int) -> float:
    """δ and one Monte Carlo standard error of ``streams`` at δ."""
    return DELTA + math.sqrt(DELTA * (1 - DELTA) / streams)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=2000)
    streams = parser.parse_args().streams
    bar, missed = allowance(streams), 0
    print(
        f"{streams} streams each, α {ALPHA:.0%}, δ {DELTA:.0%}; bar: violations ≤ {bar:.1%} (δ + 1 Monte Carlo error)"
    )
    print(f"{'setting':62} {'proposals':>9} {'violations':>10} {'median reached':>15} {'possible':>9}")
    for one in (*outcomes(streams), naive_outcome(streams)):
        naive = one.name.startswith("(")
        missed += one.rate > bar and not naive
        unit = "ms" if "limit" in one.name else ""
        reached = f"{one.reached:,.0f} {unit}" if unit else f"{one.reached:.1%}"
        best = "" if math.isnan(one.best) else f"{one.best:.1%}"
        print(f"{one.name:62} {one.proposals:>9,} {one.rate:>10.2%} {reached:>15} {best:>9}")
    print("reached: coverage of the certified threshold (possible: with the truth known), or the time limit")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
