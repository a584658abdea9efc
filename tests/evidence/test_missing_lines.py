"""Lines that are missing: counted from the numbers and heartbeats of each process, however the evidence comes."""

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
from otel_shadow.record import Arm, Heartbeat
from otel_shadow.verdict import Summary, Verdict, evaluate
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role

EACH = 280
"""Executions of each process: one each ten minutes, for nearly two days."""


def process(name: str, count: int = EACH, begin: float = 0.0, beat: bool = True, last: bool = True) -> list[bytes]:
    """Lines of one process: pairs and baselines of one node, numbered, and its heartbeat at the end."""
    rng, made, totals = random.Random(name), [], {"SHADOW_V2": 0, "SHADOW_BASELINE": 0}
    at = START
    for number in range(count):
        at = START + timedelta(hours=begin, minutes=10 * number)
        one = record(number, rng, node="greeting", session_id=f"{name}-{number}", timestamp=at, process=name)
        event = "SHADOW_V2" if one.is_pair else "SHADOW_BASELINE"
        totals[event] += 1
        made += [line | {"sequence": totals[event]} for line in lines(one)]
    if beat:
        made.append(heartbeat_line(Heartbeat(
            "", name, at + timedelta(minutes=1), "enrolment", "greeting", count, totals, last=last,
            v2_build="1.4.0", config_digest="a1b2c3d4e5f6",
        )))  # fmt: skip
    return [encode(line) for line in made]


def read_of(tmp_path: Path, content: list[bytes]) -> Summary:
    (tmp_path / "app.log").write_bytes(b"".join(content))
    return read([str(tmp_path / "app.log")])


def told(summary: Summary | Verdict, *kinds: ReasonKind) -> list[Reason]:
    verdict = evaluate(summary) if isinstance(summary, Summary) else summary
    return [one for one in verdict.reasons if one.kind in (kinds or (ReasonKind.LOST,))]


def without(content: list[bytes], chosen: Any) -> list[bytes]:
    """The lines without the pairs that ``chosen`` (of the number and the object) names, and their lines for people."""
    kept = []
    for line in content:
        item = json.loads(line)
        if item["event"] == "SHADOW_HEARTBEAT" or not chosen(item):
            kept.append(line)
    return kept


@pytest.fixture(params=["duckdb", "line by line"], autouse=True)
def reads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_sources, "_SMALL", 0 if request.param == "duckdb" else 1 << 60)


def test_a_whole_log_misses_nothing(tmp_path: Path) -> None:
    """Two processes, in any order of lines."""
    content = [*process("a"), *process("b", begin=1)]
    random.Random(1).shuffle(content)
    found = read_of(tmp_path, content)
    assert (len(found), len(found.beats)) == (2 * EACH, 2)
    assert told(found, ReasonKind.LOST, ReasonKind.FILTERED, ReasonKind.FILTERED_EVENT, ReasonKind.NO_BASELINES) == []


def test_failures_that_could_not_be_written_are_missed(tmp_path: Path) -> None:
    """A disk was full for three hours: their numbers are in no line. Above one per cent there is no GO."""
    content = without(process("a"), lambda item: 100 <= item["sequence"] < 118 and item["event"] != "SHADOW_BASELINE")
    (reason,) = told(read_of(tmp_path, content))
    assert (reason.role, reason.node, reason.have, reason.of) == (Role.BLOCKER, "greeting", 18, EACH)
    assert reason.since is not None
    assert reason.by is not None
    assert timedelta(hours=3) < reason.by - reason.since < timedelta(hours=6)


def test_a_few_missing_lines_are_told_and_forbid_nothing(tmp_path: Path) -> None:
    """Up to one per cent."""
    content = without(process("a"), lambda item: item["sequence"] == 77 and item["event"] != "SHADOW_BASELINE")
    (reason,) = told(read_of(tmp_path, content))
    assert (reason.role, reason.have) == (Role.WARNING, 1)


