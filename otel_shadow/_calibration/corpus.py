"""A local corpus, joined with the pairs by the keyed hash: the only place where message texts are read.

The texts stay in this process: nothing here writes them anywhere.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_shadow import semconv
from otel_shadow._calibration.conversations import DEMO_KEY, MalformedLine, read_conversations
from otel_shadow._calibration.pairs import Pair, PairSet
from otel_shadow._runtime.redact import Redactor
from otel_shadow.errors import ConfigError

Said = tuple[str, str, str | None, str | None]
"""Language, conversation and labels of a text."""


@dataclass(frozen=True, slots=True)
class Message:
    """One text of the corpus and the pairs that it made.

    Arguments:
        lang: the language tag of its row (``pt``, ``en``), or empty.
        conversation: the one that said it first.
        intent: the row's own ``intent``, where it is a declared one: a person's label.
        node: the row's own ``node`` (the business node that the message is for): a person's label too.
        pairs: the pairs whose message it is, of any session.
    """

    text: str
    lang: str
    conversation: str
    intent: str | None
    node: str | None
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Corpus:
    """The texts that were said in the window; ``unsaid`` texts of the file made no pair."""

    messages: tuple[Message, ...]
    unsaid: int
    joined_pairs: int
    malformed: tuple[str, ...]


def read_corpus(path: Path, pairs: PairSet, declared: Sequence[str]) -> Corpus:
    """Read the texts in ``path`` and join them with ``pairs`` by their hash; ``declared`` intents count as labels.

    A ConfigError says that the file can't be read, has no message, that the hash key is not the lines' own, or that
    nothing joins.
    """
    redactor = _redactor(pairs)
    texts, malformed = _texts(path, declared)
    by_hash: defaultdict[str | None, list[Pair]] = defaultdict(list)
    for pair in pairs.pairs:
        by_hash[pair.message_hash].append(pair)
    said = {text: tuple(by_hash.get(redactor.digest(text), ())) for text in texts}
    messages = tuple(Message(text, *texts[text], found) for text, found in said.items() if found)
    if not messages:
        hashes = len(by_hash.keys() - {None})
        raise ConfigError([f"{path}: none of its {len(texts):,} messages is one of the {hashes:,} in the lines"])
    joined = sum(len(message.pairs) for message in messages)
    return Corpus(messages, len(texts) - len(messages), joined, tuple(map(str, malformed)))


def _redactor(pairs: PairSet) -> Redactor:
    given = os.environ.get(semconv.ENV_HASH_KEY, "").strip()
    redactor = Redactor(given or DEMO_KEY)
    if redactor.key_id not in pairs.keys:
        told, seen = "is another key" if given else "is not set", ", ".join(pairs.keys)
        wanted = f"the lines were written with the key whose id is {seen}; set it to join texts"
        if redactor.former_key_id in pairs.keys:
            told, wanted = "is the lines' own", "but release 0.1 wrote them, whose hashes were others: take later lines"
        raise ConfigError([f"{semconv.ENV_HASH_KEY} {told}: {wanted}"])
    return redactor


def _texts(path: Path, declared: Sequence[str]) -> tuple[dict[str, Said], list[MalformedLine]]:
    texts: dict[str, Said] = {}
    malformed: list[MalformedLine] = []
    try:
        for item in read_conversations(path):
            if isinstance(item, MalformedLine):
                malformed.append(item)
                continue
            for text, row in zip(item.turns, item.rows, strict=True):
                texts.setdefault(text, (item.lang, item.id, *_labels(row, declared)))
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror or type(error).__name__}; expected a JSONL corpus"]) from None
    if not texts:
        told = f"{len(malformed):,} lines can't be read" + (f", such as {malformed[0]}" if malformed else "")
        wanted = "JSON Lines in UTF-8 with text, or turns with speaker and text"
        raise ConfigError([f"{path}: no message in it ({told}); expected {wanted}"])
    return texts, malformed


def _labels(row: Mapping[str, Any], declared: Sequence[str]) -> tuple[str | None, str | None]:
    intent, node = row.get("intent"), row.get("node")
    human = row.get("node_basis", "intent") == "intent"
    return (intent if intent in declared else None), (node if isinstance(node, str) and human else None)
