"""What a command writes replaces nothing that it reads, and no device."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import command_line
import pytest
import sample_evidence

from otel_shadow.errors import EvidenceError
from otel_shadow.evidence.whole_files import write_whole


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sample_evidence.write(tmp_path / "app.log", sample_evidence.WAIT)
    (tmp_path / "shadow.toml").write_text("[sla]\nmax_turns = 1\n", encoding="utf-8")
    (tmp_path / "labels.jsonl").write_text("", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("option", ["--save", "--html"])
@pytest.mark.parametrize("named", [True, False], ids=["named", "found"])
def test_the_configuration_is_not_replaced(folder: Path, option: str, named: bool) -> None:
    """Neither where it is named nor where it is found."""
    chosen = ("--config", "shadow.toml") if named else ()
    done = command_line.run("verdict", "app.log", *chosen, option, "shadow.toml", cwd=folder)
    told = f"otel-shadow: {option} shadow.toml: would replace shadow.toml, which is read; name another file\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", told)
    assert (folder / "shadow.toml").read_text(encoding="utf-8") == "[sla]\nmax_turns = 1\n"


def test_labels_are_not_replaced(folder: Path) -> None:
    """By the proposal that is made from them."""
    done = command_line.run("calibrate", "app.log", "--labels", "labels.jsonl", "--out", "labels.jsonl", cwd=folder)
    assert done.returncode == 2
    assert "would replace labels.jsonl, which is read" in done.stderr


@pytest.mark.parametrize("option", ["--save", "--html"])
def test_what_is_no_regular_file_is_not_replaced(folder: Path, option: str) -> None:
    """A device or a pipe, also behind a link: as root ``--save /dev/null`` made a file of the device."""
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        done = command_line.run("verdict", "app.log", option, name, cwd=folder)
        assert done.returncode == 2
        assert done.stderr == f"otel-shadow: {name}: is no regular file, and would be replaced; name a file\n"
        assert stat.S_ISFIFO((folder / name).stat().st_mode)


def test_a_file_that_can_not_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    """A name that is too long, a folder that is none: one sentence, and the old file stays."""
    (tmp_path / "old").write_bytes(b"old")
    for name in ("x" * 300, "nowhere/file", "old/file"):
        with pytest.raises(EvidenceError, match="can't be written"):
            write_whole(tmp_path / name, b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("old", b"old")]
