"""The fields of a log line, typed and checked: what evidence and calibration read, by the schema of ``log_line``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
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
        fields: names of ``Key.read_as``; those that every line needs are checked whether they are read or not.
    """

    def __init__(self, fields: Iterable[str]) -> None:
        keys = keys_of(fields)
        self._fields = {key.read_as: _ABSENT.get(key.type) for key in keys}
        # Backwards: of several keys of one field the one that counts is read last, and its value stays.
        self._plain = [(key.name, key.read_as, _CONVERT[key.type]) for key in reversed(keys) if len(key.path) == 1]
        self._inside = [
            (key.path[0], key.path[1], key.read_as, _CONVERT[key.type]) for key in reversed(keys) if len(key.path) > 1
        ]

    def __call__(self, line: Mapping[str, Any]) -> Fields:
        """Return the fields of ``line``.

        Raises:
            SchemaError: it has another schema version.
            MalformedError: a key that every line needs is missing or has a value that it can't have.
        """
        version = line.get("schema")
        if str(version) not in semconv.LINE_SCHEMAS_READ:
            raise SchemaError("none" if version is None else str(version)[:32])
        for name in _NEEDED:
            value = line.get(name)
            if not isinstance(value, str) or not value:
                raise MalformedError(f"{name} is {'missing' if value is None else 'not a text'}")
        found = self._fields.copy()
        for name, field, convert in self._plain:
            value = line.get(name)
            if value is not None:
                found[field] = convert(value)
        for table, name, field, convert in self._inside:
            inner = line.get(table)
            if isinstance(inner, dict) and (value := inner.get(name)) is not None:
                found[field] = convert(value)
        return found


def _time(value: Any) -> int:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise MalformedError("timestamp is not an RFC 3339 time") from None
    # A time without a zone is UTC: that is what the contract writes.
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _names(value: Any) -> tuple[str, ...]:
    return tuple(sorted({str(item) for item in value if item is not None})) if isinstance(value, list) else ()


_ABSENT: Fields = {"text": "", "number": math.nan, "flag": None, "names": (), "table": {}}
_CONVERT: Mapping[Type, Callable[[Any], Any]] = {
    "text": str,
    "time": _time,
    "number": _number,
    "flag": lambda value: value if isinstance(value, bool) else None,
    "names": _names,
    "table": lambda value: value if isinstance(value, dict) else {},
}
_NEEDED = tuple(key.name for key in KEYS if key.needed)
