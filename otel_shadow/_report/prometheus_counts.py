"""``otel-shadow verdict --prometheus URL``: what counts alone can tell, and what they can't. It is never a verdict."""

from __future__ import annotations

import json
import sys
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_shadow import semconv
from otel_shadow._dashboards import queries
from otel_shadow._report import terminal
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import EvidenceError
from otel_shadow.policy import Policy
from otel_shadow.verdict import units as words
from otel_shadow.verdict.wording import TITLES

EXIT_NOT_ENOUGH = 3
_TIMEOUT_S = 30.0
_SHARES = (semconv.CRITERION_PARITY, semconv.CRITERION_HANDOFF, semconv.CRITERION_COVERAGE)
UNKNOWN = (
    "sessions: turns of one session are not independent, and the session is the unit of the evidence",
    "a band that stays valid while you look: an estimate beside a bound proves nothing",
    "accepted differences ([[accept]]), coverage by intent, blocks of hours, V2 builds",
    "whether V1's own value reached every caller (it is recorded per pair, in the log)",
)
"""What only the log knows."""


@dataclass(frozen=True, slots=True)
class Count:
    """One criterion of one node, from counts. ``events`` is what it rests on; of two arms, the smaller."""

    service: str
    graph: str
    node: str
    criterion: str
    estimate: float
    events: float
    bound: float


def show_counts(url: str, config: Path | None = None) -> int:
    """Print the counts of the policy's window.

    Arguments:
        url: base address of a Prometheus, such as ``http://localhost:9090``.

    Returns:
        3: counts are not enough for a verdict, whatever they say.

    Raises:
        EvidenceError: nobody answers there, it is no Prometheus, or it holds nothing of ours.
    """
    policy = ShadowConfig.load(config).sla
    found = counts(url, policy)
    if not found:
        raise EvidenceError(
            f"{url}: holds no metrics of otel-shadow in the last {policy.window_hours:g} h; is OTLP export on?"
        )
    out = terminal.console(sys.stdout)
    out.print(f"Counts of the last {policy.window_hours:g} h in {url}: no verdict, and exit code {EXIT_NOT_ENOUGH}\n")
    for place in dict.fromkeys((one.service, one.graph, one.node) for one in found):
        out.print(f"{place[2]}  (graph {place[1]}, service {place[0]})")
        for one in found:
            if (one.service, one.graph, one.node) == place:
                out.print(_line(one))
    out.print("\nWhat counts alone can't tell (the log can: otel-shadow verdict LOG):")
    for sentence in UNKNOWN:
        out.print(f"  - {sentence}")
    return EXIT_NOT_ENOUGH


def counts(url: str, policy: Policy) -> tuple[Count, ...]:
    """What a Prometheus knows of each criterion and node.

    Raises:
        EvidenceError: nobody answers at ``url``, or it is no Prometheus.
    """
    window = f"{round(policy.window_hours * 60)}m"
    resting = queries.evidence("node", window)
    found = []
    for criterion, expression in queries.estimates("node", window).items():
        events = _ask(url, queries.unrecorded(resting[criterion]))
        for place, estimate in _ask(url, queries.unrecorded(expression)).items():
            bound = policy.model_copy(update=policy.bounds(place[2]).model_dump()).objectives()[criterion]
            found.append(Count(*place, criterion, estimate, events.get(place, 0.0), bound))
    return tuple(sorted(found, key=lambda one: (one.service, one.graph, one.node)))


def _line(one: Count) -> str:
    show = words.percent if one.criterion in _SHARES else "{:.3f}".format
    side = "at least" if one.criterion in (semconv.CRITERION_PARITY, semconv.CRITERION_COVERAGE) else "at most"
    return (
        f"  {TITLES[one.criterion].title:<22} {show(one.estimate):>8}   {side} {show(one.bound)}, "
        f"from about {one.events:,.0f} {TITLES[one.criterion].event}s"
    )


def _ask(url: str, expression: str) -> dict[tuple[str, str, str], float]:
    """The instant vector of ``expression`` by service, graph and node."""
    if not url.startswith(("http://", "https://")):
        raise EvidenceError(f"--prometheus {url}: expected a base address such as http://localhost:9090")
    address = f"{url.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the user's own URL
            rows = json.load(answer)["data"]["result"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise EvidenceError(
            f"--prometheus {url}: no answer of a Prometheus ({reason}); expected its base address, "
            "such as http://localhost:9090"
        ) from None
    return {_place(row["metric"]): float(row["value"][1]) for row in rows}


def _place(metric: dict[str, Any]) -> tuple[str, str, str]:
    return tuple(str(metric.get(name, "")) for name in queries.NODE)  # type: ignore[return-value]
