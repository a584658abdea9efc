"""A short version of the benchmark: wide enough never to be flaky, tight enough to catch a broken formula."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

_PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "verdict.py"
STREAMS = 50


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_of_the_verdict", _PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def rows(bench: ModuleType, setting: str) -> dict[str, float]:
    return {f"{row.setting}: {row.measure}": row.value for row in bench.SETTINGS[setting](STREAMS)}


def test_parity_iid(bench: ModuleType) -> None:
    """False GO stays near its bar while the naive rules say GO; medians are neither too late nor too good."""
    found = {f"{row.setting}: {row.measure}": row for row in bench.parity_iid(STREAMS)}
    null = found["parity 0.949 iid, 10,000 looks: false GO"]
    assert null.value <= 12.0
    assert null.others["naive"] >= 80.0
    medians = {name: row.value for name, row in found.items() if "median" in name}
    limits = {
        "parity 0.97 iid: median events to GO": (350, 900),
        "parity 0.98 iid: median events to GO": (160, 380),
        "parity 0.99 iid: median events to GO": (100, 190),
        "parity 0.93 iid: median events to NO-GO": (600, 1500),
        "parity 0.9 iid: median events to NO-GO": (110, 260),
    }
    for name, (low, high) in limits.items():
        assert low <= medians[name] <= high, name


def test_parity_of_correlated_sessions_drift_and_long_sessions(bench: ModuleType) -> None:
    """The settings in which a formula for independent events lies."""
    for setting in ("parity_sessions", "parity_drift", "noise"):
        for name, value in rows(bench, setting).items():
            assert value <= 12.0, name


def test_session_means_alone_would_certify_the_wrong_quantity(bench: ModuleType) -> None:
    """Long sessions are worse: the event-weighted test is what holds a false GO back."""
    rng = np.random.default_rng(1)
    k, n = bench.long_worse(rng, 20, 1800)
    alone = bench.running(np.ones(n.shape), k / n, 0.95, bench.UP)
    assert (alone.max(axis=1) >= bench.LOG_LEVEL).all()
    both, _ = bench.evidence(k, n, 0.95, 20)
    assert (both.max(axis=1) < bench.LOG_LEVEL).mean() >= 0.8


def test_handoff(bench: ModuleType) -> None:
    """False GO under its bar; GO and NO-GO come in time."""
    found = rows(bench, "handoff")
    assert found["handoff 0.031, sessions of 6: false GO"] <= 12.0
    assert 1500 <= found["handoff 0.01, sessions of 6: median events to GO"] <= 7500
    assert 150 <= found["handoff 0.06, sessions of 6: median events to NO-GO"] <= 1600


def test_latency(bench: ModuleType) -> None:
    """A ratio of exactly 1.15 is no GO; a ratio of 1.0 is one, neither at once nor never."""
    found = rows(bench, "latency")
    assert found["latency ratio 1.15, sessions of 5: false GO"] <= 12.0
    assert 3000 <= found["latency ratio 1.0 iid, 10 % holdout: median requests to GO"] <= 12_000


def test_day_and_night_and_invariance(bench: ModuleType) -> None:
    """A window that starts in the morning does not certify the day and forget the night."""
    (row,) = bench.parity_day_and_night(5)
    assert row.value == 0.0
    assert row.others["without whole cycles"] >= 60.0
    (row,) = bench.invariance(2)
    assert row.value < 1e-9
