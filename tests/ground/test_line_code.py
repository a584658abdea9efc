"""The keyed code of a line: what shippers do to a line leaves it, and what a forger does does not."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from otel_shadow import ConfigError
from otel_shadow._runtime.redact import Redactor
from otel_shadow.line_code import COVERED, canonical, code_of, derived_key, environment_key, verifies
from otel_shadow.log_line import KEYS, ORDER, encode, heartbeat_line, lines
from otel_shadow.record import Arm, Comparison, Heartbeat, Mode, Observation, Outcome, ShadowRecord, Status

KEY = bytes(range(32))
RECORD = ShadowRecord(
    "00000000000000a1", "shop", "ask", Mode.V2_SHADOW, Arm.SHADOWED, "demo_001",
    datetime(2026, 3, 2, 10, 30, 45, 120_000, UTC), Observation(Status.SUCCESS, 0.1, "left", observed={"score": 1.0}),
    v2=Observation(Status.SUCCESS, 0.25, "ação", observed={"score": 0.5, "sure": True, "kind": "new"}),
    comparison=Comparison(Outcome.MISMATCH, False, True, ("b", "a")), v1_served=True, v2_build="b1", config_digest="d1",
    key_id="k1", service="bot", probability=0.5, process="00000000000000ff", sequence=7,
)  # fmt: skip
BEAT = Heartbeat("bot", "00000000000000ff", RECORD.timestamp, "shop", "ask", 9, {"SHADOW_V2": 7, "SHADOW_BASELINE": 2})


def written(record: ShadowRecord = RECORD) -> dict[str, Any]:
    """The first line of a record, as it is read back."""
    line: dict[str, Any] = json.loads(encode(lines(record)[0]))
    line["code"] = code_of(line, KEY)
    return line


def test_the_code_is_a_contract() -> None:
    """Other releases and other tools compute the same sixteen digits: frozen."""
    assert code_of(written(), KEY) == "4e2f03f7b53d7bde"
    assert code_of(written(replace(RECORD, v2=None, reason="holdout", sequence=1)), KEY) == "e5c58a9ed51ae252"
    assert code_of(heartbeat_line(BEAT), KEY) == "4ec1d04c105d5f95"


def test_what_is_covered_is_a_contract() -> None:
    """Whoever verifies lines by other means computes this: frozen. What has no value is left out: keys can be added."""
    assert canonical(heartbeat_line(BEAT)).decode() == (
        '{"event":"SHADOW_HEARTBEAT","schema":2.0,"timestamp":1772447445120,"clock":"system","graph":"shop",'
        '"node":"ask","service":"bot","process":"00000000000000ff","handed_over":9.0,'
        '"totals":[["SHADOW_BASELINE",2.0],["SHADOW_V2",7.0]],"last":false}'
    )


def test_every_fact_that_is_read_is_covered() -> None:
    """Whatever evidence or calibration read of a line was written by who has the key; and what counts lines too."""
    read = {key.name for key in KEYS if key.read_as}
    assert read - set(COVERED) <= {"code"}
    assert {"process", "sequence", "handed_over", "totals", "last", "service"} <= set(COVERED)
    assert "code" not in COVERED


def rewritten(change: Callable[[Any], Any], line: dict[str, Any]) -> dict[str, Any]:
    return {key: change(value) for key, value in line.items()}


def as_text(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, bool | int | float) else value


def deep(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: changed(item) for key, item in value.items()}
        return [changed(item) for item in value] if isinstance(value, list) else change(value)

    return changed


def shuffled(line: dict[str, Any]) -> dict[str, Any]:
    items = list(line.items())
    random.Random(1).shuffle(items)
    return dict(items)


SHIPPERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "keys in another order": shuffled,
    "keys of its own": lambda line: {"host": "a", "@timestamp": "2026", **line, "stream": "stderr", "kubernetes": {}},
    "nulls dropped": lambda line: {key: value for key, value in line.items() if value is not None},
    "what is empty dropped": lambda line: {
        key: value for key, value in line.items() if value not in (None, [], {}, "")
    },
    "nulls added": lambda line: dict.fromkeys([key.name for key in KEYS if len(key.path) == 1]) | line,
    "whole numbers with a point": lambda line: rewritten(
        lambda value: float(value) if type(value) is int else value, line
    ),
    "floats without a point": lambda line: rewritten(
        deep(lambda value: int(value) if isinstance(value, float) and value.is_integer() else value), line
    ),
    "numbers and flags as text": lambda line: rewritten(deep(as_text), line),
    "flags with a capital": lambda line: rewritten(deep(lambda v: str(v) if isinstance(v, bool) else v), line),
    "tables and lists as text": lambda line: rewritten(
        lambda value: json.dumps(value) if isinstance(value, dict | list) else value, line
    ),
    "the time with a zone": lambda line: line | {"timestamp": "2026-03-02T10:30:45.120000+00:00"},
    "the time in another zone": lambda line: line | {"timestamp": "2026-03-02 07:30:45.12-03:00"},
    "what is for people dropped": lambda line: {
        key: value for key, value in line.items() if key in {name.partition(".")[0] for name in COVERED} | {"code"}
    },
}


@pytest.mark.parametrize("shipper", SHIPPERS.values(), ids=SHIPPERS)
def test_what_shippers_do_leaves_the_code(shipper: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The same facts in another form are the same line; the form has changed indeed."""
    beat = heartbeat_line(BEAT)
    for line in (written(), written(replace(RECORD, v2=None, reason="holdout")), beat | {"code": code_of(beat, KEY)}):
        assert verifies(line, KEY)
        assert verifies(shipper(line), KEY)
    assert json.dumps(shipper(written())) != json.dumps(written())


