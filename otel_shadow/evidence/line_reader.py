"""The reader of any form of line: one line at a time, with the file and line of every fault."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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


class LineReader:
    """A reader that hands every object that is evidence to ``take``, and counts what became of each line.

    ``counts`` are the numbers of ``verdict.Reading`` by name, ``other_schema`` lines by their schema.

    Arguments:
        take: given a ``SHADOW_V2`` or ``SHADOW_BASELINE`` object; it raises ``SchemaError`` or ``MalformedError`` where
            it can't use the object.
        source: name of the file, for the reading.
    """

    def __init__(self, take: Callable[[Mapping[str, Any]], None], source: str = "") -> None:
        self.counts: Counter[str] = Counter()
        self.other_schema: Counter[str] = Counter()
        self._take = take
        self._sources = [source] if source else []
        self._examples: list[str] = []

    def reading(self) -> Reading:
        """Return what became of the lines so far."""
        return Reading(
            sources=tuple(self._sources),
            other_schema=dict(sorted(self.other_schema.items())),
            examples=tuple(self._examples),
            **self.counts,
        )

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
        self.counts["lines"] += 1
        if _MARK in line or _OTHER_MARK in line:
            self.marked_line(line, where, ended=line.endswith(b"\n"))
        else:
            self.counts["other_lines"] += 1

    def marked_line(self, line: bytes, where: str, *, ended: bool) -> None:
        """Read one line that mentions an event of otel-shadow, and count why it is no evidence if it is none."""
        text = line.decode("utf-8", "replace")
        found = list(_objects_in_text(text))
        used = [item for item in found if item["event"] in READ_EVENTS]
        for item in used:
            self._object(item, where)
        if used:
            return
        if found:
            self.counts["other_lines"] += 1
        elif not ended:
            self._skipped("truncated", f"{where}: incomplete last line")
        elif '"event' in text or '\\"event' in text:
            self._skipped("malformed", f"{where}: not valid JSON")
        else:
            self.counts["other_lines"] += 1

    def _object(self, item: Mapping[str, Any], where: str) -> None:
        try:
            self._take(item)
            self.counts["used"] += 1
        except SchemaError as version:
            self.other_schema[str(version)] += 1
        except MalformedError as fault:
            self._skipped("malformed", f"{where}: {fault}")

    def _skipped(self, kind: str, sentence: str) -> None:
        """Count a line that was skipped, and keep the sentence about it if there are few yet."""
        self.counts[kind] += 1
        if len(self._examples) < _EXAMPLES:
            self._examples.append(sentence)


def _objects_in_text(text: str, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the objects of otel-shadow in a line of any form.

    They stand behind a prefix, or as a JSON string inside JSON (container and collector formats, OTLP), however deep. A
    line that only mentions an event of otel-shadow has none.
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
