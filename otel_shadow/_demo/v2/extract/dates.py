"""Dates in running text. The grammar finds them; `dateutil` does the calendar's arithmetic.

`dateparser` reads what the grammar can't, when a date was asked for: on free text it finds too much (see
`benchmarks/extraction.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime

from otel_shadow._demo.state import Language
from otel_shadow._demo.v2.extract import resolve_date as to
from otel_shadow._demo.v2.extract.calendar_words import (
    COUNT,
    LAST,
    LAST_WEEK,
    LEAD,
    LONG_DAY,
    MONTHS,
    NEXT,
    NEXT_WEEK,
    NO_CLOCK,
    NOT_A_DAY,
    NTH,
    OF_MONTH,
    ORD,
    REL,
    THIS,
    THIS_WEEK,
    TRAIL,
    UNIT,
    WD,
    WEEKDAYS,
    Y4,
    D,
    M,
    Y,
)
from otel_shadow._demo.v2.extract.holidays import HOLIDAYS
from otel_shadow._demo.v2.extract.mention import Mention, first_disjoint
from otel_shadow._demo.v2.extract.normal import normalise
from otel_shadow.errors import require

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
    if not _HINT.search(normal.text):
        return []
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
    if len(text) > 40 or not any(character.isdigit() for character in text):
        return
    found = require("dateparser", "demo").parse(
        text,
        languages=[language],
        settings={"RELATIVE_BASE": now, "PREFER_DATES_FROM": "future", "STRICT_PARSING": True},
    )
    if found is not None:
        yield Mention(found.date(), 0, len(text), 0.6)


def _compile(*rules: tuple[str, Reader, float]) -> tuple[tuple[re.Pattern[str], Reader, float], ...]:
    return tuple((re.compile(pattern), reader, score) for pattern, reader, score in rules)


_READERS = _compile(
    # 2020-05-13, 2015.5.13, 2016 - 12 - 22
    (
        r"\b(?P<y>(?:19|20)\d\d)\s?[-/.]\s?(?P<m>0?[1-9]|1[0-2])\s?[-/.]\s?(?P<d>3[01]|[12]\d|0?[1-9])\b",
        to.year_month_day,
        0.95,
    ),
    # 2020/23/set, setembro-2020-23
    (rf"\b{Y4}\s?[-/.]\s?{D}\s?[-/.]\s?{M}", to.year_month_day, 0.9),
    (rf"\b{M}\s?[-/.]\s?{Y4}\s?[-/.]\s?{D}", to.year_month_day, 0.9),
    # sexta, 12 de setembro de 2014; the 5th of May; 2-Out
    (
        (
            rf"\b{LEAD}(?:the\s+)?{D}\s*(?:-|/|,)?\s*(?:(?:de|of|do mes de|in|d)\s+)?{M}"
            rf"(?:(?:\s*,?\s*(?:de|of|in|do ano de|-|/)?\s*){Y4}\b|(?:\s*(?:-|/|"
            rf"\bde\s|\s(?='))\s*){Y.replace('<y>', '<y2>')}\b{NO_CLOCK})?{TRAIL}"
        ),
        to.named_month_short_year,
        0.95,
    ),
    # March the 8th, 2018; Maio 21
    (
        (
            rf"\b{LEAD}{M}\s*,?\s*(?:the\s+|dia\s+)?{D}(?!\d|/){NO_CLOCK}(?:\s*,?\s*(?:of\s+|"
            rf"de\s+)?{Y4}\b)?{TRAIL}"
        ),
        to.named_month,
        0.95,
    ),
    # 31/10/74, 1.3.2013, 08/12,2015
    (rf"\b{LEAD}(?P<a>\d{{1,2}})\s?([/.-])\s?(?P<b>\d{{1,2}})(?:\s?\3\s?|,\s?){Y}\b(?!\s?[:/])", to.numeric, 0.95),
    # 9 de 8 de 1971
    (rf"\b{LEAD}(?P<a>\d{{1,2}}) (?:de|do) (?P<b>\d{{1,2}})(?: (?:de|do) {Y4})\b", to.numeric, 0.9),
    # 17/2
    (rf"(?<![\d/.,-]){LEAD}(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}})\b(?![/,.]?\d)", to.numeric, 0.85),
    # last Monday of March, terceira terca de setembro, ultimo dia do mes
    (
        (
            rf"\b(?:the\s+|[oa]\s+)?(?P<nth>{'|'.join(NTH)})\s+(?:{WD}|days?|dia)\s+(?:of|in|de|do|em|no)\s+"
            rf"(?:the\s+)?(?:mes de\s+)?(?:{M}(?:\s+(?:de\s+|of\s+)?{Y4})?\b|(?P<next>proximo mes|mes que vem|"
            r"next month)|"
            r"(?:este |this )?(?:mes|month)\b)"
        ),
        to.nth_of_month,
        0.95,
    ),
    # 15 do 3, 15 do mes 3
    (
        r"\b(?P<a>3[01]|[12]?\d) d[eo] (?:mes )?(?P<b>1[0-2]|0?[1-9])\b(?! ?[/:h%]| \w*(?:anos|dias))",
        to.numeric_day_first,
        0.7,
    ),
    # the 5th of this month, dia 5 do mes que vem
    (rf"\b{LEAD}(?:the\s+|dia\s+)?{D}{OF_MONTH}", to.day_of_that_month, 0.95),
    # Friday the 13th, terca-feira dia 25
    (
        (
            rf"\b{LEAD.replace('?P<wd>', '?P<wd>').removesuffix('?')}(?P<d>3[01]|[12]\d|0?[1-9])(?:\s?(?:st|nd|"
            rf"rd|th)\b|o\b|\b){NO_CLOCK}(?![/\d%]| (?:pessoas|people|de\s\d))"
        ),
        to.day_of_month,
        0.85,
    ),
    # holidays
    (rf"\b(?P<holiday>{HOLIDAYS})\b(?:\s+(?:de\s+|of\s+)?{Y4}\b)?", to.holiday, 0.85),
    # next Tuesday, domingo da proxima semana, last Monday, sexta que vem
    (
        (
            rf"\b{WD},?\s+(?:(?P<weekafter>{NEXT_WEEK})|(?P<weekbefore>{LAST_WEEK})|"
            rf"(?P<thisweek>{THIS_WEEK})|(?P<plus>in a week|week)\b)"
        ),
        to.weekday,
        0.95,
    ),
    (
        (
            r"\b(?P<weekafter>next week|(?:na )?(?:semana que vem|proxima semana)),?\s+(?:on\s+|na\s+|"
            rf"no\s+)?{WD}"
        ),
        to.weekday,
        0.9,
    ),
    (rf"\b{NEXT}\s+{WD}", to.weekday, 0.95),
    (rf"\b{LAST}\s+{WD}", to.weekday, 0.95),
    (rf"\b{THIS}\s+{WD}", to.weekday, 0.95),
    (rf"\b{WD}\s+(?P<last>passad[oa])\b", to.weekday, 0.95),
    (rf"\b{WD}\s+(?P<next>next)\b", to.weekday, 0.9),
    (rf"\b{WD}\s+(?:que vem|proxim[oa]|agora)\b", to.weekday, 0.95),
    # two weeks ago, daqui a 3 dias, in 10 days, 6 days from now
    (
        rf"\b(?:ha|faz(?:em)?)\s+{COUNT}\s+{UNIT}(?P<ago>)(?:\s+atras)?\b(?!\s+que\b)",
        to.past,
        0.9,
    ),
    (rf"\b{COUNT}\s+{UNIT}\s+(?P<ago>ago|atras|before today|antes de hoje|earlier)\b", to.shifted, 0.9),
    (
        (
            rf"\b{COUNT}\s+{UNIT}\s+(?:away\s+)?(?:from|a partir de|depois de)\s+(?P<base>now|today|tomorrow|"
            r"hoje|agora|amanha)\b"
        ),
        to.shifted,
        0.95,
    ),
    (
        (
            r"\b(?:in|daqui a|daqui|dentro de|em|within)\s+(?:about\s+|"
            rf"uns\s+)?{COUNT}\s+{UNIT}\b(?:'? time)?"
        ),
        to.shifted,
        0.9,
    ),
    # tomorrow, ontem
    (rf"\b(?:o\s+)?(?:dia\s+|the\s+)?(?P<rel>{REL})(?:'?s)?\b", to.relative_day, 0.95),
    (r"\b(?P<rel>this) (?:morning|afternoon|evening|night)\b", to.relative_day, 0.7),
    # dia 15, the 15th, no 15
    (rf"\bdia\s+{D}(?![/\d])", to.day_of_month, 0.9),
    (rf"\b(?:{LAST}\s+)?(?:the\s+)?(?![1-3]th){ORD}{NOT_A_DAY}", to.day_of_month, 0.8),
    # "the first" only where nothing follows that it could be the first of
    (r"\b(?:on |for )?the (?P<d>[1-3])th\b(?=\s*(?:$|[.,;!?]|at |around |please))", to.day_of_month, 0.6),
    (r"\bn?o (?P<d>3[01]|[12]\d|[1-9])(?=\s*(?:$|[.,;!?]))", to.day_of_month, 0.6),
    # Monday, segunda-feira
    (
        (
            rf"(?P<wd0>)\b(?P<wd>{LONG_DAY})(?:[\s-]*feira)?\b(?!\s+(?:vez|serie|opcao|aula|parcela|semana|"
            r"turma|via|mao|filh|parte|crianca))"
        ),
        to.weekday,
        0.85,
    ),
    (
        (
            r"(?:^|(?<=[,;] )|\b(?:na|no|on|ou|or|this|ate|e|and) |^\W*)(?P<wd>(?:seg|ter|qua|qui|sex|sab|dom|"
            r"mon|tues?|weds?|thur?s?|fri|sat|sun))\b\.?(?=\s*(?:$|[.,;!?]|as |at |de manha|a tarde|ou |or |e |"
            r"and |to |-))"
        ),
        to.weekday,
        0.7,
    ),
    (rf"\b(?P<wd>seg|ter|qua|qui|sex|sab|dom)\b(?=\s+(?:ou\s+|e\s+)?(?:{'|'.join(WEEKDAYS)})\b)", to.weekday, 0.7),
)

# One cheap look spares most messages the whole grammar.
_HINT = re.compile(
    rf"\d|\b(?:{'|'.join((*WEEKDAYS, *MONTHS))})|{REL}|\bthis (?:morning|afternoon|evening|night)|"
    rf"{HOLIDAYS}|{UNIT}"
)
