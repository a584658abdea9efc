"""Whether a Collector that samples at the tail waits for the shadow run: what ends later is lost in the trace store."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from langgraph.pregel import Pregel

from otel_shadow._doctor.findings import Finding, note, ok, problem
from otel_shadow._langgraph.instrument.mark import mark_of
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import ConfigError, MissingExtraError, require
from otel_shadow.flags import FeatureFlags

_SUBJECT: Final = "collector's wait"
_AFTER_ROOT, _WAIT = "decision_wait_after_root_received", "decision_wait"
_DEFAULTS: Final = {_AFTER_ROOT: "0s", _WAIT: "30s"}
"""The processor's own, of which 0 s is none at all."""
_SAMPLER: Final = re.compile(r"tail_sampling(/.*)?")
_VARIABLE: Final = re.compile(r"\$\{(?:env:)?(\w+)(?::-([^}]*))?\}")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
BATCH_VARIABLE: Final = "OTEL_BSP_SCHEDULE_DELAY"
BATCH_MS: Final = 5000
"""The SDK's own delay of a span's batch, in milliseconds."""
ON_THE_WAY_S: Final = 1.0
"""Seconds for the export, and for the Collector, which decides once a second."""


def check_wait(
    file: Path | None, config: ShadowConfig | None, graph: Pregel[Any, Any, Any, Any] | None = None
) -> Iterator[Finding]:
    """Compare the waiting times of the Collector's configuration ``file`` with the longest time limit of V2.

    The limits are those of the flags and of ``config``, and, where ``graph`` is given, those of its decorators.
    """
    if file is None:
        return
    try:
        samplers = dict(_samplers(_read(file)))
    except MissingExtraError as error:
        yield problem(_SUBJECT, f"{file} can't be read without PyYAML", str(error))
        return
    except ConfigError as error:
        yield problem(_SUBJECT, str(error), "name the Collector's YAML with --collector-config")
        return
    limit_s = _longest_ms(config or ShadowConfig(), graph) / 1000
    if not samplers:
        yield ok(_SUBJECT, f"{file}: it holds no tail_sampling, so no trace is decided before its shadow run ends")
    for name, settings in samplers.items():
        yield _compared(f"{file}: {name}", settings, limit_s)


def needed_s(limit_s: float, batch_s: float) -> float:
    """Return for how many seconds after its root span a trace has to wait for the shadow run.

    A shadow run may wait in the queue for another that takes its whole time, and then takes its own; its span waits for
    its batch, and is on the way. In the queue it can wait longer: what bounds that is its length (``[limits] queue``).
    """
    return 2 * limit_s + batch_s + ON_THE_WAY_S


def _compared(where: str, settings: dict[str, Any], limit_s: float) -> Finding:
    try:
        after_root, wait = (_seconds(settings.get(key, default)) for key, default in _DEFAULTS.items())
    except ValueError as error:
        return note(_SUBJECT, f"{where}: {error}", f"set it as for the Collector, or write such as {_AFTER_ROOT}: 20s")
    batch_s = _batch_s()
    least = needed_s(limit_s, batch_s)
    key, given = (_AFTER_ROOT, after_root) if after_root and after_root <= wait else (_WAIT, wait)
    sum_of = f"2 × {limit_s:g} s of V2's time limit + {batch_s:g} s of {BATCH_VARIABLE} + {ON_THE_WAY_S:g} s"
    if given < least:
        text = (
            f"{where}.{key} is {given:g} s, and a shadow run's span may come after {least:g} s ({sum_of}): what comes "
        )
        text += "later is lost in the trace store, mismatches too (its line and its counts are not)"
        remedy = f"set {_AFTER_ROOT}: {-(-least // 1):.0f}s, and {_WAIT} to that and the longest run of the graph"
        return problem(_SUBJECT, text, remedy)
    text = f"{where}.{key} is {given:g} s, enough for {least:g} s ({sum_of})"
    return ok(_SUBJECT, f"{text}; {_WAIT} leaves a run of the graph {wait - least:g} s")


def _read(file: Path) -> list[Any]:
    yaml = require("yaml", "dashboards")
    try:
        return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no YAML"
        raise ConfigError([f"{file}: {why}; expected the Collector's configuration"]) from None


def _samplers(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each tail sampler, however deep it stands: in a Helm chart's values, or as the text of a ConfigMap."""
    if isinstance(value, dict):
        for name, item in value.items():
            if _SAMPLER.fullmatch(str(name)) and isinstance(item, dict):
                yield str(name), item
            else:
                yield from _samplers(item)
    elif isinstance(value, list):
        for item in value:
            yield from _samplers(item)
    elif isinstance(value, str) and "tail_sampling" in value and "\n" in value:
        yaml = require("yaml", "dashboards")
        try:
            inside = yaml.safe_load(value)
        except yaml.YAMLError:  # a text about it
            return
        yield from _samplers(inside)


def _seconds(written: Any) -> float:
    """Return a duration of the Collector, such as ``1m30s`` or ``${env:WAIT:-20s}``, as seconds."""
    text = _VARIABLE.sub(lambda found: os.environ.get(found[1]) or found[2] or found[0], str(written))
    parts = _PART.findall(text)
    if text.strip("0") == "":
        return 0.0
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text} can't be read here as a time")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _batch_s() -> float:
    try:
        return float(os.environ.get(BATCH_VARIABLE) or BATCH_MS) / 1000
    except ValueError:  # the SDK warns, and takes its own
        return BATCH_MS / 1000


def _longest_ms(config: ShadowConfig, graph: Pregel[Any, Any, Any, Any] | None) -> float:
    try:
        flags = FeatureFlags.resolve(config.flags)
    except ConfigError:  # told already
        flags = FeatureFlags()
    longest = [float(flags.v2_timeout_ms)]
    if flags.timeout_is_explicit:
        return longest[0]
    own = {name: table.timeout_ms for name, table in config.nodes.items() if table.timeout_ms is not None}
    if graph is not None and config.flags.timeout_ms is None:
        marks = {name: mark_of(node.bound) for name, node in graph.nodes.items()}
        decorated = {name: mark.options.get("timeout_ms") for name, mark in marks.items() if mark is not None}
        own = {name: limit for name, limit in decorated.items() if limit} | own
    return max(longest + [float(limit) for limit in own.values()])
