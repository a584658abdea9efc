"""One object decides whether a node's shadow runs, with one state and one log line per change."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from otel_shadow._runtime import background_log
from otel_shadow._runtime.limits import Limiter
from otel_shadow.config import LimitsTable
from otel_shadow.record import Status


class Clock:
    """Stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def limiter(**limits: Any) -> tuple[Limiter, Clock]:
    clock = Clock()
    return Limiter("left", LimitsTable(**limits), clock), clock


def test_breaker_opens_after_consecutive_failures_and_one_probe_closes_it() -> None:
    """Open after N failures in a row, half-open after the reset time, closed by a probe that succeeds."""
    subject, clock = limiter(breaker_failures=3, breaker_reset_seconds=30)
    for status in (Status.ERROR, Status.TIMEOUT, Status.SUCCESS, Status.ERROR, Status.ERROR):
        assert subject.refuse() is None
        subject.finished(status, 0)
    assert subject.refuse() is None, "a success in between starts the count anew"
    subject.finished(Status.TIMEOUT, 0)
    assert subject.refuse() == subject.reason == "breaker"
    clock.now += 30
    assert subject.refuse() is None, "the probe"
    assert subject.refuse() == "breaker", "only one"
    subject.finished(Status.ERROR, 0)
    assert subject.refuse() == "breaker", "the probe failed: open again"
    clock.now += 30
    assert subject.refuse() is None
    subject.finished(Status.SUCCESS, 0)
    assert subject.refuse() is None
    assert subject.reason is None


def test_probe_that_never_ran_gives_the_chance_to_the_next() -> None:
    """A probe that ends as cancelled neither opens nor closes, and the next one is a probe."""
    subject, clock = limiter(breaker_failures=1)
    subject.finished(Status.ERROR, 0)
    clock.now += 60
    assert subject.refuse() is None
    subject.finished(Status.CANCELLED, 0)
    assert subject.refuse() is None


def test_rate_does_not_use_up_the_probe() -> None:
    """A shadow refused for its rate is not the breaker's probe."""
    subject, clock = limiter(breaker_failures=1, pairs_per_second=1)
    assert subject.refuse() is None
    subject.finished(Status.ERROR, 0)
    clock.now += 30.5
    subject._allowance, subject._refilled_at = 0.0, clock.now
    assert subject.refuse() == "rate"
    clock.now += 1
    assert subject.refuse() is None


def test_rate_is_kept_over_time() -> None:
    """Ten seconds at two pairs a second admit twenty, after the first burst."""
    subject, clock = limiter(pairs_per_second=2)
    admitted = 0
    for _ in range(1000):
        clock.now += 0.01
        admitted += subject.refuse() is None
    assert 20 <= admitted <= 22


def test_tokens_of_the_last_hour() -> None:
    """Over budget until an hour has passed since they were spent; what a given-up V2 spends later counts too."""
    subject, clock = limiter(tokens_per_hour=100)
    subject.finished(Status.SUCCESS, 60)
    assert subject.refuse() is None
    subject.spent(40)
    assert subject.refuse() == subject.reason == "budget"
    clock.now += 3601
    assert subject.refuse() is None


def test_one_line_per_change(caplog: pytest.LogCaptureFixture) -> None:
    """A reason that comes and goes with each shadow is one pause, one line, and one line when it is over."""
    subject, clock = limiter()
    subject._node = "this one"  # limiters of other tests may still have something to say
    with caplog.at_level(logging.WARNING, "otel_shadow"):
        for _ in range(50):
            subject.refused("queue")
            assert subject.reason == "queue"
            subject.refuse()
            clock.now += 0.1
        subject.refused("memory")
        assert subject.reason == "queue", "the first reason stays while it lasts"
        clock.now += 6
        assert subject.reason is None
        subject.refuse()
        assert background_log.settle(10)
    said = [record.getMessage() for record in caplog.records]
    assert [line for line in said if "this one" in line] == [
        "shadow 'this one': paused (queue)",
        "shadow 'this one': running again",
    ]
