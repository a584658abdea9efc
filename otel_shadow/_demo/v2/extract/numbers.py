"""Number words from 0 to 199, folded, in both languages."""

from __future__ import annotations

_UNITS_PT = (
    "zero um dois tres quatro cinco seis sete oito nove dez onze doze treze quatorze quinze dezesseis "
    "dezessete dezoito dezenove"
)
_UNITS_EN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen six"
    "teen seventeen eighteen nineteen"
)
_TENS_PT = "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa"
_TENS_EN = "twenty thirty forty fifty sixty seventy eighty ninety"
_MORE = {
    "uma": 1,
    "duas": 2,
    "catorze": 14,
    "dezasseis": 16,
    "dezassete": 17,
    "dezanove": 19,
    "meia": 6,
    "cinqüenta": 50,
    "a": 1,
    "an": 1,
    "cem": 100,
    "fourty": 40,
}


def _words() -> dict[str, int]:
    found = dict(_MORE)
    for units, tens, joints in ((_UNITS_PT, _TENS_PT, (" e ",)), (_UNITS_EN, _TENS_EN, (" ", "-"))):
        ones = units.split()
        found.update({word: value for value, word in enumerate(ones)})
        for ten, word in enumerate(tens.split(), start=2):
            found[word] = ten * 10
            found.update({f"{word}{j}{ones[u]}": ten * 10 + u for j in joints for u in range(1, 10)})
    return found


NUMBER_WORDS = _words()
_AMBIGUOUS = ("a", "an", "meia")
NUMBER_PATTERN = "|".join(sorted((w for w in NUMBER_WORDS if w not in _AMBIGUOUS), key=len, reverse=True))


def number(word: str) -> int | None:
    """Return the value of digits or a folded number word; `None` for anything else."""
    word = " ".join(word.split())
    return int(word) if word.isdecimal() else NUMBER_WORDS.get(word)
