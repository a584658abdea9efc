"""Numbers as people read them never claim more than they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from otel_shadow.verdict import units as words


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.95, "95 %"), (0.9512, "95.1 %"), (0.99996, ">99.99 %"), (1.0, "100 %"), (0.0, "0 %"), (0.0042, "0.42 %"),
     (0.99951, "99.95 %"), (0.00001, "<0.01 %"), (None, "–")],
)  # fmt: skip
def test_a_share_in_per_cent(share: float | None, expected: str) -> None:
    """Never rounded to 100 % or 0 % unless it is; finer near the ends."""
    assert words.percent(share) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0004, "0.4 ms"), (0.045, "45 ms"), (0.9999, "1 s"), (1.234, "1.23 s"), (None, "–")]
)
def test_a_latency(seconds: float | None, expected: str) -> None:
    """Three digits in the unit that suits."""
    assert words.milliseconds(seconds) == expected


@pytest.mark.parametrize(("value", "expected"), [(1.15, "+15 %"), (0.987, "−1.3 %"), (1.0002, "±0 %"), (None, "–")])
def test_a_ratio_is_told_as_a_change(value: float | None, expected: str) -> None:
    """1.15 is +15 %."""
    assert words.ratio(value) == expected


def test_a_time_is_told_in_utc() -> None:
    """Whatever the zone it came in."""
    assert words.moment(datetime(2025, 1, 9, 7, 30, tzinfo=timezone(timedelta(hours=-3)))) == "2025-01-09 10:30 UTC"
    assert words.moment(datetime(2025, 1, 9, 7, 30, tzinfo=UTC)) == "2025-01-09 07:30 UTC"


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (timedelta(minutes=45), "45 min"),
        (timedelta(hours=23.5), "23.5 h"),
        (timedelta(hours=48), "48 h"),
        (86400.0 * 12, "12 days"),
    ],
)
def test_a_span(length: timedelta | float, expected: str) -> None:
    """Minutes, hours or days."""
    assert words.span(length) == expected
