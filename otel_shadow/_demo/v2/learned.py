"""Patterns that coverage proposed from real messages, beside the router's own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from otel_shadow._demo.v2.extract.normal import fold
from otel_shadow._demo.v2.intents import ASK, GENERAL, INTENTS, Intents


@dataclass(frozen=True)
class LearnedPattern:
    """An intent, a regular expression for folded text, and the score that its precision earned it."""

    intent: str
    pattern: re.Pattern[str]
    score: float


@dataclass(frozen=True)
class Learned:
    """All of them; none by default."""

    patterns: tuple[LearnedPattern, ...] = ()

    def add(self, intents: Intents, text: str) -> Intents:
        """Return `intents` with the learned scores, where those are higher."""
        folded = fold(text).replace("’", "'")
        found = {one.intent: one.score for one in self.patterns if one.pattern.search(folded)}
        better = {name: score for name, score in found.items() if score > intents.scores.get(name, 0.0)}
        if not better:
            return intents
        topic = intents.topic or (GENERAL if ASK in better else None)
        return replace(intents, scores={**intents.scores, **better}, topic=topic)

    @classmethod
    def from_file(cls, path: str | Path) -> Learned:
        """Read the file that `otel-shadow coverage --out` writes.

        Raises:
            ValueError: it is no such file: which entry, and what is expected.

        """
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: not readable as a patterns file: {error}") from error
        return cls(tuple(_patterns(content.get("patterns", []), path)))


def _patterns(entries: Any, path: str | Path) -> Iterable[LearnedPattern]:
    if not isinstance(entries, list):
        raise ValueError(f"{path}: expected [[patterns]] entries")
    for number, entry in enumerate(entries, start=1):
        where = f"{path}: [[patterns]] {number}"
        if not isinstance(entry, dict) or entry.get("intent") not in INTENTS:
            raise ValueError(f"{where}: intent: expected one of {', '.join(INTENTS)}")
        score = entry.get("score")
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= 1:
            raise ValueError(f"{where}: score: expected a number from 0 to 1, found {score!r}")
        try:
            yield LearnedPattern(entry["intent"], re.compile(str(entry["pattern"])), float(score))
        except (KeyError, re.error) as error:
            raise ValueError(f"{where}: pattern: expected a regular expression: {error}") from error
