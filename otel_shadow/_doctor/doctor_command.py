"""Command ``otel-shadow doctor``: prints findings, or writes a draft of ``shadow.toml``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from otel_shadow import semconv
from otel_shadow._doctor.checks import examine
from otel_shadow._doctor.draft import draft
from otel_shadow._doctor.findings import Severity
from otel_shadow._doctor.graph import import_graph
from otel_shadow._runtime.redact import Redactor
from otel_shadow.config import DEFAULT_FILE, named_file
from otel_shadow.errors import ConfigError
from otel_shadow.hash_key import WEAK_KEY

_SIGN = {
    Severity.OK: "[green]ok[/green]     ",
    Severity.NOTE: "[yellow]note[/yellow]   ",
    Severity.PROBLEM: "[red]problem[/red]",
}


def diagnose(graph: str | None, config: Path | None, write: bool, collector_config: Path | None = None) -> int:
    """Print the findings, and return 1 if one is a problem, else 0; with ``write``, draft ``config`` instead.

    A ConfigError says that a draft was asked for, and no graph is named or the file exists or can't be written.
    """
    if write:
        return _write(graph, config)
    findings = examine(graph, config, collector_config)
    out = Console(highlight=False, soft_wrap=True)
    for severity, subject, text, remedy in findings:
        told = f"{_SIGN[severity]} [bold]{escape(subject)}[/bold]: {escape(text)}"
        out.print(told + (f"  → {escape(remedy)}" if remedy else ""))
    problems = sum(finding.severity is Severity.PROBLEM for finding in findings)
    out.print(f"\n{problems} problem{'s' if problems != 1 else ''}" if problems else "\nno problem found")
    return 1 if problems else 0


def print_verify_key() -> int:
    """Print the key that verifies lines, made of that of the hashes, and return 0; a warning goes to standard error.

    A ConfigError says that there is no key of the hashes: then lines have no code.
    """
    redactor = Redactor()
    if redactor.verify_key is None:
        told = f"{semconv.ENV_HASH_KEY} is not set: lines get no code; set it as it is where they are written"
        raise ConfigError([f"doctor --verify-key: {told}"])
    if redactor.weakness:
        warning = f"{semconv.ENV_HASH_KEY} {redactor.weakness}: {WEAK_KEY}"
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(warning)
    Console(highlight=False, markup=False, soft_wrap=True).print(redactor.verify_key.hex())
    return 0


def _write(graph: str | None, config: Path | None) -> int:
    if graph is None:
        raise ConfigError(["doctor --write: no graph is named; run doctor --write module:graph"])
    file = Path(named_file(config) or DEFAULT_FILE)
    if file.exists():
        raise ConfigError([f"{file}: it exists, and nothing was written; move it away first"])
    sys.path.insert(0, os.getcwd())
    text = draft(import_graph(graph))
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"{file}: {error.strerror}; name a file that can be written with --config"]) from None
    check = f"doctor {graph}" + (f" --config {config}" if config else "")
    told = f"wrote {file}: name V2 for the nodes to shadow, then run {check}"
    Console(highlight=False, markup=False, soft_wrap=True).print(told)
    return 0
