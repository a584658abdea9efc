"""Dates in running text: regular expressions find them, `dateutil` does the calendar's arithmetic.

`dateparser` reads what these can't, when a date was asked for: on free text it finds too much (see
`benchmarks/extraction.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from otel_shadow._demo.state import Language
from otel_shadow._demo.v2.extract.normal import Mention, first_disjoint, normalise, numbered, rule
from otel_shadow.errors import require

relativedelta = require("dateutil.relativedelta", "demo").relativedelta
_rules = require("dateutil.rrule", "demo")


WEEKDAYS = numbered(
    "segunda seg 2a monday mon mondays|terca ter 3a tuesday tue tues tuesdays|quarta qua 4a wednesday wed wednesdays|"
    "quinta qui 5a thursday thu thurs thursdays|sexta sex 6a friday fri fridays|sabado sab saturday sat saturdays|"
    "domingo dom sunday sun sundays",
    first=0,
)
MONTHS = numbered(
    "janeiro january jan|fevereiro february fev feb|marco march mar|abril april abr apr|maio mai may|junho june jun|"
    "julho july jul|agosto august ago aug|setembro september set sep|outubro october out oct|novembro november nov|"
    "dezembro december dez dec",
    first=1,
)
RELATIVE = {
    "day before yesterday": -2, "antes de ontem": -2, "anteontem": -2, "yesterday": -1, "last night": -1, "ontem": -1,
    "day after tomorrow": 2, "depois de amanha": 2, "tomorrow": 1, "amanha": 1, "tonight": 0, "today": 0, "hoje": 0,
}  # fmt: skip

_LONG_DAY = r"(?:segunda|terca|quarta|quinta|sexta|sabado|domingo|(?:mon|tues|wednes|thurs|fri|satur|sun)days?)"
_WD = rf"(?P<wd>{'|'.join(sorted(WEEKDAYS, key=len, reverse=True))})(?:[\s-]*feira)?\b\.?"
_LEAD = rf"(?:{_WD}\s*,?\s*(?:(?:on|the|dia|o|em|de)\s+)*)?"
_TRAIL = rf"(?:\s*,?\s*(?:on\s+)?(?P<wd2>{_LONG_DAY})(?:[\s-]*feira)?)?"
_M = rf"(?P<m>{'|'.join(sorted(MONTHS, key=len, reverse=True))})\b\.?"
_DAY = r"3[01]|[12]\d|0?[1-9]"
_D = rf"(?P<d>{_DAY})(?:\s?(?:st|nd|rd|th)\b|o\b|\b)"
_Y = r"(?P<y>(?:19|20)\d\d|'?\d\d)\b(?!\s?:|\s*(?:h|hs|horas|am|pm)\b)"
_Y4 = r"(?P<y>(?:19|20)\d\d)\b"
_UNIT = r"(?:dia|day|semana|week|mes(?:es)?|month|ano|year)s?"
_COUNT = rf"(?P<n>\d{{1,3}}|um|uma|an?|(?:a )?couple(?: of)?)\s+(?P<unit>{_UNIT})"
_NOT_A_DAY = (
    r"(?!\s*(?:of|floor|grade|time|class|person|child|kid|son|daughter|avenue|street|option|one\b|year|birthday|"
    r"ano\b|serie|andar|vez|filh|semestre|semana))"
)
_NOT_A_CLOCK = r"(?!\s*(?::|h\b|hs\b|horas?\b|am\b|pm\b|a\.m|p\.m|o'?clock|(?:da|de) (?:manha|tarde|noite)))"
_BIRTH = re.compile(r"\b(?:nasc\w*|born|birthday is|aniversario e)\s+(?:(?:em|no|on|in|dia|the)\s+)*$")

Groups = dict[str, Any]
Reader = Callable[[Groups, date, Language], "date | None"]


def dates(text: str, language: Language, now: datetime, *, asked: bool = False) -> list[Mention[date]]:
    """Find dates; where the year, or more, is missing, the next one from `now` on.

    `language` decides whether 3/4 is April 3rd (pt) or March 4th (en). With `asked`, if nothing is found, `dateparser`
    may read the whole message.
    """
    normal, today = normalise(text), now.date()
    found: list[Mention[date]] = []
    for pattern, read, score in _READERS if _HINT.search(normal.text) else ():
        for match in pattern.finditer(normal.text):
            value = _guarded(read, match.groupdict(), today, language)
            if value is not None and not _BIRTH.search(normal.text, 0, match.start()):
                found.append(Mention(value, *normal.span(match.start(), match.end()), score))
    return first_disjoint(found) or (list(_by_library(text, language, now)) if asked else [])


def _guarded(read: Reader, groups: Groups, today: date, language: Language) -> date | None:
    try:
        return read(groups, today, language)
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


def _next(today: date, parts: Mapping[str, int], *, strictly: bool = False) -> date | None:
    """Return the next date whose month, day and weekday are `parts` (`bymonth`, `bymonthday`, `byweekday`)."""
    start = datetime.combine(today, datetime.min.time())
    rule = _rules.rrule(_rules.YEARLY, dtstart=start, until=start + timedelta(days=2200), **parts)
    return next((found.date() for found in rule if found > start or not strictly), None)


def _on(groups: Groups, today: date, month: int | None) -> date | None:
    """Return the day `groups["d"]`: of the year that was said, else the next one, on the weekday that was said."""
    year, weekday = groups.get("y") or groups.get("y2"), WEEKDAYS.get(groups.get("wd") or groups.get("wd2") or "")
    day = int(groups["d"])
    if year and month:
        number = int(year.lstrip("'"))
        return date(number if number > 99 else number + (2000 if number < 50 else 1900), month, day)
    parts = {"bymonthday": day} | ({"bymonth": month} if month else {})
    return (_next(today, parts | {"byweekday": weekday}) if weekday is not None else None) or _next(today, parts)


def _named(groups: Groups, today: date, language: Language) -> date | None:
    return _on(groups, today, MONTHS[groups["m"]] if groups.get("m") else None)


def _numeric(groups: Groups, today: date, language: Language) -> date | None:
    day, month = int(groups["a"]), int(groups["b"])
    if month > 12 or (language == "en" and day <= 12):
        day, month = month, day
    return _on({**groups, "d": day}, today, month)


def _year_first(groups: Groups, today: date, language: Language) -> date:
    return date(int(groups["y"]), int(groups["a"]), int(groups["b"]))


def _of_month(groups: Groups, today: date, language: Language) -> date:
    months = 1 if groups["next"] else -1 if groups["last"] else 0
    first: date = today.replace(day=1) + relativedelta(months=months)
    return first.replace(day=int(groups["d"]))


def _weekday(groups: Groups, today: date, language: Language) -> date | None:
    """Return a weekday of this, the next or the last week where that was said, else the next one."""
    weekday = WEEKDAYS[groups["wd"]]
    of_this_week = today + timedelta(days=weekday - today.weekday())
    if groups.get("last"):
        return today - timedelta(days=(today.weekday() - weekday - 1) % 7 + 1)
    for weeks, name in ((1, "next"), (1, "weekafter"), (-1, "weekbefore"), (0, "thisweek")):
        if groups.get(name):
            return of_this_week + timedelta(weeks=weeks)
    if groups.get("plus"):
        return today + timedelta(days=(weekday - today.weekday()) % 7, weeks=1)
    return _next(today, {"byweekday": weekday}, strictly=True)


def _shifted(groups: Groups, today: date, language: Language) -> date:
    count, unit = groups["n"], groups["unit"]
    number = int(count) if count.isdigit() else 2 if "couple" in count else 1
    kind = {"d": "days", "s": "weeks", "w": "weeks", "m": "months"}.get(unit[0], "years")
    start = today + timedelta(days=groups.get("base") in ("tomorrow", "amanha"))
    shifted: date = start + relativedelta(**{kind: -number if groups.get("ago") else number})
    return shifted


def _relative(groups: Groups, today: date, language: Language) -> date:
    return today + timedelta(days=RELATIVE.get(" ".join(groups["rel"].split()), 0))


_READERS: tuple[tuple[re.Pattern[str], Reader, float], ...] = (
    # 2020-05-13, 2015.5.13
    rule(_year_first, 0.95, rf"\b{_Y4}\s?[-/.]\s?(?P<a>\d{{1,2}})\s?[-/.]\s?(?P<b>\d{{1,2}})\b"),
    # sexta, 12 de setembro de 2014; the 5th of May; 2-Out; 2 de outubro de 92
    rule(
        _named, 0.95, rf"\b{_LEAD}(?:the\s+)?{_D}\s*(?:(?:de|of|in|-|/|,)\s*)?{_M}",
        rf"(?:\s*,?\s*(?:de\s|of\s|-|/)?\s*{_Y4}|\s*(?:-|/|\bde\s|\s(?='))\s*{_Y.replace('<y>', '<y2>')})?{_TRAIL}",
    ),
    # March the 8th, 2018; Maio 21
    rule(
        _named, 0.95, rf"\b{_LEAD}{_M}\s*,?\s*(?:the\s+|dia\s+)?{_D}(?!\d|/){_NOT_A_CLOCK}",
        rf"(?:\s*,?\s*(?:of\s|de\s)?\s*{_Y4})?{_TRAIL}",
    ),
    # 31/10/74, 1.3.2013, 17/2
    rule(_numeric, 0.95, rf"\b{_LEAD}(?P<a>\d{{1,2}})\s?[/.-]\s?(?P<b>\d{{1,2}})\s?[/.,-]\s?{_Y}(?!\s?[:/])"),
    rule(_numeric, 0.85, rf"(?<![\d/.,-]){_LEAD}(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}})\b(?![/,.]?\d)"),
    # the 5th of this month, dia 5 do mes que vem
    rule(
        _of_month, 0.95, rf"\b(?:the\s+|dia\s+)?{_D}\s+(?:of|do|de|d)?\s*",
        r"(?:(?P<next>proximo mes|mes que vem|next month)|(?P<last>mes passado|last month)|",
        r"(?:d?este|d?esse|this|the) (?:mes|month))\b",
    ),
    # Friday the 13th, terca-feira dia 25
    rule(_named, 0.85, rf"\b{_LEAD.removesuffix('?')}{_D}{_NOT_A_CLOCK}(?![/\d%]| (?:pessoas|people|de\s\d))"),
    # next Tuesday, domingo da proxima semana, last Monday, sexta que vem
    rule(
        _weekday, 0.95, rf"\b{_WD},?\s+(?:",
        r"(?P<weekafter>(?:(?:da|na) )?(?:proxima semana|semana que vem)|(?:of )?next week)|",
        r"(?P<weekbefore>da semana passada|(?:of )?last week)|(?P<thisweek>d?e[sn][st][ae] semana|(?:of )?this week)|",
        r"(?P<plus>in a week)|(?P<last>passad[oa]))\b",
    ),
    rule(_weekday, 0.95, rf"\b(?:(?P<next>proxim[oa]|next(?: week)?)|(?P<last>ultim[oa]|last))\s+(?:on |na )?{_WD}"),
    # two weeks ago, daqui a 3 dias, in 10 days, 6 days from now
    rule(
        _shifted, 0.9, rf"\b{_COUNT}\s+(?:(?P<ago>ago|atras|antes de hoje)|",
        r"(?:away )?(?:from|a partir de) (?P<base>now|today|tomorrow|hoje|agora|amanha))\b",
    ),
    rule(_shifted, 0.9, rf"\b(?:in|daqui a|daqui|dentro de|em)\s+{_COUNT}\b"),
    rule(_relative, 0.95, rf"\b(?:dia |the )?(?P<rel>{'|'.join(RELATIVE)})(?:'?s)?\b".replace(" ", r"\s+")),
    rule(_relative, 0.7, r"\bthis (?P<rel>morning|afternoon|evening|night)\b"),
    # dia 15, the 15th
    rule(_named, 0.9, rf"\bdia\s+{_D}(?![/\d])"),
    rule(_named, 0.8, rf"\b(?:the\s+)?(?<![:-])(?![1-3]th)(?P<d>{_DAY})\s?(?:st|nd|rd|th)\b{_NOT_A_DAY}"),
    # Monday, segunda-feira; seg, qua where a date is likely
    rule(_weekday, 0.85, rf"\b(?P<wd>{_LONG_DAY})(?:[\s-]*feira)?\b(?!\s+(?:vez|serie|opcao|aula|semana|turma|filh))"),
    rule(
        _weekday, 0.7, r"(?:^\W*|[,;]\s|\b(?:na|no|ou|e|on|or|and) )",
        r"(?P<wd>seg|ter|qua|qui|sex|sab|dom|mon|tues?|wed|thurs?|fri|sat|sun)\b\.?",
        r"(?=\s*(?:$|[.,;!?]|as |at |ou |or |e |and ))",
    ),
)  # fmt: skip
# One cheap look spares most messages all of them.
_HINT = re.compile(rf"\d|\b(?:{'|'.join((*WEEKDAYS, *MONTHS, *RELATIVE))}|this|{_UNIT})")
