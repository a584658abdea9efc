"""Reading evidence: every form of log gives the same summary, and what is skipped is counted."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from recorded import START, compose, console, docker, flattened, kubernetes, log, mixed, otlp, record, shipped

from otel_shadow.evidence import Progress, load, read, read_sources, save
from otel_shadow.log_line import encode, lines
from otel_shadow.verdict import Summary, evaluate

RECORDS = 600


def write(path: Path, content: list[bytes]) -> str:
    path.write_bytes(b"".join(content))
    return str(path)


def told(summary: Summary) -> set[tuple[object, ...]]:
    """The rows with their kinds, whatever their order."""
    rows = summary.rows
    columns = [getattr(rows, item.name).tolist() for item in fields(rows) if item.name != "kind"]
    kinds = [summary.signatures[place] for place in rows.kind.tolist()]
    return set(zip(*columns, kinds, strict=True))


@pytest.fixture(params=["duckdb", "line by line"])
def reads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both readers: the fast one for every size, and the slow one for every size."""
    monkeypatch.setattr(read_sources, "_SMALL", 0 if request.param == "duckdb" else 1 << 60)
    return str(request.param)


@pytest.fixture(scope="module")
def ours() -> list[bytes]:
    return log(RECORDS)


@pytest.fixture(scope="module")
def expected(ours: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return read([write(tmp_path_factory.mktemp("log") / "app.log", ours)])


@pytest.fixture(scope="module")
def wanted(expected: Summary) -> tuple[object, object]:
    """Rows and criteria of ``expected``."""
    return told(expected), evaluate(expected).criteria


FORMS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "plain": lambda ours: ours,
    "mixed": mixed,
    "kubernetes": lambda ours: [kubernetes(line) for line in mixed(ours)],
    "compose": lambda ours: [compose(line) for line in mixed(ours)],
    "docker": lambda ours: [docker(line) for line in mixed(ours)],
    "shipped": lambda ours: [shipped(line) for line in ours],
    "otlp": otlp,
    "windows": lambda ours: [line.replace(b"\n", b"\r\n") for line in mixed(ours)],
    "reordered keys": lambda ours: [
        json.dumps(dict(sorted(json.loads(line).items()))).encode() + b"\n" for line in ours
    ],
    "late lines": lambda ours: ours[400:] + ours[:400],
    "no last newline": lambda ours: [*ours[:-1], ours[-1].rstrip(b"\n")],
    "not UTF-8": lambda ours: [b"caf\xe9 \xff\n", *ours],
    "control characters": lambda ours: [b"\x1b[31mred\x1b[0m \x01\n", *ours],
    "flattened by dots": lambda ours: [flattened(line, ".") for line in ours],
    "flattened by underscores": lambda ours: [flattened(line, "_") for line in ours],
    "wrapped, without ends of lines": lambda ours: [shipped(line).rstrip() for line in ours],
    "a console exporter's alone": lambda ours: [console(line) for line in ours],
    "a console exporter's in containerd": lambda ours: [
        kubernetes(part) for line in ours for part in console(line).splitlines(keepends=True)
    ],
    "a console exporter's in json-file": lambda ours: [
        docker(part) for line in ours for part in console(line).splitlines(keepends=True)
    ],
    "an answer over several lines": lambda ours: [
        json.dumps(
            {"events": [{"id": str(number), "message": line.decode()} for number, line in enumerate(ours)]}, indent=4
        ).encode()
    ],
    "bracket of the application's": lambda ours: [
        b"{\n",
        *(json.dumps(json.loads(line), indent=2).encode() + b"\n" for line in ours[:9]),
        b"[\n",
        *ours[9:],
    ],
    "a part in UTF-16": lambda ours: [*ours[:300], *(line.decode().encode("utf-16-le") for line in ours[300:])],
    "a hole of zeros": lambda ours: [*ours[:300], b"\0" * 5_000_000, *ours[300:]],
    "a hole in a line": lambda ours: [*ours[:300], ours[300][:50], b"\0" * 3_000_000, ours[300][50:], *ours[301:]],
    "a very long line": lambda ours: [b"x" * 3_000_000 + b"\n", *ours],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packed", [False, True], ids=["", "gzip"])
def test_every_form_is_the_same_evidence(
    tmp_path: Path, reads: str, ours: list[bytes], expected: Summary, wanted: object, form: str, packed: bool
) -> None:
    """Prefixes, wrappings, other lines, order and packing change no row and lose none."""
    content = b"".join(FORMS[form](ours))
    path = tmp_path / ("app.log.gz" if packed else "app.log")
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    found = read([str(path)])
    assert found.samples == expected.samples
    assert (found.reading.used, found.reading.malformed, found.reading.truncated) == (RECORDS, 0, 0)
    assert (told(found), evaluate(found).criteria) == wanted


def test_many_files_globs_duplicates_and_standard_input(
    tmp_path: Path, expected: Summary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty replicas' rotated logs, some read twice, one from a pipe: every pair once."""
    ours = log(RECORDS)
    for place in range(20):
        write(tmp_path / f"app-{place}.log", ours[place::20])
    (tmp_path / "old.log.gz").write_bytes(gzip.compress(b"".join(ours[:200])))
    with (tmp_path / "app-0.log").open("rb") as pipe:
        monkeypatch.setattr("sys.stdin", type("Pipe", (), {"buffer": pipe}))
        found = read([str(tmp_path / "app-*.log"), str(tmp_path / "app-3.log"), str(tmp_path / "old.log.gz"), "-"])
    assert told(found) == told(expected)
    assert found.duplicates > 100
    assert evaluate(found).criteria == evaluate(expected).criteria


def test_what_is_read_is_what_was_recorded(tmp_path: Path, reads: str) -> None:
    """The numbers of the summary are those of the records, counted by themselves."""
    records = [record(number, random.Random(number)) for number in range(500)]
    found = read([write(tmp_path / "app.log", [encode(line) for item in records for line in lines(item)])])
    tallied = evaluate(found).node("greeting")
    mine = [item for item in records if item.node == "greeting"]
    parity = tallied.criterion("parity").counts
    assert parity["match"] == sum(item.is_pair and item.comparison.outcome == "match" for item in mine)
    assert parity["mismatch"] == sum(item.is_pair and item.comparison.outcome == "mismatch" for item in mine)
    assert tallied.criterion("handoff").counts["timeout"] == sum(
        item.is_pair and item.v2 is not None and item.v2.status == "timeout" for item in mine
    )
    assert tallied.criterion("latency_now").counts["holdout_sessions"] == len(
        {item.session_id for item in mine if item.reason == "holdout"}
    )
    assert found.first == min(item.timestamp for item in records)


def test_times_of_any_zone_are_one_instant(tmp_path: Path, reads: str) -> None:
    """Offsets are applied, and a time without a zone is UTC."""
    line = json.loads(log(2, start=6)[0])
    moments = ["2025-01-09T10:30:45.123Z", "2025-01-09T07:30:45.123-03:00", "2025-01-09T10:30:45.123"]
    content = [
        json.dumps(line | {"timestamp": at, "pair_id": at}, separators=(",", ":")).encode() + b"\n" for at in moments
    ]
    assert set(read([write(tmp_path / "app.log", content)]).rows.time.tolist()) == {1736418645123}


def test_simulated_clocks_are_told(tmp_path: Path, reads: str) -> None:
    """Evidence made under a simulated clock says so in the verdict."""
    content = [line.replace(b'"clock":"system"', b'"clock":"simulated"') for line in log(30)]
    verdict = evaluate(read([write(tmp_path / "app.log", content)]))
    assert verdict.simulated
    assert "the clock was simulated" in verdict.warnings[0]


def test_lines_that_break_the_contract_are_named_and_counted(tmp_path: Path, reads: str) -> None:
    """File, line and fault; the rest is used, and the verdict says that it is not all."""
    ours = log(RECORDS)
    v2 = [place for place, line in enumerate(ours) if b'"event":"SHADOW_V2"' in line]
    broken = list(ours)
    broken[v2[3]] = ours[v2[3]][:300] + b"\n"
    broken[v2[5]] = ours[v2[5]].replace(b'"pair_id":"', b'"pair":"')
    broken[v2[8]] = ours[v2[8]].replace(b'"timestamp":"2025', b'"timestamp":"yesterday')
    name = write(tmp_path / "app.log", broken)
    found = read([name])
    assert found.reading.malformed == 3
    assert found.reading.used == RECORDS - 3
    assert set(found.reading.examples) == {
        f"{name}, line {v2[3] + 1}: not valid JSON",
        f"{name}, line {v2[5] + 1}: pair_id is missing",
        f"{name}, line {v2[8] + 1}: timestamp is not an RFC 3339 time",
    }
    assert "3 lines of otel-shadow were unreadable and skipped" in " ".join(evaluate(found).warnings)


def test_a_last_line_that_is_being_written_is_no_fault(tmp_path: Path, reads: str) -> None:
    """It is left out, counted as incomplete, and told."""
    ours = log(101)
    name = write(tmp_path / "app.log", [*ours[:-2], ours[-2][:500]])
    found = read([name])
    assert (found.reading.truncated, found.reading.malformed, found.reading.used) == (1, 0, 100)
    assert "1 last line of a file was incomplete and skipped" in " ".join(evaluate(found).warnings)


def test_lines_of_another_schema_are_counted_and_forbid_a_go(tmp_path: Path, reads: str) -> None:
    """Mixed versions: what this version can't read might say the opposite."""
    ours = log(RECORDS)
    content = [line.replace(b'"schema":2', b'"schema":9') if number < 40 else line for number, line in enumerate(ours)]
    found = read([write(tmp_path / "app.log", content)])
    assert found.reading.other_schema == {"9": sum(b"SHADOW_C" not in line for line in ours[:40])}
    assert "lines of another format (schema 9) were left out" in evaluate(found).blockers[0]


def test_an_application_that_speaks_of_us_is_not_ours(tmp_path: Path, reads: str) -> None:
    """Our event names in other text are other lines, not broken ones."""
    content = [b"run: grep 'SHADOW_V2\\|SHADOW_COMPARISON' app.log | jq .\n", b"SHADOW_BASELINE {not json}\n", *log(20)]
    found = read([write(tmp_path / "app.log", content)])
    assert (found.reading.malformed, found.reading.used) == (0, 20)


def test_a_file_full_of_odd_lines_is_read_all_the_same(
    tmp_path: Path, expected: Summary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the fast reader meets too many odd lines, the slow one takes over and nothing counts twice."""
    monkeypatch.setattr(read_sources, "_SMALL", 0)
    ours = log(RECORDS)
    content = ours[:200] + [shipped(line) for line in ours[200:]] + [shipped(line) for line in ours] * 2
    found = read([write(tmp_path / "app.log", content)])
    assert told(found) == told(expected)


def test_progress_ends_at_the_whole(tmp_path: Path, reads: str) -> None:
    """Bytes done grow to the total and no further."""
    steps: list[Progress] = []
    names = [write(tmp_path / f"{place}.log", log(200, seed=place)) for place in range(3)]
    read(names, progress=steps.append)
    done = [step.done for step in steps]
    assert done[-1] == steps[-1].total == sum(Path(name).stat().st_size for name in names)
    assert all(step.done <= step.total for step in steps)


def test_two_saved_halves_are_the_whole(tmp_path: Path, expected: Summary) -> None:
    """A saved summary is a source like any other, beside logs too, and overlaps count once."""
    ours = log(RECORDS)
    names = [str(tmp_path / "first.npz"), str(tmp_path / "second.npz")]
    for name, part in zip(names, (ours[:700], ours[500:]), strict=True):
        save(read([write(tmp_path / "part.log", part)]), name)
    found = read([*names, write(tmp_path / "some.log", ours[:50])])
    assert told(found) == told(expected)
    assert found.samples == expected.samples
    assert evaluate(found).criteria == evaluate(expected).criteria
    np.testing.assert_array_equal(load(names[0]).rows.kind, load(names[0]).rows.kind)


def test_acceptance_is_applied_to_saved_evidence_too(tmp_path: Path) -> None:
    """Approving a known difference needs neither the log nor a new window."""
    from otel_shadow.config import AcceptRule

    save(read([write(tmp_path / "app.log", log(RECORDS))]), tmp_path / "s.npz")
    rules = [
        AcceptRule.model_validate(
            {"reason": "V2 schedules at once", "expires": "2026-01-01", "targets": (f"{t}->scheduling",)}
        )
        for t in ("qualification", "information", "__end__")
    ]
    before = evaluate(load(tmp_path / "s.npz")).node("greeting").criterion("parity").counts
    after = evaluate(load(tmp_path / "s.npz").accepting(rules, START)).node("greeting").criterion("parity").counts
    assert before["mismatch"] > 0
    assert (after["mismatch"], after["accepted"]) == (0, before["mismatch"])


def test_lines_of_the_release_before_are_read(tmp_path: Path, reads: str) -> None:
    """Schema 1 lacks keys that schema 2 has; an upgrade within a window loses no evidence."""
    ours = [line.replace(b'"schema":2', b'"schema":1') for line in log(RECORDS)]
    found = read([write(tmp_path / "app.log", ours)])
    assert (found.reading.used, found.reading.other_schema) == (RECORDS, {})
