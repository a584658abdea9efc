"""Pairs from log files, each with what it observed: the summary behind a verdict keeps counts only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isnan
from sys import intern
from typing import Any

from otel_shadow import semconv
from otel_shadow.errors import EvidenceError
from otel_shadow.evidence.line_fields import SIMULATED, FieldReader, Fields, MalformedError
from otel_shadow.evidence.read_sources import read_objects
from otel_shadow.evidence.summary_builder import SummaryBuilder
from otel_shadow.line_code import environment_key
from otel_shadow.record import Observed, Outcome
from otel_shadow.verdict import evaluate
from otel_shadow.verdict.evidence_faults import GO_ONLY
from otel_shadow.verdict.execution_kind import Unit
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role
from otel_shadow.verdict.wording import sentences

COUNTED = frozenset({"success", "error", "timeout", "interrupt"})
"""Statuses of shadows that ran to an end of their own."""

_read_fields = FieldReader(
    (
        "pair_id", "session", "node", "time", "v2_status", "v2_ms", "original_target", "shadow_target",
        "decisions_match", "comparison", "intent", "message_hash", "observed_v1", "observed_v2", "build", "key_id",
        "clock", "service", "digest",
    )
)  # fmt: skip


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
    intent: str | None
    message_hash: str | None
    v1: Observed
    v2: Observed
    build: str
    key: str
    simulated: bool
    unit: Unit


@dataclass(frozen=True, slots=True)
class PairSet:
    """Pairs of one V2 build, in time order, and what was left out; ``keys`` counts the pairs of every hash key."""

    pairs: tuple[Pair, ...]
    build: str
    keys: Mapping[str, int]
    simulated: bool
    malformed: int
    duplicates: int
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    blockers: tuple[str, ...] = ()
    """Why nothing may be concluded from this evidence: where the verdict says so, too."""

    @property
    def sessions(self) -> int:
        return len({pair.session for pair in self.pairs})


def read_pairs(sources: Sequence[str], build: str | None = None, at: datetime | None = None) -> PairSet:
    """Read the pairs of ``build`` (default: of what the verdict would judge at ``at``, now) from log files.

    An EvidenceError says which source can't be read, or that there is no pair in any, and what is expected.
    """
    told: Counter[str] = Counter()
    first: dict[str, Pair] = {}
    builder = SummaryBuilder()

    def take(line: Mapping[str, Any], coded: bool) -> None:
        pair = _pair(_read_fields(line), coded) if line["event"] == semconv.EVENT_V2 else None
        builder.add(line, coded)
        if pair is not None:
            told[pair.pair_id] += 1
            first.setdefault(pair.pair_id, pair)

    reading = read_objects(sources, take, beat=builder.add_beat, verify_key=environment_key())
    if not first:
        raise EvidenceError(
            f"{', '.join(sources)}: no {semconv.EVENT_V2} line among {reading.lines:,} lines; name the log files that "
            "OTEL_SHADOW_LOG_FILE wrote (a saved summary keeps counts only)"
        )
    builds = Counter(pair.build for pair in first.values())
    if build is not None and build not in builds:
        raise EvidenceError(f"no pair of V2 build {build!r}; the sources have {', '.join(map(repr, builds))}")
    summary = builder.summary(reading)
    verdict = evaluate(summary if build is None else summary.of_build(build), at=at or datetime.now(UTC))
    judged = verdict.build
    assert judged is not None  # there is a pair, hence evidence
    since = judged.first.timestamp()
    unit = (judged.service, judged.build, judged.digest, judged.coded)
    chosen = [pair for pair in first.values() if pair.unit == unit and pair.at >= since]
    keys = Counter(pair.key for pair in chosen)
    return PairSet(
        pairs=tuple(sorted(chosen, key=lambda pair: (pair.at, pair.pair_id))),
        build=judged.build,
        keys=keys,
        simulated=any(pair.simulated for pair in chosen),
        malformed=reading.malformed + reading.forged + sum(reading.other_schema.values()),
        duplicates=told.total() - len(told),
        sources=tuple(sources),
        notes=tuple(_notes(len(first) - len(chosen), verdict.reasons)),
        blockers=tuple(text for _, text in sentences(filter(_blocks, verdict.reasons))),
    )


_OF_THE_VERDICT = frozenset(
    {
        ReasonKind.HOURS_AGAINST, ReasonKind.UNKNOWN_NODE, ReasonKind.NOT_JUDGED, ReasonKind.SIMULATED,
        ReasonKind.WINDOW_HOURS,
    }
)  # fmt: skip
"""What limits a verdict and is no fault of the evidence, or is told elsewhere."""


def _blocks(reason: Reason) -> bool:
    """Return whether the verdict's reason forbids any conclusion: a fault of the evidence beyond what a GO needs."""
    return reason.role is Role.BLOCKER and reason.kind not in _OF_THE_VERDICT | GO_ONLY


def _notes(of_other_builds: int, reasons: Sequence[Reason]) -> Iterator[str]:
    if of_other_builds:
        yield f"{of_other_builds:,} pairs of other V2 builds are left out (--build chooses one)"
    faults = [one for one in reasons if one.kind not in _OF_THE_VERDICT]
    for _, text in sentences(one for one in faults if one.role is Role.BLOCKER and one.kind in GO_ONLY):
        yield f"no GO stands on this evidence: {text}"
    for _, text in sentences(one for one in faults if one.role is Role.WARNING):
        yield text


def _pair(fields: Fields, coded: bool) -> Pair:
    """Return the pair that the fields tell of; words that many pairs share are kept once."""
    if not fields["v2_status"]:
        raise MalformedError("shadow_status is missing")
    compared = fields["comparison"] in (Outcome.MATCH, Outcome.MISMATCH)
    return Pair(
        pair_id=fields["pair_id"],
        session=fields["session"],
        node=intern(fields["node"]),
        at=fields["time"] / 1000.0,
        status=intern(fields["v2_status"]),
        latency_ms=None if isnan(fields["v2_ms"]) else fields["v2_ms"],
        original_target=_word(fields["original_target"]),
        shadow_target=_word(fields["shadow_target"]),
        decisions_match=fields["decisions_match"] if compared else None,
        intent=_word(fields["intent"]),
        message_hash=_word(fields["message_hash"]),
        v1=_observed(fields["observed_v1"]),
        v2=_observed(fields["observed_v2"]),
        build=intern(fields["build"]),
        key=intern(fields["key_id"]),
        simulated=fields["clock"] == SIMULATED,
        unit=(intern(fields["service"]), intern(fields["build"]), intern(fields["digest"]), coded),
    )


def _observed(table: Observed) -> Observed:
    return {intern(name): intern(value) if isinstance(value, str) else value for name, value in table.items()}


def _word(text: str) -> str | None:
    return intern(text) if text else None
