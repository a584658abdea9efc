"""The log line: its keys as data, and the writer that is made from them.

The reader (``evidence.line_fields``), the columns of DuckDB and the table in ``docs/telemetry.md`` come from the same
data. A pair makes two lines (``SHADOW_V2`` carries everything the verdict needs, ``SHADOW_COMPARISON`` is for people
and ``jq``), everything else one ``SHADOW_BASELINE``, and a process tells its totals in ``SHADOW_HEARTBEAT`` lines; each
is one JSON object of at most 4,096 bytes. ``pair_id`` is the key of deduplication. Adding a key is compatible; changing
one raises ``schema``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from otel_shadow import semconv
from otel_shadow.record import Heartbeat, Observation, ShadowRecord, Status

Line = dict[str, Any]
Type = Literal["text", "time", "number", "version", "flag", "names", "table"]
FromRecord = Callable[[ShadowRecord, Observation], Any]

_EVENT_TYPES = {
    semconv.EVENT_V2: semconv.EVENT_TYPE_V2,
    semconv.EVENT_COMPARISON: semconv.EVENT_TYPE_COMPARISON,
    semconv.EVENT_BASELINE: semconv.EVENT_TYPE_BASELINE,
    semconv.EVENT_HEARTBEAT: semconv.EVENT_TYPE_HEARTBEAT,
}
_NEVER = Observation(Status.NOT_RUN)
_MARK = "…"
_LONGEST_FIELD = 128


def event_of(total: str) -> str:
    """Return the event of which a heartbeat's line tells a total, by its type; ``unlogged`` is no event, and stays."""
    return next((event for event, name in _EVENT_TYPES.items() if name == total), total)


