"""Checks of OpenTelemetry's own variables, read as its SDK and ``opentelemetry-instrument`` read them.

What keeps shadows from starting is a problem; what only keeps telemetry from leaving is a note, for the log lines, the
evidence, are written all the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from otel_shadow import semconv
from otel_shadow._doctor.findings import Finding, note, problem
from otel_shadow._report.sdk_providers import endpoint, protocol
from otel_shadow._telemetry.service_name import resource_of_environment
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import MissingExtraError, require

SUBJECT = "OpenTelemetry"
SIGNALS = {
    "TRACES": "spans: no pair is seen in a trace, and no exemplar leads to one",
    "METRICS": "metrics: dashboards and alerts, also the one that notices a shadow that does nothing, stay empty",
    "LOGS": "log events: the Collector's file of evidence stays empty",
}
"""What is missing without a signal."""
_DISABLED, _NAMES = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "opentelemetry_instrumentor"
TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
_PROTOCOLS = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
_ATTRIBUTES, _LONGEST = 30, 64
"""About as many attributes has a ``v2.shadow``; characters of a target, a node's name or a pair's id."""
_STOPS = "opentelemetry-instrument stops at it: neither the SDK nor the shadow starts"


def check_otel(config: ShadowConfig | None) -> Iterator[Finding]:
    """Yield what of OpenTelemetry's variables makes the shadow or its telemetry absent, or pairs incomplete."""
    yield from _instrumentation(config)
    yield from _propagators()
    if file := _value("OTEL_CONFIG_FILE"):
        text = f"OTEL_CONFIG_FILE={file}: the SDK is set up by that file, and reads few of the other variables"
        yield note(SUBJECT, text, "see that the file has an exporter for spans, metrics and logs")
        return
    if disabled():
        text = "OTEL_SDK_DISABLED=true: no span, metric or log event leaves, only lines are written"
        yield note(SUBJECT, text, "unset it, or judge by the log file alone")
        return
    for signal in SIGNALS:
        yield from _signal(signal)
    if exporters("METRICS"):
        yield from _temporality()
        yield from _instance()
    if exporters("TRACES"):
        yield from _sampler()
        yield from _limits()


def disabled() -> bool:
    """Return whether the SDK is switched off."""
    return _value("OTEL_SDK_DISABLED").lower() == "true"


def exporters(signal: str) -> list[str]:
    """Return the names of a signal's exporters; unset, OpenTelemetry's distribution gives it ``otlp``."""
    names = os.environ.get(f"OTEL_{signal}_EXPORTER", "otlp")
    return [] if names.strip().lower() in ("", "none") else [name.strip() for name in names.split(",")]


def sends_otlp(signal: str) -> bool:
    """Return whether a signal goes out by OTLP."""
    return not disabled() and any(name.startswith("otlp") for name in exporters(signal))


def _value(name: str) -> str:
    return os.environ.get(name, "").strip()


def _instrumentation(config: ShadowConfig | None) -> Iterator[Finding]:
    named = {entry.name for entry in entry_points(group=_NAMES) if entry.value.startswith("otel_shadow.")}
    left_out = {name.strip() for name in os.environ.get(_DISABLED, "").split(",")}
    if found := left_out & {"*", *(named or {"otel_shadow"})}:
        told = problem if config is not None and config.nodes else note
        name = sorted(found)[0]
        text = f"{_DISABLED} has {name}: under opentelemetry-instrument no node that shadow.toml names is shadowed"
        yield told(SUBJECT, text, f"take {name} out" if name != "*" else "name there what is to be off, in place of *")


def _propagators() -> Iterator[Finding]:
    name = "OTEL_PROPAGATORS"
    names = [one.strip() for one in (os.environ.get(name) or "tracecontext,baggage").split(",")]
    none = any(one.lower() == "none" for one in names)
    if none or "baggage" not in names:
        text = f"{name} has no baggage: other services don't learn that V2 calls them, and count it as production"
        yield note(SUBJECT, text, "add baggage")
    if none or names == ["baggage"]:
        text = f"{name} has no tracecontext: no trace goes on in other services, nor those of callers here"
        yield note(SUBJECT, text, "add tracecontext")


def _signal(signal: str) -> Iterator[Finding]:
    variable, lost = f"OTEL_{signal}_EXPORTER", SIGNALS[signal]
    names = exporters(signal)
    if not names:
        yield note(SUBJECT, f"{variable}={_value(variable)}: no {lost}", f"unset it, or set {variable}=otlp")
        return
    if fault := _unknown_exporter(signal, names):
        yield fault
    elif not any(name.startswith("otlp") for name in names):
        if "console" in names:
            text = f"{variable}=console: {lost.partition(':')[0]} go to standard output alone"
            yield note(SUBJECT, text, f"set {variable}=otlp,console where they are to reach a backend")
    elif not endpoint(signal) and any(map(endpoint, SIGNALS)):
        own = f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"
        text = f"neither {own} nor OTEL_EXPORTER_OTLP_ENDPOINT is set: to localhost, where nobody may listen, go {lost}"
        yield note(SUBJECT, text, f"set {own}, or {variable}=none if that is meant")
    yield from _certificates(signal)


def _unknown_exporter(signal: str, names: list[str]) -> Finding | None:
    variable, known = f"OTEL_{signal}_EXPORTER", {entry.name for entry in entry_points(group=_group(signal))}
    if "otlp" in names and protocol(signal) not in _PROTOCOLS:
        text = f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol(signal)} for {signal.lower()}: {_STOPS}"
        return problem(SUBJECT, text, f"write {' or '.join(_PROTOCOLS)}")
    for name in names:
        needed = _PROTOCOLS[protocol(signal)] if name == "otlp" else name
        if needed not in known and not (name == "otlp" and variable not in os.environ):
            text = f"{variable} has {name}, and no exporter {needed} is installed: {_STOPS}"
            return problem(SUBJECT, text, "install it, or correct the name (none alone switches a signal off)")
    return None


