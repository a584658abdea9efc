"""Dates in running text. The grammar finds them; `dateutil` does the calendar's arithmetic.

`dateparser` reads what the grammar can't, when a date was asked for: on free text it finds too much (see
`benchmarks/extraction.py`).
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

from dateutil.easter import easter
from dateutil.relativedelta import relativedelta
from dateutil.rrule import DAILY, rrule

from otel_shadow.demo.state import Language
from otel_shadow.demo.v2.extract.mention import Mention, first_disjoint
from otel_shadow.demo.v2.extract.normal import normalise

_WEEKDAYS = {
    name: day
    for day, names in enumerate((
        "segunda seg 2a monday mon mondays", "terca ter 3a tuesday tue tues tuesdays",
        "quarta qua 4a wednesday wed weds wednesdays", "quinta qui 5a thursday thu thur thurs thursdays",
        "sexta sex 6a friday fri fridays", "sabado sab saturday sat saturdays", "domingo dom sunday sun sundays",
    ))
    for name in names.split()
}  # fmt: skip
_MONTHS = {
    name: month
    for month, names in enumerate((
        "janeiro january jan", "fevereiro february fev feb", "marco march mar", "abril april abr apr", "maio mai may",
        "junho june jun", "julho july jul", "agosto august ago aug", "setembro september set sep", "outubro october out oct",
        "novembro november nov", "dezembro december dez dec",
    ), start=1)
    for name in names.split()
}  # fmt: skip
# Short names that are words of their own ("ter", "sex", "sat", "may", "out") count only where the context is a date.
_LONG_DAY = r"(?:segunda|terca|quarta|quinta|sexta|sabado|domingo|(?:mon|tues|wednes|thurs|fri|satur|sun)days?)"
_WD = rf"(?P<wd>{'|'.join(sorted(_WEEKDAYS, key=len, reverse=True))})(?:[\s-]*feira)?\b\.?"
_M = rf"(?P<m>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\b\.?"
_D = r"(?P<d>3[01]|[12]\d|0?[1-9])(?:\s?(?:st|nd|rd|th)\b|o\b|\b)"
_ORD = r"(?P<d>3[01]|[12]\d|0?[1-9])\s?(?:st|nd|rd|th)\b"
_Y = r"(?P<y>(?:19|20)\d\d|'?\d\d)"
_Y4 = r"(?P<y>(?:19|20)\d\d)"
_LEAD = rf"(?:{_WD}\s*,?\s*(?:(?:on|the|dia|o|no dia|em|de)\s+)*)?"
_TRAIL = r"(?:\s*,?\s*(?:(?:on|que e|uma|na)\s+)?(?P<wd2>" + _LONG_DAY + r")(?:[\s-]*feira)?)?"
_NO_CLOCK = r"(?!\s*(?::|h\b|hs\b|hrs?\b|horas?\b|am\b|pm\b|a\.m|p\.m|o'?clock|(?:da|de) (?:manha|tarde|noite)))"
_UNIT = r"(?P<unit>dias?|days?|semanas?|weeks?|m[e]s(?:es)?|months?|anos?|years?|fortnights?)"
_COUNT = r"(?P<n>\d{1,3}|um|uma|an?|a couple(?: of)?|couple(?: of)?|uns|umas)"
_NEXT = r"(?P<next>proxim[oa]s?|next|seguinte|following)"
_THIS = r"(?P<this>este|esta|est[ea]s|nest[ea]|ness[ea]|desse|dessa|dest[ea]|this|coming|this coming|upcoming)"
_LAST = r"(?P<last>ultim[oa]|last|past|previous)"
_NEXT_WEEK = r"(?:(?:da|na) (?:proxima semana|semana que vem|outra semana)|(?:of )?next week)"
_THIS_WEEK = r"(?:(?:d?esta|d?essa|nest[ea]|ness[ea]) semana|(?:of )?this week)"
_LAST_WEEK = r"(?:da (?:semana passada|ultima semana)|(?:of )?last week)"
_NOT_A_DAY = (
    r"(?!\s*(?:of all|floor|grade|time|class|person|child|kid|son|daughter|ave|avenue|street|st\b|road|option|one\b|"
    r"year|place|birthday|party|name|andar|serie|ano\b|vez|filh|opcao|semestre|trimestre|semana|century|edition|quarter))"
)

_BIRTH = re.compile(r"\b(?:nasc\w*|born|birthday is|aniversario e)\s+(?:(?:em|no|on|in|dia|the)\s+)*$")

Reader = Callable[["re.Match[str]", date, Language], "date | None"]


def dates(text: str, language: Language, now: datetime, *, asked: bool = False) -> list[Mention[date]]:
    """Find dates; where the year, or more, is missing, the next one from `now` on.

    Args:
        text: the message.
        language: decides whether 3/4 is April 3rd (pt) or March 4th (en).
        now: what relative dates are counted from.
        asked: a date was asked for: if the grammar finds none, `dateparser` may read the whole message.

    """
    normal, today = normalise(text), now.date()
    found: list[Mention[date]] = []
    for pattern, read, score in _READERS:
        for match in pattern.finditer(normal.text):
            value = _guarded(read, match, today, language)
            if value is not None and not _BIRTH.search(normal.text, 0, match.start()):
                found.append(Mention(value, *normal.span(match.start(), match.end()), score))
    kept = first_disjoint(found)
    return kept or (list(_by_library(text, language, now)) if asked else [])


def _guarded(read: Reader, match: re.Match[str], today: date, language: Language) -> date | None:
    try:
        return read(match, today, language)
    except (ValueError, OverflowError):  # the 31st of February, a million weeks ago
        return None


def _by_library(text: str, language: Language, now: datetime) -> Iterator[Mention[date]]:
    import dateparser

    if len(text) > 40 or not any(character.isdigit() for character in text):
        return
    found = dateparser.parse(
        text, languages=[language], settings={"RELATIVE_BASE": now, "PREFER_DATES_FROM": "future", "STRICT_PARSING": True}
    )
    if found is not None:
        yield Mention(found.date(), 0, len(text), 0.6)


def _year(text: str | None) -> int | None:
    if text is None:
        return None
    value = int(text.lstrip("'"))
    return value if value > 99 else value + (2000 if value < 50 else 1900)


def _on(today: date, *, day: int, month: int, year: int | None = None, weekday: int | None = None) -> date:
    """Return the date; without a year the next one, on the given weekday if there is one within six years."""
    if year is not None:
        return date(year, month, day)
    candidates = [_safe(y, month, day) for y in range(today.year, today.year + 9)]
    future = [c for c in candidates if c is not None and c >= today]
    if weekday is not None:
        return next((c for c in future[:6] if c.weekday() == weekday), future[0])
    return future[0]


def _safe(year: int, month: int, day: int) -> date | None:
    return date(year, month, day) if day <= calendar.monthrange(year, month)[1] else None


def _weekday(match: re.Match[str]) -> int | None:
    groups = match.groupdict()
    name = groups.get("wd") or groups.get("wd2")
    return None if name is None else _WEEKDAYS[name]


def _named_month(match: re.Match[str], today: date, language: Language) -> date:
    groups = match.groupdict()
    return _on(
        today, day=int(match["d"]), month=_MONTHS[match["m"]], year=_year(groups.get("y")), weekday=_weekday(match)
    )


def _iso(match: re.Match[str], today: date, language: Language) -> date:
    month = match["m"]
    return date(int(match["y"]), _MONTHS[month] if month in _MONTHS else int(month), int(match["d"]))


def _numeric(match: re.Match[str], today: date, language: Language) -> date:
    first, second, year = int(match["a"]), int(match["b"]), _year(match.groupdict().get("y"))
    day, month = (second, first) if language == "en" else (first, second)
    if month > 12:
        day, month = month, day
    return _on(today, day=day, month=month, year=year, weekday=_weekday(match))


def _of_month(match: re.Match[str], today: date, language: Language) -> date:
    """A day of this, the next or the last month."""
    groups = match.groupdict()
    day = int(match["d"])
    shift = 1 if groups.get("next") else -1 if groups.get("last") else 0
    return today.replace(day=1) + relativedelta(months=shift) + timedelta(days=day - 1)


def _day_of_month(match: re.Match[str], today: date, language: Language) -> date | None:
    """The next such day of a month, on the weekday that was said with it, if any."""
    day, weekday = int(match["d"]), _weekday(match)
    if match.groupdict().get("last"):
        return next((d for d in (today - timedelta(days=n) for n in range(1, 62)) if d.day == day), None)
    start = datetime.combine(today, datetime.min.time())
    rule = rrule(DAILY, dtstart=start, bymonthday=day, byweekday=weekday, count=1, until=start + timedelta(days=1500))
    return next((found.date() for found in rule), None)


def _on_weekday(match: re.Match[str], today: date, language: Language) -> date:
    groups, weekday = match.groupdict(), _WEEKDAYS[match["wd"]]
    monday = today - timedelta(days=today.weekday())
    if groups.get("weekafter") or groups.get("next"):
        return monday + timedelta(days=7 + weekday)
    if groups.get("weekbefore"):
        return monday + timedelta(days=weekday - 7)
    if groups.get("last"):
        return today - timedelta(days=(today.weekday() - weekday - 1) % 7 + 1)
    if groups.get("thisweek"):
        return monday + timedelta(days=weekday)
    if groups.get("plus"):
        return today + timedelta(days=(weekday - today.weekday()) % 7 + 7)
    return today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)


_DAYS = {
    "depois de amanha": 2, "day after tomorrow": 2, "amanha": 1, "tomorrow": 1, "hoje": 0, "today": 0, "tonight": 0,
    "this": 0, "ontem": -1, "yesterday": -1, "last night": -1, "anteontem": -2, "antes de ontem": -2,
    "day before yesterday": -2,
}  # fmt: skip


def _relative_day(match: re.Match[str], today: date, language: Language) -> date:
    return today + timedelta(days=_DAYS[" ".join(match["rel"].split())])


def _shifted(match: re.Match[str], today: date, language: Language) -> date:
    groups = match.groupdict()
    count = groups["n"].split()[0]
    number = int(count) if count.isdigit() else {"couple": 2, "uns": 2, "umas": 2}.get(count, 1)
    if "couple" in groups["n"]:
        number = 2
    if groups.get("ago"):
        number = -number
    unit = groups["unit"]
    start = today + timedelta(days=1 if groups.get("base") in ("tomorrow", "amanha") else 0)
    if unit.startswith(("dia", "day")):
        return start + timedelta(days=number)
    if unit.startswith(("semana", "week", "fortnight")):
        return start + timedelta(weeks=number * (2 if unit.startswith("f") else 1))
    return start + (relativedelta(months=number) if unit.startswith("m") else relativedelta(years=number))


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


_FIXED = {
    "vespera de natal": (12, 24), "christmas eve": (12, 24), "dia de natal": (12, 25), "natal": (12, 25),
    "christmas day": (12, 25), "christmas": (12, 25), "xmas": (12, 25), "vespera de ano novo": (12, 31),
    "new year's eve": (12, 31), "new years eve": (12, 31), "reveillon": (12, 31), "ano novo": (1, 1),
    "new year's day": (1, 1), "new years day": (1, 1), "new year": (1, 1), "dia do trabalhador": (5, 1),
    "dia do trabalho": (5, 1), "tiradentes": (4, 21), "dia dos namorados": (6, 12), "dia da independencia": (9, 7),
    "dia das criancas": (10, 12), "finados": (11, 2), "dia dos professores": (10, 15), "halloween": (10, 31),
    "valentine's day": (2, 14), "valentines day": (2, 14), "independence day": (7, 4), "consciencia negra": (11, 20),
}  # fmt: skip
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


def _holiday(match: re.Match[str], today: date, language: Language) -> date:
    name, year = match["holiday"], _year(match.groupdict().get("y"))
    rule = _MOVING.get(name) or (lambda y: date(y, *_FIXED[name]))
    if year is not None:
        return rule(year)
    return rule(today.year) if rule(today.year) >= today else rule(today.year + 1)


_HOLIDAYS = "|".join(sorted(map(re.escape, (*_FIXED, *_MOVING)), key=len, reverse=True))
_REL = "|".join(sorted((name for name in _DAYS if name != "this"), key=len, reverse=True)).replace(" ", r"\s+")
_OF_MONTH = (
    r"\s+(?:of|in|do|de|no|d)\s*(?:the\s+)?(?:(?P<next>proximo mes|mes que vem|mes seguinte|next month|coming month)|"
    r"(?P<last>mes passado|last month)|este mes|esse mes|deste mes|desse mes|this month|the month|mes|current month)\b"
)


def _compile(*rules: tuple[str, Reader, float]) -> tuple[tuple[re.Pattern[str], Reader, float], ...]:
    return tuple((re.compile(pattern), reader, score) for pattern, reader, score in rules)


_READERS = _compile(
    # 2020-05-13, 2015.5.13, 2016 - 12 - 22
    (r"\b(?P<y>(?:19|20)\d\d)\s?[-/.]\s?(?P<m>0?[1-9]|1[0-2])\s?[-/.]\s?(?P<d>3[01]|[12]\d|0?[1-9])\b", _iso, 0.95),
    # 2020/23/set, setembro-2020-23
    (rf"\b{_Y4}\s?[-/.]\s?{_D}\s?[-/.]\s?{_M}", _iso, 0.9),
    (rf"\b{_M}\s?[-/.]\s?{_Y4}\s?[-/.]\s?{_D}", _iso, 0.9),
    # sexta, 12 de setembro de 2014; the 5th of May; 2-Out
    (
        rf"\b{_LEAD}(?:the\s+)?{_D}\s*(?:-|/|,)?\s*(?:(?:de|of|do mes de|in|d)\s+)?{_M}"
        rf"(?:(?:\s*,?\s*(?:de|of|in|do ano de|-|/)?\s*){_Y4}\b|(?:\s*(?:-|/|\bde\s)\s*){_Y.replace('<y>', '<y2>')}\b{_NO_CLOCK})?{_TRAIL}",
        lambda m, t, lang: _on(
            t, day=int(m["d"]), month=_MONTHS[m["m"]], year=_year(m["y"] or m["y2"]), weekday=_weekday(m)
        ),
        0.95,
    ),
    # March the 8th, 2018; Maio 21
    (rf"\b{_LEAD}{_M}\s*,?\s*(?:the\s+|dia\s+)?{_D}(?!\d|/){_NO_CLOCK}(?:\s*,?\s*(?:of\s+|de\s+)?{_Y4}\b)?{_TRAIL}", _named_month, 0.95),
    # 31/10/74, 1.3.2013, 08/12,2015
    (rf"\b{_LEAD}(?P<a>\d{{1,2}})\s?([/.-])\s?(?P<b>\d{{1,2}})(?:\s?\3\s?|,\s?){_Y}\b(?!\s?[:/])", _numeric, 0.95),
    # 9 de 8 de 1971
    (rf"\b{_LEAD}(?P<a>\d{{1,2}}) (?:de|do) (?P<b>\d{{1,2}})(?: (?:de|do) {_Y4})\b", _numeric, 0.9),
    # 17/2
    (rf"(?<![\d/.,-]){_LEAD}(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}})\b(?![/,.]?\d)", _numeric, 0.85),
    # the 5th of this month, dia 5 do mes que vem
    (rf"\b{_LEAD}(?:the\s+|dia\s+)?{_D}{_OF_MONTH}", _of_month, 0.95),
    # Friday the 13th, terca-feira dia 25
    (rf"\b{_LEAD.replace('?P<wd>', '?P<wd>').removesuffix('?')}(?P<d>3[01]|[12]\d|0?[1-9])(?:\s?(?:st|nd|rd|th)\b|o\b|\b){_NO_CLOCK}(?![/\d%]| (?:pessoas|people|de\s\d))", _day_of_month, 0.85),
    # holidays
    (rf"\b(?P<holiday>{_HOLIDAYS})\b(?:\s+(?:de\s+|of\s+)?{_Y4}\b)?", _holiday, 0.85),
    # next Tuesday, domingo da proxima semana, last Monday, sexta que vem
    (rf"\b{_WD},?\s+(?:(?P<weekafter>{_NEXT_WEEK})|(?P<weekbefore>{_LAST_WEEK})|(?P<thisweek>{_THIS_WEEK})|(?P<plus>in a week|week)\b)", _on_weekday, 0.95),
    (rf"\b(?P<weekafter>next week|(?:na )?(?:semana que vem|proxima semana)),?\s+(?:on\s+|na\s+|no\s+)?{_WD}", _on_weekday, 0.9),
    (rf"\b{_NEXT}\s+{_WD}", _on_weekday, 0.95),
    (rf"\b{_LAST}\s+{_WD}", _on_weekday, 0.95),
    (rf"\b{_THIS}\s+{_WD}", _on_weekday, 0.95),
    (rf"\b{_WD}\s+(?P<last>passad[oa])\b", _on_weekday, 0.95),
    (rf"\b{_WD}\s+(?P<next>next)\b", _on_weekday, 0.9),
    (rf"\b{_WD}\s+(?:que vem|proxim[oa]|agora)\b", _on_weekday, 0.95),
    # two weeks ago, daqui a 3 dias, in 10 days, 6 days from now
    (rf"\b(?:ha|faz(?:em)?)\s+{_COUNT}\s+{_UNIT}(?P<ago>)(?:\s+atras)?\b(?!\s+que\b)", lambda m, t, lang: _past(m, t), 0.9),
    (rf"\b{_COUNT}\s+{_UNIT}\s+(?P<ago>ago|atras|before today|antes de hoje|earlier)\b", _shifted, 0.9),
    (rf"\b{_COUNT}\s+{_UNIT}\s+(?:away\s+)?(?:from|a partir de|depois de)\s+(?P<base>now|today|tomorrow|hoje|agora|amanha)\b", _shifted, 0.95),
    (rf"\b(?:in|daqui a|daqui|dentro de|em|within)\s+(?:about\s+|uns\s+)?{_COUNT}\s+{_UNIT}\b(?:'? time)?", _shifted, 0.9),
    # tomorrow, ontem
    (rf"\b(?:o\s+)?(?:dia\s+|the\s+)?(?P<rel>{_REL})(?:'?s)?\b", _relative_day, 0.95),
    (r"\b(?P<rel>this) (?:morning|afternoon|evening|night)\b", _relative_day, 0.7),
    # dia 15, the 15th, no 15
    (rf"\bdia\s+{_D}(?![/\d])", _day_of_month, 0.9),
    (rf"\b(?:{_LAST}\s+)?(?:the\s+)?(?![1-3]th){_ORD}{_NOT_A_DAY}", _day_of_month, 0.8),
    # "the first" only where nothing follows that it could be the first of
    (r"\b(?:on |for )?the (?P<d>[1-3])th\b(?=\s*(?:$|[.,;!?]|at |around |please))", _day_of_month, 0.6),
    (r"\bn?o (?P<d>3[01]|[12]\d|[1-9])(?=\s*(?:$|[.,;!?]))", _day_of_month, 0.6),
    # Monday, segunda-feira
    (rf"(?P<wd0>)\b(?P<wd>{_LONG_DAY})(?:[\s-]*feira)?\b(?!\s+(?:vez|serie|opcao|aula|parcela|semana|turma|via|mao|filh|parte|crianca))", _on_weekday, 0.85),
    (rf"(?:^|(?<=[,;] )|\b(?:na|no|on|ou|or|this|ate|e|and) |^\W*)(?P<wd>(?:seg|ter|qua|qui|sex|sab|dom|mon|tues?|weds?|thur?s?|fri|sat|sun))\b\.?(?=\s*(?:$|[.,;!?]|as |at |de manha|a tarde|ou |or |e |and |to |-))", _on_weekday, 0.7),
    (rf"\b(?P<wd>seg|ter|qua|qui|sex|sab|dom)\b(?=\s+(?:ou\s+|e\s+)?(?:{'|'.join(_WEEKDAYS)})\b)", _on_weekday, 0.7),
)  # fmt: skip


def _past(match: re.Match[str], today: date) -> date:
    groups = match.groupdict()
    count = groups["n"].split()[0]
    number = int(count) if count.isdigit() else 1
    unit = groups["unit"]
    if unit.startswith(("dia", "day")):
        return today - timedelta(days=number)
    if unit.startswith(("semana", "week")):
        return today - timedelta(weeks=number)
    return today - (relativedelta(months=number) if unit.startswith("m") else relativedelta(years=number))
