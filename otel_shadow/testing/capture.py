"""A capture of telemetry in memory, with clock and ids held still: spans, metrics, log events and log lines.

Works with pytest or without; the fixture ``shadow_capture`` lies in ``otel_shadow.testing.fixtures``. Needs the SDK
(``otel-shadow[otlp]``).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from otel_shadow import semconv
from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow._api.middleware import ShadowIntegrationMiddleware
from otel_shadow._runtime.redact import Redactor
from otel_shadow._runtime.services import Inspect
from otel_shadow._runtime.sinks import Sink
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import require
from otel_shadow.flags import FLAGS, FeatureFlags, FlagSource
from otel_shadow.record import ShadowRecord

MOMENT = 1736418645.123
"""2025-01-09T10:30:45.123Z: the time on every captured line."""

HASH_KEY = "otel-shadow test key"
_SPAN_DURATIONS = (semconv.V1_LATENCY_MS, semconv.V2_LATENCY_MS, semconv.LATENCY_DELTA_MS)
_LINE_DURATIONS = ("shadow_latency_ms", "v1_latency_ms", "v2_latency_ms", "overhead_ms", "queue_ms")


@dataclass(frozen=True)
class CapturedSpan:
    """One finished span, ids as they were exported; ``started_ns`` and ``ended_ns`` are of the wall clock."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    links: tuple[str, ...]
    """Ids of the linked spans."""
    status: str
    attributes: Mapping[str, Any]
    events: tuple[str, ...]
    started_ns: int
    ended_ns: int


class ShadowCapture:
    """A manager whose signals stay here. The clock stands still, and ids count up: 1, 2, 3.

    Arguments:
        config: ``shadow.toml`` as an object or mapping. Where it names no ``[arms] holdout``, nothing is held out.
        flags: default: the flags' own defaults and ``[flags]``; the environment is not read.
        hash_key: key of the hashes, fixed so that they are the same in every run.
        inspect: sees each record beside the raw results of V1 and V2.
        clock: epoch seconds of executions; default: always :data:`MOMENT`. It decides which slot of time they are in.

    Raises:
        MissingExtraError: the SDK is not installed.
        ConfigError: ``config`` is wrong.
    """

    def __init__(
        self,
        config: ShadowConfig | Mapping[str, Any] | None = None,
        flags: FlagSource | None = None,
        *,
        hash_key: str = HASH_KEY,
        inspect: Inspect | None = None,
        clock: Callable[[], float] = lambda: MOMENT,
    ) -> None:
        if not isinstance(config, ShadowConfig):
            config = ShadowConfig.from_mapping({"v2_build": "test", **(config or {})}, "ShadowCapture")
        if "holdout" not in config.arms.model_fields_set:
            config = config.model_copy(update={"arms": config.arms.model_copy(update={"holdout": 0.0})})
        self._folder = TemporaryDirectory(prefix="otel-shadow-")
        self.log_file = Path(self._folder.name) / "app.log"
        self._signals, self._records = _Signals(), _Records()
        numbers = itertools.count(1)
        self.manager = ShadowTrafficManager(
            config,
            flags or default_flags(config),
            tracer_provider=self._signals.tracer,
            meter_provider=self._signals.meter,
            logger_provider=self._signals.logger,
            log_file=str(self.log_file),
            sinks=[self._records],
            redactor=Redactor(hash_key, config.privacy.safe_session_id),
            clock=clock,
            new_id=lambda: f"{next(numbers):016x}",
            inspect=inspect,
            trials=False,
        )

    @property
    def tracer_provider(self) -> Any:
        """The SDK's tracer provider, for spans of the application's own."""
        return self._signals.tracer

    def attach(self, graph: Any, v2: Mapping[str, Any] | None = None) -> Any:
        """Give the nodes of a compiled graph their shadows, and return the graph."""
        return ShadowIntegrationMiddleware(v2, self.manager).attach(graph)

    def settle(self, timeout: float = 30.0) -> None:
        """Wait for every shadow and record.

        Raises:
            TimeoutError: they were not done within ``timeout`` seconds.
        """
        if not self.manager.flush(timeout):
            raise TimeoutError(f"shadows were not done within {timeout} s")

    def close(self) -> None:
        """End the threads and remove the log file."""
        self.manager.shutdown(1.0)
        self._signals.shutdown()
        self._folder.cleanup()

    # --- what was said -----------------------------------------------------------------------------------------------

    @property
    def records(self) -> list[ShadowRecord]:
        """The finished records, in the order in which their executions began."""
        self.settle()
        return sorted(self._records.seen, key=lambda record: record.pair_id)

    @property
    def swallowed(self) -> dict[str, int]:
        """What the fault barrier caught, by operation."""
        return dict(self.manager.fault_barrier.counts)

    def lines(self, event: str | None = None, *, still: bool = True) -> list[dict[str, Any]]:
        """Return the log lines, parsed, in the order in which their executions began (the file has that of their ends).

        Arguments:
            event: only those of this event. Heartbeats are told where they are asked for: they are of no execution.
            still: durations are 0.0, process and code are their names, so that whole lines can be compared.
        """
        self.settle()
        found = sorted(map(json.loads, self.log_bytes().splitlines()), key=lambda line: str(line.get("pair_id")))
        chosen = [line for line in found if line["event"] == event or (event is None and line["pair_id"] is not None)]
        return [_still(line, _LINE_DURATIONS) for line in chosen] if still else chosen

    def log_bytes(self) -> bytes:
        """Return the bytes of the log file."""
        return self.log_file.read_bytes() if self.log_file.exists() else b""

    def spans(self, name: str | None = None, *, still: bool = True) -> list[CapturedSpan]:
        """Return the finished spans, first started first; ``still`` as for :meth:`lines`."""
        self.settle()
        spans = map(_captured, self._signals.spans.get_finished_spans())
        found = sorted(spans, key=lambda span: (span.started_ns, span.span_id))
        chosen = [span for span in found if name in (None, span.name)]
        if not still:
            return chosen
        return [
            replace(one, attributes=_still(one.attributes, _SPAN_DURATIONS), started_ns=0, ended_ns=0) for one in chosen
        ]

    def metrics(self) -> dict[str, dict[frozenset[tuple[str, Any]], Any]]:
        """Return the metrics by name, then by attribute set: a number, or the count of a histogram's values."""
        self.settle()
        return {metric.name: _points(metric) for metric in self._signals.metrics()}

    def value(self, metric: semconv.Metric, **attributes: Any) -> float:
        """Return the sum over those series of ``metric`` that have ``attributes`` (dots written as ``__``)."""
        wanted = {(name.replace("__", "."), value) for name, value in attributes.items()}
        series = self.metrics().get(metric.name, {})
        return float(sum(value for key, value in series.items() if wanted <= key))

    def exported(self) -> dict[str, bytes]:
        """Return every signal in the bytes of OTLP (or of the file): ``spans``, ``metrics``, ``events``, ``lines``."""
        self.settle()
        return {**self._signals.encoded(), "lines": self.log_bytes()}


