"""The slow reader: any form of line, one at a time, with the file and line of every fault."""

from __future__ import annotations

from collections.abc import Callable

from otel_shadow import semconv
from otel_shadow.evidence.collector import Collector
from otel_shadow.evidence.decode import USED, MalformedError, SchemaError, execution, objects
from otel_shadow.evidence.sources import Source, open_lines

_MARKS = (semconv.EVENT_V2.encode(), semconv.EVENT_BASELINE.encode())
_EVERY = 4 << 20


def read_tolerantly(source: Source, collector: Collector, progress: Callable[[int], None]) -> None:
    """Read every line of ``source`` into ``collector``.

    Arguments:
        progress: told the share of the file's bytes that were read, as bytes of the file.
    """
    told = 0
    with open_lines(source) as file:
        position = 0
        for number, text in enumerate(file, start=1):
            position += len(text)
            line(text, collector, f"{source.name}, line {number}")
            if position - told > _EVERY and not source.packed:
                progress(position - told)
                told = position
    progress(max(source.size - told, 0))


def line(text: bytes, collector: Collector, where: str) -> None:
    """One line of any kind."""
    collector.lines += 1
    if any(mark in text for mark in _MARKS):
        take(text, collector, where, ended=text.endswith(b"\n"))
    else:
        collector.other_lines += 1


def take(line: bytes, collector: Collector, where: str, *, ended: bool) -> None:
    """One line that mentions our events: its executions, or why there are none."""
    text = line.decode("utf-8", "replace")
    found = list(objects(text))
    for item in found:
        if item["event"] in USED:
            _one(item, collector, where)
    if found:
        collector.other_lines += all(item["event"] not in USED for item in found)
    elif not ended:
        collector.truncated += 1
        collector.example(f"{where}: incomplete last line")
    elif '"event' in text or '\\"event' in text:
        collector.malformed += 1
        collector.example(f"{where}: not valid JSON")
    else:
        collector.other_lines += 1


def _one(item: dict[str, object], collector: Collector, where: str) -> None:
    try:
        collector.one(execution(item))
    except SchemaError as version:
        collector.other_schema[str(version)] += 1
    except MalformedError as fault:
        collector.malformed += 1
        collector.example(f"{where}: {fault}")
