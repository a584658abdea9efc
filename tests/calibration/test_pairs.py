"""Pairs come from the very lines that the runtime writes, in any form, each once, of one build."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from otel_shadow._calibration.pairs import read_pairs
from otel_shadow.errors import EvidenceError
from tests.calibration.window import observed, record, write_log


def some(count: int, **given):
    return [record(number, observed=observed(0.9), **given) for number in range(count)]


def test_a_line_becomes_a_pair_with_what_it_observed(tmp_path: Path) -> None:
    """ScoredDecision, latency, session, hash and observed fields are those of the record."""
    one = record(3, shadow="__end__", observed=observed(0.5, planned_target="__end__"), message="Oi", latency_s=0.5)
    (pair,) = read_pairs([str(write_log(tmp_path / "app.log", [one]))]).pairs
    assert (pair.pair_id, pair.session, pair.node) == (one.pair_id, "session_3", "greeting")
    assert (pair.original_target, pair.shadow_target, pair.decisions_match) == ("information", "__end__", False)
    assert (pair.latency_ms, pair.message_hash) == (500.0, one.user_message_hash)
    assert pair.v2 == {"router_confidence": 0.5, "threshold_action": "fallback", "planned_target": "__end__"}


def test_the_same_pairs_from_plain_packed_and_container_logs(tmp_path: Path) -> None:
    """gzip, Docker's json-file and a log that is read twice give the same pairs, each once."""
    plain = write_log(tmp_path / "app.log", some(5))
    packed = tmp_path / "app.log.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    docker = tmp_path / "container.log"
    written = plain.read_text(encoding="utf-8").splitlines()
    docker.write_text("".join(json.dumps({"log": f"{line}\n"}) + "\n" for line in written), encoding="utf-8")
    expected = read_pairs([str(plain)]).pairs
    assert len(expected) == 5
    assert read_pairs([str(packed)]).pairs == expected
    assert read_pairs([str(docker)]).pairs == expected
    both = read_pairs([str(plain), str(packed)])
    assert both.pairs == expected
    assert both.duplicates == 5


def test_only_the_latest_build_counts_unless_another_is_named(tmp_path: Path) -> None:
    """A window of evidence is one build."""
    old = [record(number, build="old", observed=observed(0.9)) for number in range(4)]
    new = [record(number, build="new", observed=observed(0.9), salt="n") for number in range(10, 13)]
    log = str(write_log(tmp_path / "app.log", [*old, *new]))
    found = read_pairs([log])
    assert (found.build, len(found.pairs)) == ("new", 3)
    assert "4 pairs of other V2 builds" in found.notes[0]
    assert len(read_pairs([log], "old").pairs) == 4
    with pytest.raises(EvidenceError, match="'older'; the sources have 'old', 'new'"):
        read_pairs([log], "older")


def test_damaged_lines_are_counted_and_left_out(tmp_path: Path) -> None:
    """A torn line, a line without a session and one of another schema are damage, and told as the verdict tells it."""
    log = write_log(tmp_path / "app.log", some(3))
    good = json.loads(next(line for line in log.read_text().splitlines() if '"SHADOW_V2"' in line))
    with log.open("a") as file:
        file.write('{"event":"SHADOW_V2","event_type":"shadow_v2_execution","sess\n')
        file.write(json.dumps({**good, "pair_id": "x", "session_id": None}) + "\n")
        file.write(json.dumps({**good, "pair_id": "y", "schema": 99}) + "\n")
    found = read_pairs([str(log)])
    assert (len(found.pairs), found.malformed) == (3, 3)
    assert "2 lines of otel-shadow were unreadable" in " ".join(found.notes)
    assert "1 line of another format (schema 99) was left out" in " ".join(found.blockers)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"GET / 200\n", "no SHADOW_V2 line among 1 lines"),
        (b"\x00\x01\x02", "binary file"),
        (b"PK\x03\x04", "a saved summary keeps counts only"),
    ],
)
def test_a_source_without_pairs_says_what_to_name(tmp_path: Path, content: bytes, told: str) -> None:
    """Another log, a binary file and a saved summary each get one sentence."""
    path = tmp_path / "other.log"
    path.write_bytes(content)
    with pytest.raises(EvidenceError, match=told):
        read_pairs([str(path)])
