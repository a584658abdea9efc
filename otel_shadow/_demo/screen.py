"""What the demo prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.tree import Tree

from otel_shadow import semconv
from otel_shadow._runtime.execution_result import ExecutionResult
from otel_shadow.record import ShadowRecord

if TYPE_CHECKING:
    from otel_shadow._calibration.conversations import MalformedLine
    from otel_shadow._demo.bundled import Scenario
    from otel_shadow._demo.play import Played, Tally

_SHOWN = 5
_TOLD = (semconv.NODE, semconv.STATUS, semconv.ORIGINAL_TARGET, semconv.SHADOW_TARGET, semconv.DECISION_MATCH)
"""Attributes of a span that its line in the tree tells."""


class Screen:
    """The terminal of a demo run. Values appear here only, and only when asked for."""

    def __init__(self) -> None:
        self._out = Console(highlight=False)
        self._errors = Console(stderr=True, highlight=False)

    def heading(self, text: str) -> None:
        self._out.print(f"\n[bold]{escape(text)}[/bold]")

    def scenarios(self, scenarios: Sequence[Scenario], records: Mapping[str, Sequence[ShadowRecord]]) -> None:
        table = Table(title="Three scenarios: V1 served, V2 in its shadow", title_justify="left")
        for column in ("session", "message", "node", "V1 → decision", "V2 → decision", "agree", "V1 ms", "V2 ms"):
            table.add_column(column, justify="right" if column.endswith("ms") else "left")
        for scenario in scenarios:
            for record in records.get(scenario.id, ()):
                table.add_row(scenario.id, escape(scenario.message), record.node, *_cells(record))
        self._out.print(table)

    def span_tree(self, spans: Sequence[Any]) -> None:
        """Print the spans of the first pair, as the tracing back end would show them."""
        shadow = next((span for span in spans if span.name == semconv.SPAN_V2_SHADOW), None)
        if shadow is None:
            return
        family = [span for span in spans if span.context.trace_id == shadow.context.trace_id]
        tree = Tree(f"[bold]One pair's trace[/bold] {shadow.context.trace_id:032x}")
        known = {span.context.span_id for span in family}
        for span in sorted(family, key=lambda found: found.start_time):
            if span.parent is None or span.parent.span_id not in known:
                _grow(tree, span, family)
        self._out.print(tree)

    @contextmanager
    def progress(self, turns: int) -> Iterator[Callable[[], None]]:
        """Show a progress bar over ``turns``, on standard error, when that is a terminal."""
        columns = (TextColumn("playing"), BarColumn(), MofNCompleteColumn(), TextColumn("turns"), TimeRemainingColumn())
        with Progress(*columns, console=self._errors, disable=not self._errors.is_terminal, transient=True) as bar:
            task = bar.add_task("play", total=turns)
            yield lambda: bar.advance(task)

    def summary(
        self, played: Played, tally: Tally, bad: Sequence[MalformedLine], swallowed: Mapping[str, int], complete: bool
    ) -> None:
        self.heading("Played")
        lines = [
            f"{played.conversations} conversations, {played.turns} turns",
            f"{sum(tally.pairs.values()) + sum(tally.baselines.values())} executions of shadowed nodes: "
            f"{sum(tally.pairs.values())} pairs ({_counts(tally.pairs)})"
            + (f"; without a shadow: {_counts(tally.baselines)}" if tally.baselines else ""),
            f"pairs compared: {_counts(tally.outcomes)}",
            f"turns that V1's own graph failed on: {_counts(played.failed) or 'none'}",
            f"swallowed errors and dropped records: {_counts(swallowed) or 'none'}",
        ]
        if not complete:
            lines.append("[red]not everything was finished in time: the evidence is incomplete[/red]")
        for line in lines:
            self._out.print(f"  {line}")
        for item in bad[:_SHOWN]:
            self._errors.print(f"skipped {escape(str(item))}")
        if bad:
            self._out.print(
                f"  {len(bad)} malformed lines skipped" + (f", the first {_SHOWN} named above" * (len(bad) > _SHOWN))
            )

    def where(self, log: Path, page: Path, exporting: bool) -> None:
        self.heading("Look further")
        sent = "sent over OTLP" if exporting else "not sent: set OTEL_EXPORTER_OTLP_ENDPOINT to send it over OTLP"
        for line in (
            f"log lines  {log}   (grep 'SHADOW_V2\\|SHADOW_COMPARISON' {log} | jq .)",
            f"page       {page}",
            f"telemetry  {sent}",
        ):
            self._out.print(f"  {line}", soft_wrap=True)

    def differences(self, record: ShadowRecord, v1: ExecutionResult, v2: ExecutionResult) -> None:
        """Print the values in which a pair differs, on this terminal."""
        if record.comparison.outcome == "match" or not record.is_pair:
            return
        rows: list[tuple[str, Any, Any]] = [("target", v1.targets, v2.targets)]
        rows += [(name, v1.writes.get(name), v2.writes.get(name)) for name in record.comparison.diff_fields]
        self._out.print(f"[bold]{record.node}[/bold] {record.session_id} {record.comparison.outcome}")
        for name, left, right in rows:
            if left != right:
                self._out.print(f"  {name}: {escape(repr(left))} → {escape(repr(right))}", soft_wrap=True)


def _cells(record: ShadowRecord) -> tuple[str, ...]:
    v1, v2 = record.v1, record.v2
    return (
        f"{v1.step} → {v1.target}",
        f"{v2.step} → {v2.target}" if v2 is not None else record.reason or "-",
        str(record.comparison.outcome),
        f"{(v1.latency_s or 0) * 1e3:.1f}",
        f"{(v2.latency_s or 0) * 1e3:.1f}" if v2 is not None else "-",
    )


def _grow(tree: Tree, span: Any, family: Sequence[Any]) -> None:
    took = (span.end_time - span.start_time) / 1e6
    facts = " ".join(f"{name}={span.attributes[name]}" for name in _TOLD if name in span.attributes)
    branch = tree.add(f"[bold]{span.name}[/bold] {took:.2f} ms  [dim]{escape(facts)}[/dim]")
    for link in span.links:
        branch.add(f"[dim]link → {link.context.span_id:016x} (v1.node)[/dim]")
    for child in family:
        if child.parent is not None and child.parent.span_id == span.context.span_id:
            _grow(branch, child, family)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1]) if count)