def timestamp(moment: datetime) -> str:
    """Return ``moment`` as RFC 3339 in UTC with milliseconds and ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def milliseconds(seconds: float | None) -> float | None:
    """Return ``seconds`` as milliseconds with three decimals."""
    return None if seconds is None else round(seconds * 1000.0, 3)


# --- the schema -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Key:
    """One key of the log line.

    Arguments:
        name: as it is written; ``table.key`` for a key inside a table.
        type: what its value is.
        meaning: one sentence for the documentation.
        source: its value, from the record and V2's observation (one that never ran, where there is none). None where
            the writer knows the value itself: the event, and a table that is made of its own keys.
        read_as: name of the field that evidence and calibration read; empty if neither does. Of several keys of one
            field the first that has a value counts, those inside a table first.
        nullable: whether the value may be null.
        cut: whether it holds the user's own words, of any length, and may be cut where the line is too long.
        needed: whether a line without it can't be read.
    """

    name: str
    type: Type
    meaning: str
    source: FromRecord | None = None
    read_as: str = ""
    nullable: bool = False
    cut: bool = False
    needed: bool = False

    @property
    def path(self) -> tuple[str, ...]:
        """The name in its parts: a key inside a table has two."""
        return tuple(self.name.split("."))


KEYS = (
    Key("event", "text", "Which of the four lines it is.", read_as="event"),
    Key("event_type", "text",
        "The same in words: `shadow_v2_execution`, `shadow_comparison`, `shadow_baseline`, `shadow_heartbeat`."),
    Key("schema", "version", "Version of this contract.", lambda r, v2: semconv.LINE_SCHEMA, "schema"),
    Key("pair_id", "text", "The same on both lines and both spans of a pair: the key of deduplication.",
        lambda r, v2: r.pair_id, "pair_id", nullable=True, needed=True),
    Key("session_id", "text", "Session; hashed unless it matches the safe pattern.",
        lambda r, v2: r.session_id, "session", nullable=True, needed=True),
    Key("has_session_id", "flag", "Whether the run had a session id; a run without one is a session of its own.",
        lambda r, v2: r.has_session_id, "has_session"),
    Key("timestamp", "time", "When V1 started.", lambda r, v2: timestamp(r.timestamp), "time", needed=True),
    Key("clock", "text", "`system`, or `simulated` where the time was made up, as in a demo.",
        lambda r, v2: r.clock, "clock"),
    Key("graph", "text", "The graph's name.", lambda r, v2: r.graph, "graph", cut=True),
    Key("node", "text", "The node's name.", lambda r, v2: r.node, "node", cut=True, needed=True),
    Key("node_name", "text", "The node's name again.", lambda r, v2: r.node, cut=True),
    Key("mode", "text", "`v2_shadow`, `v2_live` or `v1_only`.", lambda r, v2: str(r.mode), "mode", nullable=True),
    Key("arm", "text", "`shadowed` or `holdout`.", lambda r, v2: str(r.arm), "arm", nullable=True),
    Key("intent", "text", "The session's declared intent, else `_other`.",
        lambda r, v2: r.intent, "intent", nullable=True, cut=True),
    Key("user_message_hash", "text", "Keyed hash of the user's message.",
        lambda r, v2: r.user_message_hash, "message_hash", nullable=True),
    Key("v1_latency_ms", "number", "V1 from entry to exit in milliseconds, with what shadowing added.",
        lambda r, v2: milliseconds(r.v1.latency_s), "v1_ms", nullable=True),
    Key("v1_status", "text", "What became of V1: `success`, `error`, `interrupt`, `cancelled`, `not_run`.",
        lambda r, v2: str(r.v1.status), "v1_status", nullable=True),
    Key("v1_error_type", "text", "Class of V1's exception.",
        lambda r, v2: r.v1.error_type, "v1_error_type", nullable=True, cut=True),
    Key("v1_served", "flag", "Whether the caller got the very object (or exception) that V1 produced.",
        lambda r, v2: r.v1_served, "v1_served", nullable=True),
    Key("overhead_ms", "number", "Milliseconds that shadowing added on V1's path.",
        lambda r, v2: milliseconds(r.overhead_s), "overhead_ms"),
    Key("v2_build", "text", "Which V2.", lambda r, v2: r.v2_build, "build", cut=True),
    Key("config_digest", "text", "Changes with whatever changes the pairs.", lambda r, v2: r.config_digest, "digest"),
    Key("key_id", "text", "Which key the hashes were made with.", lambda r, v2: r.key_id, "key_id"),
    Key("trace_id", "text", "Trace of both spans.", lambda r, v2: r.trace_id, "trace_id", nullable=True),
    Key("v1_span_id", "text", "V1's span.", lambda r, v2: r.v1.span_id, nullable=True),
    Key("original_stage", "text", "V1's stage, else the node.", lambda r, v2: r.v1.stage or r.node, cut=True),
    Key("shadow_stage", "text", "V2's stage, else the node.", lambda r, v2: v2.stage or r.node, cut=True),
    Key("shadow_status", "text", "What became of V2: `success`, `error`, `timeout`, `interrupt`, `cancelled`.",
        lambda r, v2: str(v2.status), "v2_status"),
    Key("v2_status", "text", "What became of V2; in a baseline also why it never ran: `shed`, `breaker_open`, …",
        lambda r, v2: str(v2.status) if r.v2 else None, "v2_status", nullable=True),
    Key("shadow_latency_ms", "number", "V2 from entry to exit in milliseconds.",
        lambda r, v2: milliseconds(v2.latency_s), "v2_ms", nullable=True),
    Key("v2_latency_ms", "number", "V2 from entry to exit in milliseconds.",
        lambda r, v2: milliseconds(v2.latency_s), "v2_ms", nullable=True),
    Key("v2_error_type", "text", "Class of V2's exception.",
        lambda r, v2: v2.error_type, "v2_error_type", nullable=True, cut=True),
    Key("v2_location", "text", "Where in the code V2 failed, as `module:line`: the deepest frame in your own code.",
        lambda r, v2: v2.location, nullable=True, cut=True),
    Key("v2_span_id", "text", "V2's span.", lambda r, v2: v2.span_id, nullable=True),
    Key("queue_ms", "number", "Milliseconds for which the shadow waited to start.",
        lambda r, v2: milliseconds(r.queue_s)),
    Key("executor", "text", "Where V2 ran: `thread`, `loop` (the application's event loop), `process`.",
        lambda r, v2: r.executor, nullable=True),
    Key("decision_comparison", "table", "Where V1 went, and V2 would have gone.", cut=True),
    Key("decision_comparison.original_target", "text", "Where V1 went.",
        lambda r, v2: r.v1.target, "original_target", nullable=True),
    Key("decision_comparison.shadow_target", "text", "Where V2 would have gone.",
        lambda r, v2: v2.target, "shadow_target", nullable=True),
    Key("decision_comparison.decisions_match", "flag", "Whether they agree.",
        lambda r, v2: r.comparison.decisions_match, "decisions_match", nullable=True),
    Key("original_target", "text", "Where V1 went.",
        lambda r, v2: r.v1.target, "original_target", nullable=True, cut=True),
    Key("decisions_match", "flag", "Whether V2 would have gone where V1 went.",
        lambda r, v2: r.comparison.decisions_match, nullable=True),
    Key("comparison", "text", "`match`, `mismatch`, `error` (the comparator's) or `none` (nothing to compare).",
        lambda r, v2: str(r.comparison.outcome), "comparison"),
    Key("steps_match", "flag", "Whether both end in the same step.",
        lambda r, v2: r.comparison.steps_match, "steps_match", nullable=True),
    Key("v1_current_step", "text", "V1's step, a declared one, else `_other`.",
        lambda r, v2: r.v1.step, "v1_step", nullable=True, cut=True),
    Key("v2_current_step", "text", "V2's step, a declared one, else `_other`.",
        lambda r, v2: v2.step, "v2_step", nullable=True, cut=True),
    Key("diff_fields", "names", "Top-level fields that differ; never their values.",
        lambda r, v2: list(r.comparison.diff_fields), "diff_fields", cut=True),
    Key("fields_compared", "flag", "Whether these fields decide the comparison, or are only shown.",
        lambda r, v2: r.comparison.compared_fields, "fields_compared"),
    Key("comparison_error_type", "text", "Class of the comparator's exception.",
        lambda r, v2: r.comparison.error_type, nullable=True, cut=True),
    Key("self_match", "flag", "Whether V1 agrees with itself, where it ran twice to measure the noise.",
        lambda r, v2: r.comparison.self_match, "self_match", nullable=True),
    Key("observed", "table", "What `[nodes.X.observe]` names, of each version.", cut=True),
    Key("observed.v1", "table", "Names and values of V1.", lambda r, v2: dict(r.v1.observed), "observed_v1"),
    Key("observed.v2", "table", "Names and values of V2.", lambda r, v2: dict(v2.observed), "observed_v2"),
    Key("tokens", "table", "Tokens that V2's models spent, by type.", lambda r, v2: dict(r.tokens), cut=True),
    Key("blocked_tools", "names", "Tools that the side-effect guard blocked.",
        lambda r, v2: list(r.blocked_tools), cut=True),
    Key("reason", "text", "Why there was no shadow: `holdout`, `sampled_out`, `shed:…`, `retry`, `not_captured:…`, …",
        lambda r, v2: r.reason or (str(v2.status) if r.v2 and not v2.status.started else None), "reason",
        nullable=True, cut=True),
    Key("served", "text", "The version whose answer the user got.", lambda r, v2: r.served, "served"),
    Key("fallback_reason", "text", "Why V1 answered a live execution in V2's stead.",
        lambda r, v2: r.fallback_reason, "fallback_reason", nullable=True),
    Key("service", "text", "`service.name`.", lambda r, v2: r.service or None, "service", nullable=True, cut=True),
    Key("probability", "number",
        "Probability with which such an execution was shadowed: sample × adaptive × ordinary slots.",
        lambda r, v2: r.probability, "probability", nullable=True),
    Key("sample", "number", "Share of the sessions that the node's shadow runs for.",
        lambda r, v2: r.sample, "sample", nullable=True),
    Key("holdout", "number", "Share of the time in which no shadow starts.",
        lambda r, v2: r.holdout, "holdout", nullable=True),
    Key("slot_seconds", "number", "Length of a slot of time in seconds.",
        lambda r, v2: r.slot_seconds, "slot_seconds", nullable=True),
    Key("percentage", "number", "Per cent of the sessions that V2 serves.",
        lambda r, v2: r.percentage, "percentage", nullable=True),
    Key("v1_rate_limited", "flag", "Whether V1 failed because a service answered 429 (too many requests).",
        lambda r, v2: r.v1.rate_limited, "v1_rate_limited"),
    Key("v2_rate_limited", "flag", "Whether V2 failed because a service answered 429 (too many requests).",
        lambda r, v2: v2.rate_limited, "v2_rate_limited"),
    Key("side", "text", "The version that serves the run as a whole.",
        lambda r, v2: r.side, "side", nullable=True),
    Key("first_part_ms", "number", "Milliseconds until the first part of V1's answer, where it streams.",
        lambda r, v2: milliseconds(r.first_part_s), "first_part_ms", nullable=True),
    Key("caused_by_shadow", "flag",
        "Whether a shadow run made the call: one here, or that of a caller who is believed.",
        lambda r, v2: r.caused_by_shadow, "caused_by_shadow", nullable=True),
    Key("process", "text", "An id of the process that wrote the line.",
        lambda r, v2: r.process or None, "process", nullable=True),
    Key("sequence", "number", "Number of the line among those of its process, graph, node and event, from 1.",
        lambda r, v2: r.sequence, "sequence", nullable=True),
    Key("handed_over", "number", "Executions of the node in this process that a line was due of, so far.",
        read_as="handed_over"),
    Key("totals", "table",
        "Records of the node that this process has made so far, by the `event_type` of their first line.",
        read_as="totals"),
    Key("last", "flag", "Whether the process ends.", read_as="last"),
    Key("code", "text", "Keyed code of the line, by which it is told from a forged one.",
        lambda r, v2: None, "code", nullable=True),
)  # fmt: skip
"""Every key, each once, with all that is known of it."""

_EVERY_LINE = (
    "schema", "pair_id", "graph", "node", "mode", "arm", "intent", "v1_latency_ms", "v1_status", "v1_error_type",
    "v1_served", "overhead_ms", "v2_build", "config_digest", "key_id", "clock", "trace_id", "v1_span_id",
    "has_session_id",
)  # fmt: skip
_EVIDENCE = (
    "service", "probability", "sample", "holdout", "slot_seconds", "percentage", "v1_rate_limited", "side",
    "first_part_ms", "caused_by_shadow", "process", "sequence", "code",
)  # fmt: skip
ORDER: Mapping[str, tuple[str, ...]] = {
    semconv.EVENT_V2: (
        "event", "event_type", "session_id", "user_message_hash", "original_stage", "shadow_stage", "shadow_status",
        "shadow_latency_ms", "decision_comparison", "timestamp", *_EVERY_LINE, "comparison", "steps_match",
        "v1_current_step", "v2_current_step", "diff_fields", "fields_compared", "comparison_error_type", "self_match",
        "v2_error_type", "v2_location", "v2_span_id", "queue_ms", "executor", "observed", "tokens", "blocked_tools",
        "v2_rate_limited", *_EVIDENCE,
    ),
    semconv.EVENT_COMPARISON: (
        "event", "event_type", "node_name", "session_id", "v1_current_step", "v2_current_step", "steps_match",
        "v2_latency_ms", "v2_status", "timestamp", *_EVERY_LINE, "comparison", "decisions_match", "diff_fields",
        "process", "sequence",
    ),
    semconv.EVENT_BASELINE: (
        "event", "event_type", "session_id", "user_message_hash", "reason", "original_target", "timestamp",
        *_EVERY_LINE, "served", "fallback_reason", "v2_status", "v2_latency_ms", "v2_error_type", "v2_location",
        "v2_span_id", "observed", *_EVIDENCE,
    ),
    semconv.EVENT_HEARTBEAT: (
        "event", "event_type", "session_id", "pair_id", "mode", "arm", "v1_latency_ms", "v1_status", "v1_served",
        "trace_id", "v1_span_id", "timestamp", "schema", "service", "process", "graph", "node", "handed_over", "totals",
        "last", "v2_build", "config_digest", "key_id", "clock", "code",
    ),
}  # fmt: skip
"""The keys of each event in the order in which they are written; tools read the first ones."""
_OF_AN_EXECUTION = (
    "session_id", "pair_id", "mode", "arm", "v1_latency_ms", "v1_status", "v1_served", "trace_id", "v1_span_id",
)  # fmt: skip
"""Keys that every line has: null in a heartbeat, which tells of many executions."""
_CUTTABLE = frozenset(key.name for key in KEYS if key.cut)


# --- the writer -----------------------------------------------------------------------------------------------------
def lines(record: ShadowRecord) -> list[Line]:
    """Return the line objects of ``record`` in the order in which they are written."""
    v2 = record.v2 or _NEVER
    if not record.is_pair:
        return [{name: source(record, v2) for name, source in _BASELINE}]
    pair = {name: source(record, v2) for name, source in _PAIR}
    return [pair, {name: pair[name] if source is None else source(record, v2) for name, source in _FOR_PEOPLE}]


def heartbeat_line(beat: Heartbeat) -> Line:
    """Return the line object of ``beat``; its totals have the events' types, so that ``grep SHADOW_V2`` finds pairs."""
    values = dict.fromkeys(_OF_AN_EXECUTION) | {
        "event": semconv.EVENT_HEARTBEAT,
        "event_type": semconv.EVENT_TYPE_HEARTBEAT,
        "timestamp": timestamp(beat.timestamp),
        "schema": semconv.LINE_SCHEMA,
        "service": beat.service or None,
        "totals": {_EVENT_TYPES.get(event, event): count for event, count in beat.totals.items()},
        "code": None,
    }
    return {name: values[name] if name in values else getattr(beat, name) for name in ORDER[semconv.EVENT_HEARTBEAT]}


