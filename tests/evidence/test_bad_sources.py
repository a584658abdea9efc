"""Sources that can't be read: one clear sentence each, never half the evidence."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from recorded import log

from otel_shadow.errors import EvidenceError
from otel_shadow.evidence import load, read, save


def good(path: Path) -> Path:
    path.write_bytes(b"".join(log(60)))
    return path


def whole_gzip() -> bytes:
    return gzip.compress(b"".join(log(400)))


def another_format(path: Path) -> None:
    import json

    save(read([str(good(path.with_name("good.log")))]), path)
    with np.load(path) as file:
        columns = {name: file[name] for name in file.files}
    facts = json.loads(columns["facts"].tobytes())
    columns["facts"] = np.frombuffer(json.dumps(facts | {"format": 99}).encode(), np.uint8)
    with path.open("wb") as out:
        np.savez(out, **columns)


def half_a_summary(path: Path) -> None:
    save(read([str(good(path.with_name("good.log")))]), path)
    path.write_bytes(path.read_bytes()[:-200])


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "no such file"),
    "directory": (lambda path: path.mkdir(), "is a directory; name its files"),
    "empty": (lambda path: path.touch(), "empty"),
    "binary": (lambda path: path.write_bytes(bytes(range(256)) * 40), "is a binary file"),
    "truncated gzip": (lambda path: path.write_bytes(whole_gzip()[:-50]), "broke off|not a complete gzip file"),
    "no gzip at all": (lambda path: path.write_bytes(b"\x1f\x8bnonsense"), "not a complete gzip file"),
    "packed otherwise": (lambda path: path.write_bytes(b"BZh91AY&SY"), "use bunzip2 first"),
    "nothing of ours": (lambda path: path.write_bytes(b"hello\nworld\n"), "none of its 2 lines is a SHADOW_V2"),
    "only broken lines": (
        lambda path: path.write_bytes(b'{"event":"SHADOW_V2","schema":1,"session\n'),
        "no line of otel-shadow can be read",
    ),
    "half a summary": (half_a_summary, "is not a complete summary"),
    "summary of another format": (another_format, "format 99"),
}  # fmt: skip


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside good evidence"])
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_source_is_named_in_one_sentence(tmp_path: Path, kind: str, beside: bool) -> None:
    """Which file, what is wrong; beside good evidence too, unless it is merely empty of ours."""
    make, sentence = BAD[kind]
    path = tmp_path / "bad.log"
    make(path)
    sources = [str(path)] + ([str(good(tmp_path / "good2.log"))] if beside else [])
    if beside and kind in ("empty", "nothing of ours", "only broken lines"):
        reading = read(sources).reading
        assert reading.used == 60
        assert reading.malformed == (1 if kind == "only broken lines" else 0)
        return
    with pytest.raises(EvidenceError, match=sentence) as raised:
        read(sources)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_glob_without_a_match_and_no_source_at_all(tmp_path: Path) -> None:
    """Said, with what was looked for."""
    with pytest.raises(EvidenceError, match=r"\*\.log: no file matches"):
        read([str(tmp_path / "*.log")])
    with pytest.raises(EvidenceError, match="no source"):
        read([])


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal of the system is one sentence too."""
    path = good(tmp_path / "app.log")

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(EvidenceError, match=r"can't be read \(Permission denied\)"):
        read([str(path)])


def test_a_summary_that_can_not_be_written(tmp_path: Path) -> None:
    """Neither a traceback nor a half-written file."""
    summary = read([str(good(tmp_path / "app.log"))])
    with pytest.raises(EvidenceError, match="can't be written"):
        save(summary, tmp_path / "nowhere" / "s.npz")
    save(summary, tmp_path / "s.npz")
    assert len(load(tmp_path / "s.npz")) == 60
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.log", "s.npz"]
