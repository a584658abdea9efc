"""Coverage: what the window saw of what was declared, and where V2 is unsure or disagrees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otel_shadow._calibration.coverage import coverage_of
from otel_shadow._calibration.labels import Names
from otel_shadow._calibration.pairs import read_pairs
from otel_shadow.cli import main
from otel_shadow.record import Status
from tests.calibration.window import observed, record, write_log

DECLARED = ("ask_information", "schedule", "human")
CONFIG = f"[session]\nintents = {json.dumps(DECLARED)}\n"


def window(folder: Path) -> Path:
    """40 sure questions, 3 unsure bookings that V1 routed, 2 messages without an intent, one failure of V2."""
    records = [record(n, observed=observed(0.9, intent="ask_information")) for n in range(40)]
    records += [record(n, original="scheduling", shadow="__end__", observed=observed(0.5, intent="schedule"))
                for n in range(40, 43)]  # fmt: skip
    records += [
        record(n, original="__end__", shadow="__end__", observed=observed(0.45, intent="none")) for n in (43, 44)
    ]
    records.append(record(45, status=Status.ERROR, intent="ask_information"))
    return write_log(folder / "app.log", records)


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as leave:
        main([str(argument) for argument in arguments])
    return int(leave.value.code or 0)


def test_rows_count_sessions_agreement_confidence_and_failures(tmp_path: Path) -> None:
    """Per intent: every number is that of the records."""
    found = coverage_of(read_pairs([str(window(tmp_path))]).pairs, DECLARED, Names())
    rows = {row.key[0]: row for row in found.intents}
    ask = rows["ask_information"]
    assert (ask.sessions, ask.pairs, ask.compared, ask.agreed, ask.confidence, ask.failed) == (41, 41, 40, 40, 0.9, 1)
    booking = rows["schedule"]
    assert (booking.pairs, booking.agreement, booking.unsure, booking.confidence) == (3, 0.0, 3, 0.5)
    assert {row.key for row in found.routes} == {
        ("greeting", "information"), ("greeting", "scheduling"), ("greeting", "__end__")
    }  # fmt: skip


def test_declared_intents_that_were_never_or_hardly_seen(tmp_path: Path) -> None:
    """``human`` was never seen, ``schedule`` in fewer than 30 sessions."""
    found = coverage_of(read_pairs([str(window(tmp_path))]).pairs, DECLARED, Names())
    assert (found.unseen, found.few) == (("human",), ("schedule",))


def test_spots_are_where_v2_is_unsure_or_disagrees(tmp_path: Path) -> None:
    """The heaviest first; sure agreement is no spot."""
    spots = coverage_of(read_pairs([str(window(tmp_path))]).pairs, DECLARED, Names()).spots
    assert [(spot.intent, spot.original, spot.shadow, spot.pairs) for spot in spots] == [
        ("schedule", "scheduling", "__end__", 3),
        ("none", "__end__", "__end__", 2),
    ]


def test_the_command_prints_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a corpus: intents, routes and spots, and no text of anybody."""
    config = tmp_path / "shadow.toml"
    config.write_text(CONFIG, encoding="utf-8")
    assert run("coverage", window(tmp_path), "--config", config) == 0
    told = capsys.readouterr().out
    assert "declared and never seen: human; seen in fewer than 30 sessions: schedule" in told
    assert "Corpus" not in told
