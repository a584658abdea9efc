"""Whatever stands in a log: counted or read, the same by both readers, and never another exception than ours."""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded import beats, compose, console, docker, formatted, kubernetes, log, otlp, shipped

from otel_shadow._report import prometheus_counts
from otel_shadow._report.prometheus_counts import show_counts
from otel_shadow._report.verdict_command import json_text
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import ConfigError, EvidenceError
from otel_shadow.evidence import load, read, read_sources, save, view_of
from otel_shadow.line_code import derived_key
from otel_shadow.verdict import Summary, evaluate

EXAMPLES = int(os.environ.get("OTEL_SHADOW_FUZZ_EXAMPLES", "150"))
"""Of each test here: a minute in all, as in CI. By night: 5,000 take half an hour."""
OURS = [json.loads(line) for line in [*log(12), *beats(8)] if b"COMPARISON" not in line]
HUGE = 10**400
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 1.0, 0.5, 1e308, HUGE, 10**18, "", "1", "1.0", "true", "NaN", "\x1f", "\x1e\x1f",
    "\ud800", "a" * 300, [], ["a"], [1, None], [["a"]], {}, {"a": 1}, {"v1": {"a": []}}, "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59", "2025-01-09", "2025-01-09T10:00:00", "2025-01-09T10:00:00.123456789Z",
    "{", '{"a":1}', "[1]", 7, 8, 8.0, "8", -0.0, 2**53 + 1, {"shadow_v2_execution": 4, "shadow_baseline": 3},
    {"shadow_baseline": "7"}, {"shadow_baseline": 3.0}, {"shadow_v2_execution": 7}, {"unlogged": 1, "more": 2},
]  # fmt: skip
values = st.sampled_from(ODD) | st.text(max_size=8) | st.floats(allow_nan=True) | st.integers()
keys = st.sampled_from(sorted({key for item in OURS for key in item}))


def dumped(item: Any) -> bytes:
    return json.dumps(item, separators=(",", ":")).encode() + b"\n"


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """A line of ours, of which some values were replaced or taken away."""
    item = dict(draw(st.sampled_from(OURS)))
    for _ in range(draw(st.integers(0, 3))):
        key = draw(keys)
        if draw(st.booleans()):
            item[key] = draw(values)
        else:
            item.pop(key, None)
    line = dumped(item)
    if draw(st.integers(0, 9)) == 0:  # a key that is there twice, as text: which value counts is the parser's choice
        line = line.replace(b"{", b"{" + dumped({draw(keys): draw(values)}).strip()[1:-1] + b",", 1)
    return line


def printed(line: bytes) -> bytes:
    """As a console exporter prints it; of what has no event, one line of it."""
    with suppress(KeyError):
        return console(line)
    return b'    "body": ' + json.dumps(line.decode()).encode() + b",\n"


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A line that broke off, was wrapped, or stands behind something."""
    line = draw(changed())
    form = draw(st.sampled_from([compose, docker, formatted, kubernetes, printed, None]))
    line = form(line) if form else line
    if draw(st.booleans()):
        line = line[: draw(st.integers(0, len(line)))] + draw(st.sampled_from([b"", b"\n", b"\0\0\n", b"\xff\n"]))
    return line


files = st.lists(changed() | damaged() | st.binary(max_size=40), min_size=1, max_size=12).map(b"".join)


def told(content: bytes, small: int, key: bytes | None = None) -> Any:
    """What reading gives: the rows with their kinds and the counts, or the complaint."""
    former, read_sources._SMALL = read_sources._SMALL, small
    try:
        with tempfile.NamedTemporaryFile(suffix=".log") as file:
            file.write(content)
            file.flush()
            try:
                found = read([file.name], verify_key=key)
            except EvidenceError as error:
                # The examples differ: of two equal lines the fast reader knows the first one's number only.
                return re.sub(r" broken: .*", " broken)", str(error).replace(file.name, "FILE"))
            evaluate(found)
            reading = found.reading
            counts = (reading.used, reading.malformed, reading.truncated, reading.misplaced, dict(reading.other_schema))
            return rows(found), found.beats, sorted(found.samples.items(), key=repr), counts
    finally:
        read_sources._SMALL = former


def rows(found: Summary) -> list[str]:
    columns = [getattr(found.rows, item.name).tolist() for item in fields(found.rows) if item.name != "kind"]
    kinds = [found.signatures[place] for place in found.rows.kind.tolist()]
    return sorted(repr(row) for row in zip(*columns, kinds, strict=True))


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(files)
def test_both_readers_say_the_same_and_raise_nothing(content: bytes) -> None:
    """The fast one hands over what is not just as the writer made it."""
    assert told(content, 0) == told(content, 1 << 60)


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(files)
def test_with_a_key_nothing_is_raised_either(content: bytes) -> None:
    """Codes are computed of whatever is there."""
    told(content, 0, derived_key(b"k" * 32))


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A saved summary."""
    folder = tmp_path_factory.mktemp("summary")
    (folder / "app.log").write_bytes(b"".join(log(60)))
    save(read([str(folder / "app.log")]), folder / "s.npz")
    return (folder / "s.npz").read_bytes()


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_damaged_saved_evidence_is_a_complaint_or_what_it_was(summary: bytes, data: st.DataObject) -> None:
    """Bytes changed, cut or put in."""
    content = bytearray(summary)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        file.write(bytes(content))
        file.flush()
        with suppress(EvidenceError):
            evaluate(load(file.name))