def default_flags(config: ShadowConfig) -> FeatureFlags:
    """Return the flags by their defaults and ``[flags]``, whatever the environment says."""
    written = {name: getattr(config.flags, flag.key, None) for name, flag in FLAGS.items()}
    values = {
        name: FeatureFlags.model_fields[name].default if value is None else value for name, value in written.items()
    }
    return FeatureFlags(**values, timeout_is_explicit=False)


def _otel(module: str) -> Any:
    return require(f"opentelemetry.{module}", "otlp")


class _Records(Sink):
    def __init__(self) -> None:
        self.seen: list[ShadowRecord] = []

    def emit(self, record: ShadowRecord) -> None:
        self.seen.append(record)


class _Signals:
    """The SDK's providers, with everything kept in memory."""

    def __init__(self) -> None:
        trace, metrics = _otel("sdk.trace"), _otel("sdk.metrics")
        here = {"resource": _otel("sdk.resources").Resource({"service.name": "test"}), "shutdown_on_exit": False}
        self.spans = _otel("sdk.trace.export.in_memory_span_exporter").InMemorySpanExporter()
        self.tracer = trace.TracerProvider(id_generator=_ids(), **here)
        self.tracer.add_span_processor(_otel("sdk.trace.export").SimpleSpanProcessor(self.spans))
        self._reader = _otel("sdk.metrics.export").InMemoryMetricReader()
        self.meter = metrics.MeterProvider(metric_readers=[self._reader], **here)
        self._events = _Events()
        self.logger = _otel("sdk._logs").LoggerProvider(**here)
        self.logger.add_log_record_processor(self._events)

    def metrics(self) -> list[Any]:
        data = self._reader.get_metrics_data()
        if data is None:
            return []
        return [metric for part in data.resource_metrics for scope in part.scope_metrics for metric in scope.metrics]

    def encoded(self) -> dict[str, bytes]:
        common = "exporter.otlp.proto.common"
        data = self._reader.get_metrics_data()
        messages = {
            "spans": _otel(f"{common}.trace_encoder").encode_spans(self.spans.get_finished_spans()),
            "metrics": _otel(f"{common}.metrics_encoder").encode_metrics(data) if data is not None else None,
            "events": _otel(f"{common}._log_encoder").encode_logs(self._events.seen),
        }
        return {name: message.SerializeToString() if message is not None else b"" for name, message in messages.items()}

    def shutdown(self) -> None:
        for provider in (self.tracer, self.meter, self.logger):
            provider.shutdown()


class _Events:
    """A log record processor that keeps what it gets."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_emit(self, record: Any) -> None:
        self.seen.append(record)

    def shutdown(self) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True: nothing is buffered."""
        return True


def _ids() -> Any:
    class Counting(_otel("sdk.trace.id_generator").IdGenerator):  # type: ignore[misc]
        def __init__(self) -> None:
            self._traces, self._spans = itertools.count(1), itertools.count(1)

        def generate_trace_id(self) -> int:
            return next(self._traces)

        def generate_span_id(self) -> int:
            return next(self._spans)

    return Counting()


def _captured(span: Any) -> CapturedSpan:
    own = span.get_span_context()
    return CapturedSpan(
        name=span.name,
        trace_id=f"{own.trace_id:032x}",
        span_id=f"{own.span_id:016x}",
        parent_id=f"{span.parent.span_id:016x}" if span.parent else None,
        links=tuple(f"{link.context.span_id:016x}" for link in span.links),
        status=span.status.status_code.name,
        attributes=dict(span.attributes or {}),
        events=tuple(event.name for event in span.events),
        started_ns=span.start_time,
        ended_ns=span.end_time,
    )


def _still(values: Mapping[str, Any], durations: tuple[str, ...]) -> dict[str, Any]:
    """Return ``values`` with durations at 0.0, and what differs from run to run named; a missing one stays None."""
    still = {**dict.fromkeys(durations, 0.0), "process": "process", "code": "code"}
    return {key: still.get(key, value) if value is not None else None for key, value in values.items()}


def _points(metric: Any) -> dict[frozenset[tuple[str, Any]], Any]:
    return {
        frozenset((point.attributes or {}).items()): getattr(point, "value", getattr(point, "count", None))
        for point in metric.data.data_points
    }
