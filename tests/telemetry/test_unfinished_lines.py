"""A line that somebody left unfinished at the end of the file spoils no other, whoever writes next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from otel_shadow._telemetry import log_sinks
from otel_shadow._telemetry.log_sinks import LogFileSink
from otel_shadow.record import Arm, Mode, Observation, ShadowRecord, Status

RECORD = ShadowRecord(
    "p", "g", "n", Mode.V2_SHADOW, Arm.HOLDOUT, "s", datetime(2025, 1, 9, tzinfo=UTC), Observation(Status.SUCCESS, 0.1)
)


def emit(sink: LogFileSink, number: int) -> None:
    sink.emit(replace(RECORD, pair_id=str(number)))


def told(log: Path) -> list[str]:
    """Of each line of the file the number of its record; ``torn`` where it is not whole, nothing where it is empty."""
    found = []
    for line in log.read_bytes().split(b"\n"):
        try:
            found.append(json.loads(line)["pair_id"] if line else "")
        except ValueError:
            assert line.count(b'{"event"') <= 1, "two lines are one"
            found.append("torn")
    return found


def tear(log: Path, size: int = -100) -> None:
    """Cut the file, as a full disk leaves it: to so many bytes, or by so many."""
    os.truncate(log, size if size > 0 else log.stat().st_size + size)


class TestWhoWritesNext:
    """The writer itself, its neighbour, a new process, each behind a torn line."""

    def test_a_new_process(self, tmp_path: Path) -> None:
        """It opens a file that ends within a line."""
        log = tmp_path / "app.log"
        emit(LogFileSink(log), 1)
        tear(log)
        emit(LogFileSink(log), 2)
        assert told(log) == ["torn", "2", ""]

    def test_the_neighbour_and_the_writer_itself(self, tmp_path: Path) -> None:
        """Both have the file open while somebody tears it, again and again."""
        log = tmp_path / "app.log"
        first, second = LogFileSink(log), LogFileSink(log)
        emit(first, 1)
        emit(second, 2)
        tear(log)
        emit(first, 3)
        emit(second, 4)
        tear(log)
        emit(second, 5)
        tear(log)
        emit(second, 6)
        emit(first, 7)
        assert told(log) == ["1", "torn", "3", "torn", "torn", "6", "7", ""]

    def test_after_a_rotation(self, tmp_path: Path) -> None:
        """The new file is another process's, which has died within a line of just the size of the old file."""
        log = tmp_path / "app.log"
        sink = LogFileSink(log)
        emit(sink, 1)
        size = log.stat().st_size
        log.rename(tmp_path / "app.log.1")
        log.write_bytes(b"x" * size)
        emit(sink, 2)
        assert told(log) == ["torn", "2", ""]

    @pytest.mark.parametrize("tail", [b"half a line of the application", b'{"event":"SHADOW_V2"', b"\x00" * 500, b"\r"])
    def test_whatever_stands_there(self, tmp_path: Path, tail: bytes) -> None:
        """The application's own text without an end, a hole of zeros after a crash."""
        log = tmp_path / "app.log"
        sink = LogFileSink(log)
        emit(sink, 1)
        with log.open("ab") as file:
            file.write(tail)
        emit(sink, 2)
        assert told(log) == ["1", "torn", "2", ""]

    def test_a_process_on_a_full_disk_and_its_neighbour(self, tmp_path: Path) -> None:
        """The process really writes a part of a line, dies, and its neighbour goes on."""
        log = tmp_path / "app.log"
        sink = LogFileSink(log)
        emit(sink, 1)
        code = (
            "import resource, sys\n"
            "sys.path.insert(0, sys.argv[2])\n"
            "from test_unfinished_lines import LogFileSink, emit\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)\n"
            "emit(LogFileSink(sys.argv[1]), 2)\n"
        )
        room = str(log.stat().st_size + 300)
        done = subprocess.run(
            [sys.executable, "-c", code, str(log), str(Path(__file__).parent), room], capture_output=True, text=True
        )
        assert "wrote 300 of" in done.stderr
        emit(sink, 3)
        assert told(log) == ["1", "torn", "3", ""]


