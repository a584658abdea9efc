"""The loop closed on recorded conversations: every number is counted from the logs of its own run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_shadow import semconv
from otel_shadow._calibration.pairs import read_pairs
from otel_shadow._demo.closed_loop import run_loop
from otel_shadow._demo.v2.thresholds import Thresholds
from otel_shadow.errors import ConfigError
from otel_shadow.verdict import Decision


def some_of(path: Path, target: Path, every: int) -> Path:
    """Every so many-th line of a file, so that the test is short and the mix stays the same."""
    lines = path.read_bytes().splitlines(keepends=True)[::every]
    target.write_bytes(b"".join(lines))
    return target


@pytest.mark.data
@pytest.mark.slow
def test_shadow_calibrate_shadow_again(data_file: Callable[[str], Path], tmp_path: Path) -> None:
    """Two windows of real conversations, three rounds, settings that V2 loads; whatever the verdicts are, they follow
    from the pairs: no GO with a parity whose band lies under its bound, and the control differs in the build alone."""
    told: list[str] = []
    files = [
        some_of(data_file("dialogues_en.jsonl"), tmp_path / "dialogues.jsonl", 18),
        some_of(data_file("utterances_en.jsonl"), tmp_path / "utterances.jsonl", 20),
        some_of(data_file("utterances_pt.jsonl"), tmp_path / "portuguese.jsonl", 4),
    ]
    out = tmp_path / "loop"
    first, control, second = run_loop(files, out, say=told.append)

    assert [one.build for one in (first, control, second)] == ["v2-first", "v2-first", "v2-second"]
    assert first.played != control.played == second.played
    for one, folder in ((first, "1-first"), (control, "2-control"), (second, "3-second")):
        pairs = read_pairs([str(out / folder / "app.log")])
        assert (one.pairs, one.sessions, pairs.build) == (len(pairs.pairs), pairs.sessions, one.build)
        assert pairs.simulated
        assert (out / folder / "report.html").stat().st_size > 10_000
        differing = sum(pair.decisions_match is False for pair in pairs.pairs)
        assert 0 < sum(count for _, count in one.why) <= differing
        parity = one.verdict.criterion(semconv.CRITERION_PARITY)
        if parity.upper is not None and parity.upper < parity.bound:
            assert one.verdict.decision is not Decision.GO
    sessions = [{p.session for p in read_pairs([str(out / f / "app.log")]).pairs} for f in ("2-control", "3-second")]
    assert sessions[0] == sessions[1]
    assert first.labelled > 100
    assert 0 < first.v1_wrong < first.labelled
    if (out / "thresholds.toml").exists():
        Thresholds.from_file(out / "thresholds.toml")
    assert "disagreement with V1" in (out / "calibration.txt").read_text(encoding="utf-8")
    assert any(str(first.verdict.decision) in line for line in told)


def test_conversations_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """An absent file, and a file with nothing in it."""
    with pytest.raises(ConfigError, match=r"absent\.jsonl"):
        run_loop([tmp_path / "absent.jsonl"], tmp_path / "out")
    empty = tmp_path / "empty.jsonl"
    empty.write_text(json.dumps({"text": "alone"}), encoding="utf-8")
    with pytest.raises(ConfigError, match="fewer than two conversations"):
        run_loop([empty], tmp_path / "out")
