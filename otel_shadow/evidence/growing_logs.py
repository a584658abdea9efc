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
from otel_shadow.evidence.sources import STDIN, Form, find, inspect
from otel_shadow.evidence.summary_builder import SummaryBuilder
from otel_shadow.verdict.executions import Summary

_CHUNK = 8 << 20


@dataclass(slots=True)
class _Followed:
    """An open file and how far it was read: always to the end of a line."""

    file: IO[bytes]
    inode: tuple[int, int]
    offset: int
    line: int = 0


class Watch:
    """One summary of sources that grow.

    Plain log files are followed from where the last poll ended; a file that was renamed is read to its end before the
    new one of its name is opened; one that shrank is read anew (a pair counts once). Packed files and saved summaries
    are read once. Globs are looked up at every poll.

    Use it as a context manager, or call ``close``.

    Raises:
        EvidenceError: a source is missing or a directory, or it is standard input.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        if STDIN in sources:
            raise EvidenceError("-: standard input can't be watched; name the file")
        named = [name for name in sources if not glob.has_magic(name)]
        if named or not sources:
            find(named)
        self._sources = tuple(sources)
        self._followed: dict[Path, _Followed] = {}
        self._done: set[Path] = set()
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
            EvidenceError: a source is binary or broken.
        """
        for name in self._sources:
            for path in [Path(match) for match in glob.glob(name, recursive=True)] or [Path(name)]:
                self._poll(path, progress)
        return self._summary

    def _poll(self, path: Path, progress: Callable[[Progress], None] | None) -> None:
        if path in self._done or path.is_dir():
            return
        followed = self._followed.get(path)
        if followed is not None:
            self._read_on(path, followed)
            if not self._replaced(path, followed):
                return
            self._read_on(path, followed)
            followed.file.close()
            del self._followed[path]
        if path.exists():
            self._begin(path, progress)

    def _begin(self, path: Path, progress: Callable[[Progress], None] | None) -> None:
        source = inspect(path)
        if source is None:
            return
        if source.packed or source.form is Form.SUMMARY:
            self._done.add(path)
            self._take(read([str(path)], progress=progress))
            return
        file = path.open("rb")
        status = os.fstat(file.fileno())
        followed = _Followed(file, (status.st_dev, status.st_ino), 0)
        self._followed[path] = followed
        if source.size > _CHUNK:
            followed.offset = _last_line_end(file, source.size)
            part = read([str(path)], progress=progress)
            part.reading = replace(part.reading, truncated=0)  # the line is read once it has its end
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
        lines = LineReader(builder.add, str(path))
        followed.file.seek(followed.offset)
        for line in followed.file:
            if not line.endswith(b"\n"):
                break  # it is still being written
            followed.offset += len(line)
            lines.counts["bytes"] += len(line)
            followed.line += 1
            lines.line(line, f"{path}, line {followed.line} of those watched")
        if lines.counts["lines"]:
            self._take(builder.summary(lines.reading()))

    def _take(self, part: Summary) -> None:
        self._summary = self._summary.merge(part)


def _last_line_end(file: IO[bytes], size: int) -> int:
    """Return where the last whole line of the first ``size`` bytes ends."""
    start = max(size - _CHUNK, 0)
    file.seek(start)
    return start + file.read(size - start).rfind(b"\n") + 1
