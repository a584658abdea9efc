"""A manager with everything that it says held in memory, and that made the same in every run: what is golden.

Ids are numbered in the order in which the log lines name them, measured durations become ``"<ms>"``, the clock counts
executions. Nothing else is touched: a line is told byte for byte, in the order of its keys.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from waiting import PATIENCE_S, until

from otel_shadow import FeatureFlags, ShadowConfig, ShadowRecord, Sink, semconv
from otel_shadow.line_code import environment_key, verifies

MOMENT = 1736418645.123
"""2025-01-09T10:30:45.123Z: each execution of a scene begins a second later than the one before."""
MEASURED = "<ms>"
_LINE_DURATIONS = ("shadow_latency_ms", "v1_latency_ms", "v2_latency_ms", "overhead_ms", "queue_ms")
_SPAN_DURATIONS = (semconv.V1_LATENCY_MS, semconv.V2_LATENCY_MS, semconv.LATENCY_DELTA_MS)


def manager_with_telemetry(
    config: ShadowConfig, flags: Any, log_file: Path, clock: Any, name: str, signals: Any
) -> Any:
    """The one place that knows how a manager with all telemetry is put together."""
    from otel_shadow._api.manager import ShadowTrafficManager

    numbers = itertools.count(1)
    return ShadowTrafficManager(
        config, flags, tracer_provider=signals.tracer, meter_provider=signals.meter, logger_provider=signals.logger,
        log_file=str(log_file), sinks=[signals.records], clock=clock, clock_name=name,
        new_id=lambda: f"{next(numbers):016x}", trials=False,
    )  # fmt: skip


@dataclass
class Told:
    """What a scene has left, ready to be compared."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    spans: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    """Every point."""
    events: list[dict[str, Any]] = field(default_factory=list)
    instruments: dict[str, Any] = field(default_factory=dict)
    records: list[ShadowRecord] = field(default_factory=list)

    @property
    def reasons(self) -> list[dict[str, Any]]:
        """Of each record what the lines don't say."""
        return [
            {
                "pair_id": record.pair_id, "reason": record.reason, "is_pair": record.is_pair, "served": record.served,
                "v1": record.v1.status, "v2": record.v2 and record.v2.status, "sampled": record.trace_sampled,
            }
            for record in self.records
        ]  # fmt: skip


class Signals:
    """The SDK's three providers; the order in which spans began is kept, whatever the wall clock does."""

    def __init__(self) -> None:
        self.exported = InMemorySpanExporter()
        self.started = _Started()
        self.tracer = TracerProvider(shutdown_on_exit=False)
        self.tracer.add_span_processor(self.started)
        self.tracer.add_span_processor(SimpleSpanProcessor(self.exported))
        self.reader = InMemoryMetricReader()
        self.meter = MeterProvider(metric_readers=[self.reader], shutdown_on_exit=False)
        self.events = _Events()
        self.records = _Records()
        self.logger = LoggerProvider(shutdown_on_exit=False)
        self.logger.add_log_record_processor(self.events)  # type: ignore[arg-type]

    def metrics(self) -> list[Any]:
        data = self.reader.get_metrics_data()
        parts = [scope for part in data.resource_metrics for scope in part.scope_metrics] if data else []
        return [metric for scope in parts for metric in scope.metrics]

    def shutdown(self) -> None:
        for provider in (self.tracer, self.meter, self.logger):
            provider.shutdown()


class _Started(SpanProcessor):
    def __init__(self) -> None:
        self.order: dict[int, int] = {}

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.order[span.get_span_context().span_id] = len(self.order)


class _Records(Sink):
    def __init__(self) -> None:
        self.seen: list[ShadowRecord] = []

    def emit(self, record: ShadowRecord) -> None:
        self.seen.append(record)


class _Events:
    """A log record processor that keeps what it gets."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_emit(self, record: Any) -> None:
        self.seen.append(record.log_record)

    def shutdown(self) -> None:
        """Nothing to do."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


