"""Summaries in files: what was read once need not be read again."""

from __future__ import annotations

import io
import json
import os
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from otel_shadow.errors import EvidenceError
from otel_shadow.evidence.whole_files import write_whole
from otel_shadow.verdict import latency
from otel_shadow.verdict.execution_kind import ExecutionKind
from otel_shadow.verdict.executions import Sample, Summary, milliseconds, moment
from otel_shadow.verdict.heartbeats import Beat
from otel_shadow.verdict.lines_read import Reading
from otel_shadow.verdict.rows import Rows

FORMAT = 2
"""Version of the file: an ``npz`` with the columns of ``Rows`` and the rest as JSON in ``facts``."""
_READ = (1, FORMAT)
"""Format 1 has no heartbeats, and of an execution neither probability, nor process, nor number, nor overhead."""


def save(summary: Summary, path: str | os.PathLike[str]) -> None:
    """Write ``summary`` to ``path``: whole, or not at all.

    Raises:
        EvidenceError: the file can't be written.
    """
    rows = summary.rows
    columns = {item.name: getattr(rows, item.name) for item in fields(Rows)}
    facts = {
        "format": FORMAT,
        "signatures": [asdict(signature) for signature in summary.signatures],
        "samples": [
            [summary.signatures.index(kind), [[milliseconds(item.at), item.pair_id, item.trace_id] for item in items]]
            for kind, items in summary.samples.items()
        ],
        "reading": asdict(summary.reading),
        "duplicates": summary.duplicates,
        "given": sorted(summary.given),
        "beats": [asdict(beat) for beat in summary.beats],
    }
    written = io.BytesIO()
    text = np.frombuffer(json.dumps(facts, sort_keys=True).encode(), np.uint8)
    np.savez_compressed(written, facts=text, contradictory=summary.contradictory, **columns)
    write_whole(path, written.getvalue())


def load(path: str | os.PathLike[str]) -> Summary:
    """Read a summary that ``save`` wrote.

    Raises:
        EvidenceError: it is missing, broken, or of another version.
    """
    try:
        with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            columns = {name: file[name] for name in file.files}
        text = columns.pop("facts").tobytes()
        facts = json.loads(text)
        json.dumps(facts, ensure_ascii=False).encode()  # a lone surrogate could be shown nowhere
    except Exception as error:  # noqa: BLE001 - of damaged files NumPy and the archive's parts raise whatever they meet
        raise EvidenceError(f"{path}: is not a complete summary ({type(error).__name__})") from None
    if not isinstance(facts, dict) or facts.get("format") not in _READ:
        found = facts.get("format") if isinstance(facts, dict) else None
        raise EvidenceError(f"{path}: a summary of format {found}; this version reads {FORMAT}: save it again")
    try:
        return _summary(columns, text)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise EvidenceError(f"{path}: is not a complete summary (facts: {place})") from None
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, OSError) as error:
        raise EvidenceError(f"{path}: is not a complete summary ({type(error).__name__}: {error})") from None


@dataclass
class _Facts:
    """What ``facts`` holds: every part is checked, for whoever shows it relies on its type."""

    signatures: list[ExecutionKind]
    samples: list[tuple[int, list[tuple[int, str, str]]]]
    reading: Reading
    duplicates: int
    given: list[str]
    beats: list[Beat] = field(default_factory=list)


_FACTS = TypeAdapter(_Facts)
_TIMES = milliseconds(datetime.min.replace(tzinfo=UTC)), milliseconds(datetime.max.replace(tzinfo=UTC)) - 1000


def _summary(columns: dict[str, Any], text: bytes) -> Summary:
    facts = _FACTS.validate_json(text, strict=True)
    signatures, contradictory = facts.signatures, columns.pop("contradictory")
    rows = _rows(columns)
    if len(rows) and not 0 <= int(rows.kind.min()) <= int(rows.kind.max()) < len(signatures):
        raise IndexError("a row without a kind")
    return Summary(
        rows,
        signatures,
        samples={
            signatures[kind]: tuple(Sample(moment(at), pair, trace) for at, pair, trace in items)
            for kind, items in facts.samples
        },
        reading=facts.reading,
        contradictory=contradictory.astype(np.uint64, casting="same_kind"),
        duplicates=facts.duplicates,
        given=facts.given,
        beats=facts.beats,
    )


def _rows(columns: dict[str, Any]) -> Rows:
    length, empty = len(columns["time"]), Rows.empty()
    for name in ("probability", "process", "sequence"):  # not in format 1
        columns.setdefault(name, np.zeros(length, getattr(empty, name).dtype))
    columns.setdefault("overhead", np.full(length, latency.NONE, np.int16))
    for name, column in columns.items():
        wanted = getattr(empty, name).dtype
        if column.shape != (length,) or not np.can_cast(column.dtype, wanted, "same_kind"):
            raise ValueError(f"column {name}")
        columns[name] = column.astype(wanted, copy=False)
    rows = Rows(**columns)
    if length and not _TIMES[0] <= int(rows.time.min()) <= int(rows.time.max()) <= _TIMES[1]:
        raise ValueError("a time that is none")
    if not ((rows.probability >= 0.0) & (rows.probability <= 1.0)).all():
        raise ValueError("a probability that is none")
    return rows
