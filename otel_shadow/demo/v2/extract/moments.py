"""Dates and times: spans by patterns, relative dates resolved by `dateparser`."""

from __future__ import annotations

from datetime import date, datetime

from otel_shadow.demo.state import Language
from otel_shadow.demo.v1 import patterns
from otel_shadow.demo.v2.extract.mention import Mention


def dates(text: str, language: Language, now: datetime) -> list[Mention[date]]:
    """Find dates, the next one where the year is missing."""
    return [Mention(f.value, f.start, f.end) for f in patterns.dates(text, language, now)]


def times(text: str, *, asked: bool = False) -> list[Mention[str]]:
    """Find clock times as HH:MM."""
    return [Mention(f.value, f.start, f.end) for f in patterns.times(text)]
