"""The fast reader: DuckDB parses the lines on all cores and hands over columns, grouped by kind of execution."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from otel_shadow import semconv
from otel_shadow.errors import require
from otel_shadow.evidence.line_fields import READ_EVENTS, keys_of
from otel_shadow.evidence.line_reader import LineReader
from otel_shadow.evidence.sources import Form, Source, open_lines
from otel_shadow.evidence.summary_builder import KIND_FIELDS, ROW_FIELDS, SummaryBuilder, kind_of, worth_a_sample
from otel_shadow.log_line import KEYS
from otel_shadow.verdict.executions import Sample, moment
from otel_shadow.verdict.hashes import text_hash

_LONGEST = 1 << 20
"""Bytes of a line; a file with longer ones is read by the line reader."""
_ODD = 1000
"""Odd lines that are handed over; a file with more is read by the line reader."""
_TYPES = {
    "text": "VARCHAR", "time": "VARCHAR", "version": "VARCHAR", "number": "DOUBLE", "flag": "BOOLEAN",
    "names": ["VARCHAR"],
}  # fmt: skip
_COLUMNS = ("pair", "session", "time", "v1", "v2", "probability")
_FIELD_END, _NAME_END = "\x1f", "\x1e"
_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "text": str,
    "flag": {"true": True, "false": False}.get,
    "number": lambda text: float(text) if text else math.nan,
    "names": lambda text: tuple(sorted(set(filter(None, text.split(_NAME_END))))),
}
_HASHES = ("(md5_number({}) & 18446744073709551615)::UBIGINT", "md5_number_lower({})", "md5_number_upper({})")
_START = '{"event":"SHADOW_'
_PEOPLE = f'{{"event":"{semconv.EVENT_COMPARISON}"'
"""The line for people repeats its pair: it is passed over unread."""


class NotForDuckDBError(Exception):
    """Error that a file has to be read line by line."""


class DuckDBReader:
    """A connection to DuckDB that reads files one after another.

    Arguments:
        threads: threads of the parser; all cores if None.
        memory: most memory of the parser, such as ``2GB``.

    Raises:
        MissingExtraError: DuckDB is not installed.
        NotForDuckDBError: this DuckDB can't make the hashes of the summary.
    """

    def __init__(self, threads: int | None = None, memory: str | None = None) -> None:
        duckdb = require("duckdb", "analysis")
        self._errors: type[Exception] = duckdb.Error
        self.connection = duckdb.connect()
        settings = ["preserve_insertion_order=false", "TimeZone='UTC'", "enable_progress_bar=true"]
        settings += ["enable_progress_bar_print=false"]
        settings += [f"threads={threads}"] if threads else []
        settings += [f"memory_limit='{memory}'"] if memory else []
        for setting in settings:
            self.connection.execute(f"SET {setting}")
        self._hash = self._hash_expression()

    def close(self) -> None:
        """Close the connection, which frees its memory."""
        self.connection.close()

    def read(self, source: Source, builder: SummaryBuilder, lines: LineReader, progress: Callable[[int], None]) -> None:
        """Read all of ``source`` into ``builder``; nothing is added if it fails.

        Arguments:
            lines: counts the lines, and reads the odd ones.
            progress: told how many more of the file's bytes were read.

        Raises:
            NotForDuckDBError: the file has to be read line by line.
        """
        try:
            groups = self._watched(_query(source, self._hash, careful=False), source.size, progress)
        except NotForDuckDBError:
            groups = self._watched(_query(source, self._hash, careful=True), source.size, progress)
        odd = [group for group in groups if group["class"] == "odd"]
        if any(group["rows"] > _ODD for group in odd):
            raise NotForDuckDBError
        for group in groups:
            rows = int(group["rows"])
            lines.counts["lines"] += rows
            if group["class"] == "other":
                lines.counts["other_lines"] += rows
            elif group["class"] == "schema":
                lines.other_schema[str(group["kind"])] += rows
            elif group["class"] == "used":
                lines.counts["used"] += rows
                _add_group(group, builder)
        if odd:
            _read_odd_lines(source, [line for group in odd for line in group["odd"]], lines)

    def _hash_expression(self) -> str:
        """Return how ``text_hash`` is written in SQL: DuckDB's halves of an MD5 are slow, and changed places once."""
        for hashed in _HASHES:
            query = "SELECT " + hashed.format("'otel-shadow'")
            if self.connection.execute(query).fetchall()[0][0] == text_hash("otel-shadow"):
                return hashed
        raise NotForDuckDBError

    def _watched(self, query: str, size: int, progress: Callable[[int], None]) -> list[dict[str, Any]]:
        """Run the query in a thread, report the progress meanwhile, and return the rows."""
        outcome: dict[str, Any] = {}
        worker = threading.Thread(target=self._run, args=(query, outcome), daemon=True)
        worker.start()
        tell: Callable[[], float] = getattr(self.connection, "query_progress", lambda: -1.0)  # newer versions have it
        told = 0
        while worker.is_alive():
            worker.join(0.1)
            done = tell() if worker.is_alive() else -1.0
            now = int(size * min(max(done, 0.0), 100.0) / 100.0)
            if now > told:
                progress(now - told)
                told = now
        if "error" in outcome:
            progress(-told)
            raise NotForDuckDBError from outcome["error"]
        progress(size - told)
        table = outcome["table"]
        names = list(table)
        return [{name: table[name][row] for name in names} for row in range(len(table[names[0]]))]

    def _run(self, query: str, outcome: dict[str, Any]) -> None:
        try:
            outcome["table"] = self.connection.execute(query).fetchnumpy()
        except self._errors as error:
            outcome["error"] = error