class TestWhereNothingIsTorn:
    """No empty line where none is needed."""

    def test_others_lines_get_no_empty_ones(self, tmp_path: Path) -> None:
        """Two sinks and the application take turns: each line is behind a whole one."""
        log = tmp_path / "app.log"
        first, second = LogFileSink(log), LogFileSink(log)
        for number in range(0, 6, 2):
            emit(first, number)
            with log.open("a") as file:
                file.write('{"pair_id": "own"}\n')
            emit(second, number + 1)
        assert told(log) == ["0", "own", "1", "2", "own", "3", "4", "own", "5", ""]

    def test_a_file_that_was_emptied(self, tmp_path: Path) -> None:
        """Copied and truncated, which is not supported, but no reason for an empty line."""
        log = tmp_path / "app.log"
        sink = LogFileSink(log)
        emit(sink, 1)
        os.truncate(log, 0)
        emit(sink, 2)
        assert told(log) == ["2", ""]

    def test_the_file_is_read_where_others_wrote_and_nowhere_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A sink that has the file to itself looks at its end once, when it opens it."""
        log, looks = tmp_path / "app.log", []
        log.write_bytes(b'{"pair_id": "own"}\n')
        sink = LogFileSink(log)
        look = LogFileSink._last_byte

        def counted(self: LogFileSink, target: int) -> bytes:
            looks.append(target)
            return look(self, target)

        monkeypatch.setattr(LogFileSink, "_last_byte", counted)
        for number in range(20):
            emit(sink, number)
        assert len(looks) == 1
        emit(LogFileSink(log), 20)
        emit(sink, 21)
        assert len(looks) == 3
        assert told(log) == ["own", *map(str, range(22)), ""]

    def test_a_file_that_can_only_be_appended_to(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its end can't be read: an empty line rather than a torn one, and only where others may have written."""
        log, opened = tmp_path / "app.log", os.open

        def refused(path: str, flags: int, *more: int) -> int:
            if flags == log_sinks._READ_FLAGS:
                raise PermissionError(path)
            return opened(path, flags, *more)

        monkeypatch.setattr(os, "open", refused)
        log.write_bytes(b"half a line")
        sink = LogFileSink(log)
        emit(sink, 1)
        emit(sink, 2)
        emit(LogFileSink(log), 3)
        assert told(log) == ["torn", "1", "2", "", "3", ""]


STREAMS = {
    "stderr": "sink = LogFileSink('stderr')\nemit(sink, 1)\nprint('half', end='', file=sys.stderr, flush=True)\n"
    "emit(sink, 2)",
    "stdout": "sink = LogFileSink('stdout')\nemit(sink, 1)\nsys.stdout.write('half')\nemit(sink, 2)\nemit(sink, 3)",
}


@pytest.mark.parametrize("stream", STREAMS)
def test_a_standard_stream_that_is_a_file(tmp_path: Path, stream: str) -> None:
    """``python app.py 2>> app.log``: what the process before left there, and what the application writes in parts."""
    log = tmp_path / "app.log"
    log.write_bytes(b"left by a process that was killed")
    code = f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    with log.open("ab") as file:
        streams = {"stderr": file} if stream == "stderr" else {"stdout": file}
        code += "from test_unfinished_lines import LogFileSink, emit\n" + STREAMS[stream]
        subprocess.run([sys.executable, "-c", code], check=True, **streams)  # type: ignore[call-overload]
    expected = ["torn", "1", "torn", "2", ""] if stream == "stderr" else ["torn", "1", "torn", "2", "3", ""]
    assert told(log) == expected


@pytest.mark.parametrize("end", [lambda log: None, tear])
def test_two_hundred_lines_of_two_writers_one_of_whom_tears(tmp_path: Path, end: Callable[[Path], None]) -> None:
    """Whatever the order: every line that was written whole is read whole."""
    log = tmp_path / "app.log"
    sinks = [LogFileSink(log), LogFileSink(log)]
    kept: list[str] = []
    for number in range(200):
        emit(sinks[number % 2 if number % 7 else 0], number)
        kept.append(str(number))
        if number % 5 == 4:
            end(log)
            kept[-1:] = ["torn"] if end is tear else kept[-1:]
    assert [line for line in told(log) if line] == kept
