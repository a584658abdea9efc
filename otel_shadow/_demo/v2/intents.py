"""What the parent wants: a score in [0, 1] for each intent, from folded patterns and the form of the sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from otel_shadow._demo.v2 import lexicon
from otel_shadow._demo.v2.extract import names
from otel_shadow._demo.v2.extract.normal import fold

GREET = "greet"
ASK = "ask_information"
SCHEDULE = "schedule"
HUMAN = "human"
AFFIRM = "affirm"
DENY = "deny"
CLOSE = "close"
NONE = "none"
INTENTS = (GREET, ASK, SCHEDULE, HUMAN, AFFIRM, DENY, CLOSE)

_OPENS, _INQUIRES = 0.95, 0.9  # "hello", "how are you"
GENERAL = "general"  # the topic of a question that none of the known topics is behind


def _any(*alternatives: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(alternatives)})\b")


_HUMAN = _any(*lexicon.HUMAN)
_SCHEDULE = _any(*lexicon.SCHEDULE)
_ABOUT_BOOKING = _any(lexicon.ABOUT_BOOKING)
_TOPICS = tuple((topic, _any(pattern)) for topic, pattern in lexicon.TOPICS.items())
_QUESTION = re.compile(lexicon.QUESTION)
_WANTS_TO_KNOW = _any(lexicon.WANTS_TO_KNOW)
_REQUEST = _any(lexicon.REQUEST)
_PROVIDER = _any(lexicon.PROVIDER)
_GREET_FIRST = re.compile(rf"^\W*(?:{lexicon.GREET_FIRST})\b")
_GREET_ANY = re.compile(rf"\b(?:{lexicon.GREET_ANY})")
_OPENING = r"^\W*(?:(?:hm+|ah+|oh|umm*|well|entao|bom|ola|oi|actually|na verdade)\b\W*)?"
_AFFIRM = re.compile(rf"{_OPENING}(?:{lexicon.AFFIRM})\b")
_DENY = re.compile(rf"{_OPENING}(?:{lexicon.DENY})\b")
_CLOSE = _any(lexicon.CLOSING)
_NAME_CHANGE = _any(lexicon.NAME_CHANGE)


@dataclass(frozen=True)
class Intents:
    """Every intent's score, the topic of a question, and whether the message is a greeting and little more."""

    scores: dict[str, float]
    topic: str | None
    small_talk: bool = False

    @property
    def best(self) -> str:
        """The intent with the highest score, `none` where nothing was recognised."""
        name = max(self.scores, key=lambda intent: self.scores[intent])
        return name if self.scores[name] else NONE

    def has(self, intent: str, least: float = 0.5) -> bool:
        """Whether `intent` scores at least `least`."""
        return self.scores.get(intent, 0.0) >= least

    def counting(self, least: Mapping[str, float]) -> Intents:
        """Return these intents, those that score below their least score having none."""
        scores = {name: score if score >= least.get(name, 0.0) else 0.0 for name, score in self.scores.items()}
        return replace(self, scores=scores) if least else self


@lru_cache(maxsize=256)  # the nodes of one turn ask the same
def recognise(text: str) -> Intents:
    """Score every intent in `text`."""
    folded = fold(text).replace("’", "'")
    asking = _asking(folded)
    topic = next((topic for topic, pattern in _TOPICS if pattern.search(folded)), None)
    about = bool(asking and _ABOUT_BOOKING.search(folded))
    scores = {
        HUMAN: 0.95 if _HUMAN.search(folded) else 0.0,
        SCHEDULE: 0.0 if about else 0.95 if _SCHEDULE.search(folded) else 0.0,
        ASK: _ask_score(asking, topic, about, folded),
        GREET: _INQUIRES if _GREET_ANY.search(folded) else _OPENS if _GREET_FIRST.match(folded) else 0.0,
        AFFIRM: 0.9 if _AFFIRM.match(folded) else 0.0,
        DENY: 0.9 if _DENY.match(folded) else 0.0,
        CLOSE: 0.85 if _CLOSE.search(folded) else 0.0,
    }
    topic = topic or (GENERAL if scores[ASK] >= 0.5 else None)
    return Intents(scores, topic, _only_greets(scores, topic, len(folded.split())))


def _asking(folded: str) -> bool:
    return "?" in folded or bool(_QUESTION.match(folded)) or bool(_WANTS_TO_KNOW.search(folded))


def _ask_score(asking: bool, topic: str | None, about: bool, folded: str) -> float:
    if about:
        return 0.95
    if topic is not None:
        return 0.9 if asking else 0.7 if len(folded.split()) <= 6 else 0.5
    if not asking:
        return 0.0
    return 0.65 if _PROVIDER.search(folded) and not _REQUEST.search(folded) else 0.5


def node_of(text: str) -> str:
    """Return the node that a message without any context is for; `other` where it is for none."""
    intents = recognise(text)
    if intents.has(HUMAN):
        return "other"
    if intents.has(SCHEDULE):
        return "scheduling"
    if intents.small_talk:
        return "greeting"
    if any(mention.score >= 0.75 for mention in names(text)) or _NAME_CHANGE.search(fold(text)):
        return "qualification"
    if intents.has(CLOSE):
        return "other"
    if intents.has(ASK, 0.6):
        return "information"
    return "other"


def _only_greets(scores: dict[str, float], topic: str | None, words: int) -> bool:
    """Whether a message is a greeting and little more; "how are you" counts as one, not as a question."""
    if not scores[GREET] or words > 8:
        return False
    opens, asks = scores[GREET] == _OPENS, scores[ASK] >= 0.5
    return words <= 4 if opens and not asks else not opens and topic in (None, GENERAL, "offer", "how_it_works")