class Run:
    """One scene's manager, its signals and its log file.

    Arguments:
        folder: where the log file goes.
        config: ``shadow.toml`` as a mapping; without a word on arms nobody is held out.
        flags: values of the flags; the environment is not asked. The time limit is a minute.
        clock_name: as on every line.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], flags: Mapping[str, Any], clock_name: str) -> None:
        self.log_file = folder / "app.log"
        self.signals = Signals()
        self.stopped = False
        seconds = itertools.count()
        values: dict[str, Any] = {
            "router_v2_enabled": False, "router_v2_shadow": True, "router_v2_percentage": 0.0,
            "v2_timeout_ms": 60_000, "shadow_logging": True, "timeout_is_explicit": False,
        }  # fmt: skip
        self.flags = FeatureFlags(**(values | dict(flags)))
        given = {"v2_build": "2.0.0", "arms": {"holdout": 0.0}, **config}
        self.manager = manager_with_telemetry(
            ShadowConfig.from_mapping(given), self.flags, self.log_file, lambda: MOMENT + next(seconds), clock_name,
            self.signals,
        )  # fmt: skip

    def tracer(self, name: str = "application") -> Any:
        """A tracer of the application's own."""
        return self.signals.tracer.get_tracer(name)

    def settle(self) -> None:
        """Every shadow that was accepted has run, and every line is written."""
        assert self.manager.flush(PATIENCE_S), "shadows were not done in time"

    def stop(self, timeout: float) -> None:
        """End the manager; where it finds a V2 that hangs it takes so many seconds."""
        self.manager.shutdown(timeout)
        self.stopped = True

    def close(self) -> None:
        self.manager.shutdown(5.0)
        self.signals.shutdown()

    def gauge(self, metric: semconv.Metric) -> float:
        """A gauge without attributes, as it is now."""
        found = [point.value for item in self.signals.metrics() if item.name == metric.name for point in _points(item)]
        return float(sum(found))

    def told(self) -> Told:
        """All signals, ids and durations made the same in every run."""
        if not self.stopped:
            until(lambda: self.gauge(semconv.QUEUE_DEPTH) == self.gauge(semconv.INFLIGHT) == 0)
        raw = self.log_file.read_bytes().splitlines(keepends=True) if self.log_file.exists() else []
        lines = [_parsed(line) for line in raw]
        numbers = {id(line): place for place, line in enumerate(lines)}
        lines.sort(key=lambda line: (line["timestamp"], line.get("pair_id", "last")))  # a file has the order of ends
        _number_anew(lines)
        names = _Names(lines)
        spans = sorted(self.signals.exported.get_finished_spans(), key=names.place(self.signals.started.order))
        told = Told(lines=[names.line(line) for line in lines], spans=[names.span(span) for span in spans])
        places = [numbers[id(line)] for line in lines]
        bodies = {raw[place]: number for number, place in enumerate(places)}
        told.records = sorted(self.signals.records.seen, key=lambda record: record.pair_id)
        told.events = sorted((names.event(item, bodies) for item in self.signals.events.seen), key=_body)
        unsettled = (semconv.INFLIGHT.name,) if self.stopped else ()  # nobody looks after what was given up at the end
        metrics = [metric for metric in self.signals.metrics() if metric.name not in unsettled]
        told.instruments = {metric.name: _instrument(metric) for metric in metrics}
        told.metrics = sorted((point for metric in metrics for point in _told_points(metric)), key=json.dumps)
        return told


