"""Criteria in words: their titles, and their numbers in their own units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from otel_shadow import semconv
from otel_shadow.verdict.reasons import Direction, Quantity
from otel_shadow.verdict.units import percent, points, ratio


@dataclass(frozen=True, slots=True)
class Title:
    """A criterion in words: its title, long and short, what it asks, what one event of its evidence is called.

    ``quantity`` and ``limit``: what its numbers are, unless parity is relative, and on which side of the bound is good.
    """

    title: str
    short: str
    question: str
    event: str
    quantity: Quantity = "share"
    limit: Direction = "at_least"


TITLES: Mapping[str, Title] = {
    semconv.CRITERION_PARITY: Title("Functional parity", "Parity", "V2 decides what V1 decides", "pair"),
    semconv.CRITERION_HANDOFF: Title(
        "Handoff rate", "Handoff", "V2 fails or times out, so V1 would answer", "execution", limit="at_most"
    ),
    semconv.CRITERION_LATENCY_NOW: Title(
        "Latency impact now",
        "p95 now",
        "95th percentile of V1 while shadows run, against slots of time without any",
        "execution",
        "ratio",
        "at_most",
    ),
    semconv.CRITERION_LATENCY_AFTER: Title(
        "Latency impact after",
        "p95 after",
        "95th percentile of V2 against V1, on the same requests",
        "pair",
        "ratio",
        "at_most",
    ),
    semconv.CRITERION_V1_SERVED: Title(
        "Zero production impact", "V1 served", "users always got exactly what V1 made", "execution"
    ),
    semconv.CRITERION_COVERAGE: Title(
        "Coverage", "Coverage", "shadow runs that took place, of those that should have", "execution"
    ),
}


def title(criterion: str) -> str:
    """Return the title of a criterion."""
    return TITLES[criterion].title


def value(quantity: Quantity | None, number: float | None) -> str:
    """Return a number in its own unit: a share, a change of p95, or a difference of shares."""
    return {"ratio": ratio, "excess": points}.get(quantity or "share", percent)(number)


def bound(quantity: Quantity | None, number: float | None, limit: Direction | None) -> str:
    """Return a bound with its side: ≥ 95 %, ≤ +15 %."""
    return f"{'≤' if limit == 'at_most' else '≥'} {value(quantity, number)}"
