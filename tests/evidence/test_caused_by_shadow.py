"""Executions that another service's shadow run has caused: no traffic of production's, hence no evidence."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from recorded import START, record

from otel_shadow.evidence import load, read, read_sources, save
from otel_shadow.log_line import encode, heartbeat_line, lines
from otel_shadow.record import Heartbeat
from otel_shadow.verdict import Summary, Verdict, evaluate
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role

COUNT = 240


@pytest.fixture(params=["duckdb", "line by line"], autouse=True)
def reads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_sources, "_SMALL", 0 if request.param == "duckdb" else 1 << 60)


def log() -> list[dict[str, Any]]:
    """Lines of one process, numbered, and its heartbeat."""
    rng, made, totals = random.Random(7), [], {"SHADOW_V2": 0, "SHADOW_BASELINE": 0}
    at = START
    for number in range(COUNT):
        at = START + timedelta(minutes=10 * number)
        one = record(number, rng, node="greeting", session_id=f"s-{number}", timestamp=at, process="a")
        event = "SHADOW_V2" if one.is_pair else "SHADOW_BASELINE"
        totals[event] += 1
        made += [line | {"sequence": totals[event]} for line in lines(one)]
    made.append(heartbeat_line(Heartbeat(
        "", "a", at + timedelta(minutes=1), "enrolment", "greeting", COUNT, totals, last=True,
        v2_build="1.4.0", config_digest="a1b2c3d4e5f6",
    )))  # fmt: skip
    return made


def caused(line: dict[str, Any]) -> dict[str, Any]:
    """The line as of an execution that a shadow run caused, whose pair differs and whose V1 took a minute."""
    worse = {"v1_latency_ms": 60_000.0} | ({"comparison": "mismatch"} if "comparison" in line else {})
    return line | worse | {"caused_by_shadow": True}


def is_of_shadow(line: dict[str, Any]) -> bool:
    return line["event"] != "SHADOW_HEARTBEAT" and int(line["pair_id"][-4:], 16) % 3 == 0


def read_of(tmp_path: Path, content: list[dict[str, Any]]) -> Summary:
    (tmp_path / "app.log").write_bytes(b"".join(encode(line) for line in content))
    return read([str(tmp_path / "app.log")])


def told(verdict: Verdict, *kinds: ReasonKind) -> list[Reason]:
    return [one for one in verdict.reasons if one.kind in kinds]


def judged(verdict: Verdict) -> Any:
    """All numbers of the criteria, and the counts of each node."""
    return json.dumps([[one.criterion, one.estimate, one.lower, one.upper] for one in verdict.criteria])


def test_the_verdict_leaves_them_out_and_says_so(tmp_path: Path) -> None:
    """The numbers are those of production's executions alone, no line is missed, and a saved summary says the same."""
    made = log()
    production = [line for line in made if not is_of_shadow(line)]
    summary = read_of(tmp_path, [caused(line) if is_of_shadow(line) else line for line in made])
    number = len({line["pair_id"] for line in made if is_of_shadow(line)})
    assert number > 50
    save(summary, tmp_path / "saved.npz")
    expected = judged(evaluate(read_of(tmp_path, production)))
    for found in (summary, load(tmp_path / "saved.npz")):
        verdict = evaluate(found)
        assert [(one.role, one.have) for one in told(verdict, ReasonKind.CAUSED_BY_SHADOW)] == [(Role.NOTE, number)]
        assert told(verdict, ReasonKind.LOST) == []
        assert judged(verdict) == expected


def test_evidence_of_nothing_else_waits(tmp_path: Path) -> None:
    """A service that serves shadow runs alone has nothing to judge."""
    made = [caused(line) if line["event"] != "SHADOW_HEARTBEAT" else line for line in log()]
    verdict = evaluate(read_of(tmp_path, made))
    assert str(verdict.decision) == "WAIT"
    assert [one.have for one in told(verdict, ReasonKind.CAUSED_BY_SHADOW)] == [COUNT]
