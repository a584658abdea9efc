"""The sinks of log lines: a file or a standard stream, outside any logging, and OpenTelemetry log events.

Both write the same bytes, so that a Collector's file is evidence like any other.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta

from opentelemetry._logs import LoggerProvider, LogRecord, SeverityNumber, get_logger

from otel_shadow import semconv
from otel_shadow._runtime.sinks import Sink
from otel_shadow._telemetry.metrics import span_context
from otel_shadow.errors import ConfigError
from otel_shadow.flags import FlagSource
from otel_shadow.log_line import encode, lines
from otel_shadow.record import ShadowRecord

_EPOCH = datetime.fromtimestamp(0, UTC)
Identity = tuple[int, int]

_STDERR = 2
_FLAGS = (
    os.O_WRONLY | os.O_APPEND | os.O_CREAT
    | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_NONBLOCK", 0)
)  # fmt: skip
"""Not blocking: to open a pipe without a reader would wait for one, and the application's start with it."""
_STREAMS = {"stderr": _STDERR, "stdout": 1, "/dev/stderr": _STDERR, "/dev/stdout": 1}


class WhileLogging(Sink):
    """A sink that passes records on to ``inner`` while ``SHADOW_LOGGING`` is on."""

    def __init__(self, flags: FlagSource, inner: Sink) -> None:
        self._flags = flags
        self._inner = inner

    def emit(self, record: ShadowRecord) -> None:
        if self._flags.current.shadow_logging:
            self._inner.emit(record)


class LogEventSink(Sink):
    """A sink that emits each line as one event: its name is the line's ``event``, its body the line, byte for byte.

    The default ``provider`` is the global one, also where that is set later.
    """

    def __init__(self, provider: LoggerProvider | None = None) -> None:
        self._logger = get_logger(semconv.SCOPE, logger_provider=provider)

    def emit(self, record: ShadowRecord) -> None:
        """Emit the events of ``record``, in the context of its span."""
        for line in lines(record):
            self._logger.emit(
                LogRecord(
                    timestamp=(record.timestamp - _EPOCH) // timedelta(microseconds=1) * 1000,
                    context=span_context(record, line.get("v2_span_id") or record.v1.span_id),
                    severity_number=SeverityNumber.INFO,
                    severity_text="INFO",
                    body=encode(line).decode().rstrip("\n"),
                    attributes={semconv.GRAPH: record.graph, semconv.NODE: record.node},
                    event_name=str(line["event"]),
                )
            )


class LogFileSink(Sink):
    """Sink that writes each line with one ``os.write`` on an ``O_APPEND`` descriptor: processes can share the file.

    The path is opened anew where the file was renamed (rotated), and where other code has closed the descriptor
    (processes that become daemons close all): its number may be a database connection by now, and no line is ever
    written there. A relative path is that of the working directory at the start. Network file systems and copy-truncate
    rotation are not supported: neither keeps appends atomic.

    Arguments:
        path: file, or ``stderr`` or ``stdout``; default ``OTEL_SHADOW_LOG_FILE``, else standard error.

    Raises:
        ConfigError: the path stands in quotes, or is ``stderr`` or ``stdout`` in capitals: no file is made of it.
        OSError: the file can't be opened for appending (a named pipe without a reader can't).
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        named = os.fspath(path) if path else os.environ.get(semconv.ENV_LOG_FILE, "").strip() or "stderr"
        if not isinstance(path, os.PathLike):
            _check(named, "log_file" if path else semconv.ENV_LOG_FILE)
        self._stream = _STREAMS.get(named)
        self.path = named if self._stream is not None else os.path.abspath(named)
        self._descriptor = -1
        self._identity: Identity | None = None
        self._torn = False
        if self._stream is None:
            self._open()

    def emit(self, record: ShadowRecord) -> None:
        """Write the lines of ``record``.

        Raises:
            OSError: the line could not be written whole (disk full, stream closed).
        """
        for line in lines(record):
            self.write(encode(line))

    def write(self, data: bytes) -> None:
        """Append ``data``, at most 4,096 bytes, in one system call.

        Raises:
            OSError: ``data`` could not be written whole.
        """
        target = self._target()
        if self._torn:
            data = b"\n" + data  # an unfinished line before this one must not spoil it
        written = os.write(target, data)
        self._torn = written < len(data)
        if written != len(data):
            raise OSError(f"{self.path}: wrote {written} of {len(data)} bytes")

    def close(self) -> None:
        if self._is_ours():
            os.close(self._descriptor)
        self._descriptor, self._identity = -1, None

    def _target(self) -> int:
        if self._stream is not None:
            return self._stream_descriptor(self._stream)
        if not self._is_ours() or _identity_of(self.path) != self._identity:
            self.close()
            self._open()
        return self._descriptor

    def _stream_descriptor(self, number: int) -> int:
        """Return the descriptor of a standard stream, with what the application has written to it flushed.

        It need not be ``number``: where the stream was closed, that may be another file of the application by now. A
        stream that is not flushed line by line (standard output that is no terminal) is flushed first, or a log line
        would stand inside a line of the application; and as ``print`` writes text and newline apart, the log line gets
        an empty line before it. Standard error is for loggers, which write whole lines.

        Raises:
            OSError: the stream is closed.
        """
        streams = (sys.stderr, sys.__stderr__) if number == _STDERR else (sys.stdout, sys.__stdout__)
        for stream in streams:
            try:
                descriptor = stream.fileno()  # type: ignore[union-attr]
                if not getattr(stream, "line_buffering", False):
                    stream.flush()  # type: ignore[union-attr]
                    self._torn = number != _STDERR
                return descriptor
            except (AttributeError, OSError, ValueError):  # none at all, no file, or closed
                continue
        raise OSError(f"{self.path} is closed")

    def _open(self) -> None:
        self._descriptor = os.open(self.path, _FLAGS, 0o640)
        self._identity = _identity_of(self._descriptor)

    def _is_ours(self) -> bool:
        return self._descriptor >= 0 and _identity_of(self._descriptor) == self._identity


def _check(named: str, where: str) -> None:
    """Raise where a file would be made of what was meant otherwise: env files keep quotes, people write STDOUT or -."""
    meant = named.strip("'\"").strip()
    if meant != named:
        raise ConfigError([f"{where}: got {named}, expected the path without quotes and blanks around it: {meant}"])
    lower = "stdout" if named == "-" else named.lower()
    if lower != named and lower in _STREAMS:
        raise ConfigError([f"{where}: got {named}, expected {lower} (for a file of that name: ./{named})"])


def _identity_of(file: int | str) -> Identity | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_dev, status.st_ino
