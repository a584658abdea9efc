"""What the window covered: per intent and route, how often, how surely, and how often as V1 did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median_low

from otel_shadow import semconv
from otel_shadow._calibration.labels import Names
from otel_shadow._calibration.pairs import COUNTED, Pair

FEW_SESSIONS = 30
"""Below this many sessions an intent is not certified by a verdict either (``min_sessions_per_intent``)."""
UNSURE = ("fallback", "handoff")
"""Router actions of a V2 that is not sure of its decision."""
NOTHING = frozenset({"none", ""})
"""Intents that mean none was recognised."""


@dataclass(frozen=True, slots=True)
class Row:
    """Pairs of one kind.

    Arguments:
        key: the intent, or node and V1's decision.
        compared, agreed: pairs that were compared, and whose decisions match.
        confidence: median of V2's confidence; None if it was not observed.
        unsure: pairs in which the router fell back or handed over to a person.
        failed: pairs in which V2 raised or timed out: fallbacks to V1, had it been live.
    """

    key: tuple[str, ...]
    sessions: int
    pairs: int
    compared: int
    agreed: int
    confidence: float | None
    unsure: int
    failed: int

    @property
    def agreement(self) -> float | None:
        """Share of compared pairs whose decisions match."""
        return self.agreed / self.compared if self.compared else None


@dataclass(frozen=True, slots=True)
class Spot:
    """Where V2 is unsure or disagrees: a node, an intent, and the two decisions; the heaviest spots first."""

    node: str
    intent: str
    original: str
    shadow: str
    pairs: int
    sessions: int
    unsure: int
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the pairs cover.

    Arguments:
        intents: by intent, the commonest first; ``none`` where V2 recognised nothing.
        unseen: declared intents that no pair has.
        few: declared intents with some sessions, but fewer than :data:`FEW_SESSIONS`.
    """

    pairs: int
    sessions: int
    intents: tuple[Row, ...]
    routes: tuple[Row, ...]
    declared: tuple[str, ...]
    unseen: tuple[str, ...]
    few: tuple[str, ...]
    spots: tuple[Spot, ...]


def coverage_of(pairs: Sequence[Pair], declared: Sequence[str], names: Names) -> Coverage:
    by_intent: dict[tuple[str, ...], list[Pair]] = defaultdict(list)
    by_route: dict[tuple[str, ...], list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_intent[(intent_of(pair, names),)].append(pair)
        by_route[(pair.node, pair.original_target or "–")].append(pair)
    intents = _rows(by_intent, names)
    seen = {row.key[0]: row.sessions for row in intents}
    return Coverage(
        pairs=len(pairs),
        sessions=len({pair.session for pair in pairs}),
        intents=intents,
        routes=_rows(by_route, names),
        declared=tuple(declared),
        unseen=tuple(name for name in declared if name not in seen),
        few=tuple(name for name in declared if 0 < seen.get(name, 0) < FEW_SESSIONS),
        spots=_spots(pairs, names),
    )


def intent_of(pair: Pair, names: Names) -> str:
    """Return V2's intent, else the record's; ``none`` where there is none, ``_other`` where it is not declared."""
    found = pair.v2.get(names.intent, pair.intent)
    return found if isinstance(found, str) and found not in NOTHING else "none"


def is_unsure(pair: Pair, names: Names) -> bool:
    """Return whether V2's router was not sure enough to act on its own."""
    return pair.v2.get(names.action) in UNSURE


def handled_by(node: str, target: str | None) -> str:
    """Return the node that a decision leads to; the end of a turn leaves it with the node itself."""
    return target if target not in (None, semconv.END, semconv.OTHER) else node


def _rows(groups: dict[tuple[str, ...], list[Pair]], names: Names) -> tuple[Row, ...]:
    rows = [_row(key, pairs, names) for key, pairs in groups.items()]
    return tuple(sorted(rows, key=lambda row: (-row.pairs, row.key)))


def _row(key: tuple[str, ...], pairs: Sequence[Pair], names: Names) -> Row:
    compared = [pair.decisions_match for pair in pairs if pair.decisions_match is not None]
    return Row(
        key=key,
        sessions=len({pair.session for pair in pairs}),
        pairs=len(pairs),
        compared=len(compared),
        agreed=sum(compared),
        confidence=_confidence(pairs, names),
        unsure=sum(is_unsure(pair, names) for pair in pairs),
        failed=sum(pair.status in COUNTED - {"success", "interrupt"} for pair in pairs),
    )


def _confidence(pairs: Iterable[Pair], names: Names) -> float | None:
    """Return the lower median of V2's confidence; None if it was not observed."""
    found = (pair.v2.get(names.confidence) for pair in pairs)
    numbers = [float(value) for value in found if value is not None and not isinstance(value, str | bool)]
    return median_low(numbers) if numbers else None


def _spots(pairs: Sequence[Pair], names: Names) -> tuple[Spot, ...]:
    groups: dict[tuple[str, str, str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.decisions_match is False or is_unsure(pair, names):
            key = (pair.node, intent_of(pair, names), pair.original_target or "–", pair.shadow_target or "–")
            groups[key].append(pair)
    return tuple(
        Spot(
            *key,
            pairs=len(found),
            sessions=len({pair.session for pair in found}),
            unsure=sum(is_unsure(pair, names) for pair in found),
            confidence=_confidence(found, names),
        )
        for key, found in sorted(groups.items(), key=lambda item: -len(item[1]))
    )
