"""All sources into one summary: each by the reader that is fastest for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otel_shadow import semconv
from otel_shadow.errors import EvidenceError
from otel_shadow.evidence import saved_summary
from otel_shadow.evidence.duckdb_reader import DuckDBReader, NotForDuckDBError
from otel_shadow.evidence.line_reader import LineReader
from otel_shadow.evidence.sources import Form, Source, check_whole, opened
from otel_shadow.evidence.summary_builder import SummaryBuilder
from otel_shadow.verdict.executions import Summary
from otel_shadow.verdict.lines_read import Reading

_SMALL = 256 << 10
"""Bytes below which reading line by line is faster than to start DuckDB."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes of all sources that were read and that there are, and the source that is being read."""

    done: int
    total: int
    source: str


def read(
    sources: Sequence[str],
    *,
    progress: Callable[[Progress], None] | None = None,
    threads: int | None = None,
    memory: str | None = None,
    verify_key: bytes | None = None,
) -> Summary:
    """Read log files, OTLP JSON files and saved summaries (plain or gzip, globs, ``-`` for standard input).

    Arguments:
        sources: paths and globs; every file counts once.
        progress: told after every piece that was read.
        threads: threads of the parser; all cores if None.
        memory: most memory of the parser, such as ``2GB``.
        verify_key: that of ``otel_shadow.line_code.environment_key``: with it a line's code decides whether it counts,
            wherever it stands; without, its place does.

    Returns:
        one summary with every pair once; what was skipped is counted in its ``reading``.

    Raises:
        EvidenceError: a source is missing, a directory, binary or broken, or there is no evidence in any of them.
        MissingExtraError: DuckDB is not installed.
    """
    with opened(sources) as files:
        summary = _read_all(files, progress, threads, memory, verify_key)
    if not len(summary) and not summary.reading.other_schema and not summary.beats:
        raise EvidenceError(_no_evidence(sources, summary))
    return summary


def read_objects(
    sources: Sequence[str],
    take: Callable[[Mapping[str, Any], bool], None],
    *,
    beat: Callable[[Mapping[str, Any], bool], None] | None = None,
    verify_key: bytes | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Reading:
    """Read the line objects themselves, for what a summary does not keep.

    Arguments:
        sources: log files and OTLP JSON files, as for ``read``.
        take, beat, verify_key: see ``LineReader``.
        progress: told after every piece that was read.

    Returns:
        what became of the lines.

    Raises:
        EvidenceError: a source is missing, a directory, binary, broken, empty or a saved summary.
    """
    lines = LineReader(take, verify_key=verify_key, beat=beat)
    with opened(sources) as files:
        for source, told in _each(files, progress):
            if source.form is Form.SUMMARY:
                raise EvidenceError(
                    f"{source.name}: a saved summary keeps counts only; name the log files it was made from"
                )
            lines.read(source, told)
    return lines.reading()


def _each(
    files: Sequence[Source], progress: Callable[[Progress], None] | None
) -> Iterator[tuple[Source, Callable[[int], None]]]:
    """Yield each source with a function that is told how many more of its bytes were read."""
    total, done = sum(source.size for source in files), 0
    for source in files:

        def told(amount: int, name: str = source.name) -> None:
            nonlocal done
            done += amount
            if progress:
                progress(Progress(done, total, name))

        yield source, told


def _read_all(
    files: Sequence[Source],
    progress: Callable[[Progress], None] | None,
    threads: int | None,
    memory: str | None,
    verify_key: bytes | None,
) -> Summary:
    parts: list[Summary] = []
    duckdb: DuckDBReader | None = None
    try:
        for source, told in _each(files, progress):
            fast = verify_key is None and _for_duckdb(source)
            duckdb = duckdb or (DuckDBReader(threads, memory) if fast else None)
            parts.append(_read_one(source, duckdb if fast else None, told, verify_key))
    finally:
        if duckdb:
            duckdb.close()
    return Summary().merge(*parts)


def _for_duckdb(source: Source) -> bool:
    """Return whether the fast reader may read it: plain lines; a code has to be computed line by line."""
    return source.form in (Form.LINES, Form.DOCKER) and source.size >= _SMALL and not source.encoding


def _read_one(
    source: Source, duckdb: DuckDBReader | None, told: Callable[[int], None], verify_key: bytes | None
) -> Summary:
    if source.form is Form.SUMMARY:
        summary = saved_summary.load(source.path)
        told(source.size)
        return summary
    builder = SummaryBuilder()
    lines = LineReader(builder.add, source.name, verify_key=verify_key, beat=builder.add_beat)
    lines.counts["bytes"] = source.size
    try:
        if duckdb is None:
            raise NotForDuckDBError
        check_whole(source)
        duckdb.read(source, builder, lines, told)
    except NotForDuckDBError:
        lines.read(source, told)
    return builder.summary(lines.reading())


def _no_evidence(sources: Sequence[str], summary: Summary) -> str:
    said, reading = ", ".join(sources), summary.reading
    if pairs := len(summary.contradictory):
        return f"{said}: each of its {pairs:,} pairs is told in two different ways: there is nothing to judge"
    if reading.forged:
        return (
            f"{said}: none of {reading.forged:,} lines of otel-shadow has the code that they should have: they were "
            f"written with another {semconv.ENV_HASH_KEY}, or by somebody else; give theirs"
        )
    if reading.malformed or reading.truncated:
        broken = reading.malformed + reading.truncated
        return f"{said}: no line of otel-shadow can be read ({broken} broken: {'; '.join(reading.examples[:2])})"
    return f"{said}: none of its {reading.lines} lines is a SHADOW_V2 or SHADOW_BASELINE line"
