"""Columns given by a caller, as identities, codes and signatures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otel_shadow.record import Arm, Mode, Outcome, Status
from otel_shadow.verdict.execution_kind import ExecutionKind
from otel_shadow.verdict.hashes import NO_PAIR, identities

_TEXTS = (
    "graph", "mode", "v1_status", "intent", "original_target", "shadow_target", "v1_step", "v2_step",
    "build", "digest", "key_id", "reason", "served", "fallback_reason", "service",
)  # fmt: skip
_FLAGS = (
    "v1_served", "self_match", "decisions_match", "steps_match", "fields_compared", "anonymous",
    "caused_by_shadow", "v1_rate_limited", "v2_rate_limited",
)  # fmt: skip
_AMOUNTS = ("holdout", "slot_seconds", "sample")
_ALLOWED = {
    "status": {"", *Status},
    "v1_status": {*Status},
    "arm": {*Arm},
    "mode": {*Mode},
    "served": {"v1", "v2"},
}


@dataclass(frozen=True, slots=True)
class CodedColumns:
    """Executions as columns; ``kind`` points into ``signatures``, latencies are milliseconds or NaN."""

    pair: NDArray[np.uint64]
    session: NDArray[np.uint64]
    time: NDArray[np.int64]
    kind: NDArray[np.int32]
    v1_ms: NDArray[np.float64]
    v2_ms: NDArray[np.float64]
    probability: NDArray[np.float64]
    overhead_ms: NDArray[np.float64]
    signatures: tuple[ExecutionKind, ...]


@dataclass(frozen=True, slots=True)
class _Codes:
    """One column: which of ``labels`` each row has."""

    codes: NDArray[np.int64]
    labels: tuple[Any, ...]


_PIECE = 1 << 19
"""Rows that are worked on at a time: pieces of memory that are used again cost less than fresh ones."""


def pieces(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the columns of ``Summary.from_arrays``, piece by piece.

    Raises:
        ValueError: columns of different lengths, an unknown column, or a value that is not allowed.
    """
    unknown = sorted(
        set(columns) - {*_FIRST, *_TEXTS, *_FLAGS, *_AMOUNTS, "pair", "v2_latency_ms", "probability", "overhead_ms"}
    )
    if unknown:
        raise ValueError(f"no such column: {', '.join(unknown)}")
    arrays = {name: values if values is None else np.asarray(values) for name, values in columns.items()}
    length = np.atleast_1d(np.asarray(columns["timestamp"])).shape[0]
    for name, array in arrays.items():
        if array is not None and array.ndim and array.shape != (length,):
            raise ValueError(f"{name} has shape {array.shape}, timestamp has {length} values")
    return [
        {
            name: array if array is None or not array.ndim else array[start : start + _PIECE]
            for name, array in arrays.items()
        }
        for start in range(0, length, _PIECE)
    ]


_FIRST = ("node", "session", "timestamp", "match", "status", "v1_latency_ms", "arm")


def coded(given: Mapping[str, Any]) -> CodedColumns:
    """Return one piece as codes.

    Raises:
        ValueError: a value that is not allowed.
    """
    node, session, timestamp, match, status, v1_latency_ms, arm = (given[name] for name in _FIRST)
    more = {name: values for name, values in given.items() if name not in _FIRST}
    times = _times(timestamp)
    length = len(times)
    columns = {
        "node": _texts("node", node, length),
        "arm": _texts("arm", arm, length),
        "status": _texts("status", "" if status is None else status, length),
        "match": _flags("match", match, length),
    }
    columns |= {name: _texts(name, more[name], length) for name in _TEXTS if name in more}
    columns |= {
        name: _flags(name, more.get(name, True), length) for name in _FLAGS if name in more or name == _FLAGS[0]
    }
    columns |= {name: _amounts(name, more[name], length) for name in _AMOUNTS if name in more}
    kind, signatures = _kinds(columns, length)
    pair = np.full(length, NO_PAIR, np.uint64) if more.get("pair") is None else identities(more["pair"], length)
    return CodedColumns(
        _sized("pair", pair, length),
        _sized("session", identities(session, length), length),
        times,
        kind,
        _numbers("v1_latency_ms", v1_latency_ms, length),
        _numbers("v2_latency_ms", more.get("v2_latency_ms"), length),
        _numbers("probability", more.get("probability"), length),
        _numbers("overhead_ms", more.get("overhead_ms"), length),
        signatures,
    )


def _sized(name: str, array: NDArray[Any], length: int) -> NDArray[Any]:
    if array.ndim == 0:
        return np.broadcast_to(array, (length,))
    if array.shape != (length,):
        raise ValueError(f"{name} has {len(array)} values, timestamp has {length}")
    return array


def _times(timestamp: ArrayLike) -> NDArray[np.int64]:
    array = np.atleast_1d(np.asarray(timestamp))
    if array.dtype.kind == "M":
        return array.astype("datetime64[ms]").astype(np.int64)
    if array.dtype.kind == "O":
        if any(not isinstance(at, datetime) or at.tzinfo is None for at in array):
            raise ValueError("timestamp: give aware datetimes, datetime64 or seconds since 1970")
        return np.array([round(at.timestamp() * 1000) for at in array], np.int64)
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise ValueError("timestamp: give aware datetimes, datetime64 or finite seconds since 1970")
    return np.rint(array.astype(float) * 1000.0).astype(np.int64)


