"""``otel-shadow verdict --prometheus URL``: what counts alone can tell, and what they can't. It is never a verdict."""

from __future__ import annotations

import json
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from otel_shadow._dashboards import queries
from otel_shadow._report import terminal
from otel_shadow._report.blocks import Cell, Column, Document, Section, Table, Text
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import EvidenceError
from otel_shadow.policy import Policy
from otel_shadow.verdict import units, wording

EXIT_NOT_ENOUGH = 3
_TIMEOUT_S = 30.0
_EXAMPLE = "http://localhost:9090"
UNKNOWN = (
    "sessions: turns of one session are not independent, and the session is the unit of the evidence",
    "a band that stays valid while you look: an estimate beside a bound proves nothing",
    "accepted differences ([[accept]]), coverage by intent, blocks of hours, V2 builds",
    "whether V1's own value reached every caller (it is recorded per pair, in the log)",
)
"""What takes the log: counts alone can't show it."""
Place = tuple[str, ...]
"""Service, graph and node."""


def show_counts(url: str, config: Path | None = None) -> int:
    """Print the counts of the policy's window from the Prometheus whose base address is ``url``.

    The exit code is 3: counts are not enough for a verdict, whatever they say. An EvidenceError says that ``url`` does
    not answer, is no Prometheus, or holds no metric of otel-shadow.
    """
    policy = ShadowConfig.load(config).sla
    rows = sorted(_rows(url, policy), key=lambda row: row[0])
    if not rows:
        raise EvidenceError(
            f"{url}: holds no metrics of otel-shadow in the last {policy.window_length_hours:g} h; is OTLP export on?"
        )
    columns = (Column("Criterion"), Column("Estimate", number=True), Column("Bound", number=True),
               Column("From about", number=True))  # fmt: skip
    nodes = (
        Section(
            f"{place[2]}  (graph {place[1]}, service {place[0]})",
            (Table(columns, tuple(cells for of, cells in rows if of == place)),),
        )
        for place in dict.fromkeys(place for place, _ in rows)
    )
    unknown = Section(
        "What counts alone can't tell (the log can: otel-shadow verdict LOG)",
        tuple(Text(f"- {one}") for one in UNKNOWN),
    )
    headline = f"Counts of the last {policy.window_length_hours:g} h in {url}; exit code {EXIT_NOT_ENOUGH}"
    document = Document("counts", "Counts", headline, (*nodes, unknown), heading="No verdict")
    terminal.show(document, terminal.console(sys.stdout))
    return EXIT_NOT_ENOUGH


def _rows(url: str, policy: Policy) -> Iterator[tuple[Place, tuple[Cell, ...]]]:
    window = f"{round(policy.window_length_hours * 60)}m"
    resting = queries.evidence("node", window)
    for criterion, expression in queries.estimates("node", window).items():
        about = wording.TITLES[criterion]
        events = _ask(url, queries.unrecorded(resting[criterion]))
        for place, estimate in _ask(url, queries.unrecorded(expression)).items():
            objectives = policy.model_copy(update=policy.bounds(place[2]).model_dump()).objectives()
            cells = (
                Cell(about.title),
                Cell(wording.value(about.quantity, estimate)),
                Cell(wording.bound(about.quantity, objectives[criterion], about.limit)),
                Cell(units.plural(round(events.get(place, 0.0)), about.event)),
            )
            yield place, cells


def _ask(url: str, expression: str) -> dict[Place, float]:
    if not url.startswith(("http://", "https://")):
        raise EvidenceError(f"--prometheus {url}: expected a base address such as {_EXAMPLE}")
    address = f"{url.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the user's own URL
            rows: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise EvidenceError(
            f"--prometheus {url}: no answer of a Prometheus ({reason}); expected its base address, such as {_EXAMPLE}"
        ) from None
    return {tuple(str(row["metric"].get(name, "")) for name in queries.NODE): float(row["value"][1]) for row in rows}
