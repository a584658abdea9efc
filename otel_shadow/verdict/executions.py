"""The summary of evidence: one small row per execution, the same however it was filled, split, saved or merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otel_shadow.verdict.columns import coded, pieces
from otel_shadow.verdict.execution_kind import ExecutionKind
from otel_shadow.verdict.hashes import NO_PAIR
from otel_shadow.verdict.heartbeats import Beat, merged
from otel_shadow.verdict.late_builds import of_late_builds
from otel_shadow.verdict.latency import buckets
from otel_shadow.verdict.lines_read import Reading
from otel_shadow.verdict.parallel import in_parallel
from otel_shadow.verdict.rows import Rows, by_session, in_pieces, probabilities, repeat_a_pair

_SAMPLES = 10
TIMES = ("v1_latency_ms", "v2_latency_ms")
"""Columns of ``from_arrays`` that a caller may not have: what was never given is not judged, unless it is asked for."""
Samples = Mapping[ExecutionKind, tuple["Sample", ...]]


class Rule(Protocol):
    """A known difference (``[[accept]]`` of ``shadow.toml``): see ``otel_shadow.config.AcceptRule``."""

    @property
    def reason(self) -> str: ...
    @property
    def expires(self) -> date: ...
    @property
    def node(self) -> str | None: ...
    @property
    def fields(self) -> tuple[str, ...]: ...
    @property
    def targets(self) -> tuple[str, ...]: ...
    @property
    def steps(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True, order=True)
class Sample:
    """One pair to look at: when (UTC), and its ids in log and trace store."""

    at: datetime
    pair_id: str
    trace_id: str = ""


class Summary:
    """Evidence, ready for ``evaluate``. About 50 bytes per execution; ``merge`` is associative and commutative.

    It holds whole executions and not sums, so that the same pair told twice counts once even across summaries that
    were saved on their own, and so that a verdict can be asked for at any time inside the evidence.
    """

    def __init__(
        self,
        rows: Rows | None = None,
        signatures: Sequence[ExecutionKind] = (),
        *,
        samples: Samples | None = None,
        reading: Reading | None = None,
        contradictory: NDArray[np.uint64] | None = None,
        duplicates: int = 0,
        given: Iterable[str] = TIMES,
        beats: Iterable[Beat] = (),
    ) -> None:
        self._parts = [Rows.empty() if rows is None else rows]
        self.signatures = tuple(signatures)
        self.samples: Samples = samples or {}
        self.reading = reading or Reading()
        self._contradictory = np.empty(0, np.uint64) if contradictory is None else contradictory
        self._duplicates = duplicates
        self.beats = merged(beats)
        """The latest totals that each process told of each node."""
        self._clean = not len(self._parts[0])
        self.accepted: tuple[str, ...] = ("",) * len(self.signatures)
        """Per signature the reason of the rule that accepts it, else empty."""
        self.accepted_rules: tuple[Rule, ...] = ()
        self.expired_rules: tuple[Rule, ...] = ()
        self.given = frozenset(given) if len(self._parts[0]) else frozenset[str]()
        """Which times the evidence was given with (``TIMES``); log lines have them all."""
        self.cache: dict[Any, Any] = {}
        """Sums that ``evaluate`` keeps; emptied by ``add``."""

    # --- filling ---------------------------------------------------------------------------------------------------
    @classmethod
    def from_arrays(
        cls,
        node: ArrayLike,
        session: ArrayLike,
        timestamp: ArrayLike | Sequence[datetime],
        match: ArrayLike | None = None,
        status: ArrayLike | None = "success",
        v1_latency_ms: ArrayLike | None = None,
        arm: ArrayLike = "shadowed",
        **more: Any,
    ) -> Summary:
        """Return a summary of executions given as columns. A scalar stands for a column of that value.

        Arguments:
            node: names of nodes.
            session: session ids (integers or texts).
            timestamp: start of the execution: ``datetime64``, aware datetimes, or seconds since 1970.
            match: whether the pair matched; None or NaN where it was not compared (V2 failed, V1 raised).
            status: what became of V2 (``record.Status``); None or empty where no shadow ran.
            v1_latency_ms, v2_latency_ms: milliseconds; NaN where there is none.
            arm: ``shadowed`` or ``holdout``; a holdout has no shadow whatever ``status`` says.
            pair: ids of pairs, for deduplication; without them no row is ever a duplicate.
            self_match: V1 against itself on the noise-floor share; None or NaN elsewhere.
            v1_served, v1_status, mode, reason, intent, original_target, shadow_target, decisions_match, v1_step,
            v2_step, steps_match, fields_compared, build, digest, key_id, graph, served, fallback_reason, service,
            holdout, slot_seconds, sample, v1_rate_limited, v2_rate_limited, caused_by_shadow: as in the log line. By
            default V1 served (``True``) and succeeded. ``reason`` of a shadowed row without V2 status defaults to
            ``shed``.
            probability: with which such an execution was shadowed, in (0, 1]; NaN where it is not known.
            overhead_ms: milliseconds that shadowing added on V1's path; NaN where it is not known.
            anonymous: whether the run had no session id; by default it had one.

        Raises:
            ValueError: columns of different lengths, or a value that is not one of those allowed.
        """
        summary = cls()
        summary.add(node, session, timestamp, match, status, v1_latency_ms, arm, **more)
        return summary

    def add(
        self,
        node: ArrayLike,
        session: ArrayLike,
        timestamp: ArrayLike | Sequence[datetime],
        match: ArrayLike | None = None,
        status: ArrayLike | None = "success",
        v1_latency_ms: ArrayLike | None = None,
        arm: ArrayLike = "shadowed",
        **more: Any,
    ) -> None:
        """Add executions, one or many; the arguments are those of ``from_arrays``."""
        columns = {"node": node, "session": session, "timestamp": timestamp, "match": match, "status": status}
        columns |= {"v1_latency_ms": v1_latency_ms, "arm": arm} | more
        given_times = frozenset(name for name in TIMES if columns.get(name) is not None)
        for part in in_parallel(_of_table, pieces(columns)):
            part.given = given_times
            self._take(part)

    def _take(self, other: Summary) -> None:
        known = {signature: index for index, signature in enumerate(self.signatures)}
        for signature in other.signatures:
            known.setdefault(signature, len(known))
        places = np.array([known[signature] for signature in other.signatures], np.int32)
        known_already = self.signatures == other.signatures
        for part in other._parts:
            if len(part):
                self._parts.append(part if known_already else replace(part, kind=places[part.kind]))
        self.signatures = tuple(known)
        self._contradictory = np.union1d(self._contradictory, other._contradictory)
        self._duplicates += other._duplicates
        self.samples = _joined_samples(self.samples, other.samples)
        self.reading += other.reading
        self.beats = merged(self.beats, other.beats)
        self.given |= other.given
        self._clean = self._clean and not any(len(part) for part in other._parts)
        self.cache.clear()
        self._mark()

    def merge(self, *others: Summary) -> Summary:
        """Return all the evidence of this and ``others``; the same pair in several of them counts once."""
        merged = Summary()
        for summary in (self, *others):
            merged._take(summary)
        merged.accepted_rules, merged.expired_rules = self.accepted_rules, self.expired_rules
        merged._mark()
        return merged

    def of_build(self, build: str) -> Summary:
        """Return only the evidence of one V2 build (of all its configuration digests)."""
        return self.where(build=build)

    def where(self, *, service: str | None = None, build: str | None = None, digest: str | None = None) -> Summary:
        """Return only the evidence of one service, V2 build or configuration digest; None chooses all."""
        asked = {"service": service, "build": build, "digest": digest}
        names = {name: value for name, value in asked.items() if value is not None}
        wanted = np.array([_has(kind, names) for kind in self.signatures], bool)
        rows = self.rows
        chosen = Summary(
            rows.where(wanted[rows.kind]) if len(rows) else rows,
            self.signatures,
            samples=self.samples,
            reading=self.reading,
            contradictory=self.contradictory,
            duplicates=self._duplicates,
            given=self.given,
            beats=[beat for beat in self.beats if _has(beat, names)],
        )
        chosen.accepted_rules, chosen.expired_rules = self.accepted_rules, self.expired_rules
        chosen._mark()
        return chosen

    # --- reading ---------------------------------------------------------------------------------------------------
    @property
    def rows(self) -> Rows:
        """The executions, every pair once, by the identity of their session."""
        self._deduplicate()
        return self._parts[0]

    @property
    def parts(self) -> Sequence[Rows]:
        """The same in pieces of whole sessions, which are worked on at once."""
        if "parts" not in self.cache:
            self.cache["parts"] = in_pieces(self.rows)
        found: Sequence[Rows] = self.cache["parts"]
        return found

    @property
    def duplicates(self) -> int:
        """Lines that told a known pair again, in the same words."""
        self._deduplicate()
        return self._duplicates

    @property
    def contradictory(self) -> NDArray[np.uint64]:
        """Identities of pairs told twice in different ways: they are left out."""
        self._deduplicate()
        return self._contradictory

    @property
    def first(self) -> datetime | None:
        """Time of the first execution (UTC)."""
        return moment(self._span()[0]) if len(self) else None

    @property
    def last(self) -> datetime | None:
        """Time of the last execution (UTC)."""
        return moment(self._span()[1]) if len(self) else None

    def later_than(self, at: datetime) -> int:
        """Return how many executions are stamped later than ``at``."""
        limit = milliseconds(at)
        if not len(self) or self._span()[1] <= limit:
            return 0
        key = ("later", limit)
        if key not in self.cache:
            self.cache[key] = int((self.rows.time > limit).sum())
        found: int = self.cache[key]
        return found

    def _span(self) -> tuple[int, int]:
        """Return first and last time in milliseconds since 1970; kept, because every verdict needs them."""
        if "span" not in self.cache:
            self.cache["span"] = int(self.rows.time.min()), int(self.rows.time.max())
        found: tuple[int, int] = self.cache["span"]
        return found

    def __len__(self) -> int:
        return len(self.rows)

    def accepting(self, rules: Iterable[Rule], at: datetime | None) -> Summary:
        """Mark the differences that ``rules`` accept; those that expired before ``at`` accept nothing. Returns self."""
        rules = tuple(rules)
        valid = tuple(rule for rule in rules if at is None or rule.expires >= at.astimezone(UTC).date())
        self.accepted_rules = valid
        self.expired_rules = tuple(rule for rule in rules if rule not in valid) if at is not None else ()
        self._mark()
        return self

    def _mark(self) -> None:
        self.accepted = tuple(_reason(signature, self.accepted_rules) for signature in self.signatures)
        self.cache.clear()

    def _deduplicate(self) -> None:
        if self._clean:
            return
        self._clean = True
        parts = [part for part in self._parts if len(part)]
        if len(self._contradictory):
            parts = [part.where(~np.isin(part.pair, self._contradictory)) for part in parts]
        if repeat_a_pair([part.pair for part in parts]):
            parts = [self._once(Rows.joined(parts))]
        rows, self.signatures = of_late_builds(by_session(parts), self.signatures)
        self._parts = [rows]
        self.accepted = tuple(_reason(signature, self.accepted_rules) for signature in self.signatures)

    def _once(self, rows: Rows) -> Rows:
        kind, uncoded = self._kinds_apart_from_codes()
        order = np.lexsort((
            -rows.overhead.astype(np.int32), rows.sequence, rows.process, rows.probability, rows.v2, rows.v1,
            kind[rows.kind], rows.session, rows.time, uncoded[rows.kind], rows.pair,
        ))  # fmt: skip
        rows = rows.where(order)
        again = np.zeros(len(rows), bool)
        again[1:] = (rows.pair[1:] == rows.pair[:-1]) & (rows.pair[1:] != NO_PAIR)
        equal = np.zeros(len(rows), bool)
        equal[1:] = again[1:]
        for item in fields(rows):
            if item.name == "overhead":  # summaries of the release before don't have it
                continue
            column = kind[rows.kind] if item.name == "kind" else getattr(rows, item.name)
            equal[1:] &= column[1:] == column[:-1]
        # What anybody may have written contradicts no line whose code was verified: it stands behind that one.
        behind = uncoded[rows.kind] & np.isin(rows.pair, rows.pair[~uncoded[rows.kind]])
        bad = np.unique(rows.pair[again & ~equal & ~behind])
        self._contradictory = np.union1d(self._contradictory, bad)
        self._duplicates += int(equal.sum())
        return rows.where(~again & ~np.isin(rows.pair, bad))

    def _kinds_apart_from_codes(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return each kind without regard to whether its code was verified, and whether it was not: read twice, with a
        key and without, a line is still one line."""
        known: dict[ExecutionKind, int] = {}
        places = [known.setdefault(replace(kind, coded=False), len(known)) for kind in self.signatures]
        return np.array(places, np.int64), np.array([not kind.coded for kind in self.signatures], bool)


