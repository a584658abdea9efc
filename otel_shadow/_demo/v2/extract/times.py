"""Times of day in running text, as HH:MM, and as they were said: whether three is 3:00 or 15:00 the reader decides."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from otel_shadow._demo.v2.extract.mention import Mention, first_disjoint
from otel_shadow._demo.v2.extract.normal import normalise

_H = r"(?P<h>2[0-4]|1\d|0?\d)"
_MIN = r"(?P<min>[0-5]\d)"
_HALF = r"(?P<half>a\.?\s?m\b\.?|p\.?\s?m\b\.?)"
_PART = (
    r"(?:(?:,\s*)?(?:(?:in|at|of|on) (?:the )?|in|this |the |da |de |a |pela |na |desta |dessa |d[ae] )?\s*"
    r"(?P<part>manha|madrugada|tardinha|tarde|noitinha|noite|mornings?|afternoon|evening|night)\b)"
)
_MARK = rf"(?:\s*{_HALF}|\s+{_PART}|\s*-?\s*ish\b)?(?:\s+{_PART.replace('<part>', '<part2>')})?"
_EXACT = r"(?:\s*(?:o\s?['’\"`]?\s?clock|em ponto|sharp|horas?|hrs?|hs|h)\b)?"
_BEFORE = (
    r"(?:\b(?:as|a|at|around|about|approximately|by|before|after|past|from|until|till?|since|between|(?:para|pra) as|"
    r"antes das?|depois das?|a partir das?|ate as|das|pelas|la pelas|por volta das?|umas|entre as|e as|"
    r"lets say|let's say|say|maybe)\s+|@\s*)"
)
# What makes a number after "at" or "as" something other than an hour.
_NOT_A_COUNT = (
    r"(?!\d|[/%:$€£.,]\d|\s*(?:%|\$|€|£|st\b|nd\b|rd\b|th\b|people|persons?|guests?|adults?|kids|"
    r"children|of us|pessoas|criancas|"
    r"alunos|aulas|vezes|times|anos|years?|yrs?|dias?|days?|weeks?|semanas?|months?|mes|nights?|noites|minut|mins?\b|"
    r"hours?\b|rooms?|pm\w|reais|dollars|pounds|euros|am\w|stars?|d[eo] (?:janeiro|fevereiro|marco|"
    r"abril|maio|junho|julho|"
    r"agosto|setembro|outubro|novembro|dezembro)|january|february|march|april|may\b|june|july|august|"
    r"september|october|"
    r"november|december|horas? (?:de|por)))"
)
# What may follow a lone hour: a noun would make it a count ("about one transaction").
_THEN = (
    r"(?=\s*(?:$|[^\w\s]|(?:a|and|or|on|in|at|for|to|until|if|please|pls|is|works?|would|will|tomorrow|"
    r"today|tonight|this|"
    r"next|with|but|under|i|i'm|my|the|we|from|of|ish|instead|though|thanks|thank|ok|then|mon\w*|"
    r"tue\w*|wed\w*|thu\w*|fri\w*|"
    r"sat\w*|sun\w*|\d|e|ou|as|da|de|do|dia|no|na|em|para|se|por|ate|amanha|hoje|que|com|mas|tem|pode|"
    r"fica|seria|serve|ta|esta|"
    r"obrigad[oa]|segunda|terca|quarta|quinta|sexta|sabado|domingo|entao|mesmo|horario|dinner|lunch|breakfast)\b))"
)
_UNIT = r"(?P<unit>hours?|horas?|hrs?|minutes?|minutos?|mins?)\b"
_FROM_NOW = re.compile(
    r"\b(?:in|within|daqui(?: a)?|em|dentro de|(?P<ha>ha|faz(?:em)?))\s+(?:about\s+|uns\s+|umas\s+)?"
    rf"(?:(?P<half>half an hour|meia hora)|(?P<n>\d{{1,3}}|an?|um|uma|(?:a )?couple(?: of)?)\s+{_UNIT})|"
    rf"\b(?P<n2>\d{{1,3}}|an?|uma?)\s+{_UNIT.replace('<unit>', '<unit2>')}\s+(?:(?P<ago>ago|atras)|from now)\b"
)
_ONE_O_CLOCK = re.compile(r"(?<=\ba )uma(?=\s+(?:da\b|e\b|hora\b|$)|$)|^uma(?=\s+(?:da|e meia|e \d))")
_PARTS_PM = ("tarde", "tardinha", "afternoon", "evening")
_PARTS_NIGHT = ("noite", "noitinha", "night")


def times(text: str, now: datetime | None = None, *, asked: bool = False) -> list[Mention[str]]:
    """Find times of day.

    Args:
        text: the message; the grammar reads both languages.
        now: what "in two hours" is counted from; without it such times are not found.
        asked: a time was asked for: a lone number counts.

    """
    normal = normalise(text)
    normal = replace(normal, text=_ONE_O_CLOCK.sub("1  ", normal.text))
    if not _HINT.search(normal.text):
        return []
    found = (
        []
        if now is None
        else [
            Mention(_from_now(match, now), *normal.span(match.start(), match.end()), 0.92)
            for match in _FROM_NOW.finditer(normal.text)
        ]
    )
    for pattern, read, score in _READERS:
        for match in pattern.finditer(normal.text):
            value = read(match)
            if value is not None:
                start = match.start("at") if "at" in match.groupdict() else match.start()
                found.append(Mention(value, *normal.span(start, match.end()), score))
    kept = first_disjoint(found)
    if not kept and asked and (bare := _BARE.search(normal.text)) and (value := _clock(bare, int(bare["h"]), 0)):
        kept = [Mention(value, *normal.span(bare.start("h"), bare.end("h")), 0.7)]
    return _by_part_of_day(kept, normal.text)


def _from_now(match: re.Match[str], now: datetime) -> str:
    groups = match.groupdict()
    count = groups["n"] or groups["n2"] or groups["half"] or "1"
    number = int(count) if count.isdigit() else 2 if "couple" in count else 0.5 if groups["half"] else 1
    unit = groups["unit"] or groups["unit2"] or "hours"
    minutes = number * (60 if unit.startswith("h") else 1)
    return f"{now + timedelta(minutes=-minutes if groups['ago'] or groups['ha'] else minutes):%H:%M}"


def _by_part_of_day(found: list[Mention[str]], text: str) -> list[Mention[str]]:
    """Move a single unmarked morning hour to the part of the day that stands elsewhere in the message."""
    if len(found) != 1 or found[0].score > 0.9:
        return found
    mention = found[0]
    hour, minute = int(mention.value[:2]), mention.value[2:]
    if _ELSEWHERE.search(text) and not _MORNING.search(text) and 1 <= hour <= 11:
        return [Mention(f"{hour + 12:02d}{minute}", mention.start, mention.end, mention.score)]
    return found


_ELSEWHERE = re.compile(
    r"\b(?:a|de|da|na|pela|this|in the|hoje a|esta)\s+(?:tarde|noite|afternoon|evening)\b|\btonight\b"
)
_MORNING = re.compile(r"\b(?:de|da|na|pela|this|in the|esta)\s+(?:manha|madrugada|morning)\b")


def _clock(match: re.Match[str], hour: int, minute: int) -> str | None:
    groups = match.groupdict()
    half = re.sub(r"[^apm]", "", groups.get("half") or "")
    part = groups.get("part") or groups.get("part2") or groups.get("part0") or ""
    if half == "pm" or part in _PARTS_PM or (part in _PARTS_NIGHT and hour >= 5):
        if hour < 12:
            hour += 12
        elif hour == 12 and part in _PARTS_NIGHT:
            hour = 0
    elif hour == 12 and (half == "am" or part in ("madrugada", *_PARTS_NIGHT)):
        hour = 0
    hour = 0 if hour == 24 else hour
    return f"{hour:02d}:{minute:02d}" if 0 <= hour < 24 and 0 <= minute < 60 else None


def _plain(match: re.Match[str]) -> str | None:
    groups = match.groupdict()
    return _clock(match, int(match["h"]), int(groups.get("min") or 0))


def _with_half(match: re.Match[str]) -> str | None:
    return _clock(match, int(match["h"]), 30)


def _quarter(match: re.Match[str]) -> str | None:
    return _clock(match, int(match["h"]), 15)


def _twelve(match: re.Match[str]) -> str:
    return f"{12 if match['noon'] else 0:02d}:{30 if match['e30'] else int(match['min'] or 0):02d}"


def _offset(match: re.Match[str]) -> str | None:
    """Minutes past or to an hour; noon and midnight are hours too."""
    words = {"quarter": 15, "a quarter": 15, "half": 30, "meia": 30, "um quarto": 15}
    minutes = words[match["off"]] if match["off"] in words else int(match["off"])
    named = match.groupdict().get("named")
    hour = (12 if named.startswith(("meio", "noon", "mid-?day", "midday")) else 24) if named else int(match["h"])
    base = _clock(match, hour, 0)
    if base is None:
        return None
    total = int(base[:2]) * 60 + (minutes if match["dir"] in ("past", "after") else -minutes)
    return f"{total // 60 % 24:02d}:{total % 60:02d}"


def _compile(
    *rules: tuple[str, Callable[[re.Match[str]], str | None], float],
) -> tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str | None], float], ...]:
    return tuple((re.compile(pattern), reader, score) for pattern, reader, score in rules)


_NAMED = r"(?P<named>meio[- ]dia|meia[- ]noite|noon|midday|midnight)"
_TO = r"(?P<dir>past|after|to|before|till?|of|para|antes d)"
_READERS = _compile(
    # quarter past 5, 20 mins after 10 pm, 15 para as 8, quinze para meio dia
    (rf"\b(?P<off>(?:a )?quarter|half)\s+{_TO}\s+(?:{_NAMED}|{_H}\b){_EXACT}{_MARK}", _offset, 0.95),
    (
        (
            rf"\b(?P<off>\d{{1,2}})\s*(?:minutes?|mins?\.?|minutos?)\s+{_TO}(?:\s*as?|\s*o)?\s+(?:{_NAMED}|"
            rf"{_H}\b){_EXACT}{_MARK}"
        ),
        _offset,
        0.95,
    ),
    (
        (
            r"(?<!from )(?<!between )(?<!of )(?<!\d )(?<!:)\b(?P<off>(?:(?<=falta )|(?<=faltam ))\d{1,2}|5|10|"
            r"15|20|25)\s+(?P<dir>past|after|to|"
            rf"para)(?:\s+as?|\s+o)?\s+(?:{_NAMED}|{_H}\b)(?![:/]){_EXACT}{_MARK}"
        ),
        _offset,
        0.92,
    ),
    # half nine
    (rf"\bhalf\s+{_H}\b(?!\s*(?:an?|hours?|day)){_MARK}", _with_half, 0.8),
    # evening 5, a tarde as 7
    (
        (
            r"\b(?P<part0>manha|tarde|noite|morning|afternoon|evening|night)\s*,?\s*(?:as|at|around|"
            rf"about)?\s*(?P<at>){_H}(?::{_MIN})?\b(?:\s*{_HALF})?{_NOT_A_COUNT}"
        ),
        _plain,
        0.92,
    ),
    # 7:30pm, 15h30, 8:00:13 am, 18:00hs, 7:30-ish
    (rf"(?<![\d:/])\b{_H}\s?:\s?{_MIN}(?::[0-5]\d)?(?:\s*(?:h|hs|hrs?|horas?)\b)?{_MARK}(?![\d/])", _plain, 0.9),
    (rf"(?<![\d:/])\b{_H}\s?(?:h|hs|hrs)\s?{_MIN}(?:m|min)?\b{_MARK}", _plain, 0.95),
    (rf"(?<![\d:/.])\b{_H}\.{_MIN}\s*(?:{_HALF}|h\b|hs\b|horas\b)", _plain, 0.95),
    (
        (
            rf"(?:^\W*|\b(?:as|at|by|for|maybe|around|about)\s+)(?P<at>){_H}\.{_MIN}(?=\s*(?:$|[,;!?]|\.\s|"
            r"\s[a-z]))(?!\s*(?:reais|dollars|pounds|euros))"
        ),
        _plain,
        0.8,
    ),
    # 930pm
    (rf"(?<![\d:/.$€£])\b(?P<h>1[0-2]|[1-9]){_MIN}\s?{_HALF}", _plain, 0.95),
    # 8 e meia, oito e quinze da tarde, 8pm e meia
    (rf"\b{_H}{_EXACT}\s*{_HALF}?\s+e\s+meia\b(?:\s+{_PART})?", _with_half, 0.95),
    (
        (
            rf"(?<!entre )(?<!entre as )(?<!das )\b{_H}{_EXACT}\s+e\s+(?P<min>[0-5]\d|"
            rf"5)\b(?:\s*minutos)?{_MARK}(?!\s*(?:anos|reais))"
        ),
        _plain,
        0.85,
    ),
    (rf"\b{_H}{_EXACT}\s+e\s+(?:um\s+)?quarto\b{_MARK}", _quarter, 0.9),
    # at 1430, 1430h, and a whole message like "eleven fifteen"
    (rf"(?:{_BEFORE}(?P<at>)(?P<h>2[0-3]|[01]\d){_MIN}\b(?!\s*[-/:.]\d){_THEN})", _plain, 0.8),
    (rf"(?<![\d:/.])\b(?P<h>2[0-3]|[01]\d){_MIN}\s?(?:h|hs|hrs?)\b", _plain, 0.9),
    (rf"^\W*(?P<at>){_H}\s+{_MIN}\W*$", _plain, 0.8),
    # 6 55 evening, at 17 30, five-thirty pm
    (rf"(?<![\d:/.])\b{_H}(?:\s|\s?-\s?){_MIN}(?:\s*{_HALF}|\s+{_PART}|\s*hrs?\b)", _plain, 0.92),
    (rf"{_BEFORE}(?P<at>){_H}(?:\s|-){_MIN}\b(?!\s*[-/:.]?\d){_NOT_A_COUNT}", _plain, 0.75),
    # 8 pm, 8 da manha, 3 in the afternoon
    (rf"(?<![\d:/.,])\b{_H}{_EXACT}(?:\s*{_HALF}|\s+{_PART})", _plain, 0.95),
    # noon, meia-noite e meia
    (
        (
            r"\b(?:12\s+)?(?:(?P<noon>meio[- ]dia|noon(?:ish)?|mid-?day)|meia[- ]noite|"
            rf"midnight)(?:\s+e\s+(?:(?P<e30>meia)|{_MIN}))?\b"
        ),
        _twelve,
        0.92,
    ),
    # 10 o'clock, 7 horas, 16hr, 8h, 7ish, 7 em ponto
    (
        (
            rf"(?<![\d:/.,])\b{_H}\s*(?:o\s?['’\"`]?\s?clock|em ponto|sharp|h\b|hs\b|hrs?\b|"
            r"-?\s?ish\b)(?!\s*(?:de|por) )"
        ),
        _plain,
        0.9,
    ),
    (
        (
            rf"(?<![\d:/.,])\b{_H}\s*(?:horas?)\b(?!\s*(?:de|por|atras|semanais|depois|seguintes|consecutivas|"
            r"aula|diarias) ?)"
        ),
        _plain,
        0.75,
    ),
    # 8 to 9 pm, between 8 and 10: the first of two
    (
        (
            rf"\b(?:from|between|entre|das?|de)\s+(?:as?\s+)?(?P<at>){_H}(?=\s*(?:-|to|and|until|till?|e|a|as|"
            r"ate)\s*(?:as?\s+)?(?:2[0-4]|1\d|0?\d)\b(?!\s*(?:de|/|st|nd|rd|th|[a-z]*day|people|jan|feb|mar|"
            rf"apr|may|jun|jul|aug|sep|oct|nov|dec))){_NOT_A_COUNT}"
        ),
        _plain,
        0.6,
    ),
    (
        (
            r"\b(?:from|between)\s+(?:2[0-4]|1\d|0?\d)\s*(?:-|to|and|until|"
            rf"till?)\s*(?P<at>){_H}\b(?!\s*\d){_NOT_A_COUNT}{_THEN}"
        ),
        _plain,
        0.6,
    ),
    # at 7, as oito, after 12
    (rf"{_BEFORE}(?P<at>){_H}\b{_NOT_A_COUNT}{_THEN}", _plain, 0.7),
)
_HINT = re.compile(
    r"\d|dia|noite|noon|midday|midnight|hora|hour|minut|\buma\b"
)  # one cheap look spares most messages the whole grammar
_BARE = re.compile(rf"(?<![\d:/.])\b{_H}\b{_NOT_A_COUNT}")
