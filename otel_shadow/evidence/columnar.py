"""The fast reader: DuckDB parses the lines on all cores and hands over columns, grouped by kind of execution."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from otel_shadow import semconv
from otel_shadow.errors import require
from otel_shadow.evidence.collector import Collector
from otel_shadow.evidence.decode import SIMULATED
from otel_shadow.evidence.sources import Form, Source, open_lines
from otel_shadow.evidence.tolerant import take
from otel_shadow.verdict.execution_kind import Signature
from otel_shadow.verdict.executions import Sample, moment
from otel_shadow.verdict.hashes import text_hash

_LONGEST = 1 << 20
"""Bytes of a line; a file with longer ones is read by the slow reader."""
_ODD = 1000
"""Odd lines that are handed over; a file with more is read by the slow reader."""
_TEXTS = (
    "event", "schema", "session_id", "timestamp", "pair_id", "graph", "node", "mode", "arm", "intent", "v1_status",
    "v1_error_type", "v2_build", "config_digest", "key_id", "trace_id", "clock", "shadow_status", "comparison",
    "v1_current_step", "v2_current_step", "v2_error_type", "reason", "original_target", "served", "fallback_reason",
    "v2_status",
)  # fmt: skip
_SHAPE = (
    "{"
    + ",".join(f'"{name}":"VARCHAR"' for name in _TEXTS)
    + ',"shadow_latency_ms":"DOUBLE","v1_latency_ms":"DOUBLE","v2_latency_ms":"DOUBLE","v1_served":"BOOLEAN",'
    '"steps_match":"BOOLEAN","fields_compared":"BOOLEAN","self_match":"BOOLEAN","diff_fields":["VARCHAR"],'
    '"decision_comparison":{"original_target":"VARCHAR","shadow_target":"VARCHAR","decisions_match":"BOOLEAN"}}'
)
_KIND = (
    ("node", "j.node"), ("graph", "j.graph"), ("mode", "j.mode"), ("arm", "j.arm"), ("v1_status", "j.v1_status"),
    ("v1_served", "j.v1_served"), ("v2_status", "coalesce(j.shadow_status, j.v2_status)"),
    ("comparison", "j.comparison"), ("decisions_match", "j.decision_comparison.decisions_match"),
    ("steps_match", "j.steps_match"),
    ("original_target", "coalesce(j.decision_comparison.original_target, j.original_target)"),
    ("shadow_target", "j.decision_comparison.shadow_target"), ("v1_step", "j.v1_current_step"),
    ("v2_step", "j.v2_current_step"), ("diff_fields", "array_to_string(j.diff_fields, chr(30))"),
    ("fields_compared", "j.fields_compared"), ("self_match", "j.self_match"), ("intent", "j.intent"),
    ("build", "j.v2_build"), ("digest", "j.config_digest"), ("key_id", "j.key_id"), ("reason", "j.reason"),
    ("served", "j.served"), ("fallback_reason", "j.fallback_reason"), ("v1_error_type", "j.v1_error_type"),
    ("v2_error_type", "j.v2_error_type"), ("clock", "j.clock"), ("event", "j.event"),
)  # fmt: skip
_FLAGS = {"v1_served", "decisions_match", "steps_match", "self_match"}
_HASHES = ("(md5_number({}) & 18446744073709551615)::UBIGINT", "md5_number_lower({})", "md5_number_upper({})")
_START = '{"event":"SHADOW_'
_PEOPLE = f'{{"event":"{semconv.EVENT_COMPARISON}"'
"""The line for people repeats its pair: it is passed over unread."""


class NotColumnarError(Exception):
    """This file is not for the fast reader."""


class Columnar:
    """A connection that reads files one after another."""

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
        """Give the memory back."""
        self.connection.close()

    def read(self, source: Source, collector: Collector, progress: Callable[[int], None]) -> None:
        """Read all of ``source`` into ``collector``; nothing is added if it fails.

        Raises:
            NotColumnarError: the slow reader has to do it.
        """
        try:
            groups = self._watched(_query(source, self._hash, careful=False), source.size, progress)
        except NotColumnarError:
            groups = self._watched(_query(source, self._hash, careful=True), source.size, progress)
        odd = [group for group in groups if group["class"] == "odd"]
        if any(group["rows"] > _ODD for group in odd):
            raise NotColumnarError
        tail = _unfinished_tail(source)
        for group in groups:
            collector.lines += int(group["rows"])
            if group["class"] == "other":
                collector.other_lines += int(group["rows"])
            elif group["class"] == "schema":
                collector.other_schema[str(group["kind"])] += int(group["rows"])
            elif group["class"] == "used":
                _take_group(group, collector)
        odd_lines = [line for group in odd for line in group["odd"]]
        places = _line_numbers(source, odd_lines) if odd_lines else {}
        for line in odd_lines:
            where = f"{source.name}, line {places.get(line, '?')}"
            take(line.encode(), collector, where, ended=line != tail)

    def _hash_expression(self) -> str:
        """How ``text_hash`` is written here: DuckDB's halves of an MD5 are slow, and changed places once."""
        for hashed in _HASHES:
            query = "SELECT " + hashed.format("'otel-shadow'")
            if self.connection.execute(query).fetchall()[0][0] == text_hash("otel-shadow"):
                return hashed
        raise NotColumnarError

    def _watched(self, query: str, size: int, progress: Callable[[int], None]) -> list[dict[str, Any]]:
        """Run the query in a thread and tell the progress meanwhile."""
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
            raise NotColumnarError from outcome["error"]
        progress(size - told)
        table = outcome["table"]
        names = list(table)
        return [{name: table[name][row] for name in names} for row in range(len(table[names[0]]))]

    def _run(self, query: str, outcome: dict[str, Any]) -> None:
        try:
            outcome["table"] = self.connection.execute(query).fetchnumpy()
        except self._errors as error:
            outcome["error"] = error


