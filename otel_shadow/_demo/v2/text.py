"""Text as the patterns read it: without case and accents, every character in its old place."""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """Return `text` in lower case and without accents, of the same length, so that spans stay true."""
    return "".join(_fold(character) for character in text)


def _fold(character: str) -> str:
    if character.isascii():
        return character.lower()
    base = unicodedata.normalize("NFKD", character)[0].lower()
    return base if len(base) == 1 else character
