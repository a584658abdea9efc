"""The encoder of lines, which sinks share: each record becomes lines, with their codes, once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import partial
from typing import NamedTuple

from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow._runtime.redact import Redactor
from otel_shadow.cached import cached
from otel_shadow.line_code import code_of
from otel_shadow.log_line import Line, encode, heartbeat_line, lines
from otel_shadow.record import Heartbeat, ShadowRecord


class EncodedLine(NamedTuple):
    """A line as an object and as it is written, newline included."""

    line: Line
    data: bytes


_REMEMBERED = 64
"""Records whose lines are kept for a sink that is a little behind another."""


class LineEncoder:
    """Encoder of records and heartbeats as lines, whose codes are made with the key of ``redactor``.

    It remembers what it made last: the sinks get the same records, each in a thread of its own.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._reset()
        on_fork(self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[int, tuple[ShadowRecord | Heartbeat, list[EncodedLine]]] = OrderedDict()

    def __call__(self, source: ShadowRecord | Heartbeat) -> list[EncodedLine]:
        """Return the lines of a record or a heartbeat in the order in which they are written."""
        with self._lock:
            known = self._made.get(id(source))
            if known is None:
                found = [heartbeat_line(source)] if isinstance(source, Heartbeat) else lines(source)
                known = source, [EncodedLine(line, self._encode(line)) for line in found]
                self._made[id(source)] = known  # with the source, so that no other gets its id
                if len(self._made) > _REMEMBERED:
                    self._made.popitem(last=False)
            return known[1]

    @cached
    def _encode(self) -> partial[bytes]:
        key = self._redactor.verify_key
        return partial(encode, code_of=None if key is None else partial(code_of, verify_key=key))
