"""One span, one metric point and one log record, sent by the SDK's own exporters as the environment sets them up.

All are marked (``otel-shadow doctor``), hold nothing that the verdict or a dashboard would count, and are told of an
instance of their own. What the exporters say is heard and not shown, because it may hold addresses with credentials.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from time import monotonic, time_ns
from typing import Any
from urllib.parse import urlsplit

from otel_shadow._doctor.findings import Finding, note, ok, problem
from otel_shadow._doctor.otel_variables import SIGNALS, TEMPORALITY, prefers_deltas, sends_otlp
from otel_shadow._report.credentials import shown_address
from otel_shadow._report.sdk_providers import endpoint, exporter, protocol
from otel_shadow.background_thread import BackgroundThread
from otel_shadow.errors import MissingExtraError, require

_MARK = "otel-shadow doctor"
_TIMEOUT_S = 4.0
_GRACE_S = 2.0
"""Seconds that an exporter gets beyond its own time limit."""
_ONE = {"TRACES": "span", "METRICS": "metric point", "LOGS": "log record"}
_STATUS = re.compile(r"StatusCode\.([A-Z_]+)|code: (\d{3})")
_UNANSWERED = ("UNAVAILABLE", "DEADLINE_EXCEEDED")
_LOGGERS = ("opentelemetry", "urllib3", "requests", "grpc")
_Answer = tuple[bool, str]
"""Whether it was taken; if not, why."""
_LATE: _Answer = False, f"no answer within {_TIMEOUT_S:g} s"
_Said = dict[int, list[str]]


def check_backends() -> Iterator[Finding]:
    """Yield, for each signal that goes out by OTLP to a named endpoint, whether one of it arrived there."""
    signals = [signal for signal in SIGNALS if endpoint(signal) and sends_otlp(signal)]
    if not signals:
        if not any(map(endpoint, SIGNALS)):
            text = "no OTLP endpoint is named: spans and metrics are exported nowhere"
            yield note("collector", text, "set OTEL_EXPORTER_OTLP_ENDPOINT")
        return
    answers = _answers(signals)
    for signal, (taken, why) in answers.items():
        told = f"{shown_address(endpoint(signal) or '')} ({protocol(signal)})"
        if taken:
            yield ok("collector", f"{told} took a test {_ONE[signal]}")
        else:
            text = f"{told} did not take a test {_ONE[signal]}: {why}"
            yield problem("collector", text, _remedy(signal, why))


def _remedy(signal: str, why: str) -> str:
    address, name = endpoint(signal) or "", "OTEL_EXPORTER_OTLP_PROTOCOL"
    port, http = _port(address), protocol(signal).startswith("http")
    if "not installed" in why:
        return "pip install 'otel-shadow[otlp]'"
    if port == 4317 and http:
        return f"4317 is the port of gRPC: set {name}=grpc, or port 4318"
    if port == 4318 and not http:
        return f"4318 is the port of HTTP: set {name}=http/protobuf, or port 4317"
    if not http and "://" not in address:
        return "without http:// in the endpoint TLS is expected: write it, or set OTEL_EXPORTER_OTLP_INSECURE=true"
    if not http and "@" in address:
        return "gRPC knows no user:password@ in an endpoint: set OTEL_EXPORTER_OTLP_HEADERS in its place"
    if http and "404" in why:
        return f"the endpoint of one signal is used as it is, the general one gets /v1/{signal.lower()} at its end"
    if any(code in why for code in ("401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED")):
        return "correct OTEL_EXPORTER_OTLP_HEADERS"
    if "refused" in why and signal == "METRICS" and prefers_deltas():
        return f"set {TEMPORALITY}=cumulative: Prometheus refuses deltas"
    if "refused" in why:
        return f"have the backend take {signal.lower()}, or set OTEL_{signal}_EXPORTER=none if it is not for them"
    return f"start the collector, or correct the endpoint (OTEL_EXPORTER_OTLP_{signal}_ENDPOINT before the general one)"


def _port(address: str) -> int | None:
    try:
        return urlsplit(address if "://" in address else f"//{address}").port
    except ValueError:
        return None


def _answers(signals: list[str]) -> dict[str, _Answer]:
    """Return what became of one of each of ``signals``, within the time limit whatever their exporters do."""
    answers: dict[str, _Answer] = {}
    with _heard() as said:
        senders = {signal: sender for signal in signals if (sender := _exporter(signal, answers)) is not None}
        _unfiltered()
        threads = [
            BackgroundThread(target=_send, args=(signal, sender, said, answers)) for signal, sender in senders.items()
        ]
        for thread in threads:
            thread.start()
        end = monotonic() + _TIMEOUT_S + _GRACE_S
        for thread in threads:
            thread.join(max(end - monotonic(), 0.0))
    return {signal: answers.get(signal, _LATE) for signal in signals}


def _exporter(signal: str, answers: dict[str, _Answer]) -> Any:
    """Return the exporter of a signal; None where there can be none, with the reason among the ``answers``."""
    try:
        return exporter(signal, timeout=_TIMEOUT_S)
    except MissingExtraError:
        answers[signal] = False, f"its exporter for {protocol(signal)} is not installed"
    except Exception as error:  # noqa: BLE001 - for what the environment says of it; the text may hold credentials
        answers[signal] = False, f"its exporter can't be made ({type(error).__name__})"
    return None


def _send(signal: str, sender: Any, said: _Said, answers: dict[str, _Answer]) -> None:
    try:
        taken = sender.export(_MADE[signal](sender)).name == "SUCCESS"
        answers[signal] = (True, "") if taken else _why("\n".join(said[threading.get_ident()]))
        sender.shutdown()
    except Exception as error:  # noqa: BLE001 - exporters raise anything; their texts may hold credentials
        name = type(error).__name__
        answers.setdefault(signal, _LATE if "Timeout" in name else (False, f"no connection ({name})"))


def _why(said: str) -> _Answer:
    """Return why an exporter failed, of what it ``said``: the status, never the text."""
    codes = [grpc or http for grpc, http in _STATUS.findall(said) if grpc not in _UNANSWERED]
    codes += [str(int(status)) for status in HTTPStatus if f"error {status.phrase} encountered" in said]
    if codes:
        return False, f"refused with {codes[-1]}"
    if "DEADLINE_EXCEEDED" in said or ("due to timeout" in said and "refused" not in said):
        return _LATE
    return False, "nobody answers there"


@contextmanager
def _heard() -> Iterator[_Said]:
    """Give what exporters log, by thread; none of it is shown, nor what one says that goes on after its time."""
    said: _Said = defaultdict(list)
    handler = logging.Handler()
    handler.emit = lambda record: said[record.thread or 0].append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    former = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    running = threading.active_count()
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
    yield said
    if threading.active_count() <= running:
        for logger, handlers, propagate in former:
            logger.handlers, logger.propagate = handlers, propagate


def _unfiltered() -> None:
    """Have exporters say the same for each signal: a filter of theirs drops what was said of another."""
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.startswith("opentelemetry.exporter.") and isinstance(logger, logging.Logger):
            logger.filters = []


def _resource() -> Any:
    resources = require("opentelemetry.sdk.resources", "otlp").Resource
    return resources.create().merge(resources({"service.instance.id": _MARK}))


def _span(_sender: Any) -> Any:
    sdk = require("opentelemetry.sdk.trace", "otlp")
    export = require("opentelemetry.sdk.trace.export", "otlp")
    memory = require("opentelemetry.sdk.trace.export.in_memory_span_exporter", "otlp").InMemorySpanExporter()
    sampler = require("opentelemetry.sdk.trace.sampling", "otlp").ALWAYS_ON
    provider = sdk.TracerProvider(sampler=sampler, resource=_resource(), shutdown_on_exit=False)
    provider.add_span_processor(export.SimpleSpanProcessor(memory))
    provider.get_tracer(_MARK).start_span(_MARK).end()
    return memory.get_finished_spans()


def _metric_point(sender: Any) -> Any:
    """Make a point of the temporality that the exporter prefers."""
    export = require("opentelemetry.sdk.metrics.export", "otlp")
    reader = export.InMemoryMetricReader(
        preferred_temporality=getattr(sender, "_preferred_temporality", None),
        preferred_aggregation=getattr(sender, "_preferred_aggregation", None),
    )
    sdk = require("opentelemetry.sdk.metrics", "otlp")
    provider = sdk.MeterProvider([reader], resource=_resource(), shutdown_on_exit=False)
    provider.get_meter(_MARK).create_counter("otel_shadow.doctor").add(1)
    return reader.get_metrics_data()


def _log_record(_sender: Any) -> Any:
    sdk = require("opentelemetry.sdk._logs", "otlp")
    export = require("opentelemetry.sdk._logs.export", "otlp")
    memory = (getattr(export, "InMemoryLogRecordExporter", None) or export.InMemoryLogExporter)()
    provider = sdk.LoggerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_log_record_processor(export.SimpleLogRecordProcessor(memory))
    record = require("opentelemetry._logs", "otlp").LogRecord(body=_MARK, timestamp=time_ns())
    provider.get_logger(_MARK).emit(record)
    return memory.get_finished_logs()


_MADE = {"TRACES": _span, "METRICS": _metric_point, "LOGS": _log_record}
