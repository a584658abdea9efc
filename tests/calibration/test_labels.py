"""Labels: agreement with V1, or a person's; and every way in which a file of them can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_shadow._calibration.labels import Names, intent_decisions, judge, read_labels, router_decisions
from otel_shadow._calibration.pairs import PairSet, read_pairs
from otel_shadow.errors import ConfigError, EvidenceError
from otel_shadow.record import Status
from tests.calibration.window import observed, record, write_log


def pairs_of(folder: Path, *records) -> PairSet:
    return read_pairs([str(write_log(folder / "app.log", records))])


def test_agreement_with_v1_is_the_label(tmp_path: Path) -> None:
    """A pair that matches is right, one that doesn't is wrong, one whose V2 failed is no decision."""
    found = pairs_of(
        tmp_path,
        record(1, observed=observed(0.9)),
        record(2, shadow="scheduling", observed=observed(0.8)),
        record(3, status=Status.ERROR, observed=observed(0.7)),
    )
    assert [(one.score, one.wrong) for one in router_decisions(found, Names())] == [(0.9, False), (0.8, True)]


def test_a_decision_handed_to_a_person_is_judged_by_where_it_would_have_gone(tmp_path: Path) -> None:
    """With the plan observed it may be right; without, the worst is assumed and said."""
    found = pairs_of(
        tmp_path,
        record(1, shadow="human", observed=observed(0.2, planned_target="information")),
        record(2, shadow="human", observed=observed(0.2, planned_target="scheduling")),
        record(3, shadow="human", observed=observed(0.2)),
    )
    decided = [(one.wrong, one.assumed) for one in router_decisions(found, Names())]
    assert decided == [(False, False), (True, False), (True, True)]


def test_labels_by_pair_and_by_message(tmp_path: Path) -> None:
    """``correct`` by pair id, ``target`` by message hash and node; pairs without a label are left out."""
    first, second, third = (
        record(1, observed=observed(0.9), shadow="scheduling"),
        record(2, observed=observed(0.9), message="Quanto custa?", shadow="scheduling"),
        record(3, observed=observed(0.9)),
    )
    file = tmp_path / "labels.csv"
    file.write_text(
        "pair_id,user_message_hash,node,correct,target\n"
        f"{first.pair_id},,,yes,\n"
        f",{second.user_message_hash},greeting,,information\n",
        encoding="utf-8",
    )
    found = pairs_of(tmp_path, first, second, third)
    decided = router_decisions(found, Names(), read_labels(file))
    assert [(one.id, one.wrong) for one in decided] == [(first.pair_id, False), (second.pair_id, True)]
    assert judge(found.pairs[2], Names(), read_labels(file)) is None


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jsonl", b'{"correct": true}\n', "a.jsonl:1: no pair_id"),
        ("b.jsonl", b'{"pair_id": "1"}\n', "b.jsonl:1: expected either correct"),
        ("c.jsonl", b'{"pair_id": "1", "correct": "perhaps"}\n', "correct='perhaps'; expected true or false"),
        ("d.jsonl", b'{"pair_id": "1", "correct": true}\n{"pair_id": "1", "correct": false}\n', "d.jsonl:2: a second"),
        ("e.jsonl", b"not json\n", "e.jsonl:1: not JSON"),
        ("f.jsonl", "{\"pair_id\": \"é\"}".encode("latin-1"), "not UTF-8"),
        ("g.csv", b"pair_id,correct\n", "no label in it"),
    ],
)  # fmt: skip
def test_a_bad_file_of_labels_names_its_fault(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    """File, line, what was read and what is expected."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=told):
        read_labels(path)


def test_labels_of_other_pairs_say_what_to_look_at(tmp_path: Path) -> None:
    """Labels that match nothing are an error, not a window without labels."""
    file = tmp_path / "labels.jsonl"
    file.write_text('{"pair_id": "elsewhere", "correct": true}\n', encoding="utf-8")
    with pytest.raises(EvidenceError, match="none of the 1 labels is of one of the 1 pairs"):
        router_decisions(pairs_of(tmp_path, record(1, observed=observed(0.9))), Names(), read_labels(file))


def test_a_log_without_the_field_says_what_to_configure(tmp_path: Path) -> None:
    """No confidence observed: the table to add to shadow.toml, and the option that names another field."""
    with pytest.raises(EvidenceError, match=r'\[nodes.greeting.observe\] numbers = \["router_confidence"\]'):
        router_decisions(pairs_of(tmp_path, record(1, observed={"score": 0.5})), Names())


def test_a_confidence_out_of_range_is_named(tmp_path: Path) -> None:
    """A percentage where a share belongs."""
    with pytest.raises(EvidenceError, match="router_confidence=90; expected a confidence in"):
        router_decisions(pairs_of(tmp_path, record(1, observed={"router_confidence": 90})), Names())


def test_intents_that_were_not_recognised_have_no_threshold(tmp_path: Path) -> None:
    """A score of 0, or no score, is no decision of an intent."""
    found = pairs_of(
        tmp_path,
        record(1, observed=observed(0.9, intent="schedule", intent_score=0.8)),
        record(2, observed=observed(0.9, intent="none", intent_score=0.0)),
        record(3, observed=observed(0.9, intent="schedule")),
    )
    assert [(one.group, one.score) for one in intent_decisions(found, Names())] == [("schedule", 0.8)]
