"""Times of day in running text, as HH:MM, and as they were said: whether three is 3:00 or 15:00 the reader decides."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from otel_shadow._demo.v2.extract.normal import Mention, first_disjoint, normalise, rule

_H = r"(?P<h>2[0-4]|1\d|0?\d)"
_MIN = r"(?P<min>[0-5]\d)"
_HALF = r"(?P<half>a\.?\s?m\b\.?|p\.?\s?m\b\.?)"
_PART_WORD = r"manha|madrugada|tardinha|tarde|noitinha|noite|morning|afternoon|evening|night"
_PART = rf"(?:,?\s*(?:(?:in|at|of) (?:the )?|this |da |de |a |na |pela |desta )?\s*(?P<part>{_PART_WORD})\b)"
_MARK = rf"(?:\s*{_HALF}|\s+{_PART}|\s*-?\s*ish\b)?(?:\s+{_PART.replace('<part>', '<part2>')})?"
_EXACT = r"(?P<exact>\s*(?:o\s?['’\"`]?\s?clock|em ponto|sharp|horas?|hrs?|hs|h)\b)"
_BEFORE = (
    rf"(?:\b(?:as|a|at|around|about|approximately|by|before|after|past|from|until|till?|since|between|(?:para|pra) as|"
    rf"das|pelas|umas|entre as|e as|say|maybe|(?P<part0>{_PART_WORD}),?)\s+|@\s*)"
)
# What makes a number after "at" or "as" something other than an hour.
_NOT_A_COUNT = (
    r"(?!\d|[/%:$€£.,]\d|\s*(?:%|\$|€|£|st\b|nd\b|rd\b|th\b|people|persons?|guests?|adults?|kids|children|of us|"
    r"pessoas|criancas|alunos|aulas|vezes|times|anos|years?|dias?|days?|weeks?|semanas?|months?|mes|nights?|noites|min|"
    r"hours?\b|rooms?|reais|dollars|pounds|euros|stars?|d[eo] (?:jan|fev|mar|abr|mai|jun|jul|ago|set|out|nov|dez)|"
    r"(?:jan|febr|march|april|june|july|august|sept|octo|novem|decem)|horas? (?:de|por)))"
)
# What may follow a lone hour: a noun would make it a count ("about one transaction").
_THEN = (
    r"(?=\s*(?:$|[^\w\s]|(?:a|and|or|on|in|at|for|to|until|if|please|pls|is|works?|would|will|tomorrow|today|tonight|"
    r"this|next|with|but|under|i|i'm|my|the|we|from|of|instead|though|thanks?|ok|then|(?:mon|tue|wed|thu|fri|sat|sun)"
    r"\w*|\d|e|ou|as|da|de|do|dia|no|na|em|para|se|por|ate|amanha|hoje|que|com|mas|tem|pode|fica|seria|serve|ta|esta|"
    r"obrigad[oa]|segunda|terca|quarta|quinta|sexta|sabado|domingo|entao|mesmo|horario|dinner|lunch|breakfast)\b))"
)
_NAMED = r"(?P<named>meio[- ]dia|meia[- ]noite|noon|midday|midnight)"
_FROM_NOW = re.compile(
    r"\b(?:in|within|daqui(?: a)?|em)\s+(?:(?P<half>half an hour|meia hora)|(?P<n>\d{1,3}|an?|um|uma)\s+"
    r"(?P<unit>h|m)(?:ours?|oras?|rs?|inutes?|inutos?|ins?)\b)"
)
_ONE_O_CLOCK = re.compile(r"(?<=\ba )uma(?=\s+(?:da\b|e\b|hora\b|$)|$)|^uma(?=\s+(?:da|e meia|e \d))")
_ELSEWHERE = re.compile(
    r"\b(?:a|de|da|na|pela|this|in the|hoje a|esta)\s+(?:tarde|noite|afternoon|evening)\b|\btonight\b"
)
_MORNING = re.compile(r"\b(?:de|da|na|pela|this|in the|esta)\s+(?:manha|madrugada|morning)\b")

Groups = dict[str, Any]
Reader = Callable[[Groups], "str | None"]


def times(text: str, now: datetime | None = None, *, asked: bool = False) -> list[Mention[str]]:
    """Find times of day; "in two hours" only with `now`, a lone number only where a time was `asked` for."""
    normal = normalise(text)
    normal = replace(normal, text=_ONE_O_CLOCK.sub("1  ", normal.text))
    if not _HINT.search(normal.text):
        return []
    found = []
    if now:
        for match in _FROM_NOW.finditer(normal.text):
            found.append(Mention(_from_now(match.groupdict(), now), *normal.span(*match.span()), 0.92))
    for pattern, read, score in _READERS:
        for match in pattern.finditer(normal.text):
            value = read(match.groupdict())
            if value is not None:
                found.append(Mention(value, *normal.span(_start(match), match.end()), score))
    kept = first_disjoint(found)
    if not kept and asked and (bare := _BARE.search(normal.text)) and (value := _plain(bare.groupdict())):
        kept = [Mention(value, *normal.span(*bare.span()), 0.7)]
    return _by_part_of_day(kept, normal.text)


def _start(match: re.Match[str]) -> int:
    return min(match.start(name) for name in ("off", "h", "named") if match.groupdict().get(name))


def _from_now(groups: Groups, now: datetime) -> str:
    number = 0.5 if groups["half"] else int(groups["n"]) if groups["n"].isdigit() else 1
    return f"{now + timedelta(minutes=number * (1 if groups['unit'] == 'm' else 60)):%H:%M}"


def _by_part_of_day(found: list[Mention[str]], text: str) -> list[Mention[str]]:
    """Move a single unmarked morning hour to the part of the day that stands elsewhere in the message."""
    if len(found) != 1 or found[0].score > 0.9 or not _ELSEWHERE.search(text) or _MORNING.search(text):
        return found
    hour, minute = int(found[0].value[:2]), found[0].value[2:]
    return [replace(found[0], value=f"{hour + 12:02d}{minute}")] if 1 <= hour <= 11 else found


def _clock(groups: Groups, hour: int, minute: int) -> str | None:
    half = re.sub(r"[^apm]", "", groups.get("half") or groups.get("half2") or "")
    part = groups.get("part") or groups.get("part2") or groups.get("part0") or ""
    night = part.startswith(("noit", "night"))
    if hour == 12 and (half == "am" or part == "madrugada" or night):
        hour = 0
    elif hour < 12 and (half == "pm" or part.startswith(("tard", "afternoon", "evening")) or (night and hour >= 5)):
        hour += 12
    return f"{hour % 24:02d}:{minute:02d}" if hour <= 24 else None


def _plain(groups: Groups) -> str | None:
    return _clock(groups, int(groups["h"]), int(groups.get("min") or (30 if groups.get("meia") else 0)))


def _twelve(groups: Groups) -> str:
    return f"{0 if groups['named'].startswith(('meia', 'midn')) else 12:02d}:{30 if groups['meia'] else 0:02d}"


def _offset(groups: Groups) -> str | None:
    """Minutes past or to an hour; noon and midnight are hours too."""
    minutes = {"quarter": 15, "a quarter": 15, "half": 30}.get(groups["off"]) or int(groups["off"])
    hour = _twelve({**groups, "meia": None}) if groups["named"] else _clock(groups, int(groups["h"]), 0)
    if hour is None:
        return None
    total = int(hour[:2]) * 60 + (minutes if groups["dir"] in ("past", "after") else -minutes)
    return f"{total // 60 % 24:02d}:{total % 60:02d}"


_READERS: tuple[tuple[re.Pattern[str], Reader, float], ...] = (
    # quarter past 5, 20 mins after 10 pm, 15 para as 8, quinze para meio dia
    rule(
        _offset, 0.95, r"(?<!from )(?<!between )(?<!of )(?<!\d )(?<!:)\b",
        r"(?P<off>(?:a )?quarter|half|\d{1,2}(?=\s*min)|5|10|15|20|25)",
        rf"(?:\s*min(?:ute|uto)?s?\.?)?\s+(?P<dir>past|after|to|before|till?|para)(?:\s+as?|\s+o)?\s+(?:{_NAMED}|{_H}\b)",
        rf"(?![:/]){_EXACT}?{_MARK}",
    ),
    # 7:30pm, 15h30, 8:00:13 am, evening 6:30; 930pm, 7.30 pm, 6 55 evening; at 7.30
    rule(
        _plain, 0.9, rf"(?:\b(?P<part0>{_PART_WORD}),?\s+)?(?<![\d:/.])\b{_H}\s?(?::|h|hs|hrs)\s?{_MIN}(?::[0-5]\d)?",
        rf"(?:\s*(?:h|hs|hrs?|horas?|m|min)\b)?{_MARK}(?![\d/])",
    ),
    rule(_plain, 0.93, rf"(?<![\d:/.$€£])\b{_H}[.\s-]?{_MIN}\s*(?:{_HALF}|\s{_PART}|h\b|hs\b|hrs\b)"),
    rule(
        _plain, 0.8, rf"(?:^\W*|{_BEFORE}){_H}[.\s-]{_MIN}\b(?!\s*[-/:.]?\d){_NOT_A_COUNT}",
        r"(?=\s*(?:$|[,;!?]|\.\s|\s[a-z]))",
    ),
    # 8 e meia, oito e quinze da tarde
    rule(
        _plain, 0.92, rf"(?<!entre )(?<!entre as )(?<!das )\b{_H}{_EXACT}?\s*{_HALF}?\s+e\s+",
        r"(?:(?P<meia>meia)|(?P<min>[0-5]\d|5))\b(?:\s*minutos)?",
        rf"{_MARK.replace('<half>', '<half2>')}(?!\s*(?:anos|reais))",
    ),
    # 8 pm, 8 da manha, 3 in the afternoon; 10 o'clock, 8h, 7ish
    rule(_plain, 0.95, rf"(?<![\d:/.,])\b{_H}{_EXACT}?(?:\s*{_HALF}|\s+{_PART})"),
    rule(_plain, 0.8, rf"(?<![\d:/.,])\b{_H}(?:{_EXACT}|\s*-?\s?ish\b)(?!\s*(?:de|por|atras|semanais|depois|aula)\b)"),
    # noon, meia-noite e meia
    rule(_twelve, 0.92, rf"\b(?:12\s+)?{_NAMED}(?:ish)?(?:\s+e\s+(?P<meia>meia))?\b"),
    # at 7, as oito, evening 5
    rule(_plain, 0.7, rf"{_BEFORE}{_H}\b{_NOT_A_COUNT}{_THEN}"),
)  # fmt: skip
# One cheap look spares most messages all of them.
_HINT = re.compile(r"\d|dia|noite|noon|midday|midnight|hora|hour|minut|\buma\b")
_BARE = re.compile(rf"(?<![\d:/.])\b{_H}\b{_NOT_A_COUNT}")
