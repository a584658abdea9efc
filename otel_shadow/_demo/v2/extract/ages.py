"""Ages in whole years, and levels of education: by name, by school year, or inferred from an age."""

from __future__ import annotations

import re

from otel_shadow._demo.v2.extract.normal import Mention, first_disjoint, fold, normalise

_N = r"(?P<n>\d{1,3}|um|uma)"
_IS = (
    r"\b(?:tem|fez|faz|completou|vai fazer|com|has|(?<!it )is|am|be|(?:he|she|who)['’]s|turned|turns|turning|aged?|"
    r"ages|age is|idade:?|idade e)\s+(?:(?:ja|so|quase|uns|apenas|almost|only|just|about|already)\s+)*"
)
_ENDS = r"(?=\s*(?:$|[.;:!?)(]|,(?!\d)|(?:and|e|but|mas|now|agora|ja|so|in|em|this|esse|next|que|who)\b))"
# A number of years that measures a stretch of time, or the age of no person.
_NOT_BEFORE = re.compile(
    r"(?:\b(?:em|ha|fazem|por|durante|cada|dentro de|daqui a|ate|proxim[oa]s?|ultim[oa]s?|passad[oa]s?|for|in|last|"
    r"next|past|every|within|over)|^\W*faz)\s+(?:(?:mais|menos) de |uns )?$"
)
_NOT_AFTER = (
    r"(?!\s*(?:seguintes|passados|que vem|depois|antes|mais tarde|later|before|after|letiv|fiscal|de ensino)\b)"
)
_HARDLY = re.compile(r"\s*(?:atras|ago|de (?:experiencia|casad|empresa|mercado|funcionamento|garantia))")
_AGES = (
    (re.compile(rf"\b{_N}[\s-]*(?:anos?|aninhos?)\b{_NOT_AFTER}"), 0.95),
    (
        re.compile(
            rf"\b{_N}(?: and a half)?[\s-]*(?:(?:years?|yrs?|y)(?: and a half)?[\s/-]*(?:olds?|of age)|yo|y/o)\b"
        ),
        0.95,
    ),
    (re.compile(rf"(?:{_IS})?\b{_N}\s*(?P<months>mes(?:es)?(?: de (?:idade|vida))|months?[\s-]old)\b"), 0.8),
    (re.compile(rf"{_IS}{_N}\s*(?P<months>meses)\b"), 0.8),
    (re.compile(rf"{_IS}{_N}(?: years)?\b{_ENDS}"), 0.75),
)
_BARE = re.compile(
    rf"^\W*(?:(?:ele|ela|he|she|tem|has|is|ja|acho que|uns|so|just|only|e|fez|it's|he's|she's)\s+){{0,3}}{_N}\b"
    rf"\s*(?:$|[.,!;?]|e meio|obrigad|ja|agora|now|and a half)|"
    rf"^\W*[a-z' -]{{2,40}}?\s*[,(-]?\s*\b{_N.replace('<n>', '<n2>')}\W*$"
)
_OLDEST = 110


def ages(text: str, *, asked: bool = False) -> list[Mention[int]]:
    """Find ages in whole years, months rounded down; with `asked`, a lone number counts too.

    What is hardly a person's age ("dez anos atrás", "500 anos") has a score below 0.5.
    """
    normal = normalise(text)
    found = [
        Mention(_years(match), *normal.span(match.start("n"), match.end()), _score(match, score))
        for pattern, score in _AGES
        for match in pattern.finditer(normal.text)
        if not _NOT_BEFORE.search(normal.text, 0, match.start("n"))
    ]
    if asked and not found and (bare := _BARE.search(normal.text)):
        found = [Mention(_number(bare["n"] or bare["n2"]), *normal.span(*bare.span()), 0.9)]
    return first_disjoint(found)


def _score(match: re.Match[str], score: float) -> float:
    return score if 0 < _years(match) <= _OLDEST and not _HARDLY.match(match.string, match.end()) else 0.3


def _number(word: str) -> int:
    return int(word) if word.isdigit() else 1


def _years(match: re.Match[str]) -> int:
    return max(1, _number(match["n"]) // 12) if match.groupdict().get("months") else _number(match["n"])


_ORDINALS = (
    "primeiro segundo terceiro quarto quinto sexto setimo oitavo nono",
    "primeira segunda terceira quarta quinta sexta setima oitava nona",
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth",
)
_GRADES = {word: number for words in _ORDINALS for number, word in enumerate(words.split(), start=1)}
_GRADE = re.compile(
    rf"\b(?P<n>\d{{1,2}}|{'|'.join(_GRADES)})\s*(?:o|a|°|st|nd|rd|th)?\.?\s*(?P<unit>ano|serie|grade|grader|year)\b"
    r"(?P<medio>\s+(?:do\s+)?(?:ensino\s+)?medio)?(?!\s*(?:de idade|old|atras|ago))"
)
_LEVELS = {
    "high_school": r"ensino medio|terceirao|colegial|segundo grau|vestibular|enem|high[ -]?school(?:er)?",
    "elementary_2": r"(?:ensino )?fundamental (?:2|ii|dois)|ginasio|middle[ -]?school|junior high|anos finais",
    "elementary_1": r"(?:ensino )?fundamental (?:1|i|um)|primario|alfabetizacao|anos iniciais|elementary|primary",
    "early_childhood": r"(?:educacao|ensino) infantil|pre[ -]?escola|prezinho|creche|jardim|maternal|"
    r"bercario|kindergarten|pre-?school|pre-?k|nursery|daycare",
    "adult": r"faculdade|universidade|ensino superior|graduacao|adult[oa]?s?|eja|college|university|grown[ -]?up",
}
_NAMED = tuple((level, re.compile(rf"\b(?:{pattern})\b")) for level, pattern in _LEVELS.items())
_OLDEST_AT = {"early_childhood": 5, "elementary_1": 10, "elementary_2": 14, "high_school": 17}


def levels(text: str) -> list[Mention[str]]:
    folded = fold(text)
    graded = [Mention(level, *match.span()) for match in _GRADE.finditer(folded) if (level := _level_of_grade(match))]
    return graded or [Mention(level, *match.span()) for level, one in _NAMED for match in one.finditer(folded)]


def _level_of_grade(match: re.Match[str]) -> str | None:
    word = match["n"]
    if match["unit"] == "year" and word.isdigit():
        return None
    # "Série": parents still count as before 2006, when school began a year later.
    grade = (int(word) if word.isdigit() else _GRADES[word]) + (match["unit"] == "serie")
    if match["medio"]:
        return "high_school" if grade <= 3 else None
    last = {"elementary_1": 5, "elementary_2": 9, "high_school": 12}
    return next((level for level, highest in last.items() if 1 <= grade <= highest), None)


def level_of_age(age: int) -> str:
    """Return the level of a pupil of `age` whole years: 2-5, 6-10, 11-14, 15-17, 18 and older."""
    return next((level for level, oldest in _OLDEST_AT.items() if age <= oldest), "adult")
