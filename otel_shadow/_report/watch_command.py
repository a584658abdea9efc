"""``otel-shadow verdict --watch``: judge again and again as evidence arrives, show it, export it as gauges.

The evidence may be looked at at any time, so this is a loop around the verdict. Each look reads what the sources have
gained since the last (rotated and new files of a glob included), and the policy with its accepted differences anew.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from select import select
from socket import socketpair
from time import perf_counter

import click

from otel_shadow import evidence
from otel_shadow._report import criteria_tables, terminal
from otel_shadow._report.sdk_providers import endpoint, meter_provider
from otel_shadow._report.shown_text import clean
from otel_shadow._report.verdict_command import verdict_of
from otel_shadow._report.verdict_document import headline, verdict_document
from otel_shadow._report.verdict_gauges import VerdictGauges
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import ShadowError
from otel_shadow.evidence.view import EvidenceView
from otel_shadow.line_code import environment_key
from otel_shadow.verdict import Verdict

EXIT_NOTHING = 3
_AT_REST = 9.0
"""Looking takes at most a tenth of the time, however large the evidence has become."""
Look = tuple[Verdict, EvidenceView] | str
"""A verdict and what to show of its evidence, or why there is none."""


def watch(sources: Sequence[str], every: float, config: Path | None, **chosen: str | None) -> int:
    """Watch the evidence in ``sources`` until SIGINT or SIGTERM.

    On a terminal the whole verdict is redrawn; otherwise a line is printed when it changes. Where the environment
    names an OTLP endpoint, the verdict goes there as gauges (``shadow.verdict`` and its bands). Sources that are not
    there yet are waited for. There are ``every`` seconds between two looks, more where a look takes long. The exit code
    is that of the last verdict; 3 if there was none. ``chosen`` may name ``build``, ``digest`` and ``service``.
    """
    provider = meter_provider() if endpoint("METRICS") else None
    gauges = VerdictGauges(provider) if provider is not None else None
    show = _on_terminal(every) if sys.stdout.isatty() else _in_lines()
    try:
        with _signals() as told, closing(_looks(sources, config, chosen)) as looks:
            while True:
                began = perf_counter()
                found = next(looks)
                verdict = None if isinstance(found, str) else found[0]
                if gauges is not None:
                    gauges.verdict = verdict
                show(found)
                if told(max(every, _AT_REST * (perf_counter() - began))):
                    return verdict.exit_code if verdict else EXIT_NOTHING
    finally:
        if provider is not None:
            provider.shutdown()


def _looks(sources: Sequence[str], config: Path | None, chosen: Mapping[str, str | None]) -> Generator[Look]:
    """Yield one look after the other at sources that may not be there yet."""
    followed: evidence.Watch | None = None
    try:
        while True:
            at = datetime.now(UTC)
            try:
                settings = ShadowConfig.load(config)
                followed = followed or evidence.Watch(sources, verify_key=environment_key())
                summary = followed.poll().accepting(settings.accept, at)
                verdict, judged = verdict_of(summary, settings.sla, at, **chosen)
                found: Look = verdict, evidence.view_of(judged, verdict)
            except ShadowError as error:
                found = f"no verdict yet: {' '.join(str(error).split())}"
            yield found
    finally:
        if followed is not None:
            followed.close()


@contextmanager
def _signals() -> Iterator[Callable[[float], bool]]:
    """Yield a wait of some seconds, which SIGINT and SIGTERM end: it returns whether one has come, also before it.

    CPython takes a signal between two instructions of the main thread. One that comes just before a sleep, or in
    another thread, would be taken after it; but its number is written to a socket at once, and that ends this wait.
    """
    told, teller = socketpair()
    with told, teller:
        teller.setblocking(False)
        handlers = {one: signal.signal(one, lambda *_: None) for one in (signal.SIGINT, signal.SIGTERM)}
        former = signal.set_wakeup_fd(teller.fileno(), warn_on_full_buffer=False)
        try:
            yield lambda seconds: bool(select([told], [], [], seconds)[0])
        finally:
            signal.set_wakeup_fd(former)
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _on_terminal(every: float) -> Callable[[Look], None]:
    out = terminal.console(sys.stdout)

    def show(found: Look) -> None:
        out.clear()
        if isinstance(found, str):
            out.print(clean(found))
        else:
            terminal.show(verdict_document(*found, page=False), out)
        out.print(f"\nwatching: a look every {every:g} s or more; Ctrl-C ends it", style="dim")

    return show


def _in_lines() -> Callable[[Look], None]:
    last = ""

    def show(found: Look) -> None:
        nonlocal last
        line = clean(found if isinstance(found, str) else _line(found[0]))
        if line != last:
            click.echo(f"{datetime.now(UTC).isoformat(timespec='seconds')} {line}")
            sys.stdout.flush()
            last = line

    return show


def _line(verdict: Verdict) -> str:
    rows = ", ".join(f"{row.criterion} {criteria_tables.state(row).word}" for row in verdict.criteria)
    return f"{verdict.decision} ({rows}): {headline(verdict)}"
