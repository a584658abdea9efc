"""Sources of evidence: which files are meant, and what they are."""

from __future__ import annotations

import glob
import gzip
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO, Any

from otel_shadow.errors import EvidenceError

STDIN = "-"
_HEAD = 1 << 16


class Form(Enum):
    """Form of a file, told by its first bytes and lines."""

    LINES = "lines"
    """Plain lines; otel-shadow's object begins somewhere in the line and is not quoted."""
    DOCKER = "docker"
    """Docker's json-file: one object per line, otel-shadow's quoted in its ``log``."""
    NESTED = "nested"
    """otel-shadow's object quoted inside other JSON (OTLP from a Collector's file exporter, log shippers)."""
    SUMMARY = "summary"
    """A summary that was saved."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file that is not empty.

    Arguments:
        name: what the user said.
        path: the file that is read.
        packed: whether it is packed by gzip.
        size: bytes, as packed.
    """

    name: str
    path: Path
    form: Form
    packed: bool
    size: int


@contextmanager
def opened(names: Sequence[str]) -> Iterator[list[Source]]:
    """Find the files that ``names`` (paths, globs, ``-`` for standard input) mean and look what each is.

    Raises:
        EvidenceError: a source is missing, a directory, binary or can't be read, or all of them are empty.
    """
    with ExitStack() as stack:
        named = [name for name in names if name != STDIN]
        inspected = [inspect(path) for path in (find(named) if named or not names else [])]
        if STDIN in names:
            inspected.append(inspect(stack.enter_context(_standard_input()), "standard input"))
        files = [source for source in inspected if source is not None]
        if not files:
            said = ", ".join(names)
            raise EvidenceError(f"{said}: empty; is SHADOW_LOGGING on, and this the file of OTEL_SHADOW_LOG_FILE?")
        yield files


def find(names: Sequence[str]) -> list[Path]:
    """Return the files that ``names`` (paths and globs) mean, each once.

    Raises:
        EvidenceError: nothing is there, or it is a directory; one clear sentence.
    """
    if not names:
        raise EvidenceError("no source: name log files, OTLP JSON files or saved summaries (or - for standard input)")
    found: dict[Path, None] = {}
    for name in names:
        for path in _matching(name):
            if path.is_dir():
                raise EvidenceError(f"{name}: is a directory; name its files, such as {name.rstrip('/')}/*.log")
            found.setdefault(path)
    return list(found)


def _matching(name: str) -> list[Path]:
    path = Path(name)
    if path.exists():
        return [path]
    matched = sorted(glob.glob(name, recursive=True)) if glob.has_magic(name) else []
    files = [Path(match) for match in matched if not Path(match).is_dir()]
    if not files:
        raise EvidenceError(f"{name}: {'no file matches' if glob.has_magic(name) else 'no such file'}")
    return files


def inspect(path: Path, name: str | None = None) -> Source | None:
    """Return what ``path`` is; None if it is empty.

    Raises:
        EvidenceError: it can't be read, or it is binary.
    """
    name = name or str(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise EvidenceError(f"{name}: can't be read ({error.strerror or type(error).__name__})") from None
    if not head:
        return None
    if head[:4] == b"PK\x03\x04":
        return Source(name, path, Form.SUMMARY, packed=False, size=size)
    packed = _is_gzip(head, name)
    if packed:
        head = _unpacked_head(path, name)
    if b"\x00" in head:
        raise EvidenceError(f"{name}: is a binary file; expected log lines, OTLP JSON or a saved summary")
    return Source(name, path, _form(head.decode("utf-8", "replace")), packed, size)


def _is_gzip(head: bytes, name: str) -> bool:
    for magic, tool in ((b"BZh", "bunzip2"), (b"\xfd7zXZ", "unxz"), (b"\x28\xb5\x2f\xfd", "unzstd")):
        if head.startswith(magic):
            raise EvidenceError(f"{name}: packed in a form that is not read (plain and gzip are); use {tool} first")
    return head[:2] == b"\x1f\x8b"


def _unpacked_head(path: Path, name: str) -> bytes:
    try:
        with gzip.open(path, "rb") as file:
            return file.read(_HEAD)
    except (OSError, EOFError) as error:
        raise EvidenceError(f"{name}: is not a complete gzip file ({type(error).__name__})") from None


def _form(head: str) -> Form:
    marked = [line for line in head.split("\n")[:400] if "SHADOW_" in line]
    first = marked[0] if marked else head[:4096]
    if first.lstrip().startswith('{"log":"'):
        return Form.DOCKER
    quoted = [line for line in marked if '{"event":"SHADOW_' not in line]
    otlp = '"resourceLogs"' in first[:4096]
    return Form.NESTED if otlp or (marked and len(quoted) > len(marked) // 2) else Form.LINES


def open_lines(source: Source) -> IO[bytes]:
    """Open the file; what is read from it is unpacked."""
    file: Any = gzip.open(source.path) if source.packed else source.path.open("rb")  # noqa: SIM115 - the caller closes it
    opened: IO[bytes] = file
    return opened


@contextmanager
def _standard_input() -> Iterator[Path]:
    """Copy standard input to a temporary file, so that it needs no memory and can be looked at twice."""
    with tempfile.NamedTemporaryFile(prefix="otel-shadow-", suffix=".log") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
        file.flush()
        yield Path(file.name)
