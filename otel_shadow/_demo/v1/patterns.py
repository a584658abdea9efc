"""V1's regular expressions: names, ages, education levels, dates and times, in Portuguese and English."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from otel_shadow._demo.language import words


@dataclass(frozen=True)
class Found:
    """A value and where it stands in the text (end exclusive)."""

    value: Any
    start: int
    end: int


_I = re.IGNORECASE
_Reader = tuple[re.Pattern[str], Callable[[re.Match[str]], Any]]


def _read(text: str, readers: tuple[_Reader, ...]) -> list[Found]:
    """Return what the readers find, each value where none stands yet, in the order of the text."""
    found: list[Found] = []
    for pattern, read in readers:
        for match in pattern.finditer(text):
            value = read(match)
            if value and not any(f.start < match.end() and match.start() < f.end for f in found):
                found.append(Found(value, match.start(), match.end()))
    return sorted(found, key=lambda f: f.start)


_NAME = r"([^\W\d_][\w'’-]+(?:\s+(?!e\b|and\b|tenho\b|quero\b|gostaria\b|i\b|mas\b|but\b)[^\W\d_][\w'’-]+){0,3})"
_SELF = re.compile(
    r"\b(?:meu nome [ée]|me chamo|aqui [ée] (?:o |a )?|eu sou (?:o |a )?|sou (?:o |a )|"
    r"my name is|my name's|i am called|call me|this is|i'm|i am)\s*" + _NAME,
    _I,
)
_CHILD = re.compile(
    r"\b(?:filh[oa]|crian[çc]a|net[oa]|son|daughter|child|kid|boy|girl)"
    r"(?:\s+(?:se chama|chama-se|chama|[ée] (?:o |a )?|is called|is named|is|'s name is|name is))\s+" + _NAME,
    _I,
)
_CHILD_NAME = re.compile(
    r"\b(?:nome (?:dele|dela|do meu filho|da minha filha) [ée]|(?:his|her|child's|kid's) name is|"
    r"(?:ele|ela) se chama|(?:he|she)(?:'s| is) called)\s*" + _NAME,
    _I,
)
_BARE = re.compile(r"^\s*(?:[ée] (?:o |a )?)?([^\W\d_][\w'’-]+(?:\s+[^\W\d_][\w'’-]+){0,3})\s*[.!]?\s*$", _I)
_CUT = re.compile(
    r"\s+(?:tem|has|is|com|with|de|from|aqui|here|e|and|for|para|por|please|que|who|querendo|looking|mãe|pai)\b.*$",
    _I,
)
_NOT_NAMES = words(
    """oi olá ola sim não nao ok bom boa dia tarde noite obrigado obrigada tudo bem quero queria preciso yes no hi hello
    hey thanks thank you please good morning afternoon evening looking interested calling going trying not sorry happy
    the a an uma um mãe mae pai mother father interessado interessada eu i a de do da qual quais quando onde como quanto
    what when where how which who why"""
)


def _clean(name: str) -> str:
    return _CUT.sub("", name.strip()).strip(" .,!")


def _named(pattern: re.Pattern[str], text: str) -> Iterator[Found]:
    for match in pattern.finditer(text):
        name = _clean(match[1])
        if name and name.split()[0].lower() not in _NOT_NAMES:
            yield Found(name, match.start(1), match.start(1) + len(name))


def names(text: str, *, asked: bool = False) -> list[Found]:
    """Find the writer's own name; with `asked`, a bare answer of up to four words counts too."""
    found = list(_named(_SELF, text))
    return found or (bare_name(text) if asked else [])


def child_names(text: str, *, asked: bool = False) -> list[Found]:
    """Find the child's name; with `asked`, a bare answer of up to four words counts too."""
    found = [*_named(_CHILD, text), *_named(_CHILD_NAME, text)]
    return found or (bare_name(text) if asked else [])


def bare_name(text: str) -> list[Found]:
    """Take the whole message for a name when it is short and none of its words says otherwise."""
    match = _BARE.match(text)
    if match is None or any(word.lower() in _NOT_NAMES for word in match[1].split()):
        return []
    return [Found(match[1], match.start(1), match.end(1))]


