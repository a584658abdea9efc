"""Education levels: named, or inferred from an age."""

from __future__ import annotations

import re

from otel_shadow._demo.v2.extract.mention import Mention
from otel_shadow._demo.v2.text import fold

_ORDINAL_PT = "primeiro segundo terceiro quarto quinto sexto setimo oitavo nono"
_ORDINAL_PT_F = "primeira segunda terceira quarta quinta sexta setima oitava nona"
_ORDINAL_EN = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_GRADES = {
    word: n for words in (_ORDINAL_PT, _ORDINAL_PT_F, _ORDINAL_EN) for n, word in enumerate(words.split(), start=1)
}
_GRADE = re.compile(
    rf"\b(?P<n>\d{{1,2}}|{'|'.join(_GRADES)})\s*(?:o|a|°|st|nd|rd|th)?\.?\s*(?P<unit>ano|serie|grade|grader|year)\b"
    r"(?P<level>\s+(?:do\s+)?(?:ensino\s+)?(?:medio|fundamental))?(?!\s*(?:de idade|old|atras|ago))"
)
_NAMED = (
    (
        "high_school",
        r"ensino medio|terceirao|colegial|2o grau|segundo grau|vestibular|enem|high[ -]?school(?:er)?|senior high",
    ),
    ("elementary_2", r"(?:ensino )?fundamental (?:2|ii|dois)|ginasio|middle[ -]?school|junior high|anos finais"),
    (
        "elementary_1",
        (
            r"(?:ensino )?fundamental (?:1|i|um)|primario|alfabetizacao|anos iniciais|elementary|"
            r"primary school|grade school"
        ),
    ),
    (
        "early_childhood",
        (
            r"educacao infantil|ensino infantil|pre[ -]?escola|pre[ -]?[12]|prezinho|creche|jardim|maternal|"
            r"bercario|kindergarten|pre-?school|pre-?k|nursery|daycare"
        ),
    ),
    (
        "adult",
        (
            r"faculdade|universidade|ensino superior|graduacao|adult[oa]s?|eja|college|university|adults?|"
            r"grown[ -]?up"
        ),
    ),
)
_PATTERNS = tuple((level, re.compile(rf"\b(?:{pattern})\b")) for level, pattern in _NAMED)


def levels(text: str) -> list[Mention[str]]:
    """Find the education levels that the text names, grades included."""
    folded = fold(text)
    graded = [Mention(_of_grade(m), m.start(), m.end(), 0.9) for m in _GRADE.finditer(folded) if _of_grade(m)]
    named = [Mention(level, m.start(), m.end(), 0.9) for level, p in _PATTERNS for m in p.finditer(folded)]
    return graded or named


def _of_grade(match: re.Match[str]) -> str:
    word = match["n"]
    grade = int(word) if word.isdigit() else _GRADES[word]
    if "medio" in (match["level"] or ""):
        return "high_school" if grade <= 3 else ""
    if match["unit"] == "year" and word.isdigit():
        return ""
    if match["unit"] == "serie":
        grade += 1  # parents still count as before 2006, when school began a year later
    if not 1 <= grade <= 12:
        return ""
    return "elementary_1" if grade <= 5 else "elementary_2" if grade <= 9 else "high_school"


def level_of_age(age: int) -> str:
    """Return the level of a pupil of `age` whole years: 2-5, 6-10, 11-14, 15-17, 18 and older."""
    for level, oldest in (("early_childhood", 5), ("elementary_1", 10), ("elementary_2", 14), ("high_school", 17)):
        if age <= oldest:
            return level
    return "adult"
