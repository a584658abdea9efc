"""The fields of a log line, typed and checked: what evidence and calibration read, by the schema of ``log_line``."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from otel_shadow import semconv
from otel_shadow.log_line import KEYS, Key, Type

READ_EVENTS = frozenset({semconv.EVENT_V2, semconv.EVENT_BASELINE})
"""Lines that are evidence; the third kind repeats its pair for people."""
SIMULATED = "simulated"
"""Value of ``clock`` where the time is not the wall clock's."""


class MalformedError(ValueError):
    """A line of otel-shadow that breaks the schema; the message names the key and its fault."""


class SchemaError(ValueError):
    """A line of another schema version; the message is the version."""


Fields = dict[str, Any]
"""What was read of a line, by the names of ``Key.read_as``.

By type of the key: ``text`` a string, empty where there is none; ``time`` milliseconds since 1970 (UTC); ``number`` a
float or NaN; ``flag`` True, False or None; ``names`` sorted distinct strings; ``table`` a mapping.
"""


def keys_of(fields: Iterable[str]) -> list[Key]:
    """Return the keys from which ``fields`` are read; of several keys of one field those that count first.

    Raises:
        KeyError: no key is read as one of the fields.
    """
    wanted = frozenset(fields)
    found = [key for key in KEYS if key.read_as in wanted]
    if missing := wanted - {key.read_as for key in found}:
        raise KeyError(f"no key of the log line is read as {', '.join(sorted(missing))}")
    return sorted(found, key=lambda key: len(key.path), reverse=True)


class FieldReader:
    """A reader of some fields of line objects.

    Arguments:
        fields: names of ``Key.read_as``.
        needed: keys that are checked whether they are read or not; those that every line of evidence needs if None.
    """

    def __init__(self, fields: Iterable[str], needed: tuple[str, ...] | None = None) -> None:
        keys = keys_of(fields)
        self._needed = _NEEDED if needed is None else needed
        self._fields = {key.read_as: _ABSENT.get(key.type) for key in keys}
        # Backwards: of several keys of one field the one that counts is read last, and its value stays.
        self._plain = [(key.name, key.read_as, _CONVERT[key.type]) for key in reversed(keys) if len(key.path) == 1]
        self._inside = [
            (key.path[0], key.path[1], key.read_as, _CONVERT[key.type]) for key in reversed(keys) if len(key.path) > 1
        ]

    def __call__(self, line: Mapping[str, Any]) -> Fields:
        """Return the fields of ``line``: what a shipper has rewritten (``1.0``, ``"1"``, ``"true"``) as it was meant.

        Raises:
            SchemaError: it has another schema version.
            MalformedError: a key that every line needs is missing, or a key has a value that it can't have.
        """
        version = _version(line.get("schema"))
        if version not in semconv.LINE_SCHEMAS_READ:
            raise SchemaError(version or "none")
        for name in self._needed:
            value = line.get(name)
            if not isinstance(value, str) or not value:
                raise MalformedError(f"{name} is {'missing' if value is None else 'not a text'}")
        found = self._fields.copy()
        for name, field, convert in self._plain:
            value = line.get(name)
            if value is not None:
                found[field] = _converted(convert, value, name)
        for table, name, field, convert in self._inside:
            inner = line.get(table)
            inner = parsed(inner) if isinstance(inner, str) else inner
            if isinstance(inner, dict) and (value := inner.get(name)) is not None:
                found[field] = _converted(convert, value, f"{table}.{name}")
        return found


def parsed(value: str) -> Any:
    """Return what a text of JSON stands for; other text as it is."""
    if value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _converted(convert: Callable[[Any], Any], value: Any, name: str) -> Any:
    try:
        return convert(value)
    except MalformedError as fault:
        raise MalformedError(f"{name} {fault}") from None


def _version(value: Any) -> str:
    """Return the number of a schema as text, also where a shipper wrote ``1.0`` or ``"1"``."""
    if value is None:
        return ""
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
        return str(int(number)) if number.is_integer() else str(value)[:32]
    except (ValueError, OverflowError):
        return str(value)[:32] if isinstance(value, str) else "unreadable"


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")  # lone surrogates
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and abs(value) < _HUGE:
        return str(value)
    raise MalformedError("is no text")


def _time(value: Any) -> int:
    try:
        at = datetime.fromisoformat(value)
        # A time without a zone is UTC: that is what the contract writes.
        return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH + _HALF) // _MILLISECOND
    except (ValueError, TypeError, OverflowError):
        raise MalformedError("is not an RFC 3339 time") from None


def _number(value: Any) -> float:
    """Return a finite number or NaN, which stands for none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise MalformedError("is no number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise MalformedError("is no number") from None
    return number if math.isfinite(number) else math.nan


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if not value:
            return None
        value = {"true": 1, "false": 0}.get(value.lower(), value)
    if value in (0, 1):
        return bool(value)
    raise MalformedError("is neither true nor false")


def _names(value: Any) -> tuple[str, ...]:
    value = parsed(value) if isinstance(value, str) else value
    if isinstance(value, str):
        value = [value] if value else []
    if not isinstance(value, list):
        raise MalformedError("is no list")
    return tuple(sorted({_text(item) for item in value if item is not None}))


def _table(value: Any) -> Mapping[str, Any]:
    value = parsed(value) if isinstance(value, str) and value else value
    if not value:
        return {}
    if not isinstance(value, dict):
        raise MalformedError("is no table")
    return value


_HUGE = 1e18
_EPOCH, _MILLISECOND = datetime.fromtimestamp(0, UTC), timedelta(milliseconds=1)
_HALF = _MILLISECOND / 2
_ABSENT: Fields = {"text": "", "number": math.nan, "flag": None, "names": (), "table": {}}
_CONVERT: Mapping[Type, Callable[[Any], Any]] = {
    "text": _text,
    "time": _time,
    "version": _version,
    "number": _number,
    "flag": _flag,
    "names": _names,
    "table": _table,
}
_NEEDED = tuple(key.name for key in KEYS if key.needed)
