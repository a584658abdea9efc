"""All sources into one summary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from otel_shadow.errors import EvidenceError
from otel_shadow.evidence import saved
from otel_shadow.evidence.collector import Collector
from otel_shadow.evidence.columnar import Columnar, NotColumnarError
from otel_shadow.evidence.sources import STDIN, Form, Source, find, inspect, standard_input
from otel_shadow.evidence.tolerant import read_tolerantly
from otel_shadow.verdict.executions import Summary
from otel_shadow.verdict.lines_read import Reading

_SMALL = 256 << 10
"""Bytes below which the slow reader is the faster one."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far reading is: bytes of all sources, and the source that is being read."""

    done: int
    total: int
    source: str


def read(
    sources: Sequence[str],
    *,
    progress: Callable[[Progress], None] | None = None,
    threads: int | None = None,
    memory: str | None = None,
) -> Summary:
    """Read log files, OTLP JSON files and saved summaries (plain or gzip, globs, ``-`` for standard input).

    Arguments:
        sources: paths and globs; every file counts once.
        progress: told after every piece that was read.
        threads: threads of the parser; all cores if None.
        memory: most memory of the parser, such as ``2GB``.

    Returns:
        one summary with every pair once; what was skipped is counted in its ``reading``.

    Raises:
        EvidenceError: a source is missing, a directory, binary or broken, or there is no evidence in any of them.
        MissingExtraError: DuckDB is not installed.
    """
    with ExitStack() as stack:
        names = [name for name in sources if name != STDIN]
        paths = find(names) if names or STDIN not in sources else []
        inspected = [inspect(path) for path in paths]
        if STDIN in sources:
            inspected.append(inspect(stack.enter_context(standard_input()), "standard input"))
        files = [source for source in inspected if source is not None]
        if not files:
            said = ", ".join(sources)
            raise EvidenceError(f"{said}: empty; is SHADOW_LOGGING on, and this the file of OTEL_SHADOW_LOG_FILE?")
        summary = _read_all(files, progress, threads, memory)
    if not len(summary) and not summary.reading.other_schema:
        raise EvidenceError(_no_evidence(sources, summary.reading))
    return summary


def _read_all(
    files: Sequence[Source],
    progress: Callable[[Progress], None] | None,
    threads: int | None,
    memory: str | None,
) -> Summary:
    total, done = sum(source.size for source in files), 0
    parts: list[Summary] = []
    columnar: Columnar | None = None
    try:
        for source in files:
            columnar = columnar or (Columnar(threads, memory) if _for_columnar(source) else None)

            def told(amount: int, source: Source = source) -> None:
                nonlocal done
                done += amount
                if progress:
                    progress(Progress(done, total, source.name))

            parts.append(_read_one(source, columnar, told))
    finally:
        if columnar:
            columnar.close()
    return Summary().merge(*parts)


def _for_columnar(source: Source) -> bool:
    return source.form in (Form.LINES, Form.DOCKER) and source.size >= _SMALL


def _read_one(source: Source, columnar: Columnar | None, told: Callable[[int], None]) -> Summary:
    if source.form is Form.SUMMARY:
        summary = saved.load(source.path)
        told(source.size)
        return summary
    collector = Collector()
    collector.sources.append(source.name)
    collector.bytes = source.size
    try:
        if columnar is None or not _for_columnar(source):
            raise NotColumnarError
        columnar.read(source, collector, told)
    except NotColumnarError:
        _tolerantly(source, collector, told)
    return collector.summary()


def _tolerantly(source: Source, collector: Collector, told: Callable[[int], None]) -> None:
    try:
        read_tolerantly(source, collector, told)
    except (OSError, EOFError) as error:
        raise EvidenceError(f"{source.name}: broke off while being read ({type(error).__name__}: {error})") from None


def _no_evidence(sources: Sequence[str], reading: Reading) -> str:
    said = ", ".join(sources)
    if reading.malformed or reading.truncated:
        broken = reading.malformed + reading.truncated
        return f"{said}: no line of ours can be read ({broken} broken: {'; '.join(reading.examples[:2])})"
    return f"{said}: none of its {reading.lines} lines is a SHADOW_V2 or SHADOW_BASELINE line"
