"""Texts as n-grams see them: folded, in words, misspelt words under their usual spelling."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_LEAST_LETTERS = 5
_MUCH_RARER = 4
LONGEST = 3
"""Words of an n-gram."""


def fold(text: str) -> str:
    """``text`` in lower case and without accents."""
    plain = unicodedata.normalize("NFKD", text.replace("’", "'"))
    return "".join(sign for sign in plain if not unicodedata.combining(sign)).lower()


def words(text: str) -> list[str]:
    """The words of ``text``, folded; numbers are all ``0``, so that no price or time becomes a word of its own."""
    return ["0" if word[0].isdigit() else word for word in _WORD.findall(fold(text))]


def ngrams(tokens: Sequence[str]) -> set[str]:
    """Runs of up to three words."""
    return {
        " ".join(tokens[start : start + size])
        for size in range(1, LONGEST + 1)
        for start in range(len(tokens) - size + 1)
    }


def misspellings(texts: Iterable[Sequence[str]]) -> dict[str, str]:
    """Rare words that are one slip (a letter too many, too few, wrong, or two swapped) from a much commoner one.

    The slips are those of Damerau (1964). Only words of five letters and more are looked at, and the first letter must
    be right, so that short words keep their own meaning.
    """
    counts = Counter(word for text in texts for word in text if len(word) >= _LEAST_LETTERS)
    by_delete: dict[str, list[str]] = {}
    for word in counts:
        for key in _keys(word):
            by_delete.setdefault(key, []).append(word)
    found = {}
    for word, often in counts.items():
        near = {other for key in _keys(word) for other in by_delete[key] if other != word and _one_slip(word, other)}
        better = [other for other in near if counts[other] >= _MUCH_RARER * often and not _inflected(word, other)]
        if better:
            found[word] = max(better, key=lambda other: (counts[other], other))
    return found


def corrected(tokens: Sequence[str], spelling: Mapping[str, str]) -> list[str]:
    """``tokens`` with misspelt words replaced."""
    return [spelling.get(word, word) for word in tokens]


def _keys(word: str) -> set[str]:
    """The word, and it without any one letter: words one slip apart share a key (Garbe's symmetric deletes)."""
    return {word, *(word[:place] + word[place + 1 :] for place in range(1, len(word)))}


def _inflected(word: str, other: str) -> bool:
    """Whether the two are forms of one word (an ending changes its meaning: plurals, persons, genders)."""
    return word[:-1] == other or other[:-1] == word or word[:-1] == other[:-1]


def _one_slip(first: str, second: str) -> bool:
    if first[0] != second[0] or abs(len(first) - len(second)) > 1:
        return False
    if len(first) == len(second):
        places = [place for place, (a, b) in enumerate(zip(first, second, strict=True)) if a != b]
        swapped = len(places) == 2 and places[1] == places[0] + 1 and first[places[0]] == second[places[1]]
        return len(places) == 1 or (swapped and first[places[1]] == second[places[0]])
    short, long = sorted((first, second), key=len)
    return any(long[:place] + long[place + 1 :] == short for place in range(1, len(long)))
