"""What every extractor shares: mentions, the rules that find them, and text as the rules read it.

Text is folded; for numbers its words are also digits, and short forms are written out. Every character of the result
knows where it came from, so that a match can be shown in the original text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from otel_shadow._demo.language import words

V = TypeVar("V")
R = TypeVar("R")


@dataclass(frozen=True)
class Mention(Generic[V]):
    """A value, where it stands in the text (end exclusive), and how sure the pattern is, in [0, 1]."""

    value: V
    start: int
    end: int
    score: float = 0.9

    def overlaps(self, other: Mention[V]) -> bool:
        return self.start < other.end and other.start < self.end


def first_disjoint(mentions: list[Mention[V]]) -> list[Mention[V]]:
    """Keep, of mentions in order of preference, those that overlap none kept before; return them in text order."""
    kept: list[Mention[V]] = []
    for mention in mentions:
        if not any(mention.overlaps(other) for other in kept):
            kept.append(mention)
    return sorted(kept, key=lambda mention: mention.start)


def rule(read: R, score: float, *pieces: str) -> tuple[re.Pattern[str], R, float]:
    """Return a pattern made of `pieces`, what reads its matches, and the score of what is read."""
    return re.compile("".join(pieces)), read, score


def joined(pattern: str) -> str:
    """Return a regular expression that is written over several lines, each of which ends behind a bar."""
    return "".join(line.strip() for line in pattern.splitlines())


def numbered(names: str, first: int) -> dict[str, int]:
    """Return the number of each name; names of one number are separated by blanks, numbers by bars."""
    return {name: number for number, both in enumerate(names.split("|"), first) for name in both.split()}


_UNITS = numbered(
    "um one|dois duas two|tres three|quatro four|cinco five|seis six|sete seven|oito eight|nove nine|dez ten|"
    "onze eleven|doze twelve|treze thirteen|quatorze catorze fourteen|quinze fifteen|dezesseis sixteen|"
    "dezessete seventeen|dezoito eighteen|dezenove nineteen",
    first=1,
)
_TENS = numbered(
    "decimo|vinte twenty vigesimo|trinta thirty|quarenta forty|cinquenta fifty|sessenta sixty|setenta seventy|"
    "oitenta eighty|noventa ninety",
    first=1,
)
_ORDINALS = numbered(
    "first primeiro|second segundo|third terceiro|fourth quarto|fifth quinto|sixth sexto|seventh setimo|eighth oitavo|"
    "ninth nono|tenth decimo|eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|"
    "nineteenth|twentieth vigesimo",
    first=1,
)
_SHORT = {
    "hj": "hoje", "amnh": "amanha", "amn": "amanha", "dps": "depois", "prox": "proxima", "tmrw": "tomorrow",
    "tmr": "tomorrow", "2moro": "tomorrow", "tonite": "tonight", "sept": "sep", "meiodia": "meio dia",
    "meianoite": "meia noite", "pras": "para as", "pro": "para o", "pra": "para", "thirtieth": "30th",
}  # fmt: skip
_WORDS = (
    {word: f"{10 * number}" for word, number in _TENS.items()}
    | {word: f"{number}" for word, number in _UNITS.items()}
    | {word: f"{number}th" for word, number in _ORDINALS.items()}
    | _SHORT
)
# Words that alone are more often something else than a number.
_AMBIGUOUS = words("um second segundo quarto quinto sexto")
_ONES = "|".join(word for word, number in (*_UNITS.items(), *_ORDINALS.items()) if number < 10)
_WORD = re.compile(rf"\b(?P<ten>{'|'.join(_TENS)})(?: e |[ -])(?P<one>{_ONES})\b|[a-z0-9]+")


@dataclass(frozen=True)
class Normal:
    """The normalised `text`, and for each of its characters where it starts and ends in the original."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where normalised characters `start` to `end` (exclusive) stand in the original."""
        return self.starts[start], self.ends[end - 1]


@lru_cache(maxsize=256)  # ages, dates and times of one message ask the same
def normalise(text: str) -> Normal:
    folded = fold(text)
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    position = 0
    for match in _WORD.finditer(folded):
        new = _replacement(match)
        if new is None:
            continue
        pieces += [folded[position : match.start()], new]
        starts += [*range(position, match.start()), *([match.start()] * len(new))]
        ends += [*range(position + 1, match.start() + 1), *([match.end()] * len(new))]
        position = match.end()
    rest = range(position, len(folded))
    return Normal("".join([*pieces, folded[position:]]), (*starts, *rest), (*ends, *(i + 1 for i in rest)))


def _replacement(match: re.Match[str]) -> str | None:
    if match["ten"]:
        one = match["one"]
        tens = 10 * _TENS[match["ten"]]
        return f"{tens + _ORDINALS[one]}th" if one in _ORDINALS else f"{tens + _UNITS[one]}"
    word = match[0]
    return None if word in _AMBIGUOUS else _WORDS.get(word)


@lru_cache(maxsize=256)
def fold(text: str) -> str:
    """Return `text` in lower case and without accents, of the same length, so that spans stay true."""
    return "".join(_fold(character) for character in text)


def _fold(character: str) -> str:
    if character.isascii():
        return character.lower()
    base = unicodedata.normalize("NFKD", character)[0].lower()
    return base if len(base) == 1 else character
