"""A latency now that fails says whose fault that is; where only it is missing, the added time stands beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from streams import START, at

from otel_shadow.slots import slot_at
from otel_shadow.verdict import Policy, Summary, Verdict, evaluate
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role

LENGTH, HOLDOUT, SERVICE = 60.0, 1 / 3, "assistant"
CAUSES = {ReasonKind.OWN_TIME, ReasonKind.V1_BY_HOUR, ReasonKind.CONTENTION, ReasonKind.OWN_SHADOW}


def slots(
    sessions: int = 5000,
    *,
    slot: float = 1.0,
    own: float = 1.0,
    added_ms: float = 0.02,
    sample: float = 0.5,
    hours: float = 30.0,
    nodes: tuple[str, ...] = ("ask",),
) -> Summary:
    """One-turn sessions of a service with slots.

    Arguments:
        slot: how much slower V1 is in slots with shadows, whether the request has one or not.
        own: how much slower it is in requests with a shadow only.
        added_ms: milliseconds that shadowing adds to each request with a shadow.
        sample: share of the sessions with a shadow.
    """
    rng = np.random.default_rng(3)
    time = START.timestamp() + np.sort(rng.random(sessions)) * hours * 3600.0
    held = np.array([slot_at(float(one), SERVICE, LENGTH, HOLDOUT).is_holdout for one in time])
    sampled = rng.random(sessions) < sample
    pair = ~held & sampled
    added = np.where(pair, added_ms, 0.01)
    v1 = rng.lognormal(3.0, 0.4, sessions) * np.where(held, 1.0, slot) * np.where(pair, own, 1.0) + added
    columns: dict[str, Any] = {
        "node": np.array(nodes)[np.arange(sessions) % len(nodes)], "session": np.arange(sessions), "timestamp": time,
        "service": SERVICE, "match": np.where(pair, 1.0, np.nan), "status": np.where(pair, "success", ""),
        "arm": np.where(held, "holdout", "shadowed"),
        "reason": np.where(~sampled, "sampled_out", np.where(held, "holdout", "")),
        "v1_latency_ms": v1, "v2_latency_ms": v1, "overhead_ms": added, "probability": sample * (1.0 - HOLDOUT),
        "sample": sample, "holdout": HOLDOUT, "slot_seconds": LENGTH, "build": "b1",
        "original_target": np.where(np.arange(sessions) % 3, "a", "b"),
    }  # fmt: skip
    return Summary.from_arrays(**columns)


def judged(evidence: Summary) -> Verdict:
    return evaluate(evidence, Policy(criteria=("latency_now",)), at(31))


def causes(verdict: Verdict) -> list[ReasonKind]:
    return [one.kind for one in verdict.criterion("latency_now").reasons if one.kind in CAUSES]


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"slot": 1.6}, ReasonKind.CONTENTION),
        ({"slot": 1.6, "sample": 1.0}, ReasonKind.CONTENTION),
        ({"slot": 1.6, "nodes": ("ask", "answer")}, ReasonKind.CONTENTION),
        ({"own": 1.6}, ReasonKind.OWN_SHADOW),
        ({"added_ms": 25.0}, ReasonKind.OWN_TIME),
    ],
)
def test_a_latency_now_that_fails_says_whose_fault(given: dict[str, Any], cause: ReasonKind) -> None:
    """Slots that differ where requests inside them don't are contention; else it is the request's own shadow, or we."""
    assert causes(judged(slots(**given))) == [cause]


def test_v1_itself_by_hour_is_told_from_shadows() -> None:
    """Shadows ran in the slow hours, the holdout in the fast ones (a ramp): with the hours alike nothing differs."""
    rng = np.random.default_rng(8)
    time = START.timestamp() + np.sort(rng.random(8000)) * 30 * 3600.0
    hour = ((time - START.timestamp()) // 3600.0).astype(int)
    slow = hour % 2 == 1
    held = rng.random(8000) < np.where(slow, 0.05, 0.6)
    v1 = rng.lognormal(3.0, 0.3, 8000) * np.where(slow, 2.5, 1.0)
    evidence = Summary.from_arrays(
        "ask", np.arange(8000), time, np.where(held, np.nan, 1.0), np.where(held, "", "success"), v1,
        np.where(held, "holdout", "shadowed"), v2_latency_ms=v1, service=SERVICE, holdout=HOLDOUT, slot_seconds=LENGTH,
        probability=1.0 - HOLDOUT, sample=1.0, original_target=np.where(np.arange(8000) % 3, "a", "b"), build="b1",
    )  # fmt: skip
    assert causes(judged(evidence)) == [ReasonKind.V1_BY_HOUR]


def test_a_holdout_that_was_off_in_slow_hours_is_told_with_its_remedy() -> None:
    """Real slots; in the night no slot was held out, and V1 is slow then."""
    rng = np.random.default_rng(9)
    time = START.timestamp() + np.sort(rng.random(8000)) * 30 * 3600.0
    slow = (time // 3600.0).astype(int) % 24 < 8
    held = np.array([slot_at(float(one), SERVICE, LENGTH, HOLDOUT).is_holdout for one in time]) & ~slow
    holdout, v1 = np.where(slow, 0.0, HOLDOUT), rng.lognormal(3.0, 0.3, 8000) * np.where(slow, 2.5, 1.0)
    evidence = Summary.from_arrays(
        "ask", np.arange(8000), time, np.where(held, np.nan, 1.0), np.where(held, "", "success"), v1,
        np.where(held, "holdout", "shadowed"), v2_latency_ms=v1, service=SERVICE, holdout=holdout, slot_seconds=LENGTH,
        probability=1.0 - holdout, sample=1.0, original_target=np.where(np.arange(8000) % 3, "a", "b"), build="b1",
    )  # fmt: skip
    verdict = judged(evidence)
    assert causes(verdict) == [ReasonKind.V1_BY_HOUR]
    told = verdict.criterion("latency_now").reason
    assert "so far it looks like V1 itself by hour, not the shadows" in told
    assert told.endswith("the remedy: one holdout in all hours ([arms] holdout, ROUTER_V2_HOLDOUT)")


def test_a_latency_now_that_is_kept_names_no_cause() -> None:
    """Nobody is at fault."""
    assert causes(judged(slots())) == []


def test_where_only_latency_now_is_missing_the_added_time_stands_beside_it() -> None:
    """Mean and 95th percentile, exactly measured, of the executions with a shadow; nothing where more is missing."""
    few = slots(900, added_ms=0.25, sample=1.0)
    verdict = judged(few)
    told = [one for one in verdict.reasons if one.kind is ReasonKind.ADDED_TIME]
    pairs = verdict.node("ask").criterion("coverage").counts["executed"]
    assert [(round(one.have or 0.0, 2), round(one.needed or 0.0, 2), one.of) for one in told] == [(0.25, 0.25, pairs)]
    assert any(text.startswith("shadowing itself added 0.25 ms to V1 on average") for text in verdict.notes)
    more = evaluate(few, Policy(criteria=("latency_now", "parity"), parity=0.9999), at(31))
    assert ReasonKind.ADDED_TIME not in {one.kind for one in more.reasons}


def test_a_cause_is_told_in_words() -> None:
    """The verdict's own reason says it too."""
    verdict = judged(slots(slot=1.6))
    cause = next(one for one in verdict.reasons if one.kind in CAUSES)
    assert cause.role is Role.WHY
    assert isinstance(cause, Reason)
    assert "it is contention: V1's p95 changes by +" in verdict.reason
