"""Text as the date and time patterns read it: folded, number words as digits, usual misspellings put right.

Every character of the result knows where it came from, so that a match can be shown in the original text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from otel_shadow._demo.v2.extract.numbers import NUMBER_PATTERN, number
from otel_shadow._demo.v2.text import fold
from otel_shadow._demo.words import words

_ORDINALS = {
    word: value
    for names in (
        (
            "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
            "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
        ),
        "primeiro - terceiro",
    )
    for value, word in enumerate(names.split(), start=1)
    if word not in ("second", "-")  # a unit of time as well
}
_ORDINALS |= {f"twenty{j}{word}": 20 + n for word, n in list(_ORDINALS.items()) if n < 10 for j in " -"}
_ORDINALS |= {f"twenty{j}second": 22 for j in " -"} | {
    f"thirt{w}": n for w, n in (("ieth", 30), ("y first", 31), ("y-first", 31))
}
_PT_UNITS = {
    "primeiro": 1,
    "segundo": 2,
    "terceiro": 3,
    "quarto": 4,
    "quinto": 5,
    "sexto": 6,
    "setimo": 7,
    "oitavo": 8,
    "nono": 9,
}
_ORDINALS |= {"decimo": 10, "vigesimo": 20, "trigesimo": 30, "trigesimo primeiro": 31}
_ORDINALS |= {
    f"{ten} {unit}": base + n for ten, base in (("decimo", 10), ("vigesimo", 20)) for unit, n in _PT_UNITS.items()
}
_SHORT = {
    "hj": "hoje",
    "amnh": "amanha",
    "amn": "amanha",
    "amanh": "amanha",
    "dps": "depois",
    "prox": "proxima",
    "tmrw": "tomorrow",
    "tmr": "tomorrow",
    "tmw": "tomorrow",
    "2moro": "tomorrow",
    "tonite": "tonight",
    "sept": "sep",
    "meiodia": "meio dia",
    "meianoite": "meia noite",
    "pras": "para as",
    "pro": "para o",
    "pra": "para",
}
_CALENDAR = words(
    """january february september october november december saturday thursday wednesday tuesday tomorrow yesterday
    segunda domingo janeiro fevereiro setembro outubro novembro dezembro"""
)
_NOT_TYPOS = words("segundo segundos segundas domingos saturdays thursdays wednesdays tuesdays morrow sorrow")
_WORD = re.compile(
    rf"\b(?:{'|'.join(sorted(map(re.escape, _ORDINALS), key=len, reverse=True))}|{NUMBER_PATTERN})\b|[a-z0-9]+"
)


@dataclass(frozen=True)
class Normal:
    """The normalised `text`, and for each of its characters where it starts and ends in the original."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where normalised characters `start` to `end` (exclusive) stand in the original."""
        return self.starts[start], self.ends[end - 1]


@lru_cache(maxsize=256)  # dates and times of one message ask the same
def normalise(text: str) -> Normal:
    """Return `text` in normal form."""
    folded = fold(text)
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    position = 0
    for match in _WORD.finditer(folded):
        new = _replacement(match[0])
        if new is None:
            continue
        pieces += [folded[position : match.start()], new]
        starts += [*range(position, match.start()), *([match.start()] * len(new))]
        ends += [*range(position + 1, match.start() + 1), *([match.end()] * len(new))]
        position = match.end()
    rest = range(position, len(folded))
    return Normal("".join([*pieces, folded[position:]]), (*starts, *rest), (*ends, *(i + 1 for i in rest)))


def _replacement(word: str) -> str | None:
    if word in _ORDINALS:
        return f"{_ORDINALS[word]}th"
    if word in _SHORT:
        return _SHORT[word]
    if not word[0].isdigit() and (value := number(word)) is not None and word not in ("um", "uma", "a", "an", "meia"):
        return str(value)
    return _corrected(word)


def _corrected(word: str) -> str | None:
    if len(word) < 6 or word in _NOT_TYPOS or word in _CALENDAR:
        return None
    return next((right for right in _CALENDAR if word[0] == right[0] and _one_edit(word, right)), None)


def _one_edit(wrong: str, right: str) -> bool:
    """Whether one insertion, deletion, substitution or swap of neighbours turns `wrong` into `right`."""
    if abs(len(wrong) - len(right)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(wrong, right, strict=False)) if a != b), min(len(wrong), len(right)))
    rest, wanted = wrong[start:], right[start:]
    if len(wrong) == len(right):
        return rest[1:] == wanted[1:] or (rest[:2] == wanted[1::-1] and rest[2:] == wanted[2:])
    return rest[1:] == wanted if len(wrong) > len(right) else rest == wanted[1:]
