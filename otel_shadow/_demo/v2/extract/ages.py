"""Ages in whole years, from digits and words, in both languages."""

from __future__ import annotations

import re

from otel_shadow._demo.v2.extract.mention import Mention, first_disjoint
from otel_shadow._demo.v2.extract.numbers import NUMBER_PATTERN, number
from otel_shadow._demo.v2.text import fold

_N = rf"(?P<n>\d{{1,3}}|{NUMBER_PATTERN})"
_HALF = r"(?:\s+(?:e meio|and a half))?"
_ENDS = r"(?=\s*(?:$|[.;:!?)(]|,(?!\d)|(?:and|e|but|mas|now|agora|ja|so|in|em|this|esse|next|que|who|aninhos)\b))"
_IS = (
    r"\b(?:tem|tinha|tera|fez|faz|fara|completou|completa|vai fazer|com|de|has|(?<!it )is|am|be|(?:he|"
    r"she|who)['’]s|turned|turns|turning)\s+"
)
_ALMOST = r"(?:(?:ja|so|quase|uns|apenas|almost|only|just|about|already)\s+)*"
_YEARS = re.compile(
    rf"\b{_N}[\s-]*(?:anos?|aninhos?){_HALF}(?:\s+(?:de idade|de vida))?\b(?!\s*(?:de ensino|letiv|fiscal|serie))"
)
_YEARS_OLD = re.compile(
    rf"\b{_N}(?:\s+and a half)?[\s-]*(?:years?|yrs?|y){_HALF}[\s/-]*(?:olds?|of age)\b|"
    rf"\b{_N.replace('<n>', '<n2>')}\s*(?:yo|y/o)\b|"
    rf"{_IS}{_ALMOST}{_N.replace('<n>', '<n3>')}\s+years\b{_ENDS}"
)
_MONTHS = re.compile(
    rf"{_IS.replace('|faz|', '|')}{_ALMOST}{_N}\s*(?:meses|mesinhos)\b|"
    rf"\b{_N.replace('<n>', '<n2>')}\s*(?:meses de (?:idade|vida)|months?[\s-]old)\b"
)
_HAS = re.compile(
    rf"(?:{_IS.removesuffix('s+').replace('|de|', '|')}s+|\b(?:aged?|ages|age is|idade:?|"
    rf"idade e)\s+){_ALMOST}{_N}\b{_ENDS}"
)
_BARE = re.compile(
    rf"^\W*(?:(?:ele|ela|he|she|tem|has|is|ja|acho que|uns|so|just|only|e|fez|faz|it's|he's|she's)\s+){{0,3}}{_N}\b"
    r"\s*(?:$|[.,!;?]|e meio|obrigad|ja|agora|now|and a half)"
)
_AFTER_NAME = re.compile(rf"^\W*[a-z' -]{{2,40}}?\s*[,(-]?\s*\b{_N}\W*$")
# A number of years that measures a stretch of time.
_PERIOD_BEFORE = re.compile(
    r"(?:\b(?:em|ha|fazem|por|durante|cada|dentro de|daqui a|ate|proxim[oa]s?|ultim[oa]s?|passad[oa]s?|"
    r"for|in|last|next|past|every|within|over)|^\W*faz)\s+(?:(?:mais|menos) de |uns )?$"
)
_PERIOD_AFTER = re.compile(
    r"\s*(?:seguintes|passados|que vem|consecutivos|ultimos|proximos|depois|antes|mais tarde|later|before|after)\b"
)
_NOT_A_PERSON = re.compile(r"\s*(?:atras|ago|de (?:experiencia|casad|empresa|mercado|funcionamento|garantia))")
_OLDEST = 110


def ages(text: str, *, asked: bool = False) -> list[Mention[int]]:
    """Find ages in whole years, months rounded down; with `asked`, a lone number counts too.

    A number of years that is hardly a person's age ("dez anos atrás", "500 anos") has a score below 0.5.
    """
    folded = fold(text)
    found = [_mention(m, 0.3 if _NOT_A_PERSON.match(folded, m.end()) else 0.95) for m in _years(folded)]
    found += [_mention(m, 0.95) for m in _YEARS_OLD.finditer(folded)]
    found += [_mention(m, 0.8, months=True) for m in _MONTHS.finditer(folded)]
    found += [_mention(m, 0.75) for m in _HAS.finditer(folded)]
    if asked and not found and (bare := _BARE.match(folded) or _AFTER_NAME.match(folded)):
        found.append(_mention(bare, 0.9))
    return first_disjoint(found)


def _years(folded: str) -> list[re.Match[str]]:
    return [
        match
        for match in _YEARS.finditer(folded)
        if not _PERIOD_BEFORE.search(folded, 0, match.start()) and not _PERIOD_AFTER.match(folded, match.end())
    ]


def _mention(match: re.Match[str], score: float, *, months: bool = False) -> Mention[int]:
    group = next(name for name, value in match.groupdict().items() if value is not None)
    value = number(match[group]) or 0
    age = value // 12 if months else value
    plausible = age <= _OLDEST and (months or age > 0)
    return Mention(age, match.start(group), match.end(), score if plausible else 0.3)
