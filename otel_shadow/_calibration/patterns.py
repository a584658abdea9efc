"""Patterns for what V2 misses: n-grams that nearly only messages of one intent have, judged by cross-validation."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otel_shadow._calibration.fixed_sequence import lower_bound
from otel_shadow._calibration.meaning import NO_INTENT, Meanings, Meant
from otel_shadow._calibration.wording import corrected, fold, misspellings, ngrams, words
from otel_shadow.errors import require

LEAST_MISSED = 15
"""Missed messages of an intent and language from which a pattern is looked for."""
LEAST_PRECISION = 0.8
LEAST_LOWER = 0.6
"""Lower confidence bound of the precision: four right of four prove nothing."""
_FOLDS = 5
_MOST_NGRAMS = 20
_LEAST_MESSAGES = 3
"""An n-gram of fewer conversations says more about a person than about an intent."""
_PRIOR = 1.0


@dataclass(frozen=True, slots=True)
class PatternProposal:
    """A pattern for one intent in one language.

    Arguments:
        pattern: a regular expression for folded text (lower case, no accents).
        ngrams: what it is made of, the most useful first.
        missed: messages of the intent that V2 does not recognise now.
        matched, found: messages that held-out patterns matched, and those of them that meant the intent. Messages that
            V2 recognises as this intent already don't count: a pattern changes nothing there.
        precision, recall: found / matched and found / missed, by cross-validation over whole conversations: each
            message is judged by a pattern made without its conversation. ``precision_lower`` is its exact lower
            confidence bound at 95 %.
        proposed: whether precision is at least :data:`LEAST_PRECISION`, and its lower bound :data:`LEAST_LOWER`.
    """

    intent: str
    lang: str
    pattern: str
    ngrams: tuple[str, ...]
    missed: int
    matched: int
    found: int
    precision: float | None
    precision_lower: float
    recall: float
    proposed: bool


@dataclass(frozen=True, slots=True)
class _Text:
    tokens: tuple[str, ...]
    folded: str
    group: str
    missed: bool


def propose_patterns(meanings: Meanings) -> tuple[PatternProposal, ...]:
    """Patterns for every intent and language that misses enough messages; what was tried and failed is told too.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    known = [one for one in meanings.messages if one.intent is not None]
    missed = Counter((str(one.intent), one.message.lang) for one in known if one.unrecognised)
    tries = [key for key, often in missed.most_common() if often >= LEAST_MISSED and key[0] != NO_INTENT]
    found = [_propose(intent, lang, known) for intent, lang in tries]
    return tuple(sorted((one for one in found if one), key=lambda one: (not one.proposed, -one.found)))


def too_few(meanings: Meanings) -> tuple[tuple[str, str, int], ...]:
    """Intents and languages that miss some messages, but too few to learn from: intent, language, how many."""
    missed = Counter((str(one.intent), one.message.lang) for one in meanings.unrecognised if one.intent is not None)
    return tuple((*key, often) for key, often in missed.most_common() if often < LEAST_MISSED and key[0] != NO_INTENT)


def _propose(intent: str, lang: str, known: Sequence[Meant]) -> PatternProposal | None:
    texts = [_text(one, intent) for one in known if one.message.lang == lang and not _settled(one, intent)]
    missed = sum(text.missed for text in texts)
    if len({text.group for text in texts if text.missed}) < _FOLDS:
        return None
    matched = found = 0
    for learn, judge in _folds(texts):
        pattern, _ = learn_pattern(learn)
        hits = [text for text in judge if pattern and pattern.search(text.folded)]
        matched += len(hits)
        found += sum(text.missed for text in hits)
    final, grams = learn_pattern(texts)
    if final is None:
        return None
    precision = found / matched if matched else None
    lower = lower_bound(found, matched, 0.05)
    good = precision is not None and precision >= LEAST_PRECISION and lower >= LEAST_LOWER
    return PatternProposal(
        intent, lang, final.pattern, grams, missed, matched, found, precision, lower, found / missed, good
    )


def _settled(one: Meant, intent: str) -> bool:
    """Whether V2 has recognised it as ``intent`` already: a pattern would change nothing there."""
    return one.intent == intent and not one.unrecognised


def _text(one: Meant, intent: str) -> _Text:
    message = one.message
    return _Text(tuple(words(message.text)), fold(message.text), message.conversation, one.intent == intent)


def _folds(texts: Sequence[_Text]) -> list[tuple[list[_Text], list[_Text]]]:
    splitter: Any = require("sklearn.model_selection", "calibration").StratifiedGroupKFold(
        n_splits=_FOLDS, shuffle=True, random_state=0
    )
    labels, groups = [text.missed for text in texts], [text.group for text in texts]
    return [
        ([texts[place] for place in learn], [texts[place] for place in judge])
        for learn, judge in splitter.split(texts, labels, groups)
    ]


def learn_pattern(texts: Sequence[_Text]) -> tuple[re.Pattern[str] | None, tuple[str, ...]]:
    """Greedy cover of the missed messages by n-grams whose matches are nearly all right; None if there is none."""
    spelling = misspellings(text.tokens for text in texts)
    having = _having(texts, spelling)
    left = {place for place, text in enumerate(texts) if text.missed}
    right = frozenset(left)
    precise = {gram: places for gram, places in having.items() if _precision(places, right) >= LEAST_PRECISION}
    chosen: list[str] = []
    while precise and len(chosen) < _MOST_NGRAMS:
        best = max(precise, key=lambda gram: (len(precise[gram] & left), -len(gram), gram))
        if len({texts[place].group for place in precise[best] & left}) < _LEAST_MESSAGES - bool(chosen):
            break
        left -= precise.pop(best)
        chosen.append(best)
    return (compile_pattern(chosen, spelling) if chosen else None), tuple(chosen)


def _having(texts: Sequence[_Text], spelling: Mapping[str, str]) -> dict[str, set[int]]:
    """For each n-gram of a missed message the texts that have it, if several conversations do."""
    grams = [ngrams(corrected(text.tokens, spelling)) for text in texts]
    wanted = set().union(*(own for own, text in zip(grams, texts, strict=True) if text.missed))
    having: dict[str, set[int]] = {}
    for place, own in enumerate(grams):
        for gram in own & wanted:
            having.setdefault(gram, set()).add(place)
    return {
        gram: places
        for gram, places in having.items()
        if len({texts[place].group for place in places}) >= _LEAST_MESSAGES
    }


def _precision(places: set[int], right: frozenset[int]) -> float:
    """Share of right ones, smoothed (Laplace's rule), so that three of three are not taken for certain."""
    return (len(places & right) + _PRIOR * LEAST_PRECISION) / (len(places) + 2 * _PRIOR)


def compile_pattern(grams: Sequence[str], spelling: Mapping[str, str]) -> re.Pattern[str]:
    """A regular expression for folded text that matches any of ``grams``, in the misspellings that were seen too."""
    slips: dict[str, list[str]] = {}
    for wrong, usual in spelling.items():
        slips.setdefault(usual, []).append(wrong)
    ordered = sorted(grams, key=lambda gram: (-len(gram), gram))
    return re.compile(rf"\b(?:{'|'.join(_gram(gram, slips) for gram in ordered)})\b")


def _gram(gram: str, slips: Mapping[str, Sequence[str]]) -> str:
    return r"\W+".join(_word(word, sorted(slips.get(word, ()))) for word in gram.split())


def _word(word: str, slips: Sequence[str]) -> str:
    if word == "0":
        return r"\d\w*"
    return f"(?:{'|'.join(map(re.escape, (word, *slips)))})" if slips else re.escape(word)
