"""The encoder of lines, which sinks share: each record becomes lines, with their codes, once."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from otel_shadow._runtime.redact import Redactor
from otel_shadow.cached import cached
from otel_shadow.line_code import code_of
from otel_shadow.log_line import Line, encode, heartbeat_line, lines
from otel_shadow.record import Heartbeat, ShadowRecord


class EncodedLine(NamedTuple):
    """A line as an object and as it is written, newline included."""

    line: Line
    data: bytes


class LineEncoder:
    """Encoder of records and heartbeats as lines, whose codes are made with the key of ``redactor``.

    It remembers what it made last: the sinks get a record one after the other.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._last: tuple[ShadowRecord | Heartbeat | None, list[EncodedLine]] = (None, [])

    def __call__(self, source: ShadowRecord | Heartbeat) -> list[EncodedLine]:
        """Return the lines of a record or a heartbeat in the order in which they are written."""
        known, made = self._last
        if known is not source:
            found = [heartbeat_line(source)] if isinstance(source, Heartbeat) else lines(source)
            made = [EncodedLine(line, self._encode(line)) for line in found]
            self._last = source, made
        return made

    @cached
    def _encode(self) -> partial[bytes]:
        key = self._redactor.verify_key
        return partial(encode, code_of=None if key is None else partial(code_of, verify_key=key))