@pytest.mark.parametrize("wrap", [otlp, lambda lines: [shipped(line) for line in lines]], ids=["otlp", "shipped"])
def test_wrapped_odd_values_are_counted_too(tmp_path: Path, wrap: Any) -> None:
    """Each key with each odd value."""
    lines = [
        dumped({**OURS[0], key: value}) for key in ("event", "diff_fields", "timestamp", "schema") for value in ODD
    ]
    lines += [dumped(OURS[1])]
    content = b"".join(wrap([line for line in lines if b"\\ud800" not in line]))
    assert not isinstance(told(content, 1 << 60), str)


def replaced(draw: st.DrawFn, value: Any) -> Any:
    """``value`` with something odd somewhere inside."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: replaced(draw, value[name])}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], replaced(draw, value[place]), *value[place + 1 :]]
    return draw(values)


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_saved_evidence_with_other_words_is_evidence_or_a_complaint(summary: bytes, data: st.DataObject) -> None:
    """The archive is whole; what stands in it was changed, in either format."""
    with np.load(io.BytesIO(summary)) as file:
        columns = {name: file[name] for name in file.files}
    facts = json.loads(columns.pop("facts").tobytes()) | {"format": data.draw(st.sampled_from([1, 2]))}
    changes = data.draw(st.integers(1, 3))
    for _ in range(changes):
        facts = data.draw(st.composite(replaced)(facts))
    if data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(columns)))
        column, odd = columns[name], data.draw(st.sampled_from([-1, 0, 1, 2**31 - 1, 2**62]))
        filled = np.full(column.shape, odd).astype(column.dtype)
        columns[name] = data.draw(st.sampled_from([column[:-1], column.astype(float), filled]))
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        np.savez(file, facts=text, **columns)
        file.flush()
        with suppress(EvidenceError):
            found = load(file.name)
            verdict = evaluate(found)
            json_text(verdict, view_of(found, verdict)).encode()


ANSWER = {"status": "success", "data": {"resultType": "vector", "result": [
    {"metric": {"job": "app", "shadow_graph_name": "g", "shadow_node_name": "ask"}, "value": [1.5, "0.5"]},
]}}  # fmt: skip


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_answers_of_a_prometheus_are_counts_or_a_complaint(data: st.DataObject) -> None:
    """Whatever answers, and whatever it answers."""
    answer = data.draw(st.composite(replaced)(ANSWER))
    body = data.draw(st.sampled_from([json.dumps(answer).encode(), json.dumps(answer).encode()[:-3]]) | st.binary())
    with pytest.MonkeyPatch.context() as patched, suppress(EvidenceError):
        patched.setattr(prometheus_counts, "_answer", lambda url, expression: body)
        patched.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), "utf-8"))
        show_counts("http://localhost:9090")


SETTINGS: dict[str, Any] = {
    "session": {"id": "configurable.thread_id", "intents": ["a"]}, "limits": {"queue": 5},
    "sla": {"parity": 0.9, "max_turns": 3, "judge": "graph", "nodes": {"a": {"parity": 0.9}}}, "arms": {"holdout": 0.3},
    "nodes": {"a": {"v2": "m:f", "sample": 0.5}}, "accept": [{"fields": ["x"], "reason": "r", "expires": "2030-01-01"}],
}  # fmt: skip


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_configuration_is_read_or_complained_of(data: st.DataObject) -> None:
    """As a table, and as the bytes of a file."""
    with suppress(ConfigError):
        ShadowConfig.from_mapping(data.draw(st.composite(replaced)(SETTINGS)))
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(
            data.draw(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
        )
        file.flush()
        with suppress(ConfigError):
            ShadowConfig.load(file.name)
