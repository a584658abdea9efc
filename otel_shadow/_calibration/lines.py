"""The pairs' own objects in log files of any form: plain, gzip, container and collector formats."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from otel_shadow import semconv
from otel_shadow.errors import EvidenceError
from otel_shadow.evidence.decode import objects
from otel_shadow.evidence.sources import STDIN, Form, Source, find, inspect, open_lines, standard_input

_MARK = semconv.EVENT_V2.encode()
_OURS = b'{"event":"' + _MARK


@dataclass
class Counts:
    """What became of the lines."""

    lines: int = 0
    malformed: int = 0
    duplicates: int = 0


def read_objects(sources: Sequence[str], counts: Counts) -> Iterator[dict[str, Any]]:
    """Every object of a pair in ``sources`` (paths, globs, ``-`` for standard input).

    Raises:
        EvidenceError: a source is missing, a folder, binary, broken, or a saved summary.
    """
    with ExitStack() as stack:
        names = [name for name in sources if name != STDIN]
        files = [inspect(path) for path in (find(names) if names else [])]
        if STDIN in sources:
            files.append(inspect(stack.enter_context(standard_input()), "standard input"))
        for source in files:
            if source is not None:
                yield from _objects(source, counts)


def _objects(source: Source, counts: Counts) -> Iterator[dict[str, Any]]:
    if source.form is Form.SUMMARY:
        raise EvidenceError(f"{source.name}: a saved summary keeps counts only; name the log files it was made from")
    try:
        with open_lines(source) as file:
            for line in file:
                counts.lines += 1
                if _MARK in line:
                    yield from _in_line(line, counts)
    except (OSError, EOFError) as error:
        raise EvidenceError(f"{source.name}: broke off while being read ({type(error).__name__})") from None


def _in_line(line: bytes, counts: Counts) -> list[dict[str, Any]]:
    try:
        if line.startswith(_OURS):
            return [json.loads(line)]
    except (ValueError, RecursionError):
        pass
    found = [one for one in objects(line.decode("utf-8", "replace")) if one["event"] == semconv.EVENT_V2]
    counts.malformed += not found and b'"event' in line
    return found