def _has(one: ExecutionKind | Beat, names: Mapping[str, str]) -> bool:
    return all(getattr(one, name) == value for name, value in names.items())


def moment(milliseconds: int) -> datetime:
    """Return milliseconds since 1970 as an aware datetime (UTC)."""
    return datetime.fromtimestamp(milliseconds / 1000.0, UTC)


def milliseconds(at: datetime) -> int:
    """Return an aware datetime as milliseconds since 1970.

    Raises:
        ValueError: it has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone; give datetime(..., tzinfo=UTC)")
    return round(at.timestamp() * 1000)


def _of_table(piece: Mapping[str, Any]) -> Summary:
    table = coded(piece)
    times = buckets(table.v1_ms), buckets(table.v2_ms)
    rows = Rows(table.pair, table.session, table.time, table.kind, *times, probabilities(table.probability),
                *_unnumbered(len(table.time)), buckets(table.overhead_ms))  # fmt: skip
    return Summary(rows, table.signatures)


def _unnumbered(length: int) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    return np.zeros(length, np.uint64), np.zeros(length, np.uint32)


def _joined_samples(mine: Samples, others: Samples) -> Samples:
    joined = dict(mine)
    for signature, samples in others.items():
        joined[signature] = tuple(sorted({*joined.get(signature, ()), *samples}))[:_SAMPLES]
    return joined


def _reason(signature: ExecutionKind, rules: Iterable[Rule]) -> str:
    if not signature.compared or signature.matched:
        return ""
    return next((rule.reason for rule in rules if _accepts(rule, signature)), "")


def _accepts(rule: Rule, signature: ExecutionKind) -> bool:
    """Return whether the rule names every way in which the pair differs: decision, step and compared fields."""
    if rule.node is not None and rule.node != signature.node:
        return False
    named = []
    if signature.decisions_match is False:
        named.append(signature.route in rule.targets)
    if signature.steps_match is False:
        named.append(signature.steps in rule.steps)
    if signature.fields_compared and signature.diff_fields:
        named.append(set(signature.diff_fields) <= set(rule.fields))
    # One that differs in none of these (one side interrupted, say) is no known difference.
    return bool(named) and all(named)
