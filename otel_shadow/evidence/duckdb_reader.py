"""The fast reader: DuckDB takes the lines that are just as the writer made them, on all cores, grouped by kind.

It decides nothing of its own: the keys that make a kind come over as they stand in the JSON, and the line reader's
fields make one kind of each group. Of the heartbeats of each process and node, of which a log has thousands, the one
that tells most is found; the line reader reads it. Whatever is not in the plain form (another beginning, two objects in
a line, an unusual time) is an odd line, which the line reader reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from otel_shadow import semconv
from otel_shadow.background_thread import BackgroundThread
from otel_shadow.errors import require
from otel_shadow.evidence.line_fields import READ_EVENTS, FieldReader, keys_of
from otel_shadow.evidence.line_objects import PREFIX
from otel_shadow.evidence.line_reader import LineReader
from otel_shadow.evidence.sources import Form, Source, open_lines
from otel_shadow.evidence.summary_builder import KIND_FIELDS, ROW_FIELDS, SummaryBuilder, kind_of, worth_a_sample
from otel_shadow.log_line import KEYS
from otel_shadow.verdict.execution_kind import ExecutionKind
from otel_shadow.verdict.executions import Sample, moment
from otel_shadow.verdict.hashes import text_hash
from otel_shadow.verdict.heartbeats import NO_PROCESS

_LONGEST = 1 << 20
"""Bytes of a line; a file with longer ones is read by the line reader."""
_NO_LINE_HAS = "\x01\x02\x03\x04"
"""Parts columns, of which there is one. JSON writes no such characters, and one of them alone is part of the line."""
_ODD = 1000
"""Odd lines that are handed over; a file with more is read by the line reader."""
_COLUMNS = ("pair", "session", "time", "v1", "v2", "probability", "process", "sequence", "overhead")
_FIELD_END = "\x1f"
_HASHES = ("(md5_number({}) & 18446744073709551615)::UBIGINT", "md5_number_lower({})", "md5_number_upper({})")
_START = '{"event":"SHADOW_'
_PEOPLE = f'{{"event":"{semconv.EVENT_COMPARISON}"'
"""The line for people repeats its pair: it is passed over unread."""
_BEAT = f'{{"event":"{semconv.EVENT_HEARTBEAT}"'
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


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
        kinds = [_kind_in(group) if group["class"] == "used" else None for group in groups]
        for group, kind in zip(groups, kinds, strict=True):
            rows = int(group["rows"])
            lines.counts["lines"] += rows
            if group["class"] == "other":
                lines.counts["other_lines"] += rows
            elif group["class"] == "beat":
                lines.counts["other_lines"] += rows - 1
                lines.marked_line(group["beat"].encode(), source.name, ended=True)
            elif kind is not None:
                lines.counts["used"] += rows
                _add_group(group, kind, builder)
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
        worker = BackgroundThread(target=self._run, args=(query, outcome))
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
    """Return the keys that are read, nested as in the line, each with DuckDB's type, as ``json_transform`` wants it.

    A field that is a column comes over as text, of the others the JSON.
    """
    shape: dict[str, Any] = {}
    for key in [*keys_of(ROW_FIELDS), *_KIND_KEYS]:
        *table, name = key.path
        (shape.setdefault(table[0], {}) if table else shape)[name] = "VARCHAR" if key.read_as in ROW_FIELDS else "JSON"
    return json.dumps(shape)


_KIND_KEYS = keys_of(("schema", *KIND_FIELDS))
"""The keys that make a kind of execution."""


def _column(field: str) -> str:
    """Return the expression of a column: the first of its keys that has a value."""
    keys = keys_of([field])
    columns = [f"try_cast(j.{key.name} AS DOUBLE)" if key.type == "number" else f"j.{key.name}" for key in keys]
    return f"coalesce({', '.join(columns)}, {_NONE[keys[0].type]})"


_NONE = {"number": "'nan'::DOUBLE", "text": "''", "time": "''"}


def _as_written() -> str:
    """Return the condition that columns have the types of the schema: DuckDB takes ``true`` for 1, 1.0 for a text."""
    found = []
    for key in keys_of(ROW_FIELDS):
        column = f"j.{key.name}"
        # A comma is rarer than a quotation mark, which makes the search fast.
        as_text = f"""<> contains(body, ',"{key.name}":"')"""
        as_number = f"= (try_cast({column} AS DOUBLE) IS NULL)"
        found.append(f"({column} IS NULL) {as_number if key.type == 'number' else as_text}")
    return " AND ".join(found)


def _kind() -> str:
    """Return the expression of a kind of execution as one text: the JSON of its keys."""
    texts = ", ".join(f"coalesce(j.{key.name}::VARCHAR, 'null')" for key in _KIND_KEYS)
    return f"concat_ws(chr({ord(_FIELD_END)}), {texts})"


def _kind_in(group: dict[str, Any]) -> ExecutionKind:
    """Return the kind that the JSON of its keys makes, by the same fields as a line's.

    Raises:
        NotForDuckDBError: there is something that the line reader has to tell of.
    """
    line: dict[str, Any] = dict.fromkeys((key.name for key in KEYS if key.needed), "any")
    line["timestamp"] = "1970-01-01T00:00:00Z"
    try:
        for key, text in zip(_KIND_KEYS, str(group["kind"]).split(_FIELD_END), strict=True):
            *table, name = key.path
            (line.setdefault(table[0], {}) if table else line)[name] = json.loads(text)
        return kind_of(_read_kind(line))
    except (ValueError, RecursionError) as error:
        raise NotForDuckDBError from error


_read_kind = FieldReader(KIND_FIELDS)


def _query(source: Source, hashed: str, *, careful: bool) -> str:
    """Return the query; a careful one makes an odd line of a line that is not JSON, not an error: that is slower."""
    path = str(source.path).replace("'", "''")
    packed = "gzip" if source.packed else "none"
    parse = f"json_transform(body, '{_shape()}')"
    parse = f"TRY({parse})" if careful else parse
    line = "l" if source.form is Form.LINES else "json_extract_string(try_cast(l AS JSON), '$.log')"
    pair_id, trace_id, session, time, v1_ms, v2_ms, probability, process, sequence, overhead = map(_column, ROW_FIELDS)
    pair, owner = hashed.format(f"{pair_id} || '|' || trim(j.event::VARCHAR, '\"')"), hashed.format(session)
    writer = hashed.format(process)
    read = "j.event::VARCHAR IN ({})".format(", ".join(f"'\"{event}\"'" for event in sorted(READ_EVENTS)))
    # Where an object broke off and another follows, a line is no JSON; of a line for people that has to be looked for.
    behind = " OR ".join(f"contains(body, '{event}')" for event in sorted(READ_EVENTS))
    needed = " AND ".join(f"j.{key.name}::VARCHAR NOT IN ('', 'null', '\"\"')" for key in KEYS if key.needed)
    # A shipper may have flattened the table, or made a text of it.
    needed += f" AND (j.event::VARCHAR <> '\"{semconv.EVENT_V2}\"' OR j.decision_comparison IS NOT NULL)"
    of_beat = f"regexp_extract(body, '{_BEAT_FORM}', {list(_BEAT_PARTS)})"
    # Of all that may be worth one; which kinds are is decided with the kind.
    sample = """j.comparison::VARCHAR = '"mismatch"'
        OR coalesce(j.shadow_status, j.v2_status)::VARCHAR IN ('"error"', '"timeout"')
        OR j.v1_served::VARCHAR <> 'true' OR j.fallback_reason::VARCHAR <> 'null'"""
    return f"""
    WITH raw AS (
      SELECT l, {line} AS text FROM read_csv('{path}', columns={{'l': 'VARCHAR'}}, header=false, delim='{_NO_LINE_HAS}',
        quote='', escape='', auto_detect=false, strict_mode=false, max_line_size={_LONGEST}, compression='{packed}')
    ), placed AS (
      SELECT l, CASE WHEN starts_with(text, '{_START}') THEN text
          WHEN contains(text, '{_START}') THEN regexp_replace(text, '{_BEHIND_PREFIX}', '\\1') END AS body,
        starts_with(body, '{_START}') AND NOT starts_with(body, '{_PEOPLE}') AS ours,
        CASE WHEN starts_with(body, '{_BEAT}') THEN {of_beat} END AS beat,
        CASE WHEN ours THEN true WHEN starts_with(body, '{_PEOPLE}') THEN {behind}
          ELSE contains(l, 'SHADOW_') OR contains(l, '"pair_id') OR contains(l, chr(0)) END AS marked
      FROM raw
    ), found AS (
      SELECT l, body, marked, ours, beat, CASE WHEN marked AND ours AND NOT starts_with(body, '{_BEAT}') THEN {parse}
        END AS j FROM placed
    ), timed AS (
      SELECT *, CASE WHEN regexp_full_match({time}, '{_TIME}') THEN
        epoch_ms(try_cast({time} AS TIMESTAMPTZ)) END AS t FROM found
    ), classed AS (
      SELECT *, CASE WHEN marked IS NOT TRUE THEN 'other' WHEN {_BEAT_IS_PLAIN} THEN 'beat'
        WHEN coalesce(ours AND {read} AND {needed} AND {_as_written()} AND t IS NOT NULL, false) THEN 'used'
        ELSE 'odd' END AS class
      FROM timed
    )
    SELECT class, CASE class WHEN 'used' THEN {_kind()} WHEN 'beat' THEN {_BEAT_OF} ELSE '' END AS kind,
      count(*) AS rows,
      list({pair}) FILTER (class = 'used') AS pair,
      list({owner}) FILTER (class = 'used') AS session,
      list(t) FILTER (class = 'used') AS time,
      list({v1_ms}) FILTER (class = 'used') AS v1,
      list({v2_ms}) FILTER (class = 'used') AS v2,
      list({probability}) FILTER (class = 'used') AS probability,
      list(CASE WHEN {process} = '' THEN {NO_PROCESS} ELSE {writer} END) FILTER (class = 'used')
        AS process,
      list({sequence}) FILTER (class = 'used') AS sequence,
      list({overhead}) FILTER (class = 'used') AS overhead,
      min(CASE WHEN class = 'used' AND ({sample}) THEN
        printf('%015d', t) || chr(31) || {pair_id} || chr(31) || {trace_id} END, 10) AS samples,
      max_by(body, {_BEAT_RANK}) FILTER (class = 'beat') AS beat,
      min(l, {_ODD}) FILTER (class = 'odd') AS odd
    FROM classed GROUP BY ALL
    """  # noqa: S608 - names are ours, the path is quoted


_WORD, _COUNT = r'"[^"\\\x00-\x1f]*"', r"\d{1,15}"
_TOTALS = (semconv.EVENT_TYPE_BASELINE, semconv.EVENT_TYPE_V2, semconv.TOTAL_UNLOGGED)
_BEAT_PARTS = {
    "moment": _TIME,
    "service": f"null|{_WORD}",
    "process": r'[^"\\\x00-\x1f]+',
    "node": rf'{_WORD},"node":"[^"\\\x00-\x1f]+"',
    "handed_over": _COUNT,
    **{f"total_{number}": _COUNT for number in range(len(_TOTALS))},
    "last": "true|false",
    "configuration": f'{_WORD},"config_digest":{_WORD}',
}
"""What is looked at of a heartbeat that stands just as the writer made it, and the form of each."""
_BEAT_FORM = (
    '^{{"event":"{event}","event_type":"{type}",(?:"[a-z0-9_]+":null,)*"timestamp":"({moment})",'
    '"schema":(?:{schemas}),"service":({service}),'
    '"process":"({process})","graph":({node}),"handed_over":({handed_over}),"totals":{{{totals}}},"last":({last}),'
    '"v2_build":({configuration}),"key_id":{word},"clock":{word},"code":(?:null|"[0-9a-f]*")}}\\s*$'
).format(
    event=semconv.EVENT_HEARTBEAT,
    type=semconv.EVENT_TYPE_HEARTBEAT,
    schemas="|".join(semconv.LINE_SCHEMAS_READ),
    totals=",?".join(f'(?:"{name}":({_COUNT}))?' for name in _TOTALS),
    word=_WORD,
    **_BEAT_PARTS,
)
_BEAT_IS_PLAIN = "beat.process <> '' AND json_valid(body) AND try_cast(beat.moment AS TIMESTAMPTZ) IS NOT NULL"
_COUNTS = [f"beat.total_{number}" for number in range(len(_TOTALS))]
_BEAT_OF = "concat_ws(chr({}), {})".format(
    ord(_FIELD_END),
    ", ".join(
        ["beat.service", "beat.process", "beat.node", "beat.configuration", *(f"{count} = ''" for count in _COUNTS)]
    ),
)
"""Whose totals a heartbeat tells, and of which events: of these one heartbeat is read."""
_NUMBERS = [f"coalesce(try_cast({count} AS BIGINT), 0)" for count in _COUNTS]
_BEAT_RANK = f"row(beat.handed_over::BIGINT, {' + '.join(_NUMBERS)}, beat.last, beat.moment, {', '.join(_NUMBERS)})"
"""The order of ``heartbeats.latest``."""
_BEHIND_PREFIX = "^(?:{})({})".format(PREFIX.replace("'", "''"), _START.replace("{", r"\{"))


def _add_group(group: dict[str, Any], kind: ExecutionKind, builder: SummaryBuilder) -> None:
    """Add the executions of one kind, and the pairs to look at."""
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
