"""``otel-shadow verdict --watch``: judge again and again as evidence arrives, show it, export it as gauges.

The evidence may be looked at at any time, so this is no more than a loop around the verdict. Each look reads what the
sources have gained since the last (rotated and new files of a glob included), and the policy with its accepted
differences anew.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from types import FrameType

import click

from otel_shadow import evidence
from otel_shadow._report import presenter, terminal, verdict_command
from otel_shadow._report.sdk_providers import endpoint, meter_provider
from otel_shadow._report.verdict_gauges import VerdictGauges
from otel_shadow._report.view import View
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import ShadowError
from otel_shadow.verdict import Verdict

EXIT_NOTHING = 3
_AT_REST = 9.0
"""Looking takes at most a tenth of the time, however large the evidence has become."""
Look = tuple[Verdict, View]


def watch(
    *,
    sources: Sequence[str],
    every: float = 30.0,
    config: Path | None = None,
    build: str | None = None,
    trace_url: str | None = None,
) -> int:
    """Watch the evidence in ``sources`` until SIGINT or SIGTERM.

    On a terminal the whole verdict is redrawn; otherwise a line is printed when it changes. Where the environment
    names an OTLP endpoint, the verdict goes there as gauges (``shadow.verdict`` and its bands). Sources that are not
    there yet are waited for.

    Arguments:
        every: seconds between two looks; more where a look takes long.

    Returns:
        the exit code of the last verdict; 3 if there was none.
    """
    provider = meter_provider() if endpoint("METRICS") else None
    gauges = VerdictGauges(provider) if provider is not None else None
    show = _on_terminal(every) if sys.stdout.isatty() else _in_lines()
    code = EXIT_NOTHING
    looks = _Looks(sources, config, build, trace_url)
    try:
        with _until_told() as told:
            while True:
                began = perf_counter()
                found = looks.look()
                if gauges is not None:
                    gauges.verdict = found[0] if isinstance(found, tuple) else None
                code = found[0].exit_code if isinstance(found, tuple) else EXIT_NOTHING
                show(found)
                if told.wait(max(every, _AT_REST * (perf_counter() - began))):
                    return code
    finally:
        looks.close()
        if provider is not None:
            provider.shutdown()


class _Looks:
    """One look after the other at the same sources, which may not be there yet."""

    def __init__(self, sources: Sequence[str], config: Path | None, build: str | None, trace_url: str | None) -> None:
        self._sources = sources
        self._config = config
        self._build = build
        self._trace_url = trace_url
        self._watch: evidence.Watch | None = None

    def look(self) -> Look | str:
        """The verdict now, or why there is none."""
        at = datetime.now(UTC)
        try:
            settings = ShadowConfig.load(self._config)
            if self._watch is None:
                self._watch = evidence.Watch(self._sources)
            summary = self._watch.poll()
            summary.accepting(settings.accept, at)
            verdict, judged = verdict_command.verdict_of(summary, settings.sla, at, self._build)
            return verdict, presenter.present(verdict, evidence.view_of(judged, verdict), self._trace_url)
        except ShadowError as error:
            return f"no verdict yet: {' '.join(str(error).split())}"

    def close(self) -> None:
        """Close the files."""
        if self._watch is not None:
            self._watch.close()


@contextmanager
def _until_told() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set: both end the watch in good order."""
    told = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        told.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _on_terminal(every: float) -> Callable[[Look | str], None]:
    out = terminal.console(sys.stdout)

    def show(found: Look | str) -> None:
        out.clear()
        if isinstance(found, str):
            out.print(found)
        else:
            terminal.show(found[1], out)
        out.print(f"\nwatching: a look every {every:g} s or more; Ctrl-C ends it", style="dim")

    return show


def _in_lines() -> Callable[[Look | str], None]:
    last = ""

    def show(found: Look | str) -> None:
        nonlocal last
        line = found if isinstance(found, str) else _line(*found)
        if line != last:
            click.echo(f"{datetime.now(UTC).isoformat(timespec='seconds')} {line}")
            sys.stdout.flush()
            last = line

    return show


def _line(verdict: Verdict, view: View) -> str:
    rows = ", ".join(f"{row.key} {row.state.word}" for row in view.rows)
    return f"{verdict.decision} ({rows}): {view.headline}"
