"""Executions on their way into a summary: one by one from line objects, or by the column."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import fields
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otel_shadow import semconv
from otel_shadow.evidence.line_fields import SIMULATED, FieldReader, Fields
from otel_shadow.log_line import event_of
from otel_shadow.verdict.execution_kind import ExecutionKind
from otel_shadow.verdict.executions import Sample, Summary, moment
from otel_shadow.verdict.hashes import text_hash
from otel_shadow.verdict.heartbeats import NO_PROCESS, Beat, BeatKey, latest
from otel_shadow.verdict.latency import buckets
from otel_shadow.verdict.lines_read import Reading
from otel_shadow.verdict.rows import Rows, numbers, probabilities

_SAMPLES = 10
_MADE = {"pair": "event", "simulated": "clock", "anonymous": "has_session"}
"""Fields of a kind that are made from another field of the line."""
KIND_FIELDS = tuple(_MADE.get(item.name, item.name) for item in fields(ExecutionKind) if item.name != "coded")
_COLUMNS = {"pair": "Q", "session": "Q", "time": "q", "kind": "l", "v1": "d", "v2": "d", "probability": "d",
            "process": "Q", "sequence": "d", "overhead": "d"}  # fmt: skip
ROW_FIELDS = (
    "pair_id",
    "trace_id",
    "session",
    "time",
    "v1_ms",
    "v2_ms",
    "probability",
    "process",
    "sequence",
    "overhead_ms",
)
_kind_fields = itemgetter(*KIND_FIELDS)
_BEAT_FIELDS = ("service", "process", "graph", "node", "time", "handed_over", "totals", "last", "build", "digest")
_TRUE_OR_NOT = ("fields_compared", "v1_rate_limited", "v2_rate_limited", "caused_by_shadow")
_AMOUNTS = ("holdout", "slot_seconds", "sample")
_read_fields = FieldReader((*KIND_FIELDS, *ROW_FIELDS))
_read_beat = FieldReader(_BEAT_FIELDS, needed=("process", "node", "timestamp"))


def kind_of(line: Mapping[str, Any], *, coded: bool = False) -> ExecutionKind:
    """Return the kind of execution that the fields of a line (those of ``KIND_FIELDS`` at least) tell of."""
    values = {name: line[name] for name in KIND_FIELDS}
    values["pair"] = values.pop("event") == semconv.EVENT_V2
    values["simulated"] = values.pop("clock") == SIMULATED
    values["anonymous"] = values.pop("has_session") is False
    values |= {name: values[name] is True for name in _TRUE_OR_NOT}
    values |= {name: None if math.isnan(values[name]) else values[name] for name in _AMOUNTS}
    values["served"] = values["served"] or semconv.VERSION_V1
    return ExecutionKind(coded=coded, **values)


class SummaryBuilder:
    """A collector of executions, and the maker of their summary."""

    def __init__(self) -> None:
        self._kinds: dict[ExecutionKind, int] = {}
        self._told: dict[tuple[Any, ...], tuple[ExecutionKind, int]] = {}
        self._samples: dict[ExecutionKind, set[Sample]] = {}
        self._blocks: list[Rows] = []
        self._beats: dict[BeatKey, Beat] = {}
        self._columns: dict[str, Any] = {name: array(code) for name, code in _COLUMNS.items()}

    def add(self, line: Mapping[str, Any], coded: bool = False) -> None:
        """Add the execution that a line object tells of; ``coded``: its code was verified.

        Raises:
            SchemaError: the line has another schema version.
            MalformedError: a key is missing or has a value that it can't have.
        """
        values = _read_fields(line)
        kind, place = self._kind_told(values, coded)
        identity = _pair_hash(values), text_hash(values["session"]), values["time"], place
        numbered = text_hash(values["process"]) if values["process"] else NO_PROCESS, values["sequence"]
        row = (*identity, values["v1_ms"], values["v2_ms"], values["probability"], *numbered, values["overhead_ms"])
        for column, value in zip(self._columns.values(), row, strict=True):
            column.append(value)
        if worth_a_sample(kind):
            self.sample(kind, [Sample(moment(values["time"]), values["pair_id"], values["trace_id"])])

    def add_beat(self, line: Mapping[str, Any], coded: bool = False) -> None:
        """Add what a heartbeat tells; arguments and raised errors are those of :meth:`add`."""
        values = _read_beat(line)
        beat = Beat(
            node=values["node"],
            graph=values["graph"],
            service=values["service"],
            build=values["build"],
            digest=values["digest"],
            process=text_hash(values["process"]),
            time=values["time"],
            handed_over=_whole(values["handed_over"]),
            totals=tuple(sorted((event_of(name), _whole(number)) for name, number in values["totals"].items())),
            last=values["last"] is True,
            coded=coded,
        )
        self._beats[beat.key] = latest(self._beats.get(beat.key, beat), beat)

    def add_columns(self, kind: ExecutionKind, columns: Mapping[str, NDArray[Any]]) -> None:
        """Add executions of one kind; ``columns`` are hashes, milliseconds since 1970 and latencies in ms by name."""
        kinds = np.full(len(columns["time"]), self._kind(kind), np.int32)
        self._blocks.append(_rows({**columns, "kind": kinds}))

    def sample(self, kind: ExecutionKind, samples: Iterable[Sample]) -> None:
        """Offer pairs to look at: the first few are kept."""
        kept = self._samples.setdefault(kind, set())
        kept.update(samples)
        if len(kept) > 8 * _SAMPLES:
            self._samples[kind] = set(sorted(kept)[:_SAMPLES])

    def summary(self, reading: Reading) -> Summary:
        """Return everything so far; ``reading`` says what became of the lines."""
        ones = _rows({name: np.array(values) for name, values in self._columns.items()})
        samples = {kind: tuple(sorted(kept)[:_SAMPLES]) for kind, kept in self._samples.items()}
        rows = Rows.joined([*self._blocks, ones])
        return Summary(rows, tuple(self._kinds), samples=samples, reading=reading, beats=self._beats.values())

    def _kind_told(self, values: Fields, coded: bool) -> tuple[ExecutionKind, int]:
        """Return the kind that the fields of a line make, and its place: of thousands of lines it is made once."""
        told = coded, *_kind_fields(values)
        known = self._told.get(told)
        if known is None:
            kind = kind_of(values, coded=coded)
            known = self._told[told] = kind, self._kind(kind)
        return known

    def _kind(self, kind: ExecutionKind) -> int:
        return self._kinds.setdefault(kind, len(self._kinds))


def _rows(columns: Mapping[str, NDArray[Any]]) -> Rows:
    return Rows(
        columns["pair"].astype(np.uint64),
        columns["session"].astype(np.uint64),
        columns["time"].astype(np.int64),
        columns["kind"].astype(np.int32),
        buckets(columns["v1"]),
        buckets(columns["v2"]),
        probabilities(columns["probability"]),
        columns["process"].astype(np.uint64),
        numbers(columns["sequence"]),
        buckets(columns["overhead"]),
    )


def _whole(number: Any) -> int:
    """Return a count that a line tells; 0 where it is none."""
    try:
        return int(min(max(float(number), 0.0), 2.0**53))
    except (TypeError, ValueError, OverflowError):
        return 0


def _pair_hash(values: Fields) -> int:
    """Return the identity of the line's pair: a pair and a baseline of the same id are two things."""
    return text_hash(f"{values['pair_id']}|{values['event']}")


def worth_a_sample(kind: ExecutionKind) -> bool:
    """Return whether such a pair is worth opening: it differs, V2 failed, or V1 did not serve."""
    return (kind.compared and not kind.matched) or kind.failed or kind.v1_served is False