def _shape() -> str:
    """Return the keys that are read, nested as in the line, each with DuckDB's type, as ``json_transform`` wants it."""
    shape: dict[str, Any] = {}
    for key in keys_of(("schema", *KIND_FIELDS, *ROW_FIELDS)):
        *table, name = key.path
        (shape.setdefault(table[0], {}) if table else shape)[name] = _TYPES[key.type]
    return json.dumps(shape)


def _column(field: str) -> str:
    """Return the expression of one field: the first of its keys that has a value."""
    columns = [f"j.{key.name}" for key in keys_of([field])]
    return columns[0] if len(columns) == 1 else f"coalesce({', '.join(columns)})"


def _kind() -> str:
    """Return the expression of a kind of execution as one text: its fields in the order of ``KIND_FIELDS``."""
    columns = {name: _column(name) for name in KIND_FIELDS}
    columns["diff_fields"] = f"array_to_string({columns['diff_fields']}, chr({ord(_NAME_END)}))"
    texts = ", ".join(f"coalesce({column}::VARCHAR, '')" for column in columns.values())
    return f"concat_ws(chr({ord(_FIELD_END)}), {texts})"


def _query(source: Source, hashed: str, *, careful: bool) -> str:
    """Return the query; a careful one makes an odd line of a line that is not JSON, not an error: that is slower."""
    path = str(source.path).replace("'", "''")
    packed = "gzip" if source.packed else "none"
    parse = f"json_transform(body, '{_shape()}')"
    parse = f"TRY({parse})" if careful else parse
    line = "l" if source.form is Form.LINES else "json_extract_string(try_cast(l AS JSON), '$.log')"
    pair_id, trace_id, session, time, v1_ms, v2_ms, probability = map(_column, ROW_FIELDS)
    pair, session = hashed.format(f"{pair_id} || '|' || j.event"), hashed.format(session)
    mentioned = " OR ".join(f"contains(l, '{event}')" for event in sorted(READ_EVENTS))
    read = f"j.event IN ({', '.join(map(repr, sorted(READ_EVENTS)))})"
    whole = " AND ".join(f"j.{key.name} <> ''" for key in KEYS if key.needed)
    sample = f"""{_column("comparison")} = 'mismatch' OR {_column("v2_status")} IN ('error', 'timeout')
        OR NOT {_column("v1_served")} OR {_column("fallback_reason")} <> ''"""
    return f"""
    WITH raw AS (
      SELECT l, {line} AS text FROM read_csv('{path}', columns={{'l': 'VARCHAR'}}, header=false, delim=chr(1),
        quote='', escape='', auto_detect=false, strict_mode=false, max_line_size={_LONGEST}, compression='{packed}')
    ), placed AS (
      SELECT l, CASE WHEN starts_with(text, '{_START}') THEN text
          WHEN contains(l, 'SHADOW_') THEN substr(text, position('{_START}' IN text)) END AS body,
        CASE WHEN body IS NULL THEN text IS NULL AND contains(l, 'SHADOW_')
          WHEN starts_with(body, '{_PEOPLE}') THEN false
          WHEN starts_with(body, '{_START}') THEN true
          ELSE {mentioned} END AS marked,
        starts_with(body, '{_START}') AS ours
      FROM raw
    ), found AS (
      SELECT l, marked, ours, CASE WHEN marked AND ours THEN {parse} END AS j FROM placed
    ), timed AS (
      SELECT *, epoch_ms(try_cast({time} AS TIMESTAMPTZ)) AS t FROM found
    ), classed AS (
      SELECT *, CASE WHEN marked IS NOT TRUE THEN 'other'
        WHEN NOT coalesce(ours AND {read}, false) THEN 'odd'
        WHEN coalesce(j.schema, '') NOT IN {semconv.LINE_SCHEMAS_READ} THEN 'schema'
        WHEN coalesce({whole} AND t IS NOT NULL, false) THEN 'used' ELSE 'odd' END AS class
      FROM timed
    )
    SELECT class, CASE class WHEN 'used' THEN {_kind()}
        WHEN 'schema' THEN coalesce(j.schema, 'none') ELSE '' END AS kind,
      count(*) AS rows,
      list({pair}) FILTER (class = 'used') AS pair,
      list({session}) FILTER (class = 'used') AS session,
      list(t) FILTER (class = 'used') AS time,
      list(coalesce({v1_ms}, 'nan'::DOUBLE)) FILTER (class = 'used') AS v1,
      list(coalesce({v2_ms}, 'nan'::DOUBLE)) FILTER (class = 'used') AS v2,
      list(coalesce({probability}, 'nan'::DOUBLE)) FILTER (class = 'used') AS probability,
      min(CASE WHEN class = 'used' AND ({sample}) THEN
        printf('%015d', t) || chr(31) || {pair_id} || chr(31) || coalesce({trace_id}, '') END, 10) AS samples,
      min(l, {_ODD}) FILTER (class = 'odd') AS odd
    FROM classed GROUP BY ALL
    """  # noqa: S608 - names are ours, the path is quoted


