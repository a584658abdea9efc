"""What can be read once only: pipes, standard input, what a shell puts in the place of a file."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from recorded import log

from otel_shadow.errors import EvidenceError
from otel_shadow.evidence import Watch, read, spooling


@pytest.mark.parametrize("packed", [False, True], ids=["", "gzip"])
def test_a_pipe_is_read_whole(tmp_path: Path, packed: bool) -> None:
    """Its first 64 KiB vanished: they were looked at, and the file opened anew."""
    content, pipe = b"".join(log(400)), tmp_path / "pipe"
    os.mkfifo(pipe)
    threading.Thread(
        target=pipe.write_bytes, args=(gzip.compress(content) if packed else content,), daemon=True
    ).start()
    found = read([str(pipe)])
    assert (len(found), found.reading.truncated, found.reading.sources) == (400, 0, (str(pipe),))


def test_a_pipe_without_a_writer_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was waited for, for ever."""
    monkeypatch.setattr(spooling, "_NO_WRITER_S", 0.3)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(EvidenceError, match="is a pipe to which nobody writes"):
        read([str(tmp_path / "pipe")])


def test_a_writer_that_is_slow_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has opened the pipe, and writes once it may."""
    monkeypatch.setattr(spooling, "_NO_WRITER_S", 0.3)
    content, pipe, go = b"".join(log(20)), tmp_path / "pipe", threading.Event()
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb") as file:
            go.wait()
            file.write(content)

    threading.Thread(target=write, daemon=True).start()
    asked, real = threading.Event(), os.read

    def read_once(descriptor: int, size: int) -> bytes:
        asked.set()  # the time is over; the writer is there and has written nothing
        return real(descriptor, size)

    monkeypatch.setattr(spooling.os, "read", read_once)
    threading.Thread(target=lambda: (asked.wait(), go.set()), daemon=True).start()
    assert len(read([str(pipe)])) == 20


def test_what_a_shell_puts_in_the_place_of_a_file_is_read_whole(tmp_path: Path) -> None:
    """``<(cat app.log)`` and ``/dev/stdin``, in a process of its own."""
    (tmp_path / "app.log").write_bytes(b"".join(log(400)))
    program = "import sys; from otel_shadow.evidence import read; print(len(read(sys.argv[1:])))"
    for arguments in ("<(cat app.log)", "/dev/stdin < app.log", "- < app.log", "/dev/stdin < <(cat app.log)"):
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -c '{program}' {arguments}"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        assert (done.stdout, done.stderr) == ("400\n", ""), arguments


def test_a_pipe_is_not_watched(tmp_path: Path) -> None:
    """It can be read once only."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(EvidenceError, match="can't be watched"):
        Watch([str(tmp_path / "pipe")])


def test_a_name_with_brackets_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``app[1].log`` is no glob where such a file exists; watched, too."""
    monkeypatch.chdir(tmp_path)
    Path("app[1].log").write_bytes(b"".join(log(30)))
    Path("app1.log").write_bytes(b"".join(log(40, seed=2)))
    assert len(read(["app[1].log"])) == 30
    with Watch(["app[1].log"]) as watch:
        assert len(watch.poll()) == 30
