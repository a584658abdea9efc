"""Ages in whole years, from digits and words, in both languages."""

from __future__ import annotations

import re

from otel_shadow.demo.v2.extract.mention import Mention, first_disjoint
from otel_shadow.demo.v2.extract.numbers import NUMBER_PATTERN, number
from otel_shadow.demo.v2.text import fold

_N = rf"(?P<n>\d{{1,3}}|{NUMBER_PATTERN})"
_YEARS = rf"\b{_N}[\s-]*(?:an(?:o|os|inhos?)|years?|yrs?|y/?o|yo)\b(?:[\s-]+(?:de idade|old|of age))?"
_OF_AGE = re.compile(_YEARS)
_HAS = re.compile(
    rf"\b(?:tem|tinha|fez|faz|completou|vai fazer|com|is|turned|turns|turning|aged?|age is|idade:?|idade e)\s+(?:de\s+)?{_N}\b"
    r"(?!\s*(?:[/:h%]|horas?|h\b|filh|criancas|kids|children|people|pessoas|am\b|pm\b|meses|months|dias|days|semanas|weeks))"
)
_BARE = re.compile(
    rf"^\W*(?:(?:ele|ela|he|she|tem|has|is|ja|acho que|uns|so|just|only|e|it's|he's|she's)\s+){{0,3}}{_N}\W*$"
)
_NOT_AGES = re.compile(
    r"^\s*(?:atras|ago|depois|later|seguintes|passados|que vem)|^\s+de\s+(?:experiencia|casad|empresa|mercado|funcionamento|garantia)"
)
_OLDEST = 110


def ages(text: str, *, asked: bool = False) -> list[Mention[int]]:
    """Find ages in years; with `asked`, a lone number counts too."""
    folded = fold(text)
    found = [_mention(m, 0.95) for m in _OF_AGE.finditer(folded) if not _NOT_AGES.match(folded[m.end() :])]
    found += [_mention(m, 0.7, "n") for m in _HAS.finditer(folded)]
    if asked and not found and (bare := _BARE.match(folded)):
        found.append(_mention(bare, 0.9, "n"))
    return first_disjoint([m for m in found if 0 < m.value <= _OLDEST])


def _mention(match: re.Match[str], score: float, group: str | int = 0) -> Mention[int]:
    return Mention(number(match["n"]) or 0, match.start(group), match.end(group), score)