def _numbers(name: str, values: ArrayLike | None, length: int) -> NDArray[np.float64]:
    if values is None:
        return np.full(length, np.nan)
    return _sized(name, np.asarray(values, dtype=float), length)


def _amounts(name: str, values: ArrayLike | None, length: int) -> _Codes:
    """Return numbers of few values; NaN is none."""
    numbers = _numbers(name, values, length)
    found, codes = np.unique(numbers, return_inverse=True)
    return _Codes(codes.ravel(), tuple(None if math.isnan(value) else value for value in found.tolist()))


def _texts(name: str, values: ArrayLike, length: int) -> _Codes:
    array = _sized(name, np.asarray(values), length)
    if array.size and array.strides == (0,):
        codes, labels = np.zeros(length, np.int64), [array[0]]
    elif array.dtype.kind in "OUT":
        codes, labels = _peeled(array) if array.dtype.kind == "U" else _coded(array.tolist())
    else:
        found, codes = np.unique(array, return_inverse=True)
        labels = found.tolist()
    texts = tuple("" if label is None else str(label) for label in labels)
    wrong = sorted(set(texts) - _ALLOWED[name]) if name in _ALLOWED else []
    if wrong:
        raise ValueError(f"{name}: got {wrong[0]!r}, expected one of {sorted(_ALLOWED[name])}")
    return _Codes(codes, texts)


def _coded(values: list[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    known: dict[Any, int] = {}
    codes = np.fromiter((known.setdefault(value, len(known)) for value in values), np.int64, len(values))
    return codes, list(known)


def _peeled(array: NDArray[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    """Return codes of few labels, one comparison of the whole column for each; many labels go the slower way."""
    codes, labels = np.full(len(array), -1), list[Any]()
    place = 0
    while place < len(array) and len(labels) < _FEW:
        codes[array == array[place]] = len(labels)
        labels.append(str(array[place]))
        rest = np.flatnonzero(codes[place:] < 0)
        place = place + int(rest[0]) if len(rest) else len(array)
    return (codes, labels) if place == len(array) else _coded(array.tolist())


_FEW = 24
_THREE = (False, True, None)


def _flags(name: str, values: ArrayLike | None, length: int) -> _Codes:
    """Return booleans; None and NaN are "unknown"."""
    if values is None:
        return _Codes(np.full(length, 2), _THREE)
    array = _sized(name, np.asarray(values), length)
    if array.dtype.kind == "O":
        array = np.array([math.nan if value is None else float(value) for value in array])
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name}: give booleans, with None or NaN where there is none")
    known = ~np.isnan(array) if array.dtype.kind == "f" else np.ones(length, bool)
    if not np.isin(array[known], (0, 1)).all():
        raise ValueError(f"{name}: give booleans, with None or NaN where there is none")
    return _Codes(np.where(known, np.where(known, array, 0) == 1, 2).astype(np.int64), _THREE)


def _kinds(columns: Mapping[str, _Codes], length: int) -> tuple[NDArray[np.int32], tuple[ExecutionKind, ...]]:
    """Return one code per combination that occurs, and the kind of execution it stands for."""
    combined, sizes = np.zeros(length, np.int64), [len(column.labels) for column in columns.values()]
    for column, size in zip(columns.values(), sizes, strict=True):
        if size > 1:
            combined = combined * size + column.codes
    if math.prod(sizes) > 1 << 62:
        raise ValueError("too many different values in the text columns")
    found, kind = _distinct(combined, math.prod(sizes))
    signatures: dict[ExecutionKind, int] = {}
    places = []
    for value in found.tolist():
        row = {}
        for (name, column), size in zip(list(columns.items())[::-1], sizes[::-1], strict=True):
            value, code = divmod(value, size) if size > 1 else (value, 0)
            row[name] = column.labels[code]
        places.append(signatures.setdefault(_signature(row), len(signatures)))
    return np.array(places, np.int32)[kind], tuple(signatures)


def _distinct(codes: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if size > 1 << 22:
        found, inverse = np.unique(codes, return_inverse=True)
        return found, inverse.ravel()
    present = np.bincount(codes, minlength=1) > 0
    return np.flatnonzero(present), (np.cumsum(present) - 1)[codes]


def _signature(row: dict[str, Any]) -> ExecutionKind:
    match, status, arm = row.pop("match"), row.pop("status"), row["arm"]
    row |= {name: bool(row.get(name)) for name in ("fields_compared", "anonymous", *_FLAGS[-3:])}
    pair = bool(status) and arm == Arm.SHADOWED and row.get("mode", Mode.V2_SHADOW) == Mode.V2_SHADOW
    started = pair and Status(status).started
    if not started:
        missing = "holdout" if arm == Arm.HOLDOUT else "shed"
        row["reason"] = row.get("reason") or (missing if row.get("mode", Mode.V2_SHADOW) == Mode.V2_SHADOW else "live")
        return ExecutionKind(pair=False, v2_status=status if arm == Arm.SHADOWED else "", **row)
    compared = {True: Outcome.MATCH, False: Outcome.MISMATCH, None: Outcome.NONE}[match]
    # Where either version failed there is nothing to compare, whatever the column says.
    failed = {Status.ERROR, Status.TIMEOUT, Status.CANCELLED}
    if status in failed or row.get("v1_status") in failed:
        compared = Outcome.NONE
    return ExecutionKind(pair=True, v2_status=status, comparison=compared.value, **row)
