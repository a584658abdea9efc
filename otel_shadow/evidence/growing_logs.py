"""Logs that are still being written: each poll reads what was added since the last."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from otel_shadow.errors import EvidenceError
from otel_shadow.evidence.line_reader import LineReader
from otel_shadow.evidence.read_sources import Progress, read
from otel_shadow.evidence.sources import Form, find, inspect, lines_of, matching
from otel_shadow.evidence.spooling import is_stream
from otel_shadow.evidence.summary_builder import SummaryBuilder
from otel_shadow.verdict.executions import Summary

_CHUNK = 8 << 20
_HEAD = 4096
"""Bytes by which a file is known again: a line of ours at least."""


@dataclass(slots=True)
class _Followed:
    """An open file and how far it was read: always to the end of a line; ``head``: how it begins, as far as that."""

    file: IO[bytes]
    inode: tuple[int, int]
    offset: int
    line: int = 0
    head: bytes = b""

    def begins(self) -> bytes:
        """Return how the file begins now, not in what was buffered of it."""
        return os.pread(self.file.fileno(), min(self.offset, _HEAD), 0)


class Watch:
    """One summary of sources that grow.

    Plain log files are followed from where the last poll ended; a file that was renamed is read to its end before the
    new one of its name is opened; one that shrank, or begins otherwise, is read anew (a pair counts once). What is not
    followed (packed files, saved summaries) is read as a whole, and again when it has changed. Globs are looked up at
    every poll.

    Use it as a context manager, or call ``close``.

    Arguments:
        sources: paths and globs.
        verify_key: see :func:`otel_shadow.evidence.read`.

    Raises:
        EvidenceError: a source is missing or a directory, or it can be read only once.
    """

    def __init__(self, sources: Sequence[str], *, verify_key: bytes | None = None) -> None:
        for name in sources:
            if is_stream(Path(name)) and not Path(name).is_dir():
                raise EvidenceError(f"{name}: can't be watched, because it can be read only once; name the file")
        named = [name for name in sources if not glob.has_magic(name)]
        if named or not sources:
            find(named)
        self._sources = tuple(sources)
        self._key = verify_key
        self._followed: dict[Path, _Followed] = {}
        self._whole: dict[Path | tuple[int, int], tuple[tuple[int, ...], Summary]] = {}
        self._grown = Summary()
        self._summary = Summary()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for followed in self._followed.values():
            followed.file.close()
        self._followed.clear()

    def poll(self, progress: Callable[[Progress], None] | None = None) -> Summary:
        """Return the evidence up to now. The first poll of a large file takes as long as reading it does.

        Arguments:
            progress: told while new files are read.

        Raises:
            EvidenceError: a source is binary or broken, such as an archive that is still being written; the others
                were read, and the next poll looks at it again.
        """
        faults: list[EvidenceError] = []
        for path in dict.fromkeys(path for name in self._sources for path in _there(name)):
            try:
                self._poll(path, progress)
            except EvidenceError as fault:
                faults.append(fault)
        if faults:
            raise faults[0]
        return self._summary

    def _poll(self, path: Path, progress: Callable[[Progress], None] | None) -> None:
        if path.is_dir():
            return
        followed = self._followed.get(path)
        if followed is not None:
            truncated = followed.begins() != followed.head
            if not truncated:
                self._read_on(path, followed)
                if not self._replaced(path, followed):
                    return
                self._read_on(path, followed)
            followed.file.close()
            del self._followed[path]
        if path.exists():
            self._begin(path, progress)

    def _begin(self, path: Path, progress: Callable[[Progress], None] | None) -> None:
        try:
            status = path.stat()
        except OSError:
            return
        inode, state = (status.st_dev, status.st_ino), (status.st_ino, status.st_size, status.st_mtime_ns)
        if any(known == state for known, _ in self._whole.values()):
            return
        source = inspect(path)
        if source is None:
            return
        if not source.grows:
            # An archive keeps its inode when it is renumbered; a summary that is renewed keeps its name.
            part = read([str(path)], progress=progress, verify_key=self._key)
            self._whole[path if source.form is Form.SUMMARY else inode] = state, part
            self._join()
            return
        file = path.open("rb")
        status = os.fstat(file.fileno())
        followed = _Followed(file, (status.st_dev, status.st_ino), 0)
        self._followed[path] = followed
        if source.size > _CHUNK:
            followed.offset = _last_line_end(file, source.size)
            part = read([str(path)], progress=progress, verify_key=self._key)
            part.reading = replace(part.reading, truncated=0, tails={})  # the line is read once it has its end
            self._take(part)
        self._read_on(path, followed)

    def _replaced(self, path: Path, followed: _Followed) -> bool:
        """Return whether the name now means another file, or the file lost its beginning."""
        try:
            status = path.stat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) != followed.inode or status.st_size < followed.offset

    def _read_on(self, path: Path, followed: _Followed) -> None:
        builder = SummaryBuilder()
        lines = LineReader(builder.add, str(path), verify_key=self._key, beat=builder.add_beat)
        followed.file.seek(followed.offset)
        for line in lines_of(followed.file, str(path)):
            if not line.endswith(b"\n"):
                break  # it is still being written
            lines.counts["bytes"] += followed.file.tell() - followed.offset
            followed.offset = followed.file.tell()
            followed.line += 1
            lines.line(line, f"{path}, line {followed.line} of those watched")
        if len(followed.head) < _HEAD:
            followed.head = followed.begins()
        if lines.counts["lines"]:
            self._take(builder.summary(replace(lines.reading(), tails={})))

    def _take(self, part: Summary) -> None:
        self._grown = self._grown.merge(part)
        self._join()

    def _join(self) -> None:
        parts = [part for _, part in self._whole.values()]
        self._summary = self._grown.merge(*parts) if parts else self._grown


def _there(name: str) -> list[Path]:
    try:
        return matching(name)
    except EvidenceError:
        return []  # not there yet, or between two names


def _last_line_end(file: IO[bytes], size: int) -> int:
    """Return where the last whole line of the first ``size`` bytes ends."""
    start = max(size - _CHUNK, 0)
    file.seek(start)
    return start + file.read(size - start).rfind(b"\n") + 1
