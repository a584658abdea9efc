"""The log line contract: a record as JSON objects, one line each, at most 4,096 bytes.

A pair makes two lines (``SHADOW_V2`` carries everything the verdict needs, ``SHADOW_COMPARISON`` is for people and
``jq``), everything else one ``SHADOW_BASELINE``. ``pair_id`` is the key of deduplication. Adding a key is compatible;
changing one raises ``schema``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from otel_shadow import semconv
from otel_shadow.record import Observation, ShadowRecord

Line = dict[str, Any]

_MARK = "…"
_LONGEST_FIELD = 128
_CUTTABLE = frozenset(
    {
        "graph", "node", "node_name", "original_stage", "shadow_stage", "v1_current_step", "v2_current_step", "intent",
        "reason", "original_target", "decision_comparison", "diff_fields", "observed", "tokens", "blocked_tools",
        "v1_error_type", "v2_error_type", "comparison_error_type", "v2_build",
    }
)  # fmt: skip
"""Keys whose values come from the user's code. All others are of a known, small size, and are never cut."""


def lines(record: ShadowRecord) -> list[Line]:
    """The line objects of ``record``, in the order they are written."""
    if record.v2 is None or not record.v2.status.started or record.served == "v2" or record.fallback_reason:
        return [_baseline(record)]
    return [_execution(record, record.v2), _comparison(record, record.v2)]


def encode(line: Line) -> bytes:
    """``line`` as one JSON line, newline included, at most 4,096 bytes.

    A longer line has the long strings, lists and tables of the user's own names cut and marked with ``…`` and
    ``"truncated": true``; the keys of the contract stay.
    """
    data = _dump(line)
    room = _LONGEST_FIELD
    while len(data) > semconv.LINE_MAX_BYTES and room:
        cut = {key: _cut(item, room) if key in _CUTTABLE else item for key, item in line.items()}
        data = _dump({**cut, "truncated": True})
        room //= 2
    return data


def _dump(line: Line) -> bytes:
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace") + b"\n"


def _cut(value: Any, room: int) -> Any:
    """Strings to ``room`` characters, lists to a quarter as many items, tables to as many entries."""
    if isinstance(value, str):
        return value if len(value) <= room else value[: room - 1] + _MARK
    if isinstance(value, list):
        kept = value[: max(room // 4, 1)]
        return [_cut(item, room) for item in kept] + ([_MARK] if len(kept) < len(value) else [])
    if isinstance(value, dict):
        return {_cut(key, max(room, 16)): _cut(item, room) for key, item in list(value.items())[: max(room, 3)]}
    return value


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds and ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(seconds: float | None) -> float | None:
    """Seconds as milliseconds with three decimals."""
    return None if seconds is None else round(seconds * 1000.0, 3)


def _execution(record: ShadowRecord, v2: Observation) -> Line:
    comparison = record.comparison
    return {
        "event": semconv.EVENT_V2,
        "event_type": semconv.EVENT_TYPE_V2,
        "session_id": record.session_id,
        "user_message_hash": record.user_message_hash,
        "original_stage": record.v1.stage or record.node,
        "shadow_stage": v2.stage or record.node,
        "shadow_status": str(v2.status),
        "shadow_latency_ms": milliseconds(v2.latency_s),
        "decision_comparison": {
            "original_target": record.v1.target,
            "shadow_target": v2.target,
            "decisions_match": comparison.decisions_match,
        },
        "timestamp": timestamp(record.timestamp),
        **_common(record),
        "comparison": str(comparison.outcome),
        "steps_match": comparison.steps_match,
        "v1_current_step": record.v1.step,
        "v2_current_step": v2.step,
        "diff_fields": list(comparison.diff_fields),
        "fields_compared": comparison.compared_fields,
        "comparison_error_type": comparison.error_type,
        "self_match": comparison.self_match,
        "v2_error_type": v2.error_type,
        "v2_span_id": v2.span_id,
        "queue_ms": milliseconds(record.queue_s),
        "observed": {"v1": dict(record.v1.observed), "v2": dict(v2.observed)},
        "tokens": dict(record.tokens),
        "blocked_tools": list(record.blocked_tools),
    }


def _comparison(record: ShadowRecord, v2: Observation) -> Line:
    return {
        "event": semconv.EVENT_COMPARISON,
        "event_type": semconv.EVENT_TYPE_COMPARISON,
        "node_name": record.node,
        "session_id": record.session_id,
        "v1_current_step": record.v1.step,
        "v2_current_step": v2.step,
        "steps_match": record.comparison.steps_match,
        "v2_latency_ms": milliseconds(v2.latency_s),
        "v2_status": str(v2.status),
        "timestamp": timestamp(record.timestamp),
        **_common(record),
        "comparison": str(record.comparison.outcome),
        "decisions_match": record.comparison.decisions_match,
        "diff_fields": list(record.comparison.diff_fields),
    }


def _baseline(record: ShadowRecord) -> Line:
    v2 = record.v2
    return {
        "event": semconv.EVENT_BASELINE,
        "event_type": semconv.EVENT_TYPE_BASELINE,
        "session_id": record.session_id,
        "user_message_hash": record.user_message_hash,
        "reason": record.reason or (str(v2.status) if v2 and not v2.status.started else None),
        "original_target": record.v1.target,
        "timestamp": timestamp(record.timestamp),
        **_common(record),
        "served": record.served,
        "fallback_reason": record.fallback_reason,
        "v2_status": str(v2.status) if v2 else None,
        "v2_latency_ms": milliseconds(v2.latency_s) if v2 else None,
        "v2_error_type": v2.error_type if v2 else None,
        "v2_span_id": v2.span_id if v2 else None,
        "observed": {"v1": dict(record.v1.observed), "v2": dict(v2.observed) if v2 else {}},
    }


def _common(record: ShadowRecord) -> Line:
    return {
        "schema": semconv.LINE_SCHEMA,
        "pair_id": record.pair_id,
        "graph": record.graph,
        "node": record.node,
        "mode": str(record.mode),
        "arm": str(record.arm),
        "intent": record.intent,
        "v1_latency_ms": milliseconds(record.v1.latency_s),
        "v1_status": str(record.v1.status),
        "v1_error_type": record.v1.error_type,
        "v1_served": record.v1_served,
        "overhead_ms": milliseconds(record.overhead_s),
        "v2_build": record.v2_build,
        "config_digest": record.config_digest,
        "key_id": record.key_id,
        "clock": record.clock,
        "trace_id": record.trace_id,
        "v1_span_id": record.v1.span_id,
    }
