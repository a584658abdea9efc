"""The verdict on evidence whose holdout is slots of time."""

from __future__ import annotations

from typing import Any

import numpy as np
from streams import START, at

from otel_shadow.slots import slot_at
from otel_shadow.verdict import Decision, Summary, evaluate
from otel_shadow.verdict.time_slots import blocks_of, washouts

LENGTH, HOLDOUT, SERVICE = 60.0, 1 / 3, "assistant"


def traffic(
    sessions: int = 6000,
    *,
    slower: float = 1.0,
    errors: tuple[float, float] = (0.0, 0.0),
    hours: float = 48.5,
    sample: tuple[float, float] = (1.0, 1.0),
    speeds: tuple[float, float] = (1.0, 1.0),
    seed: int = 5,
) -> dict[str, Any]:
    """One-turn sessions over two days; V1 is ``slower`` while shadows run, and fails at one of two rates.

    Arguments:
        errors: V1's error rate in holdout slots and in ordinary ones.
        sample, speeds: share of the sessions with a shadow, and V1's time, on the first day and later.
    """  # fmt: skip
    rng = np.random.default_rng(seed)
    time = START.timestamp() + np.sort(rng.random(sessions)) * hours * 3600.0
    held = np.array([slot_at(float(one), SERVICE, LENGTH, HOLDOUT).is_holdout for one in time])
    day = (time - START.timestamp() >= 86400.0).astype(int)
    share = np.array(sample)[day]
    sampled = rng.random(sessions) < share
    failed = rng.random(sessions) < np.where(held, errors[0], errors[1])
    v1 = rng.lognormal(3.0, 0.4, sessions) * np.array(speeds)[day] * np.where(held, 1.0, slower)
    pair = ~held & sampled
    return {
        "node": "ask", "session": np.arange(sessions), "timestamp": time, "service": SERVICE,
        "match": np.where(pair & ~failed, 1.0, np.nan), "status": np.where(pair, "success", ""),
        "arm": np.where(held, "holdout", "shadowed"),
        "reason": np.where(~sampled, "sampled_out", np.where(held, "holdout", "")),
        "v1_status": np.where(failed, "error", "success"), "v1_latency_ms": v1, "v2_latency_ms": v1,
        "probability": share * (1.0 - HOLDOUT), "sample": share, "holdout": HOLDOUT, "slot_seconds": LENGTH,
        "build": "b1",
    }  # fmt: skip


def test_blocks_and_washouts_are_those_of_the_runtime() -> None:
    """A reader works out from a line's time what the process knew: its block, and the sixths that count nowhere."""
    times = np.arange(0, 3600_000, 7_000) + 1_750_000_000_000
    one_by_one = [slot_at(float(time) / 1000.0, SERVICE, LENGTH, HOLDOUT) for time in times]
    blocks = [slot.block * 180_000 + 3 for slot in one_by_one]
    assert blocks_of(times, HOLDOUT, LENGTH).tolist() == blocks
    before = [slot_at(slot.start - 1.0, SERVICE, LENGTH, HOLDOUT).is_holdout for slot in one_by_one]
    near = [time / 1000.0 - slot.start < 10.0 for time, slot in zip(times, one_by_one, strict=True)]
    expected = [n and (slot.is_holdout or b) for n, slot, b in zip(near, one_by_one, before, strict=True)]
    assert washouts(times, SERVICE, HOLDOUT, LENGTH).tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_a_v1_that_shadows_slow_is_seen_between_slots() -> None:
    """Equal speeds are proven in two days; a V1 that is 1.3 times as slow while shadows run is never a GO."""
    same = evaluate(Summary.from_arrays(**traffic()), at=at(49)).criterion("latency_now")
    assert same.decision is Decision.GO
    assert same.proven is not None
    assert same.proven < 1.15
    slow = evaluate(Summary.from_arrays(**traffic(slower=1.3)), at=at(49)).criterion("latency_now")
    assert slow.decision is not Decision.GO


def test_a_sample_that_grows_bends_no_ratio() -> None:
    """Day one: 5 % sampled and V1 twice as slow; day two: all. The ratio is still the true one, in both directions."""
    for sample in ((0.05, 1.0), (1.0, 0.05)):
        given = traffic(20_000, slower=1.4, sample=sample, speeds=(2.0, 1.0))
        row = evaluate(Summary.from_arrays(**given), at=at(49)).criterion("latency_now")
        assert row.decision is not Decision.GO


def test_more_errors_of_v1_beside_shadows_are_a_no_go() -> None:
    """Four per cent of V1's calls fail in ordinary slots, one in holdout slots; the same everywhere is no NO-GO."""
    broken = evaluate(Summary.from_arrays(**traffic(errors=(0.01, 0.04))), at=at(49))
    served = broken.criterion("v1_served")
    assert served.decision is Decision.NO_GO
    assert "V1 fails more often while shadows run" in served.reason
    equal = evaluate(Summary.from_arrays(**traffic(errors=(0.03, 0.03))), at=at(49))
    assert equal.criterion("v1_served").decision is Decision.GO


def test_429_alone_has_a_smaller_margin() -> None:
    """A provider that is asked twice as often says so to V1: a point of 429 is a NO-GO of its own."""
    given = traffic(40_000, errors=(0.0, 0.01))
    given["v1_rate_limited"] = given["v1_status"] == "error"
    served = evaluate(Summary.from_arrays(**given), at=at(49)).criterion("v1_served")
    assert served.decision is Decision.NO_GO
    assert "(429) while shadows run" in served.reason
