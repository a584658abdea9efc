"""The doctor reads OpenTelemetry's own variables as the SDK does, and names each that silences something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource

from otel_shadow._doctor import Finding, Severity
from otel_shadow._doctor.otel_variables import check_otel
from otel_shadow.config import ShadowConfig

CONFIG = ShadowConfig.from_mapping({"nodes": {"ask": {"v2": "self"}}})
DELTA = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
GENERAL = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture(autouse=True)
def _none_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(Resource, "create", lambda: Resource({"service.instance.id": "of this process"}))


def found(monkeypatch: pytest.MonkeyPatch, config: ShadowConfig | None = CONFIG, **env: str) -> list[Finding]:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return list(check_otel(config))


def test_where_nothing_is_set_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's defaults lose nothing."""
    assert found(monkeypatch) == []


@pytest.mark.parametrize(
    ("name", "value", "severity", "told"),
    [
        (DISABLED, "redis,otel_shadow", "problem", "no node that shadow.toml names is shadowed"),
        (DISABLED, " redis , otel_shadow ", "problem", "no node that shadow.toml names is shadowed"),
        (DISABLED, "*", "problem", "no node that shadow.toml names is shadowed"),
        ("OTEL_SDK_DISABLED", "True", "note", "only lines are written"),
        ("OTEL_SDK_DISABLED", " TRUE ", "note", "only lines are written"),
        ("OTEL_CONFIG_FILE", "sdk.yaml", "note", "set up by that file"),
        ("OTEL_TRACES_EXPORTER", "none", "note", "no pair is seen in a trace"),
        ("OTEL_METRICS_EXPORTER", "None", "note", "dashboards and alerts"),
        ("OTEL_LOGS_EXPORTER", "", "note", "the Collector's file of evidence stays empty"),
        ("OTEL_LOGS_EXPORTER", "console", "note", "standard output alone"),
        ("OTEL_TRACES_EXPORTER", "nobodys", "problem", "neither the SDK nor the shadow starts"),
        ("OTEL_TRACES_EXPORTER", "none,console", "problem", "neither the SDK nor the shadow starts"),
        (DELTA, "delta", "note", "refuses deltas"),
        (DELTA, "LowMemory", "note", "refuses deltas"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.instance.id = shop-1", "note", "service.instance.id=shop-1"),
        ("OTEL_TRACES_SAMPLER", "ALWAYS_OFF", "note", "no spans; metrics and lines are whole"),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off", "note", "in traces that a caller began"),
        ("OTEL_TRACES_SAMPLER", "traceidratio", "note", "asks no caller"),
        ("OTEL_TRACES_SAMPLER", "nobodys", "note", "no sampler that is installed"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "8", "note", "before graph, node, mode and arm"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "8", "note", "before graph, node, mode and arm"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", "problem", "neither the SDK nor the shadow starts"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "16", "note", "are cut"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "0", "note", "v2.shadow loses its link to v1.node"),
        ("OTEL_PROPAGATORS", "tracecontext", "note", "count it as production"),
        ("OTEL_PROPAGATORS", "baggage", "note", "no trace goes on"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem", "problem", "there is no such file"),
    ],
)
def test_each_variable_that_makes_something_absent_is_named_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, severity: str, told: str
) -> None:
    """What keeps the shadow from starting is a problem; what keeps telemetry from leaving a note."""
    findings = found(monkeypatch, **{name: value})
    assert findings
    assert {(finding.subject, str(finding.severity)) for finding in findings} == {("OpenTelemetry", severity)}
    assert name in findings[0].text
    assert told in findings[0].text
    assert findings[0].remedy


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (DISABLED, "redis,otel_shadower"),
        ("OTEL_SDK_DISABLED", "1"),
        ("OTEL_SDK_DISABLED", "false"),
        (DELTA, "cumulative"),
        ("OTEL_TRACES_EXPORTER", "otlp,console"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop"),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_on"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "128"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", ""),
        ("OTEL_PROPAGATORS", "tracecontext, baggage,b3"),
        (GENERAL, "http://localhost:4317"),
    ],
)
def test_what_makes_nothing_absent_is_not_told(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """By the SDK's rules: only true is true, an empty limit is none, names are told whole."""
    assert found(monkeypatch, **{name: value}) == []


def test_a_signals_own_limit_is_stronger_than_the_general_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the SDK."""
    limits = {"OTEL_ATTRIBUTE_COUNT_LIMIT": "8", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "128"}
    assert found(monkeypatch, **limits) == []


def test_without_nodes_in_the_file_a_disabled_instrumentation_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that are decorated need none."""
    (finding,) = found(monkeypatch, config=None, **{DISABLED: "*"})
    assert finding.severity is Severity.NOTE


def test_a_ratio_of_nothing_keeps_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is no number keeps all, as the SDK does."""
    sampler = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}
    assert found(monkeypatch, **sampler, OTEL_TRACES_SAMPLER_ARG="0.1") == []
    (nothing,) = found(monkeypatch, **sampler, OTEL_TRACES_SAMPLER_ARG="0")
    assert "no spans" in nothing.text
    (anything,) = found(monkeypatch, **sampler, OTEL_TRACES_SAMPLER_ARG="some")
    assert "OTEL_TRACES_SAMPLER_ARG=some is no number" in anything.text


def test_one_signal_without_a_backend_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """One endpoint only for traces: metrics and events go to localhost, where nobody may listen."""
    told = found(monkeypatch, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://tempo:4317")
    assert [finding.text.split()[1] for finding in told] == [
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    ]
    assert found(monkeypatch, OTEL_METRICS_EXPORTER="none", OTEL_LOGS_EXPORTER="none")[0].text.startswith(
        "OTEL_METRICS_EXPORTER=none: no metrics"
    )


def test_a_protocol_that_the_sdk_lacks_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """``opentelemetry-instrument`` stops at it, and starts no instrumentation."""
    told = found(monkeypatch, OTEL_EXPORTER_OTLP_PROTOCOL="http/json")
    assert {str(finding.severity) for finding in told} == {"problem"}
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=http/json" in told[0].text


def test_an_sdk_that_gives_a_process_no_identity_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTelemetry 1.37 gives none: counters of several workers overwrite each other."""
    monkeypatch.setattr(Resource, "create", lambda: Resource({}))
    (told,) = found(monkeypatch)
    assert (str(told.severity), told.text) == (
        "note",
        "this SDK gives a process no service.instance.id: workers (gunicorn -w) overwrite each other's counters",
    )


def test_a_propagator_that_is_not_installed_is_one_sentence(tmp_path: Path) -> None:
    """With it OpenTelemetry can't even be imported, here as in the application."""
    run = subprocess.run(
        [sys.executable, "-m", "otel_shadow.cli", "doctor"],
        cwd=tmp_path,
        env={**os.environ, "OTEL_PROPAGATORS": "nobodys", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 2
    assert run.stderr.startswith("otel-shadow: OTEL_PROPAGATORS: Propagator nobodys not found.")