def _group(signal: str) -> str:
    return f"opentelemetry_{signal.lower()}_exporter"


def _certificates(signal: str) -> Iterator[Finding]:
    for part in ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"):
        for name in (f"OTEL_EXPORTER_OTLP_{signal}_{part}", f"OTEL_EXPORTER_OTLP_{part}"):
            file = _value(name)
            if file and sends_otlp(signal) and not Path(file).is_file():
                text = f"{name}={file}: there is no such file, so {signal.lower()} can't be sent by TLS"
                yield problem(SUBJECT, text, "correct the path")


def prefers_deltas() -> bool:
    """Return whether counters are sent as what was added since the last export."""
    return _value(TEMPORALITY).upper() in ("DELTA", "LOWMEMORY")


def _temporality() -> Iterator[Finding]:
    if prefers_deltas():
        text = (
            f"{TEMPORALITY}={_value(TEMPORALITY)}: Prometheus' OTLP receiver refuses deltas, and dashboards and alerts "
            "stay empty"
        )
        yield note(SUBJECT, text, "set cumulative, or let the Collector's deltatocumulative processor add them up")


def _instance() -> Iterator[Finding]:
    name = "service.instance.id"
    if fixed := resource_of_environment().get(name):
        text = f"OTEL_RESOURCE_ATTRIBUTES has {name}={fixed}: several workers with it overwrite each other's counters"
        yield note(SUBJECT, text, "leave it out (the SDK makes one for each process), unless one process alone has it")
        return
    try:
        resources = require("opentelemetry.sdk.resources", "otlp")
    except MissingExtraError:
        return
    if name not in resources.Resource.create().attributes:
        text = f"this SDK gives a process no {name}: workers (gunicorn -w) overwrite each other's counters"
        remedy = (
            f"take a newer opentelemetry-sdk (1.45 makes one for each process), or set {name} for each worker by itself"
        )
        yield note(SUBJECT, text, remedy)


def _sampler() -> Iterator[Finding]:
    variable, written = "OTEL_TRACES_SAMPLER", _value("OTEL_TRACES_SAMPLER")
    name, ratio = written.lower(), _ratio()
    known = {entry.name for entry in entry_points(group="opentelemetry_traces_sampler")}
    told = f"{variable}={written}"
    if name == "always_off" or ("traceidratio" in name and ratio == 0):
        yield note(SUBJECT, f"{told}: no spans; metrics and lines are whole", "set parentbased_always_on")
    elif name == "parentbased_always_off":
        text = f"{told}: no spans but in traces that a caller began; metrics and lines are whole"
        yield note(SUBJECT, text, "set parentbased_always_on")
    elif name == "traceidratio":
        text = f"{told} asks no caller: traces that others keep lack their pairs, or begin with them"
        yield note(SUBJECT, text, f"set {variable}=parentbased_traceidratio")
    elif name in ("", "always_on", "parentbased_always_on", "parentbased_traceidratio"):
        if ratio is None:
            text = f"OTEL_TRACES_SAMPLER_ARG={_value('OTEL_TRACES_SAMPLER_ARG')} is no number of 0 to 1: all is kept"
            yield note(SUBJECT, text, "write the share that is to be kept, such as 0.1")
    elif written in known:
        text = f"{told} may decide for each span by itself: one span of a pair is kept and the other is not"
        yield note(SUBJECT, text, "set a sampler that goes by the trace, such as parentbased_traceidratio")
    else:
        yield note(SUBJECT, f"{told} is no sampler that is installed: all is kept", "correct the name")


def _ratio() -> float | None:
    """Return the share of the traces that a sampler by ratio keeps; None where what is written is none."""
    if "traceidratio" not in _value("OTEL_TRACES_SAMPLER").lower():
        return 1.0
    try:
        share = float(_value("OTEL_TRACES_SAMPLER_ARG") or 1)
    except ValueError:
        return None
    return share if 0 <= share <= 1 else None


def _limits() -> Iterator[Finding]:
    try:
        limits: Any = require("opentelemetry.sdk.trace", "otlp").SpanLimits()
    except MissingExtraError:
        return
    except ValueError as error:
        yield problem(SUBJECT, f"{error}: {_STOPS}", "write a number, or nothing")
        return
    count = limits.max_span_attributes
    if count is not None and count < _ATTRIBUTES:
        name = _first("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
        text = (
            f"{name}={count}: a {semconv.SPAN_V2_SHADOW} has about {_ATTRIBUTES} attributes, and some are dropped: "
            "details (latencies, targets, fields that differ) before graph, node, mode and arm"
        )
        yield note(SUBJECT, text, f"set at least {_ATTRIBUTES}")
    length = limits.max_span_attribute_length
    if length is not None and length < _LONGEST:
        name = _first("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
        text = f"{name}={length}: names of nodes, targets and ids of pairs are cut, and no longer found by their value"
        yield note(SUBJECT, text, f"set at least {_LONGEST}")
    if limits.max_links == 0:
        text = f"OTEL_SPAN_LINK_COUNT_LIMIT=0: {semconv.SPAN_V2_SHADOW} loses its link to {semconv.SPAN_V1_NODE}"
        yield note(SUBJECT, text, "set at least 1")


def _first(*names: str) -> str:
    return next((name for name in names if _value(name)), names[-1])
