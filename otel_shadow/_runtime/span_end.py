"""The end of a shadow run's span, which one thread opens and another ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from otel_shadow._runtime.records import ExecutionData
from otel_shadow._runtime.sinks import V2Span
from otel_shadow.record import ShadowRecord


class SpanEnd:
    """The end of one run's span: once, when it is open and the record is made, whichever comes later."""

    span: V2Span | None = None
    _record: ShadowRecord | None = None

    def __init__(self, execution: ExecutionData) -> None:
        self._execution = execution
        self._due = [True]

    def opened(self, span: V2Span) -> None:
        """Take the span; it ends here if the run was given up meanwhile."""
        self.span = span
        self._end()

    def record(self, make: Callable[[], ShadowRecord | None]) -> ShadowRecord | None:
        """Return the record that ``make`` makes, and end the span with it."""
        self._record = record = make()
        self._end()
        return record

    def _end(self) -> None:
        if self.span is None or self._record is None:
            return
        with suppress(IndexError):
            self._due.pop()  # atomic
            node = self._execution.node
            node.services.record_queue.span_ends.put(partial(self.span.close, self._record), node.name)
