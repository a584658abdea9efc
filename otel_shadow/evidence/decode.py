"""One object of the log line contract as a row of the summary, and how to find such objects in odd lines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from otel_shadow import semconv
from otel_shadow.verdict.execution_kind import Signature
from otel_shadow.verdict.hashes import text_hash

USED = frozenset({semconv.EVENT_V2, semconv.EVENT_BASELINE})
_OURS = USED | {semconv.EVENT_COMPARISON}
_DEPTH = 12
SIMULATED = "simulated"
"""Value of the line's ``clock`` where its time is not the wall clock's."""


class MalformedError(ValueError):
    """A line of ours that breaks the contract; the message says how."""


class SchemaError(ValueError):
    """A line of another schema version; the message is the version."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One row: see ``verdict.Rows`` and ``verdict.Sample``."""

    signature: Signature
    pair: int
    session: int
    time: int
    v1_ms: float
    v2_ms: float
    pair_id: str
    trace_id: str


def pair_hash(pair_id: str, event: str) -> int:
    """Identity of a pair's line: a pair and a baseline of the same id are two things."""
    return text_hash(f"{pair_id}|{event}")


def execution(line: Mapping[str, Any]) -> Execution:
    """``line`` (a SHADOW_V2 or SHADOW_BASELINE object) as a row.

    Raises:
        SchemaError: another schema version.
        MalformedError: a key is missing or has a value that it can't have.
    """
    if str(line.get("schema")) != str(semconv.LINE_SCHEMA):
        raise SchemaError(_schema_name(line.get("schema")))
    pair_id, session, node = (_needed(line, key) for key in ("pair_id", "session_id", "node"))
    event = str(line["event"])
    return Execution(
        signature(line, event, node),
        pair_hash(pair_id, event),
        text_hash(session),
        _time(line),
        _number(line, "v1_latency_ms"),
        _number(line, "shadow_latency_ms" if event == semconv.EVENT_V2 else "v2_latency_ms"),
        pair_id,
        _text(line, "trace_id"),
    )


def signature(line: Mapping[str, Any], event: str, node: str) -> Signature:
    """The kind of execution that a line tells of."""
    pair = event == semconv.EVENT_V2
    decision = line.get("decision_comparison") if pair else {"original_target": line.get("original_target")}
    decision = decision if isinstance(decision, Mapping) else {}
    return Signature(
        node=node,
        graph=_text(line, "graph"),
        pair=pair,
        mode=_text(line, "mode"),
        arm=_text(line, "arm"),
        v1_status=_text(line, "v1_status"),
        v1_served=_flag(line, "v1_served"),
        v2_status=_text(line, "shadow_status" if pair else "v2_status"),
        comparison=_text(line, "comparison"),
        decisions_match=_flag(decision, "decisions_match"),
        steps_match=_flag(line, "steps_match"),
        original_target=_text(decision, "original_target"),
        shadow_target=_text(decision, "shadow_target"),
        v1_step=_text(line, "v1_current_step"),
        v2_step=_text(line, "v2_current_step"),
        diff_fields=tuple(sorted({str(field) for field in line.get("diff_fields") or ()})),
        fields_compared=line.get("fields_compared") is True,
        self_match=_flag(line, "self_match"),
        intent=_text(line, "intent"),
        build=_text(line, "v2_build"),
        digest=_text(line, "config_digest"),
        key_id=_text(line, "key_id"),
        reason=_text(line, "reason"),
        served=_text(line, "served") or semconv.VERSION_V1,
        fallback_reason=_text(line, "fallback_reason"),
        v1_error_type=_text(line, "v1_error_type"),
        v2_error_type=_text(line, "v2_error_type"),
        simulated=line.get("clock") == SIMULATED,
    )


def objects(text: str) -> Iterator[dict[str, Any]]:
    """Our objects in a line of any form.

    Behind a prefix, as a JSON string inside JSON (container and collector formats, OTLP), however deep. Raises
    nothing; a line that only mentions our events has none.
    """
    yield from _in_text(text, 0)


def _in_text(text: str, depth: int) -> Iterator[dict[str, Any]]:
    start, decoder = text.find("{"), json.JSONDecoder()
    while start >= 0 and depth < _DEPTH:
        try:
            value, end = decoder.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError):
            end = start + 1
        else:
            yield from _in_value(value, depth)
        start = text.find("{", end)


def _in_value(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    if depth >= _DEPTH:
        return
    if isinstance(value, dict):
        if value.get("event") in _OURS:
            yield value
            return
        for item in value.values():
            yield from _in_value(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _in_value(item, depth + 1)
    elif isinstance(value, str) and "SHADOW_" in value:
        yield from _in_text(value, depth + 1)


def _schema_name(value: Any) -> str:
    return "none" if value is None else str(value)[:32]


def _needed(line: Mapping[str, Any], key: str) -> str:
    value = line.get(key)
    if not isinstance(value, str) or not value:
        raise MalformedError(f"{key} is {'missing' if value is None else 'not a text'}")
    return value


def _text(line: Mapping[str, Any], key: str) -> str:
    value = line.get(key)
    return "" if value is None else str(value)


def _flag(line: Mapping[str, Any], key: str) -> bool | None:
    value = line.get(key)
    return value if isinstance(value, bool) else None


def _number(line: Mapping[str, Any], key: str) -> float:
    value = line.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _time(line: Mapping[str, Any]) -> int:
    value = line.get("timestamp")
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        raise MalformedError("timestamp is not an RFC 3339 time") from None
    # A time without a zone is UTC: that is what the contract writes.
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