def test_each_fact_that_is_changed_spoils_the_code() -> None:
    """Of every covered key that a line has, another value (or none) is told."""
    beat = heartbeat_line(BEAT)
    kept = []
    for line in (written(), written(replace(RECORD, v2=None, reason="holdout")), beat | {"code": code_of(beat, KEY)}):
        for name in COVERED:
            place, _, inside = name.partition(".")
            for other in ("x", 77, None, True, ["x"], {"x": 1}):
                changed = json.loads(json.dumps(line))
                table = changed.setdefault(place, {}) if inside else changed
                before = table.get(inside or place)
                table[inside or place] = other
                same = before == other or (not before and other in (None, ["x"], {"x": 1}, "x"))
                if not same and verifies(changed, KEY) and not _reads_alike(name, before, other):
                    kept.append((line["event"], name, before, other))
    assert kept == []


def _reads_alike(name: str, before: Any, other: Any) -> bool:
    """Whether a reader takes both for the same: by the key's type nothing, or the very value."""
    kind = next(key.type for key in KEYS if key.name == name)
    nothing: dict[str, Callable[[Any], bool]] = {
        "text": lambda value: value is None or value == "",
        "time": lambda value: False,
        "number": lambda value: not isinstance(value, int | float),
        "version": lambda value: not isinstance(value, int | float),
        "flag": lambda value: not isinstance(value, int | float),
        "names": lambda value: not isinstance(value, list | str) or not value,
        "table": lambda value: not isinstance(value, dict) or not value,
    }
    return (nothing[kind](before) and nothing[kind](other)) or (kind == "flag" and bool(before) == bool(other))


def test_another_key_another_code_and_none_is_no_code() -> None:
    """Who has not the key makes no line; a line without a code, or with one of another type, is not verified."""
    line = written()
    assert not verifies(line, bytes(32))
    assert not verifies({**line, "code": None}, KEY)
    assert not verifies({key: value for key, value in line.items() if key != "code"}, KEY)
    for code in ("", "ção" * 6, 12, True, ["x"], line["code"][:8], line["code"] + "0"):
        assert not verifies({**line, "code": code}, KEY)


WRECKS = [
    10**400, -(10**400), "1" * 5000, "1e999", float("nan"), float("inf"), "\ud800", {"a": {"b": {}}}, [[1], {"a": 2}],
    "[" * 300_000, '{"a":' * 100_000, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "\x00", b"x", object(),
]  # fmt: skip


@pytest.mark.parametrize("wreck", WRECKS, ids=lambda wreck: repr(wreck)[:20])
def test_no_line_breaks_the_verification(wreck: Any) -> None:
    """Whatever a line holds, in whatever key: it is not verified, and nothing is raised."""
    for name in (*COVERED, "code"):
        place, _, inside = name.partition(".")
        assert verifies({**written(), "event": "X", place: {inside: wreck} if inside else wreck}, KEY) is False
    assert verifies(dict.fromkeys(COVERED, wreck), KEY) is False


