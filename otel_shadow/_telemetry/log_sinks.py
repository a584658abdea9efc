"""The sinks of log lines: a file or a standard stream, outside any logging, and OpenTelemetry log events.

Both write the same bytes, so that a Collector's file is evidence like any other.
"""

from __future__ import annotations

import os
import stat
import sys
from datetime import UTC, datetime, timedelta

from opentelemetry._logs import LoggerProvider, LogRecord, SeverityNumber, get_logger
from opentelemetry.context import Context

from otel_shadow import semconv
from otel_shadow._runtime.redact import Redactor
from otel_shadow._runtime.sinks import Sink
from otel_shadow._telemetry.line_encoder import EncodedLine, LineEncoder
from otel_shadow._telemetry.metrics import span_context
from otel_shadow.errors import ConfigError
from otel_shadow.record import Heartbeat, ShadowRecord

_EPOCH = datetime.fromtimestamp(0, UTC)
Identity = tuple[int, int]

_STDERR = 2
_FLAGS = (
    os.O_WRONLY | os.O_APPEND | os.O_CREAT
    | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_NONBLOCK", 0)
)  # fmt: skip
"""Not blocking: to open a pipe without a reader would wait for one, and the application's start with it."""
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)
_STREAMS = {"stderr": _STDERR, "stdout": 1, "/dev/stderr": _STDERR, "/dev/stdout": 1}


class WhileLogging(Sink):
    """A sink that passes on to ``inner`` what is to be a line: a record that has a number, and heartbeats."""

    def __init__(self, inner: Sink) -> None:
        self._inner = inner
        self.name = inner.name

    def emit(self, record: ShadowRecord) -> None:
        if record.sequence is not None:
            self._inner.emit(record)

    def beat(self, heartbeat: Heartbeat) -> None:
        self._inner.beat(heartbeat)


class LogEventSink(Sink):
    """A sink that emits each line as one event: its name is the line's ``event``, its body the line, byte for byte.

    Arguments:
        provider: default: the global one, also where that is set later.
        encoder: makes the lines; default: one whose codes are keyed by the environment.
    """

    name = "log_events"

    def __init__(self, provider: LoggerProvider | None = None, encoder: LineEncoder | None = None) -> None:
        self._logger = get_logger(semconv.SCOPE, semconv.scope_version(), provider, semconv.SCHEMA_URL)
        self._encoder = encoder or LineEncoder(Redactor())

    def emit(self, record: ShadowRecord) -> None:
        """Emit the events of ``record``, in the context of its span."""
        for encoded in self._encoder(record):
            self._emit(record, encoded, span_context(record, encoded.line.get("v2_span_id") or record.v1.span_id))

    def beat(self, heartbeat: Heartbeat) -> None:
        """Emit the event of ``heartbeat``, in no context."""
        for encoded in self._encoder(heartbeat):
            self._emit(heartbeat, encoded, Context())

    def _emit(self, source: ShadowRecord | Heartbeat, encoded: EncodedLine, context: Context) -> None:
        self._logger.emit(
            LogRecord(
                timestamp=(source.timestamp - _EPOCH) // timedelta(microseconds=1) * 1000,
                context=context,
                severity_number=SeverityNumber.INFO,
                severity_text="INFO",
                body=encoded.data.decode().rstrip("\n"),
                attributes={semconv.GRAPH: source.graph, semconv.NODE: source.node},
                event_name=str(encoded.line["event"]),
            )
        )


class LogFileSink(Sink):
    """Sink that writes each line with one ``os.write`` on an ``O_APPEND`` descriptor: processes can share the file.

    The path is opened anew where the file was renamed (rotated), and where other code has closed the descriptor
    (processes that become daemons close all): its number may be a database connection by now, and no line is ever
    written there. A relative path is that of the working directory at the start. Network file systems and copy-truncate
    rotation are not supported: neither keeps appends atomic.

    A line that somebody left unfinished at the end of the file (a full disk, a process that was killed) is ended first,
    so that it spoils no other. The end is looked at where the file has another size than after this sink's last line.

    Arguments:
        path: file, or ``stderr`` or ``stdout``; default ``OTEL_SHADOW_LOG_FILE``, else standard error.
        encoder: makes the lines; default: one whose codes are keyed by the environment.

    Raises:
        ConfigError: the path stands in quotes, or is ``stderr`` or ``stdout`` in capitals: no file is made of it.
        OSError: the file can't be opened for appending (a named pipe without a reader can't).
    """

    name = "log_file"

    def __init__(self, path: str | os.PathLike[str] | None = None, encoder: LineEncoder | None = None) -> None:
        named = os.fspath(path) if path else os.environ.get(semconv.ENV_LOG_FILE, "").strip() or "stderr"
        if not isinstance(path, os.PathLike):
            _check(named, "log_file" if path else semconv.ENV_LOG_FILE)
        self._stream = _STREAMS.get(named)
        self.path = named if self._stream is not None else os.path.abspath(named)
        self._descriptor = -1
        self._identity: Identity | None = None
        self._encoder = encoder or LineEncoder(Redactor())
        self._end = -1
        """Size of the file behind this sink's last line."""
        self._unfinished = False
        """Whether what stands there is an unfinished line."""
        self._mixed = self._stream is None
        """Whether others may leave unfinished lines, for all that can be known without looking."""
        if self._stream is None:
            self._open()

    def emit(self, record: ShadowRecord) -> None:
        """Write the lines of ``record``.

        Raises:
            OSError: the line could not be written whole (disk full, stream closed).
        """
        for encoded in self._encoder(record):
            self.write(encoded.data)

    def beat(self, heartbeat: Heartbeat) -> None:
        """Write the line of ``heartbeat``.

        Raises:
            OSError: as above.
        """
        for encoded in self._encoder(heartbeat):
            self.write(encoded.data)

    def write(self, data: bytes) -> None:
        """Append ``data``, at most 4,096 bytes, in one system call.

        Raises:
            OSError: ``data`` could not be written whole.
        """
        target = self._target()
        if self._stands_within_a_line(target):
            data = b"\n" + data
        written = os.write(target, data)
        self._end += written
        self._unfinished = written < len(data)
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
                    self._mixed = number != _STDERR
                return descriptor
            except (AttributeError, OSError, ValueError):  # none at all, no file, or closed
                continue
        raise OSError(f"{self.path} is closed")

    def _open(self) -> None:
        self._descriptor = os.open(self.path, _FLAGS, 0o640)
        self._identity = _identity_of(self._descriptor)
        self._end = -1

    def _stands_within_a_line(self, target: int) -> bool:
        """Return whether what is written next needs a newline before it; a file is looked at if others wrote to it."""
        status = os.stat(target)
        if not stat.S_ISREG(status.st_mode):
            return self._unfinished or (self._mixed and self._stream is not None)
        if status.st_size != self._end:
            self._unfinished = self._look(target) and self._look(target)
        return self._unfinished

    def _look(self, target: int) -> bool:
        """Return whether the file ends within a line: of one that is being written, the next look sees the end."""
        self._end = os.stat(target).st_size
        if not self._end or self._last_byte(target) == b"\n":
            return False
        os.write(target, b"")  # waits until the file is nobody else's
        return True

    def _last_byte(self, target: int) -> bytes:
        """Return the last byte of the file; where it can't be read, one that gives an empty line rather than a torn."""
        try:
            reader = os.open(self.path if self._stream is None else f"/dev/fd/{target}", _READ_FLAGS)
            try:
                return os.pread(reader, 1, self._end - 1)
            finally:
                os.close(reader)
        except OSError:
            return b"" if self._mixed else b"\n"

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
