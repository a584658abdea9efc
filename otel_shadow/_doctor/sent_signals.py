"""One span, one metric point and one log record, sent by the SDK's own exporters as the environment sets them up.

All are marked (``otel-shadow doctor``), hold nothing that the verdict or a dashboard would count, and are told of an
instance of their own. What the exporters say is heard and not shown, because it may hold addresses with credentials.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import time_ns
from typing import Any
from urllib.parse import urlsplit

from otel_shadow._doctor.findings import Finding, note, ok, problem
from otel_shadow._doctor.otel_variables import SIGNALS, sends_otlp
from otel_shadow._report.sdk_providers import endpoint, exporter, protocol
from otel_shadow._report.shown_address import shown_address
from otel_shadow.errors import MissingExtraError, require

_MARK = "otel-shadow doctor"
_TIMEOUT_S = 4.0
_GRACE_S = 2.0
"""Seconds that an exporter gets beyond its own time limit."""
_ONE = {"TRACES": "span", "METRICS": "metric point", "LOGS": "log record"}
_STATUS = re.compile(r"StatusCode\.([A-Z_]+)|code: (\d{3})")
_LATE = ("DEADLINE_EXCEEDED", "timed out", "timeout", "Timeout")
_UNHEARD = ("UNAVAILABLE", "None", "")
_LOGGERS = ("opentelemetry", "urllib3", "requests", "grpc")
_Answer = tuple[bool, str]
"""Whether it was taken; if not, why."""


def check_backends() -> Iterator[Finding]:
    """Yield, for each signal that goes out by OTLP to a named endpoint, whether one of it arrived there."""
    signals = [signal for signal in SIGNALS if endpoint(signal) and sends_otlp(signal)]
    if not signals:
        if not any(map(endpoint, SIGNALS)):
            text = "no OTLP endpoint is named: spans and metrics are exported nowhere"
            yield note("collector", text, "set OTEL_EXPORTER_OTLP_ENDPOINT")
        return
    with _heard() as said:
        answers = {signal: _answer(signal, said) for signal in signals}
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
    if http and "404" in why:
        return f"the endpoint of one signal is used as it is, the general one gets /v1/{signal.lower()} at its end"
    if any(code in why for code in ("401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED")):
        return "correct OTEL_EXPORTER_OTLP_HEADERS"
    if "refused" in why:
        return f"have the backend take {signal.lower()}, or set OTEL_{signal}_EXPORTER=none if it is not for them"
    return f"start the collector, or correct the endpoint (OTEL_EXPORTER_OTLP_{signal}_ENDPOINT before the general one)"


def _port(address: str) -> int | None:
    try:
        return urlsplit(address if "://" in address else f"//{address}").port
    except ValueError:
        return None


def _answer(signal: str, said: list[str]) -> _Answer:
    """Return what became of one ``signal``, within the time limit whatever its exporter does."""
    said.clear()
    answer: list[_Answer] = []
    thread = threading.Thread(target=lambda: answer.append(_sent(signal, said)), daemon=True)
    thread.start()
    thread.join(_TIMEOUT_S + _GRACE_S)
    return answer[0] if answer else (False, f"no answer within {_TIMEOUT_S + _GRACE_S:g} s")


def _sent(signal: str, said: list[str]) -> _Answer:
    try:
        sender = exporter(signal, timeout=_TIMEOUT_S)
        result = sender.export(_MADE[signal](sender))
    except MissingExtraError:
        return False, f"its exporter for {protocol(signal)} is not installed"
    except Exception as error:  # noqa: BLE001 - exporters raise anything; their texts may hold credentials
        name = type(error).__name__
        return False, f"no answer within {_TIMEOUT_S:g} s" if "Timeout" in name else f"no connection ({name})"
    threading.Thread(target=sender.shutdown, daemon=True).start()
    return (True, "") if result.name == "SUCCESS" else (False, _why(" ".join(said)))


def _why(said: str) -> str:
    """Return why an exporter failed, of what it ``said``: the status, never the text."""
    codes = [grpc or http for grpc, http in _STATUS.findall(said)]
    if any(late in said for late in _LATE):
        return f"no answer within {_TIMEOUT_S:g} s"
    if not codes or codes[-1] in _UNHEARD:
        return "nobody answers there"
    return f"refused with {codes[-1]}"


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Give what exporters log, and show none of it, also where one goes on after its time."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    yield said


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