def _parsed(raw: bytes) -> dict[str, Any]:
    """A line; encoded again it is the same bytes, so that a golden line stands for them."""
    line: dict[str, Any] = json.loads(raw)
    again = json.dumps(line, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    assert again == raw
    assert len(raw) <= semconv.LINE_MAX_BYTES
    assert "code" not in line or verifies(line, environment_key() or b"")
    return line


class _Names:
    """Names for traces and spans: numbered in the order in which the lines name them, then in that of their starts."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self._traces: dict[str, str] = {}
        self._spans: dict[str, str] = {}
        for line in lines:
            self.trace(line.get("trace_id"))
            for key in ("v1_span_id", "v2_span_id"):
                self.own(line.get(key))

    def trace(self, trace_id: str | None) -> str | None:
        return self._traces.setdefault(trace_id, f"trace {len(self._traces) + 1}") if trace_id else None

    def own(self, span_id: str | None) -> str | None:
        return self._spans.setdefault(span_id, f"span {len(self._spans) + 1}") if span_id else None

    def line(self, line: dict[str, Any]) -> dict[str, Any]:
        """The line with its ids named and its measured durations out of it; the order of its keys stays."""
        ids = {"trace_id": self.trace, "v1_span_id": self.own, "v2_span_id": self.own}
        still = _still({**line, **_names_of_random(line)}, _LINE_DURATIONS)
        return {key: ids[key](value) if key in ids else value for key, value in still.items()}

    def place(self, order: Mapping[int, int]) -> Callable[[Any], Any]:
        """The place of a span: its trace's, then that of its start."""
        known = list(self._traces)

        def place(span: Any) -> tuple[int, int]:
            own = span.get_span_context()
            trace_id = f"{own.trace_id:032x}"
            return known.index(trace_id) if trace_id in known else len(known), order[own.span_id]

        return place

    def span(self, span: Any) -> dict[str, Any]:
        own = span.get_span_context()
        return {
            "name": span.name,
            "scope": span.instrumentation_scope.name,
            "kind": span.kind.name,
            "trace": self.trace(f"{own.trace_id:032x}"),
            "id": self.own(f"{own.span_id:016x}"),
            "parent": self.own(f"{span.parent.span_id:016x}") if span.parent else None,
            "links": [self.own(f"{link.context.span_id:016x}") for link in span.links],
            "status": [span.status.status_code.name, span.status.description],
            "events": [event.name for event in span.events],
            "ends": span.end_time >= span.start_time,
            "attributes": _sorted(_still(dict(span.attributes or {}), _SPAN_DURATIONS)),
        }

    def event(self, record: Any, bodies: Mapping[bytes, int]) -> dict[str, Any]:
        """A log record; its body is told by the number of the line that it equals byte for byte."""
        assert isinstance(record.body, str)
        return {
            "event_name": record.event_name,
            "line": bodies[record.body.encode() + b"\n"],
            "timestamp": record.timestamp,
            "severity": [record.severity_text, record.severity_number.name],
            "trace": self.trace(f"{record.trace_id:032x}") if record.trace_id else None,
            "span": self.own(f"{record.span_id:016x}") if record.span_id else None,
            "attributes": _sorted(dict(record.attributes or {})),
        }


def _number_anew(lines: list[dict[str, Any]]) -> None:
    """Number the lines in the order in which their executions began, for shadow runs end in any; none is left out."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for line in lines:
        if "sequence" in line:
            found.setdefault((line["graph"], line["node"], line["event"]), []).append(line)
    for own in found.values():
        assert sorted(line["sequence"] for line in own) == list(range(1, len(own) + 1))
        for number, line in enumerate(own, start=1):
            line["sequence"] = number


def _names_of_random(line: Mapping[str, Any]) -> dict[str, str]:
    """What differs in every run: the id of the process, and the code."""
    assert len(line["process"]) == 16
    return {"process": "<process>"} | ({"code": "<code>"} if "code" in line else {})


def _still(values: Mapping[str, Any], durations: tuple[str, ...]) -> dict[str, Any]:
    """``values`` with measured durations replaced; one that is missing (None) stays so."""
    measured = {key for key in durations if values.get(key) is not None}
    assert all(isinstance(values[key], float) for key in measured)
    assert all(values[key] >= 0.0 for key in measured if key != semconv.LATENCY_DELTA_MS)
    return {key: MEASURED if key in measured else _placed(key, value) for key, value in values.items()}


def _placed(key: str, value: Any) -> Any:
    """A place in the code without its line, which moves with every change above it."""
    if key not in ("v2_location", semconv.V2_LOCATION) or value is None:
        return value
    module, _, line = value.partition(":")
    assert int(line) > 0
    return f"{module}:<line>"


def _sorted(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in sorted(attributes.items())}


def _body(event: Mapping[str, Any]) -> int:
    return int(event["line"])


def _points(metric: Any) -> Any:
    return metric.data.data_points


def _instrument(metric: Any) -> dict[str, Any]:
    bounds = next((list(point.explicit_bounds) for point in _points(metric) if hasattr(point, "explicit_bounds")), None)
    kind = type(metric.data).__name__
    return {"kind": kind, "unit": metric.unit, "description": metric.description, "bounds": bounds}


def _told_points(metric: Any) -> Iterator[dict[str, Any]]:
    for point in _points(metric):
        value = {"count": point.count} if hasattr(point, "count") else {"value": point.value}
        yield {"name": metric.name, "unit": metric.unit, "attributes": _sorted(point.attributes or {}), **value}
