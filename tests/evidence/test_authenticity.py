"""With a key the code decides, wherever a line stands; without one its place does."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from recorded import START, formatted, log, record

from otel_shadow.errors import EvidenceError
from otel_shadow.evidence import Watch, read, save
from otel_shadow.line_code import code_of, derived_key
from otel_shadow.log_line import encode, heartbeat_line, lines
from otel_shadow.record import Arm, Heartbeat
from otel_shadow.verdict import evaluate
from otel_shadow.verdict.reasons import ReasonKind, Role

PAIRS = [
    encode(lines(record(number, random.Random(number), arm=Arm.SHADOWED, node="greeting"))[0])
    for number in range(200)
    if record(number, random.Random(number)).is_pair
]
KEY, ANOTHER = derived_key(b"k" * 32), derived_key(b"a" * 32)


def coded(line: bytes, key: bytes = KEY) -> bytes:
    item = json.loads(line)
    return json.dumps({**item, "code": code_of(item, key)}, separators=(",", ":")).encode() + b"\n"


def kinds(path: Path, key: bytes | None) -> dict[ReasonKind, float | None]:
    verdict = evaluate(read([str(path)], verify_key=key))
    return {one.kind: one.have for one in verdict.reasons}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def test_the_code_decides_wherever_a_line_stands(file: Path) -> None:
    """Behind an application's words too; what has another's code counts nowhere."""
    ours = [coded(line) for line in log(60)]
    forged = [coded(line, ANOTHER) for line in log(400, seed=2)]
    file.write_bytes(b"".join([*ours[:60], *map(formatted, ours[60:]), *forged, *map(formatted, forged)]))
    found = read([str(file)], verify_key=KEY)
    assert (len(found), found.reading.verified, found.reading.forged) == (60, 60, 400)
    assert kinds(file, KEY)[ReasonKind.FORGED] == 400


def test_a_line_of_which_one_value_was_changed_is_no_evidence(file: Path) -> None:
    """Its code is another line's."""
    ours = [coded(line) for line in log(60)]
    ours[0] = ours[0].replace(b'"v1_served":true', b'"v1_served":false')
    file.write_bytes(b"".join(ours))
    assert read([str(file)], verify_key=KEY).reading.forged == 1


def test_lines_without_a_code_are_apart_from_those_with_one(file: Path) -> None:
    """Whoever makes lines up leaves the code out, or writes schema 1: they change nothing, and are told."""
    ours = [coded(line) for line in log(60)]
    for change in ((b"", b""), (b'"schema":2', b'"schema":1')):
        forged = [line.replace(*change) for line in log(4000, seed=3)]
        file.write_bytes(b"".join([*forged[:4000], *ours, *forged[4000:]]))
        found = read([str(file)], verify_key=KEY)
        verdict = evaluate(found)
        assert verdict.build is not None
        assert (verdict.build.events, verdict.build.coded) == (60, True)
        assert [one.have for one in verdict.reasons if one.kind is ReasonKind.UNCODED] == [4000]
        assert not any(one.kind is ReasonKind.BESIDE for one in verdict.reasons)


def test_lines_without_a_code_choose_neither_the_service_nor_the_window(file: Path) -> None:
    """More of them of another service; and in a silence of the true ones, as if another build had run meanwhile."""
    ours = [coded(line) for line in log(60) + log(60, seed=4, start=600)]
    named = [line.replace(b'"service":null', b'"service":"other"') for line in log(4000, seed=2)]
    between = [line.replace(b'"1.4.0"', b'"evil"') for line in log(720, seed=3)]
    assert named[0] != log(1, seed=2)[0]
    assert between[0] != log(1, seed=3)[0]
    for forged in (named, between):
        file.write_bytes(b"".join([*forged, *ours]))
        verdict = evaluate(read([str(file)], verify_key=KEY))
        assert verdict.build is not None
        assert (verdict.build.service, verdict.build.build, verdict.build.first) == ("", "1.4.0", START)
        assert (verdict.build.events, verdict.build.coded) == (120, True)


def test_lines_without_a_code_do_not_say_that_the_clock_was_simulated(file: Path) -> None:
    """That belongs to the evidence that is judged."""
    ours, forged = [coded(line) for line in log(60)], log(60, seed=2)
    forged = [line.replace(b'"clock":"system"', b'"clock":"simulated"') for line in forged]
    file.write_bytes(b"".join([*ours, *forged]))
    assert not evaluate(read([str(file)], verify_key=KEY)).simulated
    file.write_bytes(b"".join(map(coded, forged)))
    assert evaluate(read([str(file)], verify_key=KEY)).simulated


def test_a_heartbeat_that_was_changed_is_told(file: Path) -> None:
    """Smaller totals would hide what is missing."""
    beat = heartbeat_line(Heartbeat("", "p", START, "enrolment", "greeting", 90, {"SHADOW_V2": 90}, last=True,
                                    v2_build="1.4.0", config_digest="a1b2c3d4e5f6"))  # fmt: skip
    changed = coded(encode(beat)).replace(b":90", b":20")
    file.write_bytes(b"".join([*(coded(line) for line in log(60)), changed]))
    found = read([str(file)], verify_key=KEY)
    assert (found.beats, kinds(file, KEY)[ReasonKind.FORGED]) == ((), 1)


