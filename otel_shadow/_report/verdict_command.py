"""``otel-shadow verdict``: read, judge, write files, print; as text or as one JSON document.

The shape of the JSON document is described in ``docs/cli.md``. Adding a key is compatible; changing or removing one
raises ``SCHEMA``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from otel_shadow import evidence
from otel_shadow._report import html_page, shown_text, terminal
from otel_shadow._report.verdict_document import verdict_document
from otel_shadow._report.written_files import keep_sources
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import EvidenceError
from otel_shadow.line_code import environment_key
from otel_shadow.policy import Policy
from otel_shadow.verdict import Summary, Verdict, evaluate
from otel_shadow.verdict.json_data import plain

SCHEMA: Final = 2
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
    digest: str | None = None,
    service: str | None = None,
    trace_url: str | None = None,
) -> int:
    """Judge the evidence in ``sources``, write what was asked for, print the verdict on standard output.

    Files are written before anything is printed.

    Arguments:
        at: the time of the verdict; now if None.
        build, digest, service: the V2 build, configuration digest and service to judge; the latest if None.
        trace_url: link of a trace, with ``{trace_id}`` in it.

    Returns:
        the exit code: 0 GO, 1 NO-GO, 3 WAIT.

    Raises:
        ShadowError: a source can't be read, a file can't be written, or an extra is missing.
    """
    settings = ShadowConfig.load(config)
    keep_sources(sources, {"--save": save, "--html": html}, read=[config])
    at = at or datetime.now(UTC)
    with _progress() as told:
        summary = evidence.read(sources, progress=told, verify_key=environment_key())
    if save is not None:
        evidence.save(summary, save)
    summary.accepting(settings.accept, at)
    verdict, judged = verdict_of(summary, settings.sla, at, build=build, digest=digest, service=service)
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
    return shown_text.json_text(document)


def verdict_of(summary: Summary, policy: Policy, at: datetime, **chosen: str | None) -> tuple[Verdict, Summary]:
    """Return the verdict of one V2 build (default: the latest), and the evidence it is about.

    ``chosen`` may name ``build``, ``digest`` and ``service``. An EvidenceError says that there is no evidence of one,
    and of which there is.
    """
    asked = {name: value for name, value in chosen.items() if value is not None}
    verdict = evaluate(summary, policy, at)
    if not asked or verdict.build is None:
        return verdict, summary
    known = (verdict.build, *verdict.left_out)
    for name, value in asked.items():
        names = {str(getattr(one, name)) for one in known}
        if value not in names:
            about = f"--{name} {value}: no evidence of this {_MEANT[name]}"
            raise EvidenceError(f"{about}; found: {', '.join(sorted(map(repr, names)))}")
    judged = summary.where(**asked)
    judged.accepting(summary.accepted_rules + summary.expired_rules, at)
    verdict = evaluate(judged, policy, at)
    if verdict.build is None:
        raise EvidenceError(
            f"{' '.join(f'--{name} {value}' for name, value in asked.items())}: no evidence of them all"
        )
    mine = {(one.service, one.build, one.digest, one.coded) for one in (verdict.build, *verdict.left_out)}
    others = tuple(one for one in known if (one.service, one.build, one.digest, one.coded) not in mine)
    return replace(verdict, left_out=(*verdict.left_out, *others)), judged


_MEANT: Final = {"build": "V2 build", "digest": "configuration digest", "service": "service"}


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
            task, completed=now.done, total=now.total, description=shown_text.clean(Path(now.source).name)
        )
