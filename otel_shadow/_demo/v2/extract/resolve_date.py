"""From the parts of a date that a pattern found to the date: `dateutil` does the calendar's arithmetic."""

from __future__ import annotations

import calendar
import re
from datetime import date, datetime, timedelta

from otel_shadow._demo.state import Language
from otel_shadow._demo.v2.extract.calendar_words import DAYS, MONTHS, NTH, WEEKDAYS
from otel_shadow._demo.v2.extract.holidays import holiday_on
from otel_shadow.errors import require

relativedelta = require("dateutil.relativedelta", "demo").relativedelta
_rules = require("dateutil.rrule", "demo")
rrule, DAILY, MONTHLY = _rules.rrule, _rules.DAILY, _rules.MONTHLY


def full_year(text: str | None) -> int | None:
    """Return a year of four digits; two digits are the years from 1950 to 2049."""
    if text is None:
        return None
    value = int(text.lstrip("'"))
    return value if value > 99 else value + (2000 if value < 50 else 1900)


def next_on(today: date, *, day: int, month: int, year: int | None = None, weekday: int | None = None) -> date:
    """Return the date; without a year the next one, on the given weekday if there is one within six years."""
    if year is not None:
        return date(year, month, day)
    candidates = [_safe(y, month, day) for y in range(today.year, today.year + 9)]
    future = [c for c in candidates if c is not None and c >= today]
    if not future:
        raise ValueError(f"no year has a day {day} in month {month}")
    if weekday is not None:
        return next((c for c in future[:6] if c.weekday() == weekday), future[0])
    return future[0]


def _safe(year: int, month: int, day: int) -> date | None:
    return date(year, month, day) if day <= calendar.monthrange(year, month)[1] else None


def weekday_of(match: re.Match[str]) -> int | None:
    """Return the weekday that was said with a date, Monday being 0."""
    groups = match.groupdict()
    name = groups.get("wd") or groups.get("wd2")
    return None if name is None else WEEKDAYS[name]


def named_month(match: re.Match[str], today: date, language: Language) -> date:
    """A day of a named month."""
    groups = match.groupdict()
    return next_on(
        today, day=int(match["d"]), month=MONTHS[match["m"]], year=full_year(groups.get("y")), weekday=weekday_of(match)
    )


def year_month_day(match: re.Match[str], today: date, language: Language) -> date:
    """A full date, the year first."""
    month = match["m"]
    return date(int(match["y"]), MONTHS[month] if month in MONTHS else int(month), int(match["d"]))


def numeric(match: re.Match[str], today: date, language: Language) -> date:
    """Two or three numbers, in the order of the language where both orders are possible."""
    first, second, year = int(match["a"]), int(match["b"]), full_year(match.groupdict().get("y"))
    day, month = (second, first) if language == "en" else (first, second)
    if month > 12:
        day, month = month, day
    return next_on(today, day=day, month=month, year=year, weekday=weekday_of(match))


def numeric_day_first(match: re.Match[str], today: date, language: Language) -> date:
    """A day and a month by number, in the words of a language that has the day first."""
    return next_on(today, day=int(match["a"]), month=int(match["b"]))


def day_of_that_month(match: re.Match[str], today: date, language: Language) -> date:
    """A day of this, the next or the last month."""
    groups = match.groupdict()
    shift = 1 if groups.get("next") else -1 if groups.get("last") else 0
    first = datetime.combine(today.replace(day=1), datetime.min.time()) + relativedelta(months=shift)
    return _day(first).replace(day=int(match["d"]))


def day_of_month(match: re.Match[str], today: date, language: Language) -> date | None:
    """The next such day of a month, on the weekday that was said with it, if any."""
    day, weekday = int(match["d"]), weekday_of(match)
    if match.groupdict().get("last"):
        return next((d for d in (today - timedelta(days=n) for n in range(1, 62)) if d.day == day), None)
    start = datetime.combine(today, datetime.min.time())
    rule = rrule(DAILY, dtstart=start, bymonthday=day, byweekday=weekday, until=start + timedelta(days=1500))
    return next((_day(found) for found in rule), None)


