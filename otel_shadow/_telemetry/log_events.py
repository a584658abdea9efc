"""The same lines as OpenTelemetry log events, so that a Collector's file is evidence like any other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from opentelemetry._logs import LoggerProvider, LogRecord, SeverityNumber, get_logger

from otel_shadow import semconv
from otel_shadow._runtime.sinks import Sink
from otel_shadow._telemetry.metrics import span_context
from otel_shadow.log_line import encode, lines
from otel_shadow.record import ShadowRecord

_EPOCH = datetime.fromtimestamp(0, UTC)


class LogEventSink(Sink):
    """A sink that emits each line as one event: its name is the line's ``event``, its body the line, byte for byte.

    Arguments:
        provider: default: the global logger provider, also one that is set later.
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
