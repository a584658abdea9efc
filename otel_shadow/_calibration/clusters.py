"""Groups of messages that V2 did not recognise: what they have in common, and which intent they resemble."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from otel_shadow._calibration.meaning import NO_INTENT, Meanings, Meant
from otel_shadow._calibration.wording import fold, ngrams, words
from otel_shadow.errors import require

_EXAMPLES = 3
_NGRAMS = 6
_LEAST = 5
"""Messages of a group worth a look, and of an intent worth learning."""
_APART = 0.75
"""Mean cosine distance at which two groups are left apart."""
_MOST = 2000
"""Messages that are clustered; of more, every so many-th is taken."""
_DIMENSIONS = 50


@dataclass(frozen=True, slots=True)
class Cluster:
    """Messages alike.

    Arguments:
        messages, sessions: how many texts, and sessions that said one.
        ngrams: what sets them apart from all other messages, the most telling first.
        examples: the texts nearest to the middle.
        langs: texts per language.
        resembles: the intent whose messages they are most like; None where no intent can be learned.
        likeness: the classifier's mean probability of it, in [0, 1].
        meant: what they meant, as far as labels say: texts per intent.
    """

    messages: int
    sessions: int
    ngrams: tuple[str, ...]
    examples: tuple[str, ...]
    langs: dict[str, int]
    resembles: str | None
    likeness: float | None
    meant: dict[str, int]


@dataclass(frozen=True, slots=True)
class Clusters:
    """The clusters, the largest first; ``scattered`` messages are like no others, ``clustered`` were looked at."""

    clusters: tuple[Cluster, ...]
    scattered: int
    clustered: int
    unrecognised: int


def cluster(meanings: Meanings) -> Clusters:
    """Cluster the unrecognised messages.

    TF-IDF of words and letters, latent semantic analysis (Deerwester et al. 1990), average linkage (Sokal & Michener
    1958) up to a fixed distance: what is like nothing else stays alone.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    missed = meanings.unrecognised
    looked_at = missed[:: math.ceil(len(missed) / _MOST)] if missed else ()
    if len(looked_at) < _LEAST:
        return Clusters((), len(looked_at), len(looked_at), len(missed))
    vectors = _vectors([one.message.text for one in looked_at])
    groups, scattered = _groups(vectors)
    likeness = _likeness(meanings, looked_at)
    background = Counter(gram for one in meanings.messages for gram in ngrams(words(one.message.text)))
    found = [_cluster(places, looked_at, vectors, likeness, background) for places in groups]
    ordered = tuple(sorted(found, key=lambda one: (-one.messages, one.ngrams)))
    return Clusters(ordered, scattered, len(looked_at), len(missed))


def _vectors(texts: Sequence[str]) -> Any:
    text = require("sklearn.feature_extraction.text", "calibration")
    union = require("sklearn.pipeline", "calibration").FeatureUnion(
        [
            ("words", text.TfidfVectorizer(preprocessor=fold, ngram_range=(1, 2), sublinear_tf=True)),
            (
                "letters",
                text.TfidfVectorizer(preprocessor=fold, analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True),
            ),
        ]
    )
    found = union.fit_transform(texts)
    size = min(_DIMENSIONS, found.shape[1] - 1, found.shape[0] - 1)
    if size >= 2:
        found = require("sklearn.decomposition", "calibration").TruncatedSVD(size, random_state=0).fit_transform(found)
    return require("sklearn.preprocessing", "calibration").normalize(found)


def _groups(vectors: Any) -> tuple[list[list[int]], int]:
    """Places of messages alike, and how many are in no group that is worth a look."""
    method = require("sklearn.cluster", "calibration").AgglomerativeClustering(
        n_clusters=None, distance_threshold=_APART, metric="cosine", linkage="average"
    )
    found: dict[int, list[int]] = {}
    for place, label in enumerate(method.fit_predict(vectors)):
        found.setdefault(int(label), []).append(place)
    groups = [places for places in found.values() if len(places) >= _LEAST]
    return groups, len(vectors) - sum(map(len, groups))


def _likeness(meanings: Meanings, missed: Sequence[Meant]) -> dict[int, dict[str, float]]:
    """Probability of each intent for each missed message, by logistic regression on the letters of recognised ones."""
    known = [(one.message.text, one.recognised) for one in meanings.messages if one.recognised not in (None, "_other")]
    often = Counter(intent for _, intent in known)
    known = [(text, intent) for text, intent in known if often[intent] >= _LEAST and intent != NO_INTENT]
    if len({intent for _, intent in known}) < 2:
        return {}
    text = require("sklearn.feature_extraction.text", "calibration")
    model = require("sklearn.pipeline", "calibration").make_pipeline(
        text.TfidfVectorizer(preprocessor=fold, analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True),
        require("sklearn.linear_model", "calibration").LogisticRegression(max_iter=500, class_weight="balanced"),
    )
    model.fit([text for text, _ in known], [intent for _, intent in known])
    rows = model.predict_proba([one.message.text for one in missed])
    return {place: dict(zip(model.classes_, row, strict=True)) for place, row in enumerate(rows)}


def _cluster(
    places: Sequence[int],
    missed: Sequence[Meant],
    vectors: Any,
    likeness: dict[int, dict[str, float]],
    background: Counter[str],
) -> Cluster:
    own = [missed[place] for place in places]
    middle = vectors[places].mean(axis=0)
    nearest = sorted(places, key=lambda place: -float(vectors[place] @ middle))[:_EXAMPLES]
    mean = Counter[str]()
    for place in places:
        for intent, chance in likeness.get(place, {}).items():
            mean[intent] += float(chance) / len(places)  # type: ignore[assignment]
    resembles = max(mean, key=lambda intent: mean[intent], default=None)
    return Cluster(
        messages=len(own),
        sessions=len({pair.session for one in own for pair in one.message.pairs}),
        ngrams=telling([ngrams(words(one.message.text)) for one in own], background),
        examples=tuple(missed[place].message.text for place in nearest),
        langs=dict(Counter(one.message.lang for one in own).most_common()),
        resembles=resembles,
        likeness=None if resembles is None else float(mean[resembles]),
        meant=dict(Counter(one.intent for one in own if one.intent is not None).most_common()),
    )


def telling(own: Sequence[set[str]], background: Counter[str]) -> tuple[str, ...]:
    """N-grams that set ``own`` apart, one that is part of a better one left out.

    By the z-score of their log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi & Quinn 2008,
    "Fightin' Words", §3.3.1).
    """
    here = Counter(gram for grams in own for gram in grams)
    total, all_of_them = here.total(), background.total()
    rest = all_of_them - total
    scores = {}
    for gram, count in here.items():
        prior = background[gram] / all_of_them * 500
        other = max(background[gram] - count, 0)
        inside = math.log((count + prior) / max(total + 500 - count - prior, 1))
        outside = math.log((other + prior) / max(rest + 500 - other - prior, 1))
        scores[gram] = (inside - outside) / math.sqrt(1 / (count + prior) + 1 / (other + prior))
    chosen: list[str] = []
    for gram in sorted(scores, key=lambda gram: (-scores[gram], gram)):
        if here[gram] >= 2 and not any(gram in better or better in gram for better in chosen):
            chosen.append(gram)
        if len(chosen) == _NGRAMS:
            break
    return tuple(chosen)
