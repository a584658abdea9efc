"""Gaps: messages that V2 does not recognise, grouped by what they have in common."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from sklearn.cluster import HDBSCAN
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from otel_shadow._calibration.corpus import Corpus, Message
from otel_shadow._calibration.coverage import UNSURE, intent_of
from otel_shadow._calibration.labels import Names

_SMALLEST, _TERMS, _SHARED_BY, _MORE_OFTEN = 5, 4, 3, 10
"""Messages of a group; its terms; conversations that share a term; how much commoner a term is than elsewhere."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Unrecognised messages that are alike.

    Arguments:
        terms: phrases that set the messages apart, the commonest first; at least three conversations of the group share
            each, and every number in them is ``0``.
        messages, sessions: how many texts, and how many sessions said one.
        meant: texts per label of a person, or per decision of V1.
    """

    terms: tuple[str, ...]
    messages: int
    sessions: int
    langs: Mapping[str, int]
    meant: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Gaps:
    """What a corpus adds to the coverage.

    Arguments:
        texts, joined_pairs, unsaid: texts that were said, the pairs that they made, and texts that made none.
        malformed: lines that are no message: file, line and reason.
        judged_by: what is meant is known by ``human labels``, or by ``agreement with V1`` where there are none.
        unrecognised: texts that V2 does not recognise.
        groups: of them, the largest first; texts that are like no others are in none.
    """

    texts: int
    joined_pairs: int
    unsaid: int
    malformed: tuple[str, ...]
    judged_by: str
    unrecognised: int
    groups: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class _Reading:
    """A message, its phrases, whether V2 recognised it, and what it meant."""

    message: Message
    phrases: Set[str]
    recognised: bool
    meant: str | None


def find_gaps(corpus: Corpus, names: Names) -> Gaps:
    human = any(message.intent or message.node for message in corpus.messages)
    word = r"[a-z0]+(?:'[a-z]+)?"
    phrases = CountVectorizer(preprocessor=fold, token_pattern=word, ngram_range=(1, 3)).build_analyzer()
    readings = [
        _Reading(one, frozenset(phrases(one.text)), _recognised(one, names), _meant(one, human))
        for one in corpus.messages
    ]
    missed = [one for one in readings if not one.recognised]
    everywhere = Counter(phrase for one in readings for phrase in one.phrases)
    found = [_gap(group, len(readings), everywhere) for group in _alike(missed)]
    gaps = [gap for gap in found if gap.terms]
    return Gaps(
        texts=len(readings),
        joined_pairs=corpus.joined_pairs,
        unsaid=corpus.unsaid,
        malformed=corpus.malformed,
        judged_by="human labels" if human else "agreement with V1",
        unrecognised=len(missed),
        groups=tuple(sorted(gaps, key=lambda gap: (-gap.messages, gap.terms))),
    )


def fold(text: str) -> str:
    """Return ``text`` in lower case, without accents, every number as ``0``."""
    plain = unicodedata.normalize("NFKD", text.replace("’", "'"))
    return re.sub(r"\d\w*", "0", "".join(sign for sign in plain if not unicodedata.combining(sign)).lower())


def _recognised(message: Message, names: Names) -> bool:
    """Return whether V2's router acted on at least half of the message's pairs."""
    told = [(pair.v2.get(names.action), intent_of(pair, names)) for pair in message.pairs]
    acted = sum(action not in UNSURE if action else intent != "none" for action, intent in told)
    return 2 * acted >= len(told)


def _meant(message: Message, human: bool) -> str | None:
    """Return a person's label where texts have labels, else V1's decision; None where it is not known."""
    return message.intent or message.node if human else message.pairs[0].original_target


def _alike(missed: Sequence[_Reading]) -> list[list[_Reading]]:
    """Return groups by HDBSCAN (Campello, Moulavi & Sander 2013) on the letters' TF-IDF in 50 latent dimensions."""
    if len(missed) < 2 * _SMALLEST:
        return []
    vectors = make_pipeline(
        TfidfVectorizer(preprocessor=fold, analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True),
        TruncatedSVD(min(50, len(missed) - 1), random_state=0),
        Normalizer(),
    ).fit_transform([one.message.text for one in missed])
    groups: defaultdict[int, list[_Reading]] = defaultdict(list)
    for one, label in zip(missed, HDBSCAN(_SMALLEST, min_samples=2, copy=True).fit_predict(vectors), strict=True):
        groups[int(label)].append(one)
    return [group for label, group in groups.items() if label >= 0]  # -1: like no others


def _gap(group: Sequence[_Reading], texts: int, everywhere: Counter[str]) -> Gap:
    return Gap(
        terms=_terms(group, texts, everywhere),
        messages=len(group),
        sessions=len({pair.session for one in group for pair in one.message.pairs}),
        langs=dict(Counter(one.message.lang for one in group).most_common()),
        meant=dict(Counter(one.meant for one in group if one.meant).most_common()),
    )


def _terms(group: Sequence[_Reading], texts: int, everywhere: Counter[str]) -> tuple[str, ...]:
    """Return the group's commonest phrases that are rare elsewhere, no word in two of them."""
    inside = Counter(phrase for one in group for phrase in one.phrases)
    said_by = Counter(
        phrase for _, phrase in {(one.message.conversation, each) for one in group for each in one.phrases}
    )
    chosen: list[str] = []
    for phrase, count in sorted(inside.items(), key=lambda item: (-item[1], -len(item[0]), item[0])):
        rare = count * (texts - len(group)) >= _MORE_OFTEN * (everywhere[phrase] - count) * len(group)
        if rare and said_by[phrase] >= _SHARED_BY and set(" ".join(chosen).split()).isdisjoint(phrase.split()):
            chosen.append(phrase)
    return tuple(chosen[:_TERMS])