_NUMBER_WORDS = (
    "um one", "dois two", "três tres three", "quatro four", "cinco five", "seis six", "sete seven", "oito eight",
    "nove nine", "dez ten", "onze eleven", "doze twelve", "treze thirteen", "catorze fourteen", "quinze fifteen",
    "dezesseis sixteen", "dezessete seventeen", "dezoito eighteen",
)  # fmt: skip
_NUMBERS = {word: value for value, both in enumerate(_NUMBER_WORDS, start=1) for word in both.split()}
_NUMBER = r"(\d{1,3}|" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + ")"
_AGE = re.compile(_NUMBER + r"[\s-]*(?:anos|aninhos|years?[\s-]old|yrs? old|years of age|years)\b", _I)
_BARE_AGE = re.compile(r"^\D{0,20}?\b" + _NUMBER + r"\b\D{0,12}$", _I)


def _number(word: str) -> int:
    return int(word) if word.isdigit() else _NUMBERS[word.lower()]


def ages(text: str, *, asked: bool = False) -> list[Found]:
    """Find ages in whole years; with `asked`, a lone number counts too."""
    found = [Found(_number(m[1]), m.start(), m.end()) for m in _AGE.finditer(text)]
    if not found and asked and (match := _BARE_AGE.match(text)):
        found = [Found(_number(match[1]), match.start(1), match.end(1))]
    return found


_LEVELS = (
    ("early_childhood", r"educa[çc][ãa]o infantil|pr[ée][- ]?escola|creche|jardim|kindergarten|preschool|nursery"),
    ("elementary_1", r"fundamental (?:1|i)\b|[1-5][ºo°ª]\.? ano|[1-5](?:st|nd|rd|th) grade|elementary"),
    ("elementary_2", r"fundamental (?:2|ii)\b|[6-9][ºo°ª]\.? ano|[6-8]th grade|middle school"),
    ("high_school", r"ensino m[ée]dio|colegial|(?:9|10|11|12)th grade|high school"),
    ("adult", r"faculdade|universidade|adulto|college|university|adult"),
)


def education_level(text: str) -> str | None:
    return next((level for level, pattern in _LEVELS if re.search(pattern, text, _I)), None)


def level_of_age(age: int) -> str:
    oldest = {5: "early_childhood", 10: "elementary_1", 14: "elementary_2", 17: "high_school"}
    return next((level for last, level in oldest.items() if age <= last), "adult")


_WEEKDAYS = {
    "segunda": 0, "terça": 1, "terca": 1, "quarta": 2, "quinta": 3, "sexta": 4, "sábado": 5, "sabado": 5, "domingo": 6,
    "monday": 0, "tuesday": 1, "wednesday": 2, "thursday": 3, "friday": 4, "saturday": 5, "sunday": 6,
}  # fmt: skip
_MONTH_WORDS = (
    "janeiro january jan", "fevereiro february fev feb", "março marco march mar", "abril april abr apr", "maio may mai",
    "junho june jun", "julho july jul", "agosto august ago aug", "setembro september set sep",
    "outubro october out oct", "novembro november nov", "dezembro december dez dec",
)  # fmt: skip
_MONTHS = {word: number for number, both in enumerate(_MONTH_WORDS, start=1) for word in both.split()}
_MONTH = "(" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + ")"
_RELATIVE = {"depois de amanhã": 2, "day after tomorrow": 2, "amanhã": 1, "amanha": 1, "tomorrow": 1,
             "hoje": 0, "today": 0, "tonight": 0}  # fmt: skip
_RELATIVE_DAY = re.compile(r"\b(" + "|".join(_RELATIVE) + r")\b", _I)
_WEEKDAY = re.compile(r"\b(" + "|".join(_WEEKDAYS) + r")(?:-feira)?\b", _I)
_DAY_MONTH = re.compile(
    r"\b(\d{1,2})(?:º|°|st|nd|rd|th)?\s+(?:de\s+|of\s+)?" + _MONTH + r"\b(?:,?\s+(?:de\s+)?(\d{4}))?", _I
)
_MONTH_DAY = re.compile(r"\b" + _MONTH + r"\.?\s+(?:the\s+)?(\d{1,2})(?:st|nd|rd|th)?\b(?:,?\s+(\d{4}))?", _I)
_NUMERIC = re.compile(r"\b(\d{1,2})[/-](\d{1,2})(?:[/-](\d{4}|\d{2}))?\b")
_DAY_ONLY = re.compile(r"\b(?:dia\s+(\d{1,2})|(?:the\s+)?(\d{1,2})(?:st|nd|rd|th))\b", _I)