def _add_group(group: dict[str, Any], builder: SummaryBuilder) -> None:
    """Add the executions of one kind, and the pairs to look at."""
    texts = dict(zip(KIND_FIELDS, str(group["kind"]).split(_FIELD_END), strict=True))
    kind = kind_of({name: _FROM_TEXT[keys_of([name])[0].type](text) for name, text in texts.items()})
    builder.add_columns(kind, {name: np.asarray(group[name]) for name in _COLUMNS})
    samples = np.ma.getdata(group["samples"])
    if samples.ndim and worth_a_sample(kind):  # DuckDB's NULL is a masked scalar
        told = [str(text).split(_FIELD_END) for text in samples]
        builder.sample(kind, [Sample(moment(int(at)), pair, trace) for at, pair, trace in told])


def _read_odd_lines(source: Source, odd: list[str], lines: LineReader) -> None:
    """Read line by line what DuckDB could not."""
    places, tail = _line_numbers(source, odd), _unfinished_tail(source)
    for line in odd:
        lines.marked_line(line.encode(), f"{source.name}, line {places.get(line, '?')}", ended=line != tail)


def _unfinished_tail(source: Source) -> str | None:
    """Return the last line, if it has no end of line."""
    if source.packed:
        return None
    with source.path.open("rb") as file:
        file.seek(max(source.size - _LONGEST, 0))
        last = file.read().rpartition(b"\n")[2]
    return last.decode("utf-8", "replace") if last else None


def _line_numbers(source: Source, wanted: list[str]) -> dict[str, int]:
    """Return the number of the first line with each of the ``wanted`` texts, for the messages."""
    missing = {line.encode(): line for line in wanted}
    found: dict[str, int] = {}
    with open_lines(source) as file:
        for number, line in enumerate(file, start=1):
            text = missing.pop(line.rstrip(b"\r\n"), None)
            if text is not None:
                found[text] = number
                if not missing:
                    break
    return found
