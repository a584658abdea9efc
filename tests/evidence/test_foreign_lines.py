"""One stream of ours and of others: what exporters, frameworks and other loggers write are no broken lines of ours."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as logs_export
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from recorded import console, log, otlp

from otel_shadow.evidence import read, read_sources, view_of
from otel_shadow.evidence.line_objects import objects_in
from otel_shadow.verdict import Policy, evaluate

OURS = log(120)
EXECUTIONS = 120
LINE = next(line.decode().rstrip("\n") for line in OURS if b'"event":"SHADOW_V2"' in line)
TORN = [LINE[:300], LINE[200:], LINE[:-30]]


@pytest.fixture(params=["duckdb", "line by line"], autouse=True)
def _both_readers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_sources, "_SMALL", 0 if request.param == "duckdb" else 1 << 60)


def counts(*files: Path) -> tuple[int, int, int, int]:
    """Executions of the summary; lines used, told again, and broken, as the verdict's document has them."""
    summary = read([str(file) for file in files])
    at = summary.last + timedelta(minutes=1)
    reading = view_of(summary, evaluate(summary, Policy(), at=at)).reading
    return len(summary), reading.used, reading.duplicates, reading.malformed


def printed(path: Path, plain: list[bytes], events: list[bytes]) -> Path:
    """A stream of all three console exporters of the SDK and of ``plain``, in threads."""
    exporter = getattr(logs_export, "ConsoleLogRecordExporter", None) or logs_export.ConsoleLogExporter
    with path.open("a", buffering=1) as out:
        tracer = TracerProvider(shutdown_on_exit=False)
        tracer.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=out)))
        reader = PeriodicExportingMetricReader(ConsoleMetricExporter(out=out))
        meter = MeterProvider([reader], shutdown_on_exit=False)
        logger = LoggerProvider(shutdown_on_exit=False)
        logger.add_log_record_processor(logs_export.SimpleLogRecordProcessor(exporter(out=out)))
        lines = path.open("ab", buffering=0)

        def spans() -> None:
            for number in range(60):
                tracer.get_tracer("t").start_span("v1.node", attributes={"shadow.pair.id": str(number)}).end()

        def metrics() -> None:
            counter = meter.get_meter("m").create_counter("shadow.executions")
            for number in range(20):
                counter.add(1, {"shadow.node.name": str(number)})
                reader.collect()

        def logged() -> None:
            for line in events:
                name = json.loads(line)["event"]
                body = line.decode().rstrip("\n")
                logger.get_logger("l").emit(LogRecord(body=body, event_name=name, timestamp=1))

        def written() -> None:
            for line in plain:
                lines.write(line)

        threads = [threading.Thread(target=target) for target in (spans, metrics, logged, written)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for provider in (tracer, meter, logger):
            provider.shutdown()
        lines.close()
    return path


def test_console_exporters_in_the_same_stream_make_no_line_of_ours_a_broken_one(tmp_path: Path) -> None:
    """Each execution counts once, though the stream has it twice: as a line, and within the exporter's JSON."""
    file = printed(tmp_path / "container.log", OURS, OURS)
    assert counts(file) == (EXECUTIONS, EXECUTIONS, EXECUTIONS, 0)


def test_where_only_the_console_exporter_has_them_they_are_read(tmp_path: Path) -> None:
    """The product's own lines went elsewhere."""
    file = printed(tmp_path / "container.log", [], OURS)
    assert counts(file) == (EXECUTIONS, EXECUTIONS, 0, 0)


def test_an_object_that_a_line_of_ours_interrupts_is_read_line_by_line(tmp_path: Path) -> None:
    """Whoever writes between the lines of an object that an exporter prints breaks no JSON of ours."""
    parts = [part for line in OURS[:40] for part in console(line).splitlines(keepends=True)]
    woven = [piece for place, part in enumerate(parts) for piece in (part, b"\n", OURS[place % len(OURS)])]
    for name, first in (("plain.log", OURS[:2]), ("pretty.log", console(OURS[0]).splitlines(keepends=True))):
        (tmp_path / name).write_bytes(b"".join([*first, *woven, *OURS]))
        assert counts(tmp_path / name)[::3] == (EXECUTIONS, 0)


def test_an_otlp_file_beside_the_log_counts_once(tmp_path: Path) -> None:
    """The same lines from two places are one set of executions."""
    (tmp_path / "app.log").write_bytes(b"".join(OURS))
    (tmp_path / "otlp.jsonl").write_bytes(b"".join(otlp(OURS)))
    assert counts(tmp_path / "app.log", tmp_path / "otlp.jsonl") == (EXECUTIONS, EXECUTIONS, EXECUTIONS, 0)
    assert counts(tmp_path / "otlp.jsonl") == (EXECUTIONS, EXECUTIONS, 0, 0)


LOGGERS: dict[str, Callable[[str], Any]] = {
    "structlog": lambda line: {"event": line, "level": "info", "timestamp": "2026-11-30T01:00:00Z"},
    "structlog, parsed": lambda line: {**json.loads(line), "level": "info", "logger": "app"},
    "python-json-logger": lambda line: {"message": line, "levelname": "INFO", "taskName": None},
    "Google Cloud": lambda line: {"severity": "INFO", "message": line, "logging.googleapis.com/trace": "t"},
    "Google Cloud, exported": lambda line: {"insertId": "i", "jsonPayload": json.loads(line), "severity": "INFO"},
    "Google Cloud, text": lambda line: {"insertId": "i", "textPayload": line + "\n", "severity": "INFO"},
    "ECS": lambda line: {"@timestamp": "t", "log.level": "info", "message": line, "ecs": {"version": "1.6.0"}},
    "ECS, original": lambda line: {"@timestamp": "t", "event": {"original": line, "kind": "event"}},
    "an event of a name": lambda line: {"body": line, "event_name": json.loads(line)["event"]},
}


@pytest.mark.parametrize("name", LOGGERS)
def test_loggers_that_write_json_wrap_ours(tmp_path: Path, name: str) -> None:
    """Alone, and beside the lines themselves, each execution counts once."""
    wrapped = [json.dumps(LOGGERS[name](line.decode().rstrip("\n"))).encode() + b"\n" for line in OURS]
    (tmp_path / "app.log").write_bytes(b"".join(wrapped))
    assert counts(tmp_path / "app.log") == (EXECUTIONS, EXECUTIONS, 0, 0)
    (tmp_path / "app.log").write_bytes(b"".join(part for pair in zip(OURS, wrapped, strict=True) for part in pair))
    assert counts(tmp_path / "app.log") == (EXECUTIONS, EXECUTIONS, EXECUTIONS, 0)


@pytest.mark.parametrize(
    "text",
    [
        '    "event_name": "SHADOW_V2"',
        '    "event_name": "SHADOW_BASELINE",',
        'INFO exporting 1 event named "SHADOW_V2"',
        'DEBUG sent {"event_name": "SHADOW_V2", "count": 1} to collector',
        '{"event": "shadow seen", "names": ["SHADOW_V2", "SHADOW_BASELINE"]}',
        '        "shadow.pair.id": "0123",',
        '    "query": "SELECT * FROM logs WHERE event = \\"SHADOW_V2\\"",',
    ],
)
def test_who_only_names_our_events_has_no_line_of_ours(text: str) -> None:
    """Whatever speaks of ours is another line."""
    found = objects_in(text)
    assert (found.placed, found.behind, found.lost) == ([], [], 0)


def test_a_line_of_millions_of_equal_signs_is_read_in_no_time() -> None:
    """Anybody may make the application print one."""
    for text in (
        "." * 3_000_000,
        "a.log" * 600_000,
        " " * 3_000_000,
        "\t" * 3_000_000,
        '    "' + "a" * 3_000_000,
        '    "' + '\\"' * 1_000_000,
    ):
        objects_in(f"{text} SHADOW_V2")


@pytest.mark.parametrize("text", [*TORN, '  "event": "SHADOW_V2",', '    "body": ' + json.dumps(LINE)[:-40]])
def test_what_broke_off_is_told_all_the_same(text: str) -> None:
    """A part of ours that nobody can read stays a fault."""
    assert objects_in(text).lost == 1
