"""Checks of a set-up, in the order in which their findings are best corrected."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from otel_shadow import semconv
from otel_shadow._doctor.arms import check_arms
from otel_shadow._doctor.collector_wait import check_wait
from otel_shadow._doctor.environment import check_flags, check_variables
from otel_shadow._doctor.findings import Finding, note, ok, problem
from otel_shadow._doctor.graph import check_graph, check_state, import_graph
from otel_shadow._doctor.otel_variables import check_otel
from otel_shadow._doctor.recent_lines import check_recent_lines
from otel_shadow._doctor.sent_signals import check_backends
from otel_shadow._runtime.redact import Redactor
from otel_shadow._telemetry.log_sinks import LogFileSink
from otel_shadow._telemetry.service_name import SERVICE_VERSION, resource_of_environment
from otel_shadow.config import DEFAULT_FILE, ShadowConfig, named_file
from otel_shadow.errors import ConfigError
from otel_shadow.hash_key import WEAK_KEY
from otel_shadow.line_code import environment_key


def examine(
    graph_path: str | None = None, config_path: Path | None = None, collector_config: Path | None = None
) -> list[Finding]:
    """Check configuration, flags, keys, the log, the collector and, if one is named, the graph.

    Arguments:
        graph_path: ``module:attribute`` of a graph, a builder, or a function that returns either.
        config_path: default: ``OTEL_SHADOW_CONFIG``, else ``./shadow.toml``.
        collector_config: a Collector's configuration, whose waiting times are compared with V2's time limits.

    Returns:
        The findings. Nothing is changed; one of each signal is sent where the environment names an OTLP endpoint.
    """
    config: ShadowConfig | None = None
    faults: tuple[str, ...] = ()
    try:
        config = ShadowConfig.load(config_path)
    except ConfigError as error:
        faults = error.problems
    return [
        *(problem("configuration", fault, "correct this key") for fault in faults),
        *(_configuration(config, config_path) if config is not None else ()),
        *check_flags(config),
        *check_variables(),
        *check_otel(config),
        *check_arms(config),
        *_identity(config),
        *_log(),
        *check_backends(),
        *_graph(graph_path, config, collector_config),
        *check_state(),
    ]


def _configuration(config: ShadowConfig, path: Path | None) -> Iterator[Finding]:
    named = named_file(path)
    if not named and not Path(DEFAULT_FILE).is_file():
        remedy = "doctor --write module:graph writes a draft"
        yield note("configuration", f"there is no {DEFAULT_FILE} here: defaults hold", remedy)
        return
    nodes = f"{len(config.nodes)} node{'' if len(config.nodes) == 1 else 's'}"
    yield ok("configuration", f"{named or DEFAULT_FILE}: valid, {nodes}, digest {config.digest}")
    if config.session.step and not config.session.steps:
        text = f"no steps are declared, so every step is written as {semconv.OTHER}"
        yield note("session", text, "list the values of the step in [session] steps")


def _identity(config: ShadowConfig | None) -> Iterator[Finding]:
    redactor = Redactor()
    if redactor.random_key:
        text = f"{semconv.ENV_HASH_KEY} is not set: each process hashes with a random key of its own"
        yield note("hash key", text, "set the same secret for all processes")
    elif redactor.weakness:
        yield problem("hash key", f"{semconv.ENV_HASH_KEY} {redactor.weakness}", WEAK_KEY)
    else:
        yield ok("hash key", f"set, key id {redactor.key_id}")
    yield from _verify_key(redactor)
    named = os.environ.get(semconv.ENV_V2_BUILD) or (config.v2_build if config else None)
    if not named and not resource_of_environment().get(SERVICE_VERSION):
        text = "V2's build has no name: evidence of two V2 versions can't be told apart"
        yield note("V2 build", text, f"set {semconv.ENV_V2_BUILD}, or service.version in OTEL_RESOURCE_ATTRIBUTES")


def _verify_key(redactor: Redactor) -> Iterator[Finding]:
    try:
        key = environment_key()
    except ConfigError as error:
        yield problem("verify key", str(error), "copy it anew, or unset it")
        return
    if redactor.verify_key not in (None, key):
        text = f"{semconv.ENV_VERIFY_KEY} is not that of {semconv.ENV_HASH_KEY}: no line of this key is taken for ours"
        yield problem("verify key", text, "set what otel-shadow doctor --verify-key prints, or unset it")


def _log() -> Iterator[Finding]:
    try:
        sink = LogFileSink()
    except OSError as error:
        text = f"{os.environ.get(semconv.ENV_LOG_FILE, '')}: {error.strerror}"
        yield problem("log file", text, f"name a writable file in {semconv.ENV_LOG_FILE}")
        return
    except ConfigError as error:
        yield problem("log file", str(error), "correct its value")
        return
    sink.close()
    yield ok("log file", f"lines go to {sink.path}")
    if Path(sink.path).is_file():
        yield from check_recent_lines(Path(sink.path), Redactor())


def _graph(path: str | None, config: ShadowConfig | None, collector_config: Path | None) -> Iterator[Finding]:
    if path is None:
        yield from check_wait(collector_config, config)
        if config is not None and config.nodes:
            yield note("graph", "no graph is named: nodes and V2 are not checked", "run doctor module:graph")
        return
    sys.path.insert(0, os.getcwd())
    try:
        graph = import_graph(path)
    except ConfigError as error:
        yield from (problem("graph", fault, "it has to be importable as module:attribute") for fault in error.problems)
        yield from check_wait(collector_config, config)
        return
    yield from check_graph(graph, config or ShadowConfig())
    yield from check_wait(collector_config, config, graph)