def test_a_lone_surrogate_is_written_as_it_is_covered() -> None:
    """What can't be written as UTF-8 is replaced in the line, and in what the code is computed over."""
    (line, _) = lines(replace(RECORD, intent="a\ud800"))
    assert verifies(json.loads(encode(line)) | {"code": code_of(line, KEY)}, KEY)


def test_a_line_that_was_cut_has_the_code_of_what_is_written() -> None:
    """Evidence sees the cut values only."""
    long = replace(RECORD, comparison=replace(RECORD.comparison, diff_fields=tuple(f"{n:04}" * 30 for n in range(90))))
    data = encode(lines(long)[0], lambda line: code_of(line, KEY))
    line = json.loads(data)
    assert (len(data) <= 4096, line["truncated"], len(line["code"])) == (True, True, 16)
    assert verifies(line, KEY)


def test_every_line_that_is_evidence_has_its_code() -> None:
    """The writer puts it where the schema has the key; the line for people, which nobody counts, has none."""
    coded = [event for event, names in ORDER.items() if "code" in names]
    assert coded == ["SHADOW_V2", "SHADOW_BASELINE", "SHADOW_HEARTBEAT"]
    pair, for_people = (json.loads(encode(line, lambda found: code_of(found, KEY))) for line in lines(RECORD))
    assert verifies(pair, KEY)
    assert "code" not in for_people


class TestKey:
    """The key: one way from the hashes' key, never a hash."""

    def test_the_derived_key_is_no_hash_of_anything_that_people_write(self) -> None:
        """No message or id, whatever it says, has a hash that tells a digit of the key: its label is no UTF-8."""
        redactor = Redactor("b8e2f4a6c0d1e3f5")
        assert redactor.verify_key is not None
        told = redactor.verify_key.hex()[:12]
        for text in ("otel-shadow verify key", "\xffotel-shadow verify key", "\udcffotel-shadow verify key"):
            assert redactor.digest(text) != told
            assert redactor.message(text) != told
            assert redactor.identifier(text) != told

    def test_it_is_a_contract(self) -> None:
        """One secret gives one key in every release: frozen."""
        assert derived_key(KEY).hex() == "c769b4f18623b3be8f2e02169891ac0497eae859c9a2cb5dccb59e114e4a986e"

    def test_a_random_secret_gives_no_code(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody could verify it."""
        monkeypatch.delenv("OTEL_SHADOW_HASH_KEY", raising=False)
        monkeypatch.delenv("OTEL_SHADOW_VERIFY_KEY", raising=False)
        assert Redactor().verify_key is None
        assert environment_key() is None

    def test_the_environment_gives_one_or_the_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The verify key where it is set, however it was copied; else the one that the hash key gives."""
        monkeypatch.delenv("OTEL_SHADOW_VERIFY_KEY", raising=False)
        monkeypatch.setenv("OTEL_SHADOW_HASH_KEY", " b8e2f4a6c0d1e3f5\r\n")
        key = Redactor().verify_key
        assert key is not None
        assert environment_key() == key
        monkeypatch.setenv("OTEL_SHADOW_HASH_KEY", "another secret, of long standing")
        monkeypatch.setenv("OTEL_SHADOW_VERIFY_KEY", f" {key.hex().upper()}\r\n")
        assert environment_key() == key

    @pytest.mark.parametrize("given", ["b8e2f4a6c0d1e3f5", "ab" * 31 + "xy", '"' + "ab" * 32 + '"'])
    def test_what_is_no_key_is_told_without_telling_it(self, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
        """The hash key in its stead, a part of it, quotes: one sentence with what is expected, and no secret."""
        monkeypatch.setenv("OTEL_SHADOW_VERIFY_KEY", given)
        with pytest.raises(ConfigError) as caught:
            environment_key()
        assert caught.value.problems == (
            "OTEL_SHADOW_VERIFY_KEY: expected the 64 hex digits that otel-shadow doctor --verify-key prints",
        )