def test_evidence_from_before_the_upgrade_is_read_and_said_to_have_no_code(file: Path) -> None:
    """A key, and no line that could have a code."""
    file.write_bytes(b"".join(line.replace(b'"schema":2', b'"schema":1') for line in log(60)))
    assert kinds(file, KEY)[ReasonKind.UNCODED] == 60


def test_without_a_key_the_verdict_says_once_that_nothing_is_authenticated(file: Path) -> None:
    """A note; with a key there is none."""
    file.write_bytes(b"".join(coded(line) for line in log(60)))
    verdict = evaluate(read([str(file)]))
    told = [one for one in verdict.reasons if one.kind is ReasonKind.UNAUTHENTICATED]
    assert [one.role for one in told] == [Role.NOTE]
    assert ReasonKind.UNAUTHENTICATED not in kinds(file, KEY)


def test_all_lines_of_another_key_are_one_clear_error(file: Path) -> None:
    """Which key is wrong nobody can know; what to give is said."""
    file.write_bytes(b"".join(coded(line, ANOTHER) for line in log(60)))
    with pytest.raises(EvidenceError, match=r"none of 60 lines of otel-shadow has the code .* give theirs"):
        read([str(file)], verify_key=KEY)


def test_a_line_read_with_a_key_and_without_is_one_line(file: Path) -> None:
    """A summary saved without the key, and the log read with it."""
    file.write_bytes(b"".join(coded(line) for line in log(60)))
    save(read([str(file)]), file.with_suffix(".npz"))
    found = read([str(file.with_suffix(".npz")), str(file)], verify_key=KEY)
    assert (len(found), len(found.contradictory)) == (60, 0)
    assert all(kind.coded for kind in {found.signatures[place] for place in found.rows.kind.tolist()})


def test_a_line_without_a_code_takes_no_verified_line_away(file: Path) -> None:
    """The same pair told otherwise by whoever has no key: no contradiction, before the true line or behind it."""
    ours = [coded(line) for line in log(60)]
    other = [line.replace(b'"v1_latency_ms":', b'"v1_latency_ms":9') for line in log(60)]
    for content in ([*ours, *other], [*other, *ours], [*other, *ours, *other]):
        file.write_bytes(b"".join(content))
        found = read([str(file)], verify_key=KEY)
        assert (len(found), len(found.contradictory)) == (60, 0)
        assert all(kind.coded for kind in {found.signatures[place] for place in found.rows.kind.tolist()})
    file.write_bytes(b"".join([*ours, *(coded(line) for line in other)]))
    with pytest.raises(EvidenceError, match="each of its 60 pairs is told in two different ways"):
        read([str(file)], verify_key=KEY)


def test_whoever_has_no_key_can_neither_fill_a_gap_nor_make_one(file: Path) -> None:
    """Numbers and heartbeats of lines without a code count nothing beside verified ones."""
    numbered = [json.loads(line) | {"process": "p", "sequence": number} for number, line in enumerate(PAIRS, start=1)]
    ours = [coded(json.dumps(item).encode()) for item in numbered]
    beat = heartbeat_line(Heartbeat("", "p", START, "enrolment", "greeting", 9000, {"SHADOW_V2": 9000}, last=True,
                                    v2_build="1.4.0", config_digest="a1b2c3d4e5f6"))  # fmt: skip
    file.write_bytes(b"".join([*ours[:20], *ours[40:], encode(beat)]))
    assert kinds(file, KEY)[ReasonKind.LOST] == 20
    forged = [json.dumps(item | {"pair_id": f"f{number}"}).encode() + b"\n" for number, item in enumerate(numbered)]
    file.write_bytes(b"".join([*ours[:20], *ours[40:], *forged]))
    assert kinds(file, KEY)[ReasonKind.LOST] == 20


def test_a_message_of_several_lines_is_no_place_for_evidence(file: Path) -> None:
    """Inside an application's JSON a line of ours begins the text, or follows others of ours."""
    ours, forged = [line.decode() for line in log(60)], [line.decode() for line in log(400, seed=2)]
    told = [json.dumps({"level": "info", "message": f"user said:\n{line}"}) + "\n" for line in forged]
    batch = json.dumps({"log": "".join(ours)}) + "\n"
    file.write_text(batch + "".join(told))
    reading = read([str(file)]).reading
    assert (reading.used, reading.misplaced) == (60, 400)


def test_watched_lines_are_verified_too(file: Path) -> None:
    """Those added later, as well."""
    ours = [coded(line) for line in log(60)]
    file.write_bytes(b"".join(ours[:40]))
    with Watch([str(file)], verify_key=KEY) as watch:
        watch.poll()
        with file.open("ab") as more:
            more.write(b"".join([*ours[40:], *(coded(line, ANOTHER) for line in log(10, seed=4))]))
        found = watch.poll()
    assert (found.reading.verified, found.reading.forged) == (60, 10)
