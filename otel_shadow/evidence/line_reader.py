"""The reader of any form of line: one line at a time, with the file and line of every fault."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from otel_shadow.errors import EvidenceError
from otel_shadow.evidence.line_fields import READ_EVENTS, MalformedError, SchemaError
from otel_shadow.evidence.sources import Source, open_lines
from otel_shadow.log_line import ORDER
from otel_shadow.verdict.lines_read import Reading

_OURS = tuple(ORDER)
_MARK, _OTHER_MARK = (event.encode() for event in READ_EVENTS)
_TOLD_EVERY = 4 << 20
"""Bytes between two reports of progress."""
_DEEPEST = 12
"""Levels of JSON inside JSON that are looked into."""
_EXAMPLES = 10
_decoder = json.JSONDecoder()


@dataclass(slots=True)
class LineCounts:
    """Counts of lines while they are read; the meaning of each is that of ``verdict.Reading``."""

    sources: list[str] = field(default_factory=list)
    lines: int = 0
    bytes: int = 0
    used: int = 0
    other_lines: int = 0
    malformed: int = 0
    truncated: int = 0
    other_schema: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def example(self, sentence: str) -> None:
        """Keep a sentence about a line that was skipped, if there are few yet."""
        if len(self.examples) < _EXAMPLES:
            self.examples.append(sentence)

    def reading(self) -> Reading:
        """Return the counts, frozen."""
        return Reading(
            sources=tuple(sorted(set(self.sources))),
            lines=self.lines,
            bytes=self.bytes,
            used=self.used,
            other_lines=self.other_lines,
            malformed=self.malformed,
            truncated=self.truncated,
            other_schema=dict(sorted(self.other_schema.items())),
            examples=tuple(self.examples),
        )


class LineReader:
    """Hands every object of a line that is evidence to ``take``, and counts what became of each line.

    Arguments:
        take: given a ``SHADOW_V2`` or ``SHADOW_BASELINE`` object; it raises ``SchemaError`` or ``MalformedError`` where
            it can't use the object.
    """

    def __init__(self, take: Callable[[Mapping[str, Any]], None]) -> None:
        self.counts = LineCounts()
        self._take = take

    def read(self, source: Source, progress: Callable[[int], None]) -> None:
        """Read every line of ``source``.

        Arguments:
            progress: told how many more of the file's bytes were read.

        Raises:
            EvidenceError: the file broke off, such as half a gzip file.
        """
        told = position = 0
        try:
            with open_lines(source) as file:
                for number, line in enumerate(file, start=1):
                    position += len(line)
                    self.line(line, f"{source.name}, line {number}")
                    if position - told > _TOLD_EVERY and not source.packed:
                        progress(position - told)
                        told = position
        except (OSError, EOFError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise EvidenceError(f"{source.name}: broke off while being read ({reason})") from None
        progress(max(source.size - told, 0))

    def line(self, line: bytes, where: str) -> None:
        """Read one line of any kind; ``where`` names its file and number."""
        self.counts.lines += 1
        if _MARK in line or _OTHER_MARK in line:
            self.marked_line(line, where, ended=line.endswith(b"\n"))
        else:
            self.counts.other_lines += 1

    def marked_line(self, line: bytes, where: str, *, ended: bool) -> None:
        """Read one line that mentions our events, and count why it is no evidence if it is none."""
        counts, text = self.counts, line.decode("utf-8", "replace")
        found = list(_objects_in_text(text))
        used = [item for item in found if item["event"] in READ_EVENTS]
        for item in used:
            self._object(item, where)
        if used:
            return
        if found:
            counts.other_lines += 1
        elif not ended:
            counts.truncated += 1
            counts.example(f"{where}: incomplete last line")
        elif '"event' in text or '\\"event' in text:
            counts.malformed += 1
            counts.example(f"{where}: not valid JSON")
        else:
            counts.other_lines += 1

    def _object(self, item: Mapping[str, Any], where: str) -> None:
        try:
            self._take(item)
            self.counts.used += 1
        except SchemaError as version:
            self.counts.other_schema[str(version)] += 1
        except MalformedError as fault:
            self.counts.malformed += 1
            self.counts.example(f"{where}: {fault}")


def _objects_in_text(text: str, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield our objects in a line of any form.

    Behind a prefix, or as a JSON string inside JSON (container and collector formats, OTLP), however deep. A line that
    only mentions our events has none.
    """
    start = text.find("{")
    while start >= 0 and depth < _DEEPEST:
        try:
            value, end = _decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            yield from _objects_in_value(value, depth)
        start = text.find("{", end)


def _objects_in_value(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    if depth >= _DEEPEST:
        return
    if isinstance(value, dict):
        if value.get("event") in _OURS:
            yield value
            return
        for item in value.values():
            yield from _objects_in_value(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _objects_in_value(item, depth + 1)
    elif isinstance(value, str) and "SHADOW_" in value:
        yield from _objects_in_text(value, depth + 1)