def _on(year: int | None, month: int, day: int, today: date) -> date | None:
    try:
        found = date(year or today.year, month, day)
        return found.replace(year=found.year + 1) if year is None and found < today else found
    except ValueError:
        return None


def _year(text: str | None) -> int | None:
    return None if text is None else int(text) + (2000 if len(text) == 2 else 0)


def _numeric(match: re.Match[str], language: str, today: date) -> date | None:
    first, second = int(match[1]), int(match[2])
    day, month = (second, first) if language == "en" else (first, second)
    return _on(_year(match[3]), month, day, today)


def _day_only(match: re.Match[str], today: date) -> date | None:
    day = int(match[1] or match[2])
    month = today.month if day >= today.day else today.month % 12 + 1
    return _on(None, month, day, today)


def dates(text: str, language: str, now: datetime) -> list[Found]:
    """Find dates, counted from `now` where they are relative; the next one where the year is missing."""
    today = now.date()
    readers: tuple[_Reader, ...] = (
        (_DAY_MONTH, lambda m: _on(_year(m[3]), _MONTHS[m[2].lower()], int(m[1]), today)),
        (_MONTH_DAY, lambda m: _on(_year(m[3]), _MONTHS[m[1].lower()], int(m[2]), today)),
        (_NUMERIC, lambda m: _numeric(m, language, today)),
        (_RELATIVE_DAY, lambda m: today + timedelta(days=_RELATIVE[m[1].lower()])),
        (_WEEKDAY, lambda m: today + timedelta(days=(_WEEKDAYS[m[1].lower()] - today.weekday() - 1) % 7 + 1)),
        (_DAY_ONLY, lambda m: _day_only(m, today)),
    )
    return _read(text, readers)


_CLOCK = re.compile(r"\b([01]?\d|2[0-3])\s*(?:[:h]\s*([0-5]\d)|h(?:oras?)?\b)\s*(?:(am|pm|a\.m\.|p\.m\.)(?!\w))?", _I)
_AMPM = re.compile(r"\b(\d{1,2})(?:[:.]([0-5]\d))?\s*(am|pm|a\.m\.|p\.m\.)(?!\w)", _I)
_OF_DAY = re.compile(r"\b(\d{1,2})(?:[:h]([0-5]\d)?)?\s*(?:horas )?(?:da|in the|at) (manhã|manha|tarde|noite|"
                     r"morning|afternoon|evening|night)\b", _I)  # fmt: skip
_NOON = re.compile(r"\b(meio[- ]dia|noon|midday)\b", _I)
_AT = re.compile(r"(?:\bàs|\bas|\bat|@)\s*(\d{1,2})\b(?!\s*(?:anos|de\s+[a-z]|/|%|people|years))", _I)


def _clock(hour: int, minute: int, half: str | None) -> str | None:
    half = (half or "").lower().replace(".", "")
    if half in ("pm", "tarde", "noite", "afternoon", "evening", "night") and hour < 12:
        hour += 12
    if half == "am" and hour == 12:
        hour = 0
    return f"{hour:02d}:{minute:02d}" if hour < 24 else None


def times(text: str) -> list[Found]:
    """Find clock times as HH:MM; an hour without am, pm or a part of the day is taken as written."""
    readers: tuple[_Reader, ...] = (
        (_OF_DAY, lambda m: _clock(int(m[1]), int(m[2] or 0), m[3])),
        (_AMPM, lambda m: _clock(int(m[1]), int(m[2] or 0), m[3])),
        (_CLOCK, lambda m: _clock(int(m[1]), int(m[2] or 0), m[3])),
        (_NOON, lambda m: "12:00"),
        (_AT, lambda m: _clock(int(m[1]), 0, None)),
    )
    return _read(text, readers)
