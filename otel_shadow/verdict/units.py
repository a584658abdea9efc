"""Numbers and times as people read them; the same words on the terminal, the page and in messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

DASH = "–"


def percent(share: float | None, digits: int | None = None) -> str:
    """A share in [0, 1] as per cent; one more digit where the end of the scale is near."""
    if share is None:
        return DASH
    value = round(share * 100, 9)
    if digits is None:
        digits = 0 if float(value).is_integer() else 2 if min(abs(value), abs(100 - value)) < 1 else 1
    text = f"{value:.{digits}f}"
    if share < 1 and float(text) == 100:
        text = f">{100 - 10**-digits:.{digits}f}"
    elif share > 0 and float(text) == 0:
        text = f"<{10**-digits:.{digits}f}"
    return f"{text} %"


def milliseconds(seconds: float | None) -> str:
    """Seconds as a latency: 0.4 ms, 45 ms, 1.23 s."""
    if seconds is None:
        return DASH
    if seconds >= 0.9995:
        return f"{seconds:.3g} s"
    return f"{seconds * 1000:.3g} ms"


def ratio(value: float | None) -> str:
    """A ratio of latencies as a change: +12.3 %, −4 %."""
    if value is None:
        return DASH
    return f"{_signed((value - 1) * 100)} %"


def points(value: float | None) -> str:
    """A difference of shares in percentage points: +1.2 points."""
    if value is None:
        return DASH
    return f"{_signed(value * 100)} points"


def _signed(change: float) -> str:
    """With its sign, one decimal below ten."""
    text = f"{abs(change):,.1f}".removesuffix(".0") if abs(change) < 10 else f"{abs(change):,.0f}"
    sign = "±" if text == "0" else "+" if change > 0 else "−"
    return sign + text


def count(number: float | None) -> str:
    """A count with its thousands apart: 12,345."""
    return DASH if number is None else f"{number:,.0f}"


def moment(time: datetime | None) -> str:
    """A time in UTC: 2025-01-09 10:30 UTC."""
    return DASH if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def span(length: timedelta | float | None) -> str:
    """A span of time (seconds, or a timedelta): 45 min, 23.5 h, 12 days."""
    if length is None:
        return DASH
    hours = (length.total_seconds() if isinstance(length, timedelta) else length) / 3600
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h".replace(".0 h", " h") if hours < 96 else f"{hours / 24:.0f} days"


def plural(number: int, noun: str) -> str:
    """``1 pair``, ``2 pairs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
