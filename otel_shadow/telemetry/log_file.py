"""Log lines to a file or a standard stream: one atomic append each, outside the application's logging."""

from __future__ import annotations

import os
import sys

from otel_shadow import semconv
from otel_shadow.record import ShadowRecord
from otel_shadow.runtime.sinks import Sink
from otel_shadow.telemetry.lines import encode, lines

_STREAMS = {"stderr": 2, "stdout": 1, "/dev/stderr": 2, "/dev/stdout": 1}


class LogFileSink(Sink):
    """Appends lines with one ``os.write`` each on an ``O_APPEND`` descriptor, so several processes can share the file.

    A renamed (rotated) file is noticed and the path opened anew. Network file systems and copy-truncate rotation are
    not supported: neither keeps appends atomic.

    Arguments:
        path: file, or ``stderr`` or ``stdout``; default ``OTEL_SHADOW_LOG_FILE``, else standard error.

    Raises:
        OSError: the file can't be opened for appending.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = os.fspath(path or os.environ.get(semconv.ENV_LOG_FILE) or "stderr")
        self._stream = _STREAMS.get(self.path)
        self._descriptor = -1
        self._identity: tuple[int, int] | None = None
        if self._stream is None:
            self._open()

    def emit(self, record: ShadowRecord) -> None:
        """Write the lines of ``record``.

        Raises:
            OSError: the line could not be written whole (disk full).
        """
        for line in lines(record):
            self.write(encode(line))

    def write(self, data: bytes) -> None:
        """Append ``data``, at most 4,096 bytes, in one system call."""
        written = os.write(self._target(), data)
        if written != len(data):
            raise OSError(f"{self.path}: wrote {written} of {len(data)} bytes")

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._identity = -1, None

    def _target(self) -> int:
        if self._stream is not None:
            return self._stream_descriptor(self._stream)
        if self._rotated():
            self.close()
            self._open()
        return self._descriptor

    def _stream_descriptor(self, number: int) -> int:
        stream = sys.stderr if number == 2 else sys.stdout
        try:
            stream.flush()
            return stream.fileno()
        except (AttributeError, OSError, ValueError):
            return number

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(self.path, flags, 0o640)
        status = os.fstat(self._descriptor)
        self._identity = (status.st_dev, status.st_ino)

    def _rotated(self) -> bool:
        try:
            status = os.stat(self.path)
        except OSError:
            return True
        return (status.st_dev, status.st_ino) != self._identity
