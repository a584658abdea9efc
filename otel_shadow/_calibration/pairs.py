"""Pairs from log files, each with what it observed: the summary behind a verdict keeps counts only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from sys import intern
from typing import Any

from otel_shadow import semconv
from otel_shadow._calibration.lines import Counts, read_objects
from otel_shadow.errors import EvidenceError
from otel_shadow.evidence.decode import SIMULATED

Observed = Mapping[str, float | str | bool]
COUNTED = frozenset({"success", "error", "timeout", "interrupt"})
"""Statuses of shadows that ran to an end of their own."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One V1 execution and the V2 execution on the same input, as its log line tells it.

    ``at`` is V1's start in epoch seconds, ``latency_ms`` V2's; ``decisions_match`` is None where nothing was compared.
    """

    pair_id: str
    session: str
    node: str
    at: float
    status: str
    latency_ms: float | None
    original_target: str | None
    shadow_target: str | None
    decisions_match: bool | None
    outcome: str
    intent: str | None
    message_hash: str | None
    v1: Observed
    v2: Observed


@dataclass(frozen=True, slots=True)
class PairSet:
    """The pairs of one V2 build, in time order, and what was left out.

    ``builds`` counts the pairs of every build that was seen, ``keys`` those of every hash key.
    """

    pairs: tuple[Pair, ...]
    build: str
    builds: Mapping[str, int]
    keys: Mapping[str, int]
    simulated: bool
    lines: int
    malformed: int
    duplicates: int
    sources: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def sessions(self) -> int:
        """How many sessions they come from."""
        return len({pair.session for pair in self.pairs})

    def fields(self, version: str = "v2") -> dict[str, int]:
        """Names of observed fields and the number of pairs that have them."""
        return dict(Counter(name for pair in self.pairs for name in (pair.v2 if version == "v2" else pair.v1)))


def read_pairs(sources: Sequence[str], build: str | None = None) -> PairSet:
    """Read the pairs of ``build`` (default: that of the latest pair) from log files.

    Raises:
        EvidenceError: a source can't be read, or there is no pair in any; the message says what is expected.
    """
    counts, rows = Counts(), dict[str, _Row]()
    for found in read_objects(sources, counts):
        if not _usable(found):
            counts.malformed += 1
            continue
        row = _Row.of(found)
        counts.duplicates += row.pair.pair_id in rows
        rows.setdefault(row.pair.pair_id, row)
    if not rows:
        raise EvidenceError(
            f"{', '.join(sources)}: no {semconv.EVENT_V2} line among {counts.lines:,} lines; name the log files that "
            "OTEL_SHADOW_LOG_FILE wrote (a saved summary keeps counts only)"
        )
    return _select(rows, counts, tuple(sources), build)


def _usable(row: Mapping[str, Any]) -> bool:
    """Whether it is a pair of this schema with the keys that are needed."""
    try:
        datetime.fromisoformat(row["timestamp"])
        texts = all(isinstance(row[key], str) for key in ("pair_id", "session_id", "node", "shadow_status"))
    except (ValueError, KeyError, TypeError):
        return False
    return texts and str(row.get("schema")) == str(semconv.LINE_SCHEMA)


@dataclass(frozen=True, slots=True)
class _Row:
    """A pair and where it comes from; the line's other keys are not kept."""

    pair: Pair
    build: str
    key: str
    simulated: bool

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> _Row:
        """From the line's object."""
        build, key = (intern(str(line.get(name, ""))) for name in ("v2_build", "key_id"))
        return cls(_pair(line), build, key, line.get("clock") == SIMULATED)


def _select(rows: Mapping[str, _Row], counts: Counts, sources: tuple[str, ...], build: str | None) -> PairSet:
    builds = Counter(row.build for row in rows.values())
    latest = max(rows.values(), key=lambda row: row.pair.at).build
    wanted = latest if build is None else build
    if wanted not in builds:
        raise EvidenceError(f"no pair of V2 build {wanted!r}; the sources have {', '.join(map(repr, builds))}")
    chosen = [row for row in rows.values() if row.build == wanted]
    keys = Counter(row.key for row in chosen)
    return PairSet(
        pairs=tuple(sorted((row.pair for row in chosen), key=lambda pair: (pair.at, pair.pair_id))),
        build=wanted,
        builds=builds,
        keys=keys,
        simulated=any(row.simulated for row in chosen),
        lines=counts.lines,
        malformed=counts.malformed,
        duplicates=counts.duplicates,
        sources=sources,
        notes=tuple(_notes(wanted, builds, keys, counts)),
    )


def _notes(build: str, builds: Mapping[str, int], keys: Mapping[str, int], counts: Counts) -> Iterable[str]:
    if len(builds) > 1:
        others = sum(builds.values()) - builds[build]
        yield f"{others:,} pairs of other V2 builds are left out (--build chooses one)"
    if len(keys) > 1:
        yield (
            f"the lines were written with {len(keys)} hash keys: sessions that moved between processes count several "
            f"times; set the same {semconv.ENV_HASH_KEY} everywhere"
        )
    if counts.malformed:
        yield f"{counts.malformed:,} damaged lines were left out"


def _pair(row: Mapping[str, Any]) -> Pair:
    decision = _table(row.get("decision_comparison"))
    observed = _table(row.get("observed"))
    latency = row.get("shadow_latency_ms")
    return Pair(
        pair_id=row["pair_id"],
        session=row["session_id"],
        node=intern(row["node"]),
        at=datetime.fromisoformat(row["timestamp"]).timestamp(),
        status=intern(row["shadow_status"]),
        latency_ms=float(latency) if isinstance(latency, int | float) else None,
        original_target=_word(decision.get("original_target")),
        shadow_target=_word(decision.get("shadow_target")),
        decisions_match=decision.get("decisions_match") if row.get("comparison") in ("match", "mismatch") else None,
        outcome=intern(str(row.get("comparison"))),
        intent=_word(row.get("intent")),
        message_hash=_word(row.get("user_message_hash")),
        v1=_named(observed.get("v1")),
        v2=_named(observed.get("v2")),
    )


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _named(value: Any) -> Observed:
    """Observed fields, names and words kept once for all pairs."""
    items = _table(value).items()
    return {intern(name): intern(item) if isinstance(item, str) else item for name, item in items}


def _word(value: Any) -> str | None:
    return intern(value) if isinstance(value, str) else None