def _query(source: Source, hashed: str, *, careful: bool) -> str:
    """Careful: a line that is not JSON makes no error but an odd line; that costs some speed."""
    path = str(source.path).replace("'", "''")
    packed = ", compression='gzip'" if source.packed else ", compression='none'"
    parse = f"json_transform(body, '{_SHAPE}')"
    parse = f"TRY({parse})" if careful else parse
    line = "l" if source.form is Form.LINES else "json_extract_string(try_cast(l AS JSON), '$.log')"
    pair, session = hashed.format("j.pair_id || '|' || j.event"), hashed.format("j.session_id")
    kind = ", ".join(f"coalesce({value}::VARCHAR, '')" for _, value in _KIND)
    event = f"j.event IN ('{semconv.EVENT_V2}', '{semconv.EVENT_BASELINE}')"
    whole = "j.pair_id <> '' AND j.session_id <> '' AND j.node <> '' AND t IS NOT NULL"
    sample = "j.comparison = 'mismatch' OR j.shadow_status IN ('error', 'timeout') OR NOT j.v1_served"
    sample += " OR j.fallback_reason <> ''"
    return f"""
    WITH raw AS (
      SELECT l, {line} AS text FROM read_csv('{path}', columns={{'l': 'VARCHAR'}}, header=false,
        delim=chr(1), quote='', escape='', auto_detect=false, strict_mode=false, max_line_size={_LONGEST}{packed})
    ), placed AS (
      SELECT l, CASE WHEN starts_with(text, '{_START}') THEN text
          WHEN contains(l, 'SHADOW_') THEN substr(text, position('{_START}' IN text)) END AS body,
        CASE WHEN body IS NULL THEN text IS NULL AND contains(l, 'SHADOW_')
          WHEN starts_with(body, '{_PEOPLE}') THEN false
          WHEN starts_with(body, '{_START}') THEN true
          ELSE contains(l, '{semconv.EVENT_V2}') OR contains(l, '{semconv.EVENT_BASELINE}') END AS marked,
        starts_with(body, '{_START}') AS ours
      FROM raw
    ), found AS (
      SELECT l, marked, ours, CASE WHEN marked AND ours THEN {parse} END AS j FROM placed
    ), timed AS (
      SELECT *, epoch_ms(try_cast(j.timestamp AS TIMESTAMPTZ)) AS t FROM found
    ), classed AS (
      SELECT *, CASE WHEN marked IS NOT TRUE THEN 'other'
        WHEN NOT coalesce(ours AND {event}, false) THEN 'odd'
        WHEN coalesce(j.schema, '') <> '{semconv.LINE_SCHEMA}' THEN 'schema'
        WHEN coalesce({whole}, false) THEN 'used' ELSE 'odd' END AS class
      FROM timed
    )
    SELECT class, CASE class WHEN 'used' THEN concat_ws(chr(31), {kind})
        WHEN 'schema' THEN coalesce(j.schema, 'none') ELSE '' END AS kind,
      count(*) AS rows,
      list({pair}) FILTER (class = 'used') AS pair,
      list({session}) FILTER (class = 'used') AS session,
      list(t) FILTER (class = 'used') AS time,
      list(coalesce(j.v1_latency_ms, 'nan'::DOUBLE)) FILTER (class = 'used') AS v1,
      list(coalesce(j.shadow_latency_ms, j.v2_latency_ms, 'nan'::DOUBLE)) FILTER (class = 'used') AS v2,
      min(CASE WHEN class = 'used' AND ({sample}) THEN
        printf('%015d', t) || chr(31) || j.pair_id || chr(31) || coalesce(j.trace_id, '') END, 10) AS samples,
      min(l, {_ODD}) FILTER (class = 'odd') AS odd
    FROM classed GROUP BY ALL
    """  # noqa: S608 - names are ours, the path is quoted


def _take_group(group: dict[str, Any], collector: Collector) -> None:
    signature = _signature(str(group["kind"]))
    collector.many(signature, {name: np.asarray(group[name]) for name in ("pair", "session", "time", "v1", "v2")})
    samples = np.ma.getdata(group["samples"])
    if samples.ndim:  # DuckDB's NULL is a masked scalar
        told = [str(text).split("\x1f") for text in samples]
        collector.sample(signature, [Sample(moment(int(at)), pair, trace) for at, pair, trace in told])


def _signature(kind: str) -> Signature:
    values: dict[str, Any] = dict(zip((name for name, _ in _KIND), kind.split("\x1f"), strict=True))
    for name in _FLAGS:
        values[name] = {"true": True, "false": False}.get(values[name])
    values["fields_compared"] = values["fields_compared"] == "true"
    values["diff_fields"] = tuple(sorted(set(filter(None, values["diff_fields"].split("\x1e")))))
    values["served"] = values["served"] or semconv.VERSION_V1
    values["simulated"] = values.pop("clock") == SIMULATED
    return Signature(pair=values.pop("event") == semconv.EVENT_V2, **values)


def _unfinished_tail(source: Source) -> str | None:
    """The last line, if nobody ended it."""
    if source.packed:
        return None
    with source.path.open("rb") as file:
        file.seek(max(source.size - _LONGEST, 0))
        last = file.read().rpartition(b"\n")[2]
    return last.decode("utf-8", "replace") if last else None


def _line_numbers(source: Source, wanted: list[str]) -> dict[str, int]:
    """Where lines stand, for the message; the first place of each."""
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