def _source(key: Key) -> FromRecord:
    """Return what makes the value of ``key``: its own source, or a table of what the keys inside it make."""
    if key.source is not None:
        return key.source
    inside = [(one.path[1], _source(one)) for one in KEYS if len(one.path) > 1 and one.path[0] == key.name]
    return lambda record, v2: {name: source(record, v2) for name, source in inside}


def _sources(event: str) -> list[tuple[str, FromRecord]]:
    """Return the names of the keys of ``event`` in their order, each with what makes its value."""
    own = {"event": lambda record, v2: event, "event_type": lambda record, v2: _EVENT_TYPES[event]}
    known = {key.name: _source(key) for key in KEYS} | own
    return [(name, known[name]) for name in ORDER[event]]


_BASELINE, _PAIR = _sources(semconv.EVENT_BASELINE), _sources(semconv.EVENT_V2)
_FOR_PEOPLE = [
    (name, None if name in ORDER[semconv.EVENT_V2] and not name.startswith("event") else source)
    for name, source in _sources(semconv.EVENT_COMPARISON)
]
"""Values that the pair's first line has already are taken from there: None."""
_to_json = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")).encode


def encode(line: Line, code_of: Callable[[Line], str] | None = None) -> bytes:
    """Return ``line`` as one JSON line, newline included, at most 4,096 bytes.

    A longer line has the long strings, lists and tables of the user's own names cut and marked with ``…`` and
    ``"truncated": true``; the keys of the contract stay.

    Arguments:
        line: made by :func:`lines` or :func:`heartbeat_line`.
        code_of: computes the code of a line that has one, after cutting; None: it stays null.
    """
    data = _dump(_coded(line, code_of))
    room = _LONGEST_FIELD
    while len(data) > semconv.LINE_MAX_BYTES and room:
        cut = {key: _cut(item, room) if key in _CUTTABLE else item for key, item in line.items()}
        data = _dump(_coded({**cut, "truncated": True}, code_of))
        room //= 2
    return data


def _coded(line: Line, code_of: Callable[[Line], str] | None) -> Line:
    return line if code_of is None or "code" not in line else {**line, "code": code_of(line)}


def _dump(line: Line) -> bytes:
    return _to_json(line).encode("utf-8", "replace") + b"\n"


def _cut(value: Any, room: int) -> Any:
    """Cut strings to ``room`` characters, lists to a quarter as many items, tables to as many entries."""
    if isinstance(value, str):
        return value if len(value) <= room else value[: room - 1] + _MARK
    if isinstance(value, list):
        kept = value[: max(room // 4, 1)]
        return [_cut(item, room) for item in kept] + ([_MARK] if len(kept) < len(value) else [])
    if isinstance(value, dict):
        return {_cut(key, max(room, 16)): _cut(item, room) for key, item in list(value.items())[: max(room, 3)]}
    return value