def test_a_gap_of_one_file_is_filled_by_another(tmp_path: Path) -> None:
    """Shards of a log, saved one by one, give what the whole gives; as long as one is missing, it is missed."""
    content = process("a")
    names = []
    for shard in range(3):
        (tmp_path / f"{shard}.log").write_bytes(b"".join(content[shard::3]))
        names.append(str(tmp_path / f"{shard}.npz"))
        save(read([str(tmp_path / f"{shard}.log")]), names[-1])
    assert told(read(names)) == []
    (reason,) = told(load(names[0]).merge(load(names[1])))
    assert reason.role is Role.BLOCKER
    whole = read_of(tmp_path, [line for place, line in enumerate(content) if place % 3 != 2])
    (same,) = told(whole)
    assert (same.have, same.of) == (reason.have, reason.of)


def test_what_was_rotated_away_before_the_window_is_not_missed(tmp_path: Path) -> None:
    """The oldest archives are deleted: each process begins with a high number, at the same time."""
    limit = (START + timedelta(hours=12)).isoformat()
    content = without([*process("a"), *process("b")], lambda item: item["timestamp"] < limit)
    assert told(read_of(tmp_path, content)) == []


def test_the_first_half_of_one_process_is_missed(tmp_path: Path) -> None:
    """The others say that the window began earlier."""
    limit = (START + timedelta(hours=23)).isoformat()
    content = [*process("a"), *without(process("b"), lambda item: item["timestamp"] < limit)]
    (reason,) = told(read_of(tmp_path, content))
    assert reason.role is Role.BLOCKER
    assert 125 <= (reason.have or 0) <= 150


def test_the_tail_of_a_process_that_has_ended_is_missed(tmp_path: Path) -> None:
    """Its last heartbeat has the totals; of one that still writes the lines may be on their way."""
    cut = without(process("a"), lambda item: item["timestamp"] > (START + timedelta(hours=40)).isoformat())
    (reason,) = told(read_of(tmp_path, cut))
    assert (reason.role, reason.have) == (Role.BLOCKER, EACH - 240)
    alive = without(
        process("a", last=False), lambda item: item["timestamp"] > (START + timedelta(hours=40)).isoformat()
    )
    assert told(read_of(tmp_path, alive)) == []


def test_a_tail_that_has_not_arrived_though_others_have_is_missed(tmp_path: Path) -> None:
    """Ten minutes after a heartbeat, what it told of is on its way no more."""
    cut = without(process("a", last=False), lambda item: item["timestamp"] > (START + timedelta(hours=40)).isoformat())
    (reason,) = told(read_of(tmp_path, [*cut, *process("b", begin=5)]))
    assert reason.role is Role.BLOCKER


def test_an_event_that_was_filtered_out_is_told_apart(tmp_path: Path) -> None:
    """No baseline of any process: coverage can't be known; it is not said to be lost."""
    content = without(process("a"), lambda item: item["event"] == "SHADOW_BASELINE")
    (reason,) = told(read_of(tmp_path, content), ReasonKind.LOST, ReasonKind.FILTERED_EVENT, ReasonKind.NO_BASELINES)
    assert (reason.kind, reason.role, reason.names) == (
        ReasonKind.FILTERED_EVENT, Role.BLOCKER, ("SHADOW_BASELINE",)
    )  # fmt: skip


def test_a_node_that_was_filtered_out_is_told_apart(tmp_path: Path) -> None:
    """Heartbeats of a node without a line."""
    beat = heartbeat_line(Heartbeat(
        "", "a", START + timedelta(hours=2), "enrolment", "other", 9, {"SHADOW_V2": 9}, last=True,
        v2_build="1.4.0", config_digest="a1b2c3d4e5f6",
    ))  # fmt: skip
    (reason,) = told(read_of(tmp_path, [*process("a"), encode(beat)]), ReasonKind.LOST, ReasonKind.FILTERED)
    assert (reason.kind, reason.role, reason.node, reason.have) == (ReasonKind.FILTERED, Role.WARNING, "other", 9)


