"""What can be read only once (pipes, standard input, ``<(…)``) as a temporary file, which can be looked at twice."""

from __future__ import annotations

import os
import select
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from otel_shadow.errors import EvidenceError

STDIN = "-"
_NO_WRITER_S = 10.0
"""Seconds for which a pipe may have no writer."""
_CHUNK = 1 << 20


def is_stream(path: Path) -> bool:
    """Return whether ``path`` is standard input, or no regular file."""
    try:
        return str(path) == STDIN or not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


@contextmanager
def spooled(path: Path) -> Iterator[Path]:
    """Yield a temporary copy of all that comes out of ``path``.

    Raises:
        EvidenceError: it can't be read or copied, or nobody writes to it.
    """
    name = "standard input" if str(path) == STDIN else str(path)
    with tempfile.NamedTemporaryFile(prefix="otel-shadow-", suffix=".log") as copy:
        try:
            with _opened(path, name) as (first, source):
                copy.write(first)
                shutil.copyfileobj(source, copy, _CHUNK)
            copy.flush()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise EvidenceError(f"{name}: can't be copied to {tempfile.gettempdir()} to be read ({reason})") from None
        yield Path(copy.name)


@contextmanager
def _opened(path: Path, name: str) -> Iterator[tuple[bytes, IO[bytes]]]:
    if str(path) == STDIN:
        if sys.stdin is None:
            raise EvidenceError("standard input is closed; name a file")
        yield b"", sys.stdin.buffer
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # opening a pipe without a writer would wait for ever
    with os.fdopen(descriptor, "rb") as file:
        first = _beginning(descriptor, name) if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else b""
        os.set_blocking(descriptor, True)
        yield first, file


def _beginning(descriptor: int, name: str) -> bytes:
    """Wait until a pipe has data, or has lost its writer; return what had to be read to know that it has one."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + _NO_WRITER_S
    while time.monotonic() < deadline:
        if poll.poll(100.0):
            return b""
    try:
        first = os.read(descriptor, 1)
    except BlockingIOError:  # there is a writer that has written nothing yet
        return b""
    if not first:
        raise EvidenceError(f"{name}: is a pipe to which nobody writes; start what writes to it, or name a file")
    return first
