"""Ages in whole years, from digits and words, in both languages."""

from __future__ import annotations

import re

from otel_shadow.demo.v2.extract.mention import Mention, first_disjoint
from otel_shadow.demo.v2.extract.numbers import NUMBER_PATTERN, number
from otel_shadow.demo.v2.text import fold

_N = rf"(?P<n>\d{{1,3}}|{NUMBER_PATTERN})"
_OF_AGE = re.compile(
    rf"\b{_N}[\s-]*(?:an(?:os?|inhos?)|years?|yrs?|y/?o|yo)\b(?:[\s-]+(?:e meio|and a half))?(?:[\s-]+(?:de idade|old|of age))?"
)
_MONTHS = re.compile(rf"\b{_N}\s*(?:mes(?:es|inhos)|months?[\s-]old)\b")
_HAS = re.compile(
    r"\b(?:tem|tinha|fez|faz|completou|vai fazer|com|is|turned|turns|turning|aged?|age is|ages|idade:?|idade e)\s+"
    rf"(?:de\s+|ja\s+|so\s+|quase\s+|almost\s+|only\s+)?{_N}\b"
    r"(?!\s*(?:[/:h%]|horas?|h\b|filh|criancas|kids|children|people|pessoas|am\b|pm\b|mes|months|dias|days|semanas|weeks|"
    r"[a-z]*feira|de\s+[a-z]+))"
)
_BARE = re.compile(
    rf"^\W*(?:(?:ele|ela|he|she|tem|has|is|ja|acho que|uns|so|just|only|e|fez|faz|it's|he's|she's)\s+){{0,3}}{_N}\b"
    r"\s*(?:$|[.,!;?]|e meio|obrigad|ja|agora|now|and a half)"
)
# A number of years that is no one's age.
_NOT_AGES = re.compile(
    r"\s*(?:atras|ago|depois|later|seguintes|passados|que vem|de (?:experiencia|casad|empresa|mercado|funcionamento|garantia))"
)
_OLDEST = 110


def ages(text: str, *, asked: bool = False) -> list[Mention[int]]:
    """Find ages in whole years, months rounded down; with `asked`, a lone number counts too.

    A number of years that is hardly a person's age ("dez anos atrás", "500 anos") has a score below 0.5.
    """
    folded = fold(text)
    found = [_mention(m, 0.3 if _NOT_AGES.match(folded, m.end()) else 0.95) for m in _OF_AGE.finditer(folded)]
    found += [_mention(m, 0.8, months=True) for m in _MONTHS.finditer(folded)]
    found += [_mention(m, 0.75, "n") for m in _HAS.finditer(folded)]
    if asked and not found and (bare := _BARE.match(folded)):
        found.append(_mention(bare, 0.9, "n"))
    return first_disjoint(found)


def _mention(match: re.Match[str], score: float, group: str | int = 0, *, months: bool = False) -> Mention[int]:
    value = number(match["n"]) or 0
    age = value // 12 if months else value
    plausible = age <= _OLDEST and (months or age > 0)
    return Mention(age, match.start(group), match.end(group), score if plausible else 0.3)