def test_grep_of_pairs_alone_forbids_a_go(tmp_path: Path) -> None:
    """Neither baselines nor heartbeats: nobody knows how many shadows never ran."""
    content = [line for line in process("a") if b'"event":"SHADOW_V2"' in line]
    assert told(read_of(tmp_path, content), ReasonKind.NO_BASELINES)[0].role is Role.BLOCKER


def test_a_log_that_has_no_baseline_because_none_was_due_is_whole(tmp_path: Path) -> None:
    """Its heartbeat says so."""
    made = []
    for number in range(1, 200):
        one = record(number, random.Random(number), node="greeting", arm=Arm.SHADOWED, reason=None, process="a",
                     session_id=f"s{number}")  # fmt: skip
        if one.is_pair:
            made += [one]
    content = [encode(line | {"sequence": place}) for place, one in enumerate(made, 1) for line in lines(one)]
    beat = Heartbeat("", "a", START + timedelta(hours=9), "enrolment", "greeting", len(made),
                     {"SHADOW_V2": len(made)}, last=True, v2_build="1.4.0", config_digest="a1b2c3d4e5f6")  # fmt: skip
    found = read_of(tmp_path, [*content, encode(heartbeat_line(beat))])
    assert told(found, ReasonKind.NO_BASELINES, ReasonKind.LOST) == []


def test_executions_of_which_no_line_was_ever_made_are_missed(tmp_path: Path) -> None:
    """Handed over, and never numbered: what a process dropped; what was not logged on purpose is among the totals."""
    content = process("a", beat=False)
    totals = {"SHADOW_V2": 250, "SHADOW_BASELINE": 30, "unlogged": 100}
    beat = Heartbeat("", "a", START + timedelta(hours=47), "enrolment", "greeting", EACH + 130, totals, last=True,
                     v2_build="1.4.0", config_digest="a1b2c3d4e5f6")  # fmt: skip
    (reason,) = told(read_of(tmp_path, [*content, encode(heartbeat_line(beat))]))
    assert (reason.role, reason.have) == (Role.BLOCKER, 30)


def test_a_line_told_twice_fills_no_gap_and_makes_none(tmp_path: Path) -> None:
    """Duplicates count once."""
    content = process("a")
    assert told(read_of(tmp_path, [*content, *content])) == []


def test_heartbeats_that_were_taken_away_are_told(tmp_path: Path) -> None:
    """All of them, or those of the last day: without them nobody knows what is missing at the end."""
    whole = [*process("a"), *process("b", begin=1)]
    assert told(read_of(tmp_path, whole), ReasonKind.UNHEARD) == []
    without_any = [line for line in whole if b"HEARTBEAT" not in line]
    (reason,) = told(read_of(tmp_path, without_any), ReasonKind.UNHEARD)
    assert (reason.role, reason.have) == (Role.WARNING, 2 * EACH - 2)
    early = process("a", EACH // 2, last=False)[-1]
    (reason,) = told(read_of(tmp_path, [*process("a", beat=False), early]), ReasonKind.UNHEARD)
    assert reason.have == EACH - EACH // 2 - 2


def test_a_process_that_was_killed_between_two_heartbeats_is_no_fault(tmp_path: Path) -> None:
    """A few of its lines have none behind them."""
    killed = process("b", 10, begin=3, beat=False)
    assert told(read_of(tmp_path, [*process("a"), *killed]), ReasonKind.UNHEARD) == []


def test_lines_of_a_clock_that_went_forth_and_back_are_not_missing(tmp_path: Path) -> None:
    """They are there, only stamped later than the verdict: that is what is said of them."""
    content = [json.loads(line) for line in process("a")]
    for item in content:
        if item["event"] == "SHADOW_V2" and 100 <= item["sequence"] < 130:
            item["timestamp"] = "2034" + item["timestamp"][4:]
    verdict = evaluate(read_of(tmp_path, [encode(item) for item in content]), at=START + timedelta(hours=47))
    assert told(verdict) == []
    (reason,) = told(verdict, ReasonKind.LATER)
    assert reason.have == 30
