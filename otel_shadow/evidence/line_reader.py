"""The reader of lines: what of otel-shadow stands in each, whether it counts, and the file and line of every fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from otel_shadow import semconv
from otel_shadow.errors import EvidenceError
from otel_shadow.evidence.line_fields import READ_EVENTS, MalformedError, SchemaError
from otel_shadow.evidence.line_objects import Object, objects_in
from otel_shadow.evidence.sources import BROKEN, Source, open_lines
from otel_shadow.line_code import verifies
from otel_shadow.verdict.lines_read import Reading

_MARKS = (b"SHADOW_", b'"pair_id')
_TOLD_EVERY = 4 << 20
"""Bytes between two reports of progress."""
_EXAMPLES = 10
_REMEDY = f"with {semconv.ENV_VERIFY_KEY} its code decides"


class LineReader:
    """A reader that hands every object that is evidence to ``take``, and counts what became of each line.

    ``counts`` are the numbers of ``verdict.Reading`` by name, ``other_schema`` lines by their schema.

    Arguments:
        take: given a ``SHADOW_V2`` or ``SHADOW_BASELINE`` object, and whether its code verified; it raises
            ``SchemaError`` or ``MalformedError`` where it can't use the object.
        source: name of the file, for the reading.
        verify_key: with it a line's code decides, wherever the line stands; without, its place.
        beat: given a ``SHADOW_HEARTBEAT`` object in the same way.
    """

    def __init__(
        self,
        take: Callable[[Object, bool], None],
        source: str = "",
        *,
        verify_key: bytes | None = None,
        beat: Callable[[Object, bool], None] | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.other_schema: Counter[str] = Counter()
        self._take, self._beat, self._key = take, beat, verify_key
        self._source = source
        self._examples: list[str] = []

    def reading(self) -> Reading:
        """Return what became of the lines so far."""
        tails = {self._source: (self.counts["bytes"], self.counts["truncated"])} if self._source else {}
        return Reading(
            sources=tuple(tails),
            tails=tails,
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
        except BROKEN as error:
            reason = f"{type(error).__name__}: {error}"
            raise EvidenceError(f"{source.name}: broke off while being read ({reason})") from None
        progress(max(source.size - told, 0))

    def line(self, line: bytes, where: str) -> None:
        """Read one line of any kind; ``where`` names its file and number."""
        self.counts["lines"] += 1
        if b"\0" in line:  # a hole, or a piece in UTF-16
            line = line.replace(b"\0", b"")
        if any(mark in line for mark in _MARKS):
            self.marked_line(line, where, ended=line.endswith(b"\n"))
        else:
            self.counts["other_lines"] += 1

    def marked_line(self, line: bytes, where: str, *, ended: bool) -> None:
        """Read one line that mentions otel-shadow, and count what of it is no evidence, or can't be read."""
        found = objects_in(line.replace(b"\0", b"").decode("utf-8", "replace"))
        before = self.counts.copy()
        schemas = self.other_schema.total()
        for item in found.placed:
            self._object(item, where, placed=True)
        for item in found.behind:
            self._object(item, where, placed=False)
        if found.lost and not ended:
            found.lost -= 1
            self._skipped("truncated", f"{where}: incomplete last line")
        if found.lost:
            self._skipped("malformed", f"{where}: not valid JSON{_of_many(found.lost)}", found.lost)
        if self.counts == before and self.other_schema.total() == schemas:
            self.counts["other_lines"] += 1

    def _object(self, item: Object, where: str, *, placed: bool) -> None:
        evidence = item["event"] in READ_EVENTS
        coded = self._key is not None and "code" in item and verifies(item, self._key)
        take = self._take if evidence else self._beat if item["event"] == semconv.EVENT_HEARTBEAT else None
        if take is None:
            return
        if not coded and not placed:
            if evidence:
                self.counts["misplaced"] += 1
                self._skipped("malformed", f"{where}: behind other text, where anybody can write one ({_REMEDY})")
            return
        if not coded and self._key is not None and item.get("code") is not None:
            self._skipped("forged", f"{where}: its code is not that of the line")
            return
        try:
            take(item, coded)
        except SchemaError as version:
            self.other_schema[str(version)] += 1
        except MalformedError as fault:
            self._skipped("malformed", f"{where}: {fault}")
        else:
            if evidence:
                self.counts["used"] += 1
                self.counts["verified"] += coded
                self.counts["uncoded"] += not coded and self._key is not None

    def _skipped(self, kind: str, sentence: str, number: int = 1) -> None:
        """Count lines that were skipped, and keep the sentence about them if there are few yet."""
        self.counts[kind] += number
        if len(self._examples) < _EXAMPLES:
            self._examples.append(sentence)


def _of_many(lost: int) -> str:
    return f" ({lost:,} lines of otel-shadow in it)" if lost > 1 else ""
