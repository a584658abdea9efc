"""Pairs from log files, each with what it observed: the summary behind a verdict keeps counts only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from sys import intern
from typing import Any

from otel_shadow import semconv
from otel_shadow.errors import EvidenceError
from otel_shadow.evidence.line_fields import SIMULATED, FieldReader, Fields, MalformedError
from otel_shadow.evidence.read_sources import Progress, read_objects
from otel_shadow.record import Observed, Outcome
from otel_shadow.verdict.lines_read import Reading

COUNTED = frozenset({"success", "error", "timeout", "interrupt"})
"""Statuses of shadows that ran to an end of their own."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A V1 execution and the V2 execution on the same input, as its log line tells it.

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
    """Pairs of one V2 build, in time order, and what was left out.

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
        """Number of sessions that they come from."""
        return len({pair.session for pair in self.pairs})

    def fields(self, version: str = "v2") -> dict[str, int]:
        """Return the names of observed fields and the number of pairs that have each."""
        return dict(Counter(name for pair in self.pairs for name in (pair.v2 if version == "v2" else pair.v1)))


def read_pairs(
    sources: Sequence[str], build: str | None = None, *, progress: Callable[[Progress], None] | None = None
) -> PairSet:
    """Read the pairs of ``build`` (default: that of the latest pair) from log files.

    Arguments:
        progress: told after every piece that was read.

    Raises:
        EvidenceError: a source can't be read, or there is no pair in any; the message says what is expected.
    """
    rows = _Rows()
    reading = read_objects(sources, rows.add, progress=progress)
    if not rows.first:
        raise EvidenceError(
            f"{', '.join(sources)}: no {semconv.EVENT_V2} line among {reading.lines:,} lines; name the log files that "
            "OTEL_SHADOW_LOG_FILE wrote (a saved summary keeps counts only)"
        )
    return _select(rows, reading, tuple(sources), build)


_read_fields = FieldReader(
    (
        "pair_id", "session", "node", "time", "v2_status", "v2_ms", "original_target", "shadow_target",
        "decisions_match", "comparison", "intent", "message_hash", "observed_v1", "observed_v2", "build", "key_id",
        "clock",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Row:
    """A pair and where it comes from; the line's other keys are not kept."""

    pair: Pair
    build: str
    key: str
    simulated: bool


class _Rows:
    """Pairs by their id, each as it was told first."""

    def __init__(self) -> None:
        self.first: dict[str, _Row] = {}
        self.duplicates = 0

    def add(self, line: Mapping[str, Any]) -> None:
        """Add the pair of a line object; a baseline is passed over.

        Raises:
            SchemaError: the line has another schema version.
            MalformedError: a key is missing or has a value that it can't have.
        """
        if line["event"] != semconv.EVENT_V2:
            return
        fields = _read_fields(line)
        if not fields["v2_status"]:
            raise MalformedError("shadow_status is missing")
        row = _Row(
            _pair(fields), intern(fields["build"]), intern(fields["key_id"]), simulated=fields["clock"] == SIMULATED
        )
        self.duplicates += row.pair.pair_id in self.first
        self.first.setdefault(row.pair.pair_id, row)


def _select(found: _Rows, reading: Reading, sources: tuple[str, ...], build: str | None) -> PairSet:
    rows = found.first
    builds = Counter(row.build for row in rows.values())
    latest = max(rows.values(), key=lambda row: row.pair.at).build
    wanted = latest if build is None else build
    if wanted not in builds:
        raise EvidenceError(f"no pair of V2 build {wanted!r}; the sources have {', '.join(map(repr, builds))}")
    chosen = [row for row in rows.values() if row.build == wanted]
    keys = Counter(row.key for row in chosen)
    damaged = reading.malformed + sum(reading.other_schema.values())
    return PairSet(
        pairs=tuple(sorted((row.pair for row in chosen), key=lambda pair: (pair.at, pair.pair_id))),
        build=wanted,
        builds=builds,
        keys=keys,
        simulated=any(row.simulated for row in chosen),
        lines=reading.lines,
        malformed=damaged,
        duplicates=found.duplicates,
        sources=sources,
        notes=tuple(_notes(wanted, builds, keys, damaged)),
    )


def _notes(build: str, builds: Mapping[str, int], keys: Mapping[str, int], damaged: int) -> Iterable[str]:
    if len(builds) > 1:
        others = sum(builds.values()) - builds[build]
        yield f"{others:,} pairs of other V2 builds are left out (--build chooses one)"
    if len(keys) > 1:
        yield (
            f"the lines were written with {len(keys)} hash keys: sessions that moved between processes count several "
            f"times; set the same {semconv.ENV_HASH_KEY} everywhere"
        )
    if damaged:
        yield f"{damaged:,} damaged lines were left out"


def _pair(fields: Fields) -> Pair:
    """Return the pair that the fields tell of; words that many pairs share are kept once."""
    outcome = intern(fields["comparison"])
    return Pair(
        pair_id=fields["pair_id"],
        session=fields["session"],
        node=intern(fields["node"]),
        at=fields["time"] / 1000.0,
        status=intern(fields["v2_status"]),
        latency_ms=None if isnan(fields["v2_ms"]) else fields["v2_ms"],
        original_target=_word(fields["original_target"]),
        shadow_target=_word(fields["shadow_target"]),
        decisions_match=fields["decisions_match"] if outcome in (Outcome.MATCH, Outcome.MISMATCH) else None,
        outcome=outcome,
        intent=_word(fields["intent"]),
        message_hash=_word(fields["message_hash"]),
        v1=_observed(fields["observed_v1"]),
        v2=_observed(fields["observed_v2"]),
    )


def _observed(table: Observed) -> Observed:
    return {intern(name): intern(value) if isinstance(value, str) else value for name, value in table.items()}


def _word(text: str) -> str | None:
    return intern(text) if text else None
