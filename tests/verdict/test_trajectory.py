"""The evidence over time is the evidence of the verdict, look for look."""

from __future__ import annotations

import math

import numpy as np
import pytest
from streams import at, columns, summary

from otel_shadow.verdict import Decision, Policy, Summary, evaluate, looks


@pytest.mark.parametrize("criterion", ["parity", "handoff"])
def test_every_look_is_what_the_verdict_says_then(criterion: str) -> None:
    """Estimate, band and evidence of ``looks`` and of ``evaluate`` agree at any time."""
    evidence = summary(sessions=600, failure=0.02, holdout=0.0)
    times = [at(hours) for hours in (1, 5, 11.3, 24, 47, 49)]
    for found in looks(evidence, node="greeting", criterion=criterion, at=times, tests=3):
        row = evaluate(evidence, at=found.at).node("greeting").criterion(criterion)
        assert (found.sessions, found.events) == (row.sessions, row.events)
        assert found.estimate == pytest.approx(row.estimate)
        assert found.log_e_go == pytest.approx(row.log_e_go, abs=1e-9)
        assert found.log_e_no_go == pytest.approx(row.log_e_no_go, abs=1e-9)
        assert (found.lower, found.upper) == pytest.approx((row.lower, row.upper), abs=1e-5)


def test_ten_thousand_looks_are_one_call() -> None:
    """The way to peek after every event: the first GO of a single good stream comes early and stays."""
    given = columns(sessions=10_000, turns=1, hours=47.0, match=0.99, holdout=0.0)
    evidence = Summary.from_arrays(**given)
    policy = Policy(session_idle_minutes=0.01, max_turns=1)
    times = [at(47.0 * (place + 1) / 10_000) for place in range(10_000)]
    found = looks(evidence, policy, node="greeting", at=times, band=False)
    reached = np.array([look.log_e_go for look in found]) >= math.log(20)
    assert 50 < int(reached.argmax()) < 600
    assert found[-1].decision is Decision.GO


def test_only_what_has_a_path_is_shown_one() -> None:
    """Latency has none, and neither has a node that nobody saw."""
    with pytest.raises(ValueError, match="has no path"):
        looks(summary(sessions=50), node="greeting", criterion="latency_now", at=[at(40)])
    with pytest.raises(ValueError, match="no evidence of node 'x'; there is greeting"):
        looks(summary(sessions=50), node="x", at=[at(40)])
    assert looks(Summary(), node="greeting", at=[at(40)]) == ()
