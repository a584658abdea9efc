"""A local corpus: joined by the keyed hash, and every way in which it can be of no use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otel_shadow._calibration.corpus import read_corpus
from otel_shadow._calibration.pairs import PairSet, read_pairs
from otel_shadow.errors import ConfigError
from tests.calibration.window import KEY, observed, record, write_log

SAID = ("Olá, quanto custa?", "How much is it?", "Quero marcar uma visita")


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PairSet:
    monkeypatch.setenv("OTEL_SHADOW_HASH_KEY", KEY)
    records = [record(n, message=text, observed=observed(0.5)) for n, text in enumerate(SAID)]
    return read_pairs([str(write_log(tmp_path / "app.log", records))])


def corpus(folder: Path, *rows: object) -> Path:
    path = folder / "corpus.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_texts_are_joined_by_hash(tmp_path: Path, pairs: PairSet) -> None:
    """Utterances and the user's turns of dialogues; a text that was not said is counted only; no tag, no language."""
    turns = [{"speaker": "user", "text": SAID[1]}, {"speaker": "system", "text": "10"}]
    found = read_corpus(
        corpus(tmp_path, {"text": SAID[0], "lang": "pt-BR"}, {"dialogue_id": "d1", "turns": turns}, {"text": "nobody"}),
        pairs, (),
    )  # fmt: skip
    assert [(one.text, one.lang, one.pairs[0].session) for one in found.messages] == [
        (SAID[0], "pt", "session_0"), (SAID[1], "", "session_1")
    ]  # fmt: skip
    assert (found.unsaid, found.joined_pairs) == (1, 2)


def test_labels_of_the_rows_are_kept(tmp_path: Path, pairs: PairSet) -> None:
    """An intent counts if it is declared, a node unless it was inferred."""
    rows = (
        {"text": SAID[0], "intent": "ask_information", "node": "information"},
        {"text": SAID[1], "intent": "some+other", "node": "information", "node_basis": "slot"},
    )
    found = read_corpus(corpus(tmp_path, *rows), pairs, ("ask_information",)).messages
    assert [(one.intent, one.node) for one in found] == [("ask_information", "information"), (None, None)]


def test_lines_that_are_no_messages_are_left_out_and_named(tmp_path: Path, pairs: PairSet) -> None:
    """An empty message, a number and a Latin-1 line: each with its line; the rest is used."""
    path = corpus(tmp_path, {"text": " "}, {"text": 3}, {"text": SAID[0]})
    path.write_bytes(path.read_bytes() + '{"text": "Olá"}\n'.encode("latin-1"))
    found = read_corpus(path, pairs, ())
    assert len(found.messages) == 1
    assert ["message is empty" in found.malformed[0], ":2: text: expected text" in found.malformed[1],
            ":4: not UTF-8" in found.malformed[2]] == [True] * 3  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_says_which_is_expected(tmp_path: Path, pairs: PairSet, encoding: str) -> None:
    """A whole file in UTF-16 or Latin-1 has no message in it: the error names line, byte and UTF-8."""
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(json.dumps({"text": SAID[0]}, ensure_ascii=False).encode(encoding))
    with pytest.raises(ConfigError, match=r"no message in it .*expected JSON Lines in UTF-8"):
        read_corpus(path, pairs, ())


def test_another_key_is_told_apart_from_another_corpus(
    tmp_path: Path, pairs: PairSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing joins: because of the key, because there is none, or because these messages were not said."""
    path = corpus(tmp_path, {"text": SAID[0]})
    monkeypatch.setenv("OTEL_SHADOW_HASH_KEY", "another")
    with pytest.raises(ConfigError, match="OTEL_SHADOW_HASH_KEY is another key"):
        read_corpus(path, pairs, ())
    monkeypatch.delenv("OTEL_SHADOW_HASH_KEY")
    with pytest.raises(ConfigError, match="OTEL_SHADOW_HASH_KEY is not set"):
        read_corpus(path, pairs, ())
    monkeypatch.setenv("OTEL_SHADOW_HASH_KEY", KEY)
    with pytest.raises(ConfigError, match="none of its 1 messages is one of the 3 in the lines"):
        read_corpus(corpus(tmp_path, {"text": "never said"}), pairs, ())


def test_an_absent_corpus_is_one_sentence(tmp_path: Path, pairs: PairSet) -> None:
    """The file and the reason."""
    with pytest.raises(ConfigError, match=r"absent.jsonl: No such file"):
        read_corpus(tmp_path / "absent.jsonl", pairs, ())
