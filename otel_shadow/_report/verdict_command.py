"""``otel-shadow verdict``: read, judge, write files, print; as text or as one JSON document.

The shape of the JSON document is described in ``docs/cli.md``. Adding a key is compatible; changing or removing one
raises ``SCHEMA``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from otel_shadow import evidence
from otel_shadow._report import html_page, terminal
from otel_shadow._report.verdict_document import verdict_document
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import EvidenceError
from otel_shadow.policy import Policy
from otel_shadow.verdict import Summary, Verdict, evaluate
from otel_shadow.verdict.json_data import plain

SCHEMA: Final = 1
_EVIDENCE: Final = ("reading", "nodes", "counts", "confusion", "mismatches", "parity", "bands")
_QUANTILES: Final = ("node", "version", "arm", "p50_ms", "p95_ms")


def judge(
    *,
    sources: Sequence[str],
    as_json: bool = False,
    html: Path | None = None,
    save: Path | None = None,
    config: Path | None = None,
    at: datetime | None = None,
    build: str | None = None,
    trace_url: str | None = None,
) -> int:
    """Judge the evidence in ``sources``, write what was asked for, print the verdict on standard output.

    Files are written before anything is printed.

    Arguments:
        at: the time of the verdict; now if None.
        build: the V2 build to judge; the newest if None.
        trace_url: link of a trace, with ``{trace_id}`` in it.

    Returns:
        the exit code: 0 GO, 1 NO-GO, 3 WAIT.

    Raises:
        ShadowError: a source can't be read, a file can't be written, or an extra is missing.
    """
    settings = ShadowConfig.load(config)
    at = at or datetime.now(UTC)
    with _progress() as told:
        summary = evidence.read(sources, progress=told)
    if save is not None:
        evidence.save(summary, save)
    summary.accepting(settings.accept, at)
    verdict, judged = verdict_of(summary, settings.sla, at, build)
    shown = evidence.view_of(judged, verdict)
    if html is not None:
        html_page.write(html, html_page.page(verdict_document(verdict, shown, page=True, trace_url=trace_url)))
    if as_json:
        click.echo(json_text(verdict, shown))
    else:
        terminal.show(verdict_document(verdict, shown, page=False), terminal.console(sys.stdout))
    return verdict.exit_code


def json_text(verdict: Verdict, shown: evidence.EvidenceView) -> str:
    """Return the verdict's keys, and under ``evidence`` what it was made from; latencies are told by quantiles."""
    found: dict[str, Any] = {name: plain(getattr(shown, name)) for name in _EVIDENCE}
    found["latency"] = [
        {name: plain(getattr(one, name)) for name in _QUANTILES} | {"executions": sum(one.counts)}
        for one in shown.latency
    ]
    document = {"schema": SCHEMA, **verdict.to_dict(), "evidence": found}
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)


def verdict_of(summary: Summary, policy: Policy, at: datetime, build: str | None) -> tuple[Verdict, Summary]:
    """Return the verdict of one V2 build (default: the newest), and the evidence it is about.

    An EvidenceError says that there is no evidence of ``build``, and of which there is.
    """
    verdict = evaluate(summary, policy, at)
    if build is None or verdict.build is None or verdict.build.build == build:
        return verdict, summary
    known = (verdict.build, *verdict.left_out)
    if build not in {one.build for one in known}:
        names = ", ".join(sorted({repr(one.build) for one in known}))
        raise EvidenceError(f"--build {build}: no evidence of this V2 build; found: {names}")
    chosen = summary.of_build(build)
    verdict = evaluate(chosen, policy, at)
    others = tuple(one for one in known if one != verdict.build)
    return replace(verdict, left_out=others), chosen


@contextmanager
def _progress() -> Iterator[Callable[[evidence.Progress], None] | None]:
    """Yield what shows progress on standard error, or None where that is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading {task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda now: bar.update(
            task, completed=now.done, total=now.total, description=terminal.clean(Path(now.source).name)
        )
