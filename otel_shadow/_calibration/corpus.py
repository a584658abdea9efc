"""A local corpus, joined with the pairs by the keyed hash: the only place where message texts are read.

They stay in this process: nothing here writes them anywhere but to the caller.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_shadow import semconv
from otel_shadow._calibration.pairs import Pair, PairSet
from otel_shadow._demo.conversations import Conversation, MalformedLine, read_conversations
from otel_shadow._demo.language import detect_language
from otel_shadow._runtime.redact import Redactor
from otel_shadow.errors import ConfigError

DEMO_KEY = "otel-shadow demo"
"""The key of ``otel-shadow demo``, whose conversations are public."""


@dataclass(frozen=True, slots=True)
class Message:
    """One text of the corpus and the pairs it made.

    Arguments:
        text: as it was written.
        lang: ``pt``, ``en``, or another tag of the row; detected where the row has none.
        conversation: where it was first said; texts of one conversation belong together.
        pairs: the pairs whose message it is, of any session.
        intent: the row's own ``intent``, where it is a declared one: a human label.
        node: the row's own ``node`` (which business node the message is for): a human label too.
    """

    text: str
    lang: str
    conversation: str
    pairs: tuple[Pair, ...]
    intent: str | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Corpus:
    """The texts that were said in the window; ``unsaid`` texts of the file made no pair."""

    messages: tuple[Message, ...]
    unsaid: int
    joined_pairs: int
    all_pairs: int
    malformed: tuple[str, ...]


def read_corpus(path: Path, pairs: PairSet, declared: Sequence[str]) -> Corpus:
    """The corpus in ``path`` joined with ``pairs``.

    Raises:
        ConfigError: the file can't be read, has no message, the hash key is not the lines' own, or nothing joins.
    """
    redactor = _redactor(pairs)
    texts, malformed = _texts(path, declared)
    by_hash: dict[str, list[Pair]] = {}
    for pair in pairs.pairs:
        if pair.message_hash:
            by_hash.setdefault(pair.message_hash, []).append(pair)
    joined = []
    for text, known in texts.items():
        if found := by_hash.get(redactor.digest(text)):
            joined.append(Message(text, *known[:2], tuple(found), *known[2:]))
    if not joined:
        raise ConfigError([f"{path}: none of its {len(texts):,} messages is one of the {len(by_hash):,} in the lines"])
    said = sum(len(message.pairs) for message in joined)
    return Corpus(tuple(joined), len(texts) - len(joined), said, len(pairs.pairs), tuple(map(str, malformed)))


def _redactor(pairs: PairSet) -> Redactor:
    given = os.environ.get(semconv.ENV_HASH_KEY)
    for key in (given, None if given else DEMO_KEY):
        if key and (redactor := Redactor(key)).key_id in pairs.keys:
            return redactor
    seen = ", ".join(pairs.keys)
    told = "is another key" if given else "is not set"
    raise ConfigError(
        [f"{semconv.ENV_HASH_KEY} {told}: the lines were written with the key whose id is {seen}; set it to join texts"]
    )


_Known = tuple[str, str, str | None, str | None]


def _texts(path: Path, declared: Sequence[str]) -> tuple[dict[str, _Known], list[MalformedLine]]:
    """Every text once, in the order in which it first comes: language, conversation, labels."""
    texts: dict[str, _Known] = {}
    malformed: list[MalformedLine] = []
    rows = _rows(path)
    try:
        for item in read_conversations(path):
            if isinstance(item, MalformedLine):
                malformed.append(item)
                continue
            for text, intent, node in _labelled(item, rows.get(item.line, {}), declared):
                texts.setdefault(text, (item.lang or detect_language(text), item.id, intent, node))
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror or type(error).__name__}; expected a JSONL corpus"]) from None
    if not texts:
        such = f", such as {malformed[0]}" if malformed else ""
        told = f"{len(malformed):,} lines can't be read{such}"
        wanted = "JSON Lines in UTF-8 with text, or turns with speaker and text"
        raise ConfigError([f"{path}: no message in it ({told}); expected {wanted}"])
    return texts, malformed


def _rows(path: Path) -> dict[int, Mapping[str, Any]]:
    """Rows by line, for the labels that conversations don't carry."""
    found: dict[int, Mapping[str, Any]] = {}
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                try:
                    row = json.loads(raw.decode("utf-8-sig"))
                except (ValueError, RecursionError):
                    continue
                if isinstance(row, dict):
                    found[number] = row
    except OSError:
        return {}
    return found


def _labelled(
    item: Conversation, row: Mapping[str, Any], declared: Sequence[str]
) -> list[tuple[str, str | None, str | None]]:
    turns = row.get("turns")
    said: list[Mapping[str, Any]] = [row]
    if isinstance(turns, list):
        said = [turn for turn in turns if isinstance(turn, dict) and str(turn.get("speaker")).lower() == "user"]
    return [(text, *_labels(one, declared)) for text, one in zip(item.turns, said, strict=False)]


def _labels(row: Mapping[str, Any], declared: Sequence[str]) -> tuple[str | None, str | None]:
    intent, node = row.get("intent"), row.get("node")
    known = intent if isinstance(intent, str) and intent in declared else None
    human = row.get("node_basis", "intent") == "intent"
    return known, node if isinstance(node, str) and human else None
