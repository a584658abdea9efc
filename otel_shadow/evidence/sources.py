"""Sources of evidence: which files are meant, and what they are."""

from __future__ import annotations

import codecs
import glob
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import IO, cast

from otel_shadow.errors import EvidenceError
from otel_shadow.evidence.pretty_lines import joined, looks_pretty
from otel_shadow.evidence.spooling import STDIN, is_stream, spooled

BROKEN = (OSError, EOFError, zlib.error)
"""What reading a file that is not whole raises."""
_HEAD = 1 << 16
_PIECE = 1 << 20
_LONGEST = 256 << 20
"""Bytes of a line, of which several times as much memory is needed."""
_HOLE = re.compile(rb"\0+")
_CONTROLS = bytes({*range(32)} - {*b"\0\t\n\r\f\x1b"})
_HOLES = 4
"""Runs of zero bytes in the beginning of a log, as a crash or copy-truncate leaves them; a binary file has more."""
_WIDE = (
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
    (b'{\0"\0', "utf-16-le"), (b'\0{\0"', "utf-16-be"),
)  # fmt: skip


class Form(Enum):
    """Form of a file, told by its first bytes and lines."""

    LINES = "lines"
    """Plain lines; otel-shadow's object begins somewhere in the line and is not quoted."""
    DOCKER = "docker"
    """Docker's json-file: one object per line, otel-shadow's quoted in its ``log``."""
    NESTED = "nested"
    """otel-shadow's object quoted inside other JSON (OTLP from a Collector's file exporter, log shippers)."""
    PRETTY = "pretty"
    """Objects over several lines, as ``jq .`` prints them."""
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
        encoding: of a text that is not UTF-8; empty otherwise.
    """

    name: str
    path: Path
    form: Form
    packed: bool
    size: int
    encoding: str = ""

    @property
    def grows(self) -> bool:
        """Whether lines that are added to the file can be read by themselves."""
        return not self.packed and not self.encoding and self.form not in (Form.SUMMARY, Form.PRETTY)


@contextmanager
def opened(names: Sequence[str]) -> Iterator[list[Source]]:
    """Find the files that ``names`` (paths, globs, ``-`` for standard input) mean and look what each is.

    What is no regular file (a pipe, ``/dev/stdin``, ``<(…)`` of a shell) is copied to a temporary file first.

    Raises:
        EvidenceError: a source is missing, a directory, binary or can't be read, or all of them are empty.
    """
    with ExitStack() as stack:
        inspected = []
        for path in find(names):
            if is_stream(path):
                copy = stack.enter_context(spooled(path))
                inspected.append(inspect(copy, "standard input" if str(path) == STDIN else str(path)))
            else:
                inspected.append(inspect(path))
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
        for path in matching(name):
            if path.is_dir():
                raise EvidenceError(f"{name}: is a directory; name its files, such as {name.rstrip('/')}/*.log")
            found.setdefault(path)
    return list(found)


def matching(name: str) -> list[Path]:
    """Return the file of that name, whatever signs are in it; if there is none, those that a glob means.

    Raises:
        EvidenceError: there is nothing.
    """
    if not name.strip():
        raise EvidenceError("a source has an empty name (a variable that is not set?); name a log file")
    path = Path(name)
    try:
        if name == STDIN or path.exists():
            return [path]
        matched = sorted(glob.glob(name, recursive=True)) if glob.has_magic(name) else []
    except (OSError, ValueError) as error:  # a name too long for the file system, or with a zero byte
        raise EvidenceError(f"{name}: is no name of a file ({error})") from None
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
            while head and not head.strip(b"\0") and (more := file.read(_HEAD)):  # the hole may be long
                head = more
    except OSError as error:
        raise EvidenceError(f"{name}: can't be read ({error.strerror or type(error).__name__})") from None
    if not head:
        return None
    source = Source(name, path, Form.SUMMARY, packed=False, size=size)
    if head[:4] == b"PK\x03\x04":
        return source
    packed = _is_gzip(head, name)
    if packed:
        head = _unpacked_head(path, name)
    encoding = next((found for mark, found in _WIDE if head.startswith(mark)), "")
    if encoding:
        head = head[: len(head) // 4 * 4].decode(encoding, "replace").encode()
    elif len(_HOLE.findall(head)) > _HOLES or _is_binary(head):
        raise EvidenceError(f"{name}: is a binary file; expected log lines, OTLP JSON or a saved summary")
    return replace(source, form=_form(head.decode("utf-8", "replace")), packed=packed, encoding=encoding)


def _is_binary(head: bytes) -> bool:
    """Return whether a tenth of it is signs that no text has."""
    text = head.replace(b"\0", b"")
    return len(text.translate(None, _CONTROLS)) < 0.9 * len(text)


def _is_gzip(head: bytes, name: str) -> bool:
    for magic, tool in ((b"BZh", "bunzip2"), (b"\xfd7zXZ", "unxz"), (b"\x28\xb5\x2f\xfd", "unzstd")):
        if head.startswith(magic):
            raise EvidenceError(f"{name}: packed in a form that is not read (plain and gzip are); use {tool} first")
    return head[:2] == b"\x1f\x8b"


def _unpacked_head(path: Path, name: str) -> bytes:
    try:
        with gzip.open(path, "rb") as file:
            return file.read(_HEAD)
    except BROKEN as error:
        raise EvidenceError(f"{name}: is not a complete gzip file ({type(error).__name__})") from None


def check_whole(source: Source) -> None:
    """Read a packed file to its trailer, whoever reads it afterwards: parsers exist that take half a file for a whole.

    Raises:
        EvidenceError: it is not whole.
    """
    if not source.packed:
        return
    try:
        with gzip.open(source.path, "rb") as file:
            while file.read(1 << 20):
                pass
    except BROKEN as error:
        raise EvidenceError(f"{source.name}: is not a complete gzip file ({type(error).__name__})") from None


def _form(head: str) -> Form:
    marked = [line for line in head.split("\n")[:400] if "SHADOW_" in line]
    first = marked[0] if marked else head[:4096]
    if looks_pretty(head):
        return Form.PRETTY
    if first.lstrip().startswith('{"log":"'):
        return Form.DOCKER
    quoted = [line for line in marked if '{"event":"SHADOW_' not in line]
    otlp = '"resourceLogs"' in first[:4096]
    return Form.NESTED if otlp or (marked and len(quoted) > len(marked) // 2) else Form.LINES


def lines_of(file: IO[bytes], name: str) -> Iterator[bytes]:
    """Yield the lines from where ``file`` is, without holding more of a hole of zero bytes than a piece.

    Raises:
        EvidenceError: a line is longer than any that is read.
    """
    while line := file.readline(_PIECE):
        if not line.endswith(b"\n") and len(line) == _PIECE:
            line = _long_line(line, file, name)
        yield line


def _long_line(first: bytes, file: IO[bytes], name: str) -> bytes:
    pieces, size, piece = list[bytes](), 0, first
    while piece:
        if piece.strip(b"\0"):
            pieces.append(piece)
            size += len(piece)
        if size > _LONGEST:
            raise EvidenceError(
                f"{name}: a line of more than {_LONGEST >> 20} MiB; expected one object or batch a line"
            )
        piece = b"" if piece.endswith(b"\n") else file.readline(_PIECE)
    return b"".join(pieces)


@contextmanager
def open_lines(source: Source) -> Iterator[Iterator[bytes]]:
    """Open the file and yield its lines: unpacked, as UTF-8, each object on one line."""
    with gzip.open(source.path) if source.packed else source.path.open("rb") as file:
        lines = lines_of(cast("IO[bytes]", file), source.name)
        if source.encoding:
            texts = codecs.getreader(source.encoding)(file, "replace")
            lines = (text.encode("utf-8", "replace") for text in texts)
        yield joined(lines) if source.form is Form.PRETTY else lines
