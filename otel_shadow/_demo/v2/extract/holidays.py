"""Holidays by name: fixed ones, and those that move with Easter or fall on the n-th weekday of a month."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

from otel_shadow.errors import require

easter: Callable[[int], date] = require("dateutil.easter", "demo").easter


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


_FIXED = {
    "vespera de natal": (12, 24),
    "christmas eve": (12, 24),
    "dia de natal": (12, 25),
    "natal": (12, 25),
    "christmas day": (12, 25),
    "christmas": (12, 25),
    "xmas": (12, 25),
    "vespera de ano novo": (12, 31),
    "new year's eve": (12, 31),
    "new years eve": (12, 31),
    "reveillon": (12, 31),
    "ano novo": (1, 1),
    "new year's day": (1, 1),
    "new years day": (1, 1),
    "new year": (1, 1),
    "dia do trabalhador": (5, 1),
    "dia do trabalho": (5, 1),
    "tiradentes": (4, 21),
    "dia dos namorados": (6, 12),
    "dia da independencia": (9, 7),
    "dia das criancas": (10, 12),
    "finados": (11, 2),
    "dia dos professores": (10, 15),
    "halloween": (10, 31),
    "valentine's day": (2, 14),
    "valentines day": (2, 14),
    "independence day": (7, 4),
    "consciencia negra": (11, 20),
}
_MOVING: dict[str, Callable[[int], date]] = {
    "dia das maes": lambda y: _nth_weekday(y, 5, 6, 2),
    "mother's day": lambda y: _nth_weekday(y, 5, 6, 2),
    "dia dos pais": lambda y: _nth_weekday(y, 8, 6, 2),
    "father's day": lambda y: _nth_weekday(y, 6, 6, 3),
    "thanksgiving": lambda y: _nth_weekday(y, 11, 3, 4),
    "easter": easter,
    "pascoa": easter,
    "sexta-feira santa": lambda y: easter(y) - timedelta(days=2),
    "good friday": lambda y: easter(y) - timedelta(days=2),
    "carnaval": lambda y: easter(y) - timedelta(days=47),
    "corpus christi": lambda y: easter(y) + timedelta(days=60),
}


def holiday_on(name: str, today: date, year: int | None) -> date:
    """Return the holiday in `year`, or the next one."""
    rule = _MOVING.get(name) or (lambda y: date(y, *_FIXED[name]))
    if year is not None:
        return rule(year)
    return rule(today.year) if rule(today.year) >= today else rule(today.year + 1)


HOLIDAYS = "|".join(sorted(map(re.escape, (*_FIXED, *_MOVING)), key=len, reverse=True))
