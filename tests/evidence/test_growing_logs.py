"""Following logs: nothing lost and nothing counted twice while they grow and rotate."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from recorded import log

from otel_shadow.errors import EvidenceError
from otel_shadow.evidence import Watch, growing_logs, read, save
from otel_shadow.verdict import evaluate


def test_a_growing_log_is_read_once(tmp_path: Path) -> None:
    """Also where a poll falls in the middle of a line; the end is what reading the whole file gives."""
    content, path = b"".join(log(300)), tmp_path / "app.log"
    path.touch()
    with Watch([str(path)]) as watched:
        assert len(watched.poll()) == 0
        for place in range(0, len(content), 41_111):
            with path.open("ab") as file:
                file.write(content[place : place + 41_111])
            summary = watched.poll()
    whole = read([str(path)])
    assert (len(summary), summary.duplicates, summary.reading.lines) == (300, 0, whole.reading.lines)
    assert evaluate(summary).criteria == evaluate(whole).criteria


def test_rotation_by_rename_loses_nothing(tmp_path: Path) -> None:
    """What was written to the old file after the last poll is read before the new one."""
    ours, path = log(300), tmp_path / "app.log"
    with path.open("wb") as old, Watch([str(path)]) as watched:
        old.writelines(ours[:100])
        old.flush()
        watched.poll()
        old.writelines(ours[100:200])
        old.flush()
        path.rename(tmp_path / "app.log.1")
        path.write_bytes(b"".join(ours[200:]))
        assert len(watched.poll()) == 300
        path.unlink()
        assert len(watched.poll()) == 300


def test_a_file_that_lost_its_beginning_is_read_anew(tmp_path: Path) -> None:
    """Copy-truncate is not supported by the writer; the reader makes the best of it."""
    ours, path = log(200), tmp_path / "app.log"
    path.write_bytes(b"".join(ours[:300]))
    with Watch([str(path)]) as watched:
        watched.poll()
        path.write_bytes(b"".join(ours[300:]))
        assert len(watched.poll()) == 200


def test_a_file_that_lost_its_beginning_and_has_grown_since_is_read_anew(tmp_path: Path) -> None:
    """Copy-truncate between two polls, and more lines than before: it is no shorter."""
    path = tmp_path / "app.log"
    for before in (1, 40):  # less than is remembered of its beginning, and more
        path.write_bytes(b"".join(log(before)))
        with Watch([str(path)]) as watch:
            watch.poll()
            os.truncate(path, 0)
            with path.open("ab") as more:
                more.write(b"".join(log(300, seed=2)))
            found = watch.poll()
            assert (len(found), found.reading.malformed) == (before + 300, 0)
            assert len(watch.poll()) == before + 300


def test_new_files_of_a_glob_packed_files_and_summaries(tmp_path: Path) -> None:
    """Whatever appears is taken, each packed file and summary once."""
    ours = log(300)
    with Watch([str(tmp_path / "*.log*")]) as watched:
        assert len(watched.poll()) == 0
        (tmp_path / "a.log").write_bytes(b"".join(ours[:100]))
        assert len(watched.poll()) == len({line for line in ours[:100] if b"COMPARISON" not in line})
        (tmp_path / "b.log.gz").write_bytes(gzip.compress(b"".join(ours[:300])))
        save(read([str(tmp_path / "b.log.gz")]), tmp_path / "c.log.npz")
        (tmp_path / "d.log").write_bytes(b"".join(ours[300:]))
        for _ in range(3):
            summary = watched.poll()
    assert len(summary) == 300


def test_a_large_file_is_begun_by_the_fast_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And followed from its last whole line."""
    monkeypatch.setattr(growing_logs, "_CHUNK", 10_000)
    content, path = b"".join(log(200)), tmp_path / "app.log"
    path.write_bytes(content[:100_001])
    with Watch([str(path)]) as watched:
        watched.poll()
        with path.open("ab") as file:
            file.write(content[100_001:])
        summary = watched.poll()
    assert (len(summary), summary.duplicates) == (200, 0)


def test_what_can_not_be_watched_is_said_at_once(tmp_path: Path) -> None:
    """Standard input, and a file that is not there."""
    with pytest.raises(EvidenceError, match="can't be watched"):
        Watch(["-"])
    with pytest.raises(EvidenceError, match="no such file"):
        Watch([str(tmp_path / "no.log")])
