"""With a key the code decides, wherever a line stands; without one its place does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from recorded import formatted, log

from otel_shadow.errors import EvidenceError
from otel_shadow.evidence import Watch, read, save
from otel_shadow.line_code import code_of, derived_key
from otel_shadow.verdict import evaluate
from otel_shadow.verdict.reasons import ReasonKind, Role

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
