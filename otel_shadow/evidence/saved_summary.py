"""Summaries in files: what was read once need not be read again."""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from otel_shadow.errors import EvidenceError
from otel_shadow.evidence.whole_files import write_whole
from otel_shadow.verdict import latency
from otel_shadow.verdict.execution_kind import ExecutionKind
from otel_shadow.verdict.executions import Rows, Sample, Summary, milliseconds, moment
from otel_shadow.verdict.heartbeats import Beat
from otel_shadow.verdict.lines_read import Reading

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
        facts = json.loads(columns.pop("facts").tobytes())
        json.dumps(facts, ensure_ascii=False).encode()  # a lone surrogate could be shown nowhere
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError,
            MemoryError, RuntimeError, AttributeError, SyntaxError) as error:  # fmt: skip
        raise EvidenceError(f"{path}: is not a complete summary ({type(error).__name__})") from None
    if not isinstance(facts, dict) or facts.get("format") not in _READ:
        found = facts.get("format") if isinstance(facts, dict) else None
        raise EvidenceError(f"{path}: a summary of format {found}; this version reads {FORMAT}: save it again")
    try:
        return _summary(columns, facts)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise EvidenceError(f"{path}: is not a complete summary ({type(error).__name__}: {error})") from None


def _summary(columns: dict[str, Any], facts: Mapping[str, Any]) -> Summary:
    signatures = [ExecutionKind(**item | {"diff_fields": tuple(item["diff_fields"])}) for item in facts["signatures"]]
    contradictory = columns.pop("contradictory")
    length = len(columns["time"])
    empty = Rows.empty()
    for name in ("probability", "process", "sequence"):  # not in format 1
        columns.setdefault(name, np.zeros(length, getattr(empty, name).dtype))
    columns.setdefault("overhead", np.full(length, latency.NONE, np.int16))
    for name, column in columns.items():
        wanted = getattr(empty, name).dtype
        if column.shape != (length,) or not np.can_cast(column.dtype, wanted, "same_kind"):
            raise ValueError(f"column {name}")
        columns[name] = column.astype(wanted, copy=False)
    rows = Rows(**columns)
    if length and not 0 <= int(rows.kind.min()) <= int(rows.kind.max()) < len(signatures):
        raise IndexError("a row without a kind")
    reading = facts["reading"]
    tails = {name: tuple(tail) for name, tail in reading.get("tails", {}).items()}
    lists = {"sources": tuple(reading["sources"]), "examples": tuple(reading["examples"]), "tails": tails}
    return Summary(
        rows,
        signatures,
        samples={
            signatures[kind]: tuple(Sample(moment(at), pair, trace) for at, pair, trace in items)
            for kind, items in facts["samples"]
        },
        reading=Reading(**reading | lists),
        contradictory=contradictory,
        duplicates=facts["duplicates"],
        given=facts["given"],
        beats=[Beat(**item | {"totals": tuple(map(tuple, item["totals"]))}) for item in facts.get("beats", ())],
    )
