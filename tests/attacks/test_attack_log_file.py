"""The log file in a world that moves: descriptors closed and used again, directories changed, disks full, pipes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_graphs import call, left, small_graph

from otel_shadow._telemetry.log_sinks import LogFileSink
from otel_shadow.evidence.line_reader import LineReader
from otel_shadow.line_code import code_of

ROOT = Path(__file__).resolve().parents[2]


def test_a_descriptor_that_was_closed_and_used_again(tmp_path: Path) -> None:
    """A process that becomes a daemon closes all descriptors: its next file never gets a line of ours."""
    sink = LogFileSink(tmp_path / "app.log")
    number = sink._descriptor
    os.close(number)
    database = os.open(tmp_path / "app.db", os.O_RDWR | os.O_CREAT)
    assert database == number
    sink.write(b"line\n")
    sink.close()
    assert os.fstat(database).st_size == 0
    assert (tmp_path / "app.log").read_bytes() == b"line\n"
    os.close(database)


def test_closing_never_closes_what_is_not_ours(tmp_path: Path) -> None:
    """Nor is the application's file closed, when ours had its number."""
    sink = LogFileSink(tmp_path / "app.log")
    os.close(sink._descriptor)
    database = os.open(tmp_path / "app.db", os.O_RDWR | os.O_CREAT)
    sink.close()
    assert os.write(database, b"row") == 3
    os.close(database)


def test_a_relative_path_is_that_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application changes its directory: the lines stay in one file."""
    monkeypatch.chdir(tmp_path)
    sink = LogFileSink("app.log")
    (tmp_path / "elsewhere").mkdir()
    os.chdir("elsewhere")
    sink.write(b"line\n")
    sink.close()
    assert (tmp_path / "app.log").read_bytes() == b"line\n"
    assert os.listdir() == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_that_nobody_reads(tmp_path: Path) -> None:
    """It is an error at once, not an application that never starts."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError):
        LogFileSink(tmp_path / "pipe")


def test_standard_error_is_closed(tmp_path: Path) -> None:
    """The next file that the application opens has its number: no line goes there."""
    code = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from otel_shadow._telemetry.log_sinks import LogFileSink
database = os.open("app.db", os.O_RDWR | os.O_CREAT)
try:
    LogFileSink("stderr").write(b"line\\n")
except OSError as error:
    print(database, os.fstat(database).st_size, error)
"""
    (tmp_path / "app.py").write_text(code, encoding="utf-8")
    shell = f"exec '{sys.executable}' app.py 2>&-"
    done = subprocess.run(["/bin/sh", "-c", shell], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout == "2 0 stderr is closed\n"


def test_a_stream_that_is_no_file(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The application has replaced ``sys.stderr``: lines go to the process's own."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with capfd.disabled():
        assert LogFileSink("stderr")._target() == sys.__stderr__.fileno()  # type: ignore[union-attr]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_error_has_no_empty_lines(tmp_path: Path, unbuffered: str) -> None:
    """Lines among those that the application writes, each on its own, also where the stream is unbuffered."""
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from otel_shadow._telemetry.log_sinks import LogFileSink
sink = LogFileSink("stderr")
for _ in range(2):
    print("the application", file=sys.stderr)
    sink.write(b'{{"event":1}}\\n')
    sink.write(b'{{"event":2}}\\n')
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )  # fmt: skip
    assert done.stderr.splitlines() == ["the application", '{"event":1}', '{"event":2}'] * 2


def test_a_line_behind_an_unfinished_one_is_told() -> None:
    """Another thread may have printed a line and not yet its end; so may somebody whose text is logged: it is no
    evidence without a code, and the reader says where it stands."""
    taken: list[str] = []
    reader = LineReader(lambda item, coded: taken.append(f"{item['pair_id']} {coded}"), verify_key=None)
    reader.line(b'half a line{"event":"SHADOW_V2","pair_id":"0123"}\n', "app.log, line 1")
    assert (taken, reader.counts["misplaced"], reader.counts["malformed"]) == ([], 1, 1)
    line: dict[str, object] = {"event": "SHADOW_V2", "pair_id": "0123"}
    line["code"] = code_of(line, b"k" * 32)
    reader = LineReader(lambda item, coded: taken.append(f"{item['pair_id']} {coded}"), verify_key=b"k" * 32)
    reader.line(b"half a line" + json.dumps(line).encode() + b"\n", "app.log, line 1")
    assert (taken, reader.counts["malformed"]) == (["0123 True"], 0)


def test_a_line_that_was_cut_by_a_full_disk_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could be written of a line stays alone on its line."""
    sink = LogFileSink(tmp_path / "app.log")
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:5]))
    with pytest.raises(OSError, match="wrote 5 of 12 bytes"):
        sink.write(b'{"event":1}\n')
    monkeypatch.setattr(os, "write", write)
    sink.write(b'{"event":2}\n')
    assert (tmp_path / "app.log").read_bytes().splitlines() == [b'{"eve', b'{"event":2}']
    sink.close()


@pytest.mark.parametrize("trouble", ["deleted", "directory", "forbidden"])
def test_the_file_goes_and_v1_does_not_notice(make_shadow_capture: Any, tmp_path: Path, trouble: str) -> None:
    """The path is deleted, becomes a directory, or its directory goes: V1 answers, and lost lines are counted."""
    capture = make_shadow_capture()
    graph = capture.attach(small_graph(), {"left": left})
    assert call(graph)["trail"] == ["left", "right"]
    capture.settle()
    capture.log_file.unlink()
    if trouble == "directory":
        capture.log_file.mkdir()
    elif trouble == "forbidden":
        capture.log_file.parent.rename(tmp_path / "gone")
    assert call(graph)["trail"] == ["left", "right"]
    assert len(capture.records) == 2
    if trouble == "deleted":
        assert {json.loads(line)["event"] for line in capture.log_bytes().splitlines()} == {
            "SHADOW_V2", "SHADOW_COMPARISON",
        }  # fmt: skip
        assert capture.swallowed == {}
    else:
        assert capture.swallowed == {"sink": 1}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk(make_shadow_capture: Any) -> None:
    """Every line fails: V1 answers, spans and metrics are there, and each loss is counted."""
    capture = make_shadow_capture()
    capture.manager.record_queue.sinks.insert(0, LogFileSink("/dev/full"))
    graph = capture.attach(small_graph(), {"left": left})
    for _ in range(3):
        assert call(graph)["trail"] == ["left", "right"]
    assert len(capture.records) == 3
    assert capture.swallowed == {"sink": 3}
    assert {span.name for span in capture.spans()} == {"v1.node", "v2.shadow"}
