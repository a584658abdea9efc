"""The keyed code of a log line, by which evidence tells lines of otel-shadow from text that somebody made V1 log.

The code is an HMAC-SHA-256 over the values of ``COVERED``, each in the form that its type in ``log_line.KEYS`` has for
whoever reads it: a shipper may reorder keys, add some, drop nulls and empty lists, and write ``1`` as ``1.0`` or
``"1"``, ``true`` as ``"true"``, a table as its JSON text. Its key is derived one way from that of the hashes: who can
verify lines can make lines, and can't compute the hash of a phone number.
"""

from __future__ import annotations

import hmac
import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from otel_shadow import semconv
from otel_shadow.errors import ConfigError
from otel_shadow.hash_key import given_secret, stretched
from otel_shadow.log_line import KEYS, Type

HEX_DIGITS = 16
"""64 bits: of four billion lines made up by somebody without the key, one passes with a probability of 2 to the -32,
and no guess can be checked but by a verdict. More would cost each line more."""
COVERED = (
    "event", "schema", "pair_id", "session_id", "has_session_id", "timestamp", "clock", "graph", "node", "mode", "arm",
    "intent", "user_message_hash", "v1_latency_ms", "v1_status", "v1_error_type", "v1_served", "overhead_ms",
    "v2_build", "config_digest", "key_id", "trace_id", "shadow_status", "v2_status", "shadow_latency_ms",
    "v2_latency_ms", "v2_error_type", "v2_location", "queue_ms", "executor", "decision_comparison.original_target",
    "decision_comparison.shadow_target", "decision_comparison.decisions_match", "original_target", "comparison",
    "steps_match", "v1_current_step", "v2_current_step", "diff_fields", "fields_compared", "comparison_error_type",
    "self_match", "observed.v1", "observed.v2", "tokens", "blocked_tools", "reason", "served", "fallback_reason",
    "service", "probability", "sample", "holdout", "slot_seconds", "percentage", "v1_rate_limited", "v2_rate_limited",
    "side", "first_part_ms", "caused_by_shadow", "process", "sequence", "handed_over", "totals", "last",
)  # fmt: skip
"""Every fact of a line; not what repeats another for people, nor ids of spans.

A key may be added: lines that have it not keep their codes. To take one away, or to change a type, raises ``schema``.
"""

_LABEL = b"\xffotel-shadow verify key"
"""Begins with a byte that UTF-8 has not: the hash of no message and of no id is a part of the derived key."""
_KEY = re.compile(r"[0-9a-f]{64}")
_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)


def code_of(line: Mapping[str, Any], verify_key: bytes) -> str:
    """Return the code of ``line``, whatever its own ``code`` says: 16 hex digits.

    Arguments:
        line: as it is written (long values cut), or as a shipper has left it.
        verify_key: 32 bytes, as :func:`environment_key` returns them.
    """
    return hmac.digest(verify_key, canonical(line), "sha256").hex()[:HEX_DIGITS]


def verifies(line: Mapping[str, Any], verify_key: bytes) -> bool:
    """Return whether ``line`` has a code, and just that which it should have. Raises nothing, whatever the line is."""
    code = line.get("code")
    return isinstance(code, str) and hmac.compare_digest(
        code.encode("utf-8", "replace"), code_of(line, verify_key).encode()
    )


def derived_key(hash_key: bytes) -> bytes:
    """Return the 32 bytes with which lines are verified, made of the (stretched) key of the hashes."""
    return hmac.digest(hash_key, _LABEL, "sha256")


def environment_key() -> bytes | None:
    """Return the key of ``OTEL_SHADOW_VERIFY_KEY``, else that made of ``OTEL_SHADOW_HASH_KEY``; None without both.

    Raises:
        ConfigError: ``OTEL_SHADOW_VERIFY_KEY`` is no such key.
    """
    given = os.environ.get(semconv.ENV_VERIFY_KEY, "").strip().lower()
    if given:
        if not _KEY.fullmatch(given):
            raise ConfigError(
                [f"{semconv.ENV_VERIFY_KEY}: expected the 64 hex digits that otel-shadow doctor --verify-key prints"]
            )
        return bytes.fromhex(given)
    secret = given_secret()
    return derived_key(stretched(secret)) if secret else None


# --- the canonical form ----------------------------------------------------------------------------------------------
def canonical(line: Mapping[str, Any]) -> bytes:
    """Return what the code is computed over: those of ``COVERED`` that have a value, as a JSON object in that order."""
    found: dict[str, Any] = {}
    get = line.get
    for name, convert in _PLAIN:
        if (value := get(name)) is not None and (value := convert(value)) is not None:
            found[name] = value
    for table, inside in _INSIDE:
        within = _table(get(table)).get
        for name, whole, convert in inside:
            if (value := within(name)) is not None and (value := convert(value)) is not None:
                found[whole] = value
    return _to_json(found).encode("utf-8", "replace")


_to_json = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value or None
    return _scalar(int(value) if isinstance(value, float) and value.is_integer() else value)


def _scalar(value: Any) -> str:
    """Return a scalar as text, and of anything else the type alone: no line of ours has it here."""
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        return str(value) if isinstance(value, int | float | str) else type(value).__name__
    except ValueError:  # an integer of 5,000 digits
        return "number"


def _number(value: Any) -> float | None:
    if isinstance(value, float):
        return value + 0.0  # a negative zero is zero
    try:
        return float(value) + 0.0 if isinstance(value, int | str) else None
    except (ValueError, OverflowError):
        return None


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return bool(value) if isinstance(value, int | float) else None


def _time(value: Any) -> int | str | None:
    """Return milliseconds since 1970: a shipper may write the same time in another way."""
    try:
        at = datetime.fromisoformat(value)
        return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND
    except (ValueError, TypeError, OverflowError):
        return _text(value)


def _names(value: Any) -> list[str] | None:
    listed = _parsed(value)
    if isinstance(listed, str):
        listed = [listed] if listed else []
    if not listed or not isinstance(listed, list):
        return None
    return sorted({_scalar(item) for item in listed if item is not None}) or None


def _table(value: Any) -> Mapping[str, Any]:
    table = _parsed(value)
    return table if isinstance(table, dict) else _NOTHING


def _parsed(value: Any) -> Any:
    """Return what a text of JSON stands for."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _items(value: Any) -> list[tuple[str, bool | float | str]] | None:
    """Return the entries of a table whose keys the schema does not know; text is the number or flag that it shows."""
    table = _table(value)
    return sorted((name, _guessed(item)) for name, item in table.items() if item is not None) if table else None


def _guessed(value: Any) -> bool | float | str:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and (flag := _flag(value)) is not None:
        return flag
    number = _number(value)
    return _scalar(value) if number is None else number


_NOTHING: Mapping[str, Any] = {}
_CONVERT: Mapping[Type, Callable[[Any], Any]] = {
    "text": _text,
    "time": _time,
    "number": _number,
    "version": _number,
    "flag": _flag,
    "names": _names,
    "table": _items,
}
_COVERED_KEYS = [next(key for key in KEYS if key.name == name) for name in COVERED]
_PLAIN = [(key.name, _CONVERT[key.type]) for key in _COVERED_KEYS if len(key.path) == 1]
_INSIDE = [
    (table, [(key.path[1], key.name, _CONVERT[key.type]) for key in _COVERED_KEYS if key.path[:-1] == (table,)])
    for table in dict.fromkeys(key.path[0] for key in _COVERED_KEYS if len(key.path) > 1)
]
"""Those that stand in a table come last."""
