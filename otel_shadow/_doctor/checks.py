"""Checks of a set-up, in the order in which their findings are best corrected."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from otel_shadow import semconv
from otel_shadow._doctor.graph import check_graph, import_graph
from otel_shadow._doctor.signal import check_collector
from otel_shadow._runtime.redact import Redactor
from otel_shadow.config import DEFAULT_FILE, ShadowConfig
from otel_shadow.errors import ConfigError
from otel_shadow.flags import FeatureFlags, in_environment


class Severity(StrEnum):
    """Severity of a finding; only ``PROBLEM`` makes the command fail."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check.

    Arguments:
        severity: how bad it is.
        subject: what was checked, in a word or two.
        text: what was found.
        remedy: what to do about it; empty where there is nothing to do.
    """

    severity: Severity
    subject: str
    text: str
    remedy: str = ""


def examine(graph_path: str | None = None, config_path: Path | None = None) -> list[Finding]:
    """Check configuration, flags, keys, the log, the collector and, if one is named, the graph.

    Arguments:
        graph_path: ``module:attribute`` of a graph, a builder, or a function that returns either.
        config_path: default: ``OTEL_SHADOW_CONFIG``, else ``./shadow.toml``.

    Returns:
        The findings. Nothing is changed; one test span is sent where the environment names an OTLP endpoint.
    """
    config, findings = _configuration(config_path)
    findings += _flags(config)
    findings += _identity(config)
    findings += _log()
    findings += [Finding(Severity(kind), subject, text, remedy) for kind, subject, text, remedy in check_collector()]
    if graph_path is not None:
        findings += _graph(graph_path, config)
    elif config is not None and config.nodes:
        findings.append(
            Finding(
                Severity.NOTE,
                "graph",
                "no graph is named: nodes and V2 are not checked",
                "run doctor module:graph",
            )
        )
    return findings


def _configuration(path: Path | None) -> tuple[ShadowConfig | None, list[Finding]]:
    named = path or os.environ.get(semconv.ENV_CONFIG)
    try:
        config = ShadowConfig.load(path)
    except ConfigError as error:
        return None, [
            Finding(Severity.PROBLEM, "configuration", problem, "correct this key") for problem in error.problems
        ]
    if not named and not Path(DEFAULT_FILE).is_file():
        found = Finding(
            Severity.NOTE,
            "configuration",
            f"there is no {DEFAULT_FILE} here: defaults hold",
            "doctor --write module:graph writes a draft",
        )
        return config, [found]
    text = f"{named or DEFAULT_FILE}: valid, {len(config.nodes)} nodes, digest {config.digest}"
    return config, [Finding(Severity.OK, "configuration", text), *_declared(config)]


def _declared(config: ShadowConfig) -> Iterator[Finding]:
    if config.session.step and not config.session.steps:
        yield Finding(
            Severity.NOTE,
            "session",
            f"no steps are declared, so every step is written as {semconv.OTHER}",
            "list the values of the step in [session] steps",
        )


def _flags(config: ShadowConfig | None) -> list[Finding]:
    table = config.flags if config is not None else None
    try:
        flags = FeatureFlags.resolve(table)
    except ConfigError as error:
        return [Finding(Severity.PROBLEM, "flags", problem, "correct its value") for problem in error.problems]
    written = {
        "router_v2_enabled": "enabled",
        "router_v2_shadow": "shadow",
        "router_v2_percentage": "percentage",
        "v2_timeout_ms": "timeout_ms",
        "shadow_logging": "logging",
    }
    told = []
    for name, key in written.items():
        origin = "default"
        if in_environment(name):
            origin = "environment"
        elif table is not None and getattr(table, key) is not None:
            origin = "shadow.toml"
        told.append(f"{name.upper()}={getattr(flags, name)} ({origin})")
    findings = [Finding(Severity.OK, "flags", "; ".join(told))]
    if flags.off:
        remedy = f"set {semconv.ENV_V2_SHADOW}=true"
        findings.append(Finding(Severity.PROBLEM, "flags", "V2 runs nowhere: neither shadow nor live", remedy))
    return findings


def _identity(config: ShadowConfig | None) -> list[Finding]:
    redactor = Redactor()
    findings = []
    if redactor.random_key:
        text = f"{semconv.ENV_HASH_KEY} is not set: each process hashes with a random key of its own"
        findings.append(Finding(Severity.NOTE, "hash key", text, "set the same secret for all processes"))
    else:
        findings.append(Finding(Severity.OK, "hash key", f"set, key id {redactor.key_id}"))
    named = os.environ.get(semconv.ENV_V2_BUILD) or (config.v2_build if config else None)
    if not named and "service.version=" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        text = "V2's build has no name: evidence of two V2 versions can't be told apart"
        remedy = f"set {semconv.ENV_V2_BUILD}, or service.version in OTEL_RESOURCE_ATTRIBUTES"
        findings.append(Finding(Severity.NOTE, "V2 build", text, remedy))
    return findings


def _log() -> list[Finding]:
    from otel_shadow._telemetry.log_file import LogFileSink

    try:
        sink = LogFileSink()
    except OSError as error:
        name = os.environ.get(semconv.ENV_LOG_FILE, "")
        text = f"{name}: {error.strerror}"
        return [Finding(Severity.PROBLEM, "log file", text, f"name a writable file in {semconv.ENV_LOG_FILE}")]
    sink.close()
    return [Finding(Severity.OK, "log file", f"lines go to {sink.path}")]


def _graph(path: str, config: ShadowConfig | None) -> list[Finding]:
    sys.path.insert(0, os.getcwd())
    try:
        graph: Any = import_graph(path)
    except ConfigError as error:
        return [
            Finding(Severity.PROBLEM, "graph", problem, "name it as module:attribute") for problem in error.problems
        ]
    return [
        Finding(Severity(kind), subject, text, remedy)
        for kind, subject, text, remedy in check_graph(graph, config or ShadowConfig())
    ]