def nth_of_month(match: re.Match[str], today: date, language: Language) -> date | None:
    """The n-th such weekday, or the first or last day, of a named month, of this one or the next."""
    groups = match.groupdict()
    nth = next(n for words, n in NTH.items() if re.fullmatch(words, match["nth"]))
    year, month = full_year(groups.get("y")), groups.get("m")
    start = today.replace(day=1) if month is None else date(year or today.year, MONTHS[month], 1)
    if groups.get("next"):
        start = _day(datetime.combine(start, datetime.min.time()) + relativedelta(months=1))
    kind = groups.get("wd")
    chosen = {"bymonthday": nth} if kind is None else {"byweekday": WEEKDAYS[kind], "bysetpos": nth}
    begin = datetime.combine(start, datetime.min.time())
    months = {} if month is None else {"bymonth": MONTHS[month]}
    rule = rrule(MONTHLY, dtstart=begin, until=begin + timedelta(days=800), **chosen, **months)
    earliest = start if year or month is None else today
    return next((_day(found) for found in rule if _day(found) >= earliest), None)


def weekday(match: re.Match[str], today: date, language: Language) -> date:
    """A weekday: of this, the next or the last week where that was said, else the next one."""
    groups, named = match.groupdict(), WEEKDAYS[match["wd"]]
    monday = today - timedelta(days=today.weekday())
    if groups.get("weekafter") or groups.get("next"):
        return monday + timedelta(days=7 + named)
    if groups.get("weekbefore"):
        return monday + timedelta(days=named - 7)
    if groups.get("last"):
        return today - timedelta(days=(today.weekday() - named - 1) % 7 + 1)
    if groups.get("thisweek"):
        return monday + timedelta(days=named)
    if groups.get("plus"):
        return today + timedelta(days=(named - today.weekday()) % 7 + 7)
    return today + timedelta(days=(named - today.weekday() - 1) % 7 + 1)


def relative_day(match: re.Match[str], today: date, language: Language) -> date:
    """Today and its neighbours."""
    return today + timedelta(days=DAYS[" ".join(match["rel"].split())])


def shifted(match: re.Match[str], today: date, language: Language) -> date:
    """A count of units from now, today or tomorrow, or ago."""
    groups = match.groupdict()
    start = today + timedelta(days=groups.get("base") in ("tomorrow", "amanha"))
    return _moved(start, -_count(groups["n"]) if groups.get("ago") else _count(groups["n"]), groups["unit"])


def past(match: re.Match[str], today: date, language: Language) -> date:
    """A count of units ago, said by the verb alone ("há dois dias")."""
    return _moved(today, -_count(match["n"]), match["unit"])


def _count(words: str) -> int:
    first = words.split()[0]
    if first.isdigit():
        return int(first)
    return 2 if "couple" in words or first in ("uns", "umas") else 1


def _moved(start: date, count: int, unit: str) -> date:
    if unit.startswith(("m", "a", "y")):
        delta = relativedelta(months=count) if unit.startswith("m") else relativedelta(years=count)
        return _day(datetime.combine(start, datetime.min.time()) + delta)
    days = 1 if unit.startswith("d") else 14 if unit.startswith("fortnight") else 7
    return start + timedelta(days=days * count)


def _day(moment: datetime) -> date:
    return moment.date()


def holiday(match: re.Match[str], today: date, language: Language) -> date:
    """A holiday by name."""
    return holiday_on(match["holiday"], today, full_year(match.groupdict().get("y")))


def named_month_short_year(match: re.Match[str], today: date, language: Language) -> date:
    """A day of a named month; the year may have two digits."""
    year = full_year(match["y"] or match["y2"])
    return next_on(today, day=int(match["d"]), month=MONTHS[match["m"]], year=year, weekday=weekday_of(match))
