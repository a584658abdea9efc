"""Log lines made by the writer itself from seeded records, and the forms in which they reach a reader."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from otel_shadow import semconv
from otel_shadow.log_line import encode, heartbeat_line, lines
from otel_shadow.record import Arm, Comparison, Heartbeat, Mode, Observation, Outcome, ShadowRecord, Status

START = datetime(2025, 1, 9, 7, tzinfo=UTC)
TARGETS = ("qualification", "information", "__end__")


def record(number: int, rng: random.Random, **more: Any) -> ShadowRecord:
    """The ``number``-th record: a pair that mostly matches, or a holdout."""
    session = number // 6
    target = TARGETS[rng.randrange(3)]
    held, failed, match = session % 10 == 0, rng.random() < 0.01, rng.random() < 0.97
    v1 = Observation(Status.SUCCESS, rng.lognormvariate(-3, 0.5), target, "age_collection", span_id=f"{number:016x}")
    v2 = Observation(
        Status.TIMEOUT if failed else Status.SUCCESS,
        rng.lognormvariate(-3, 0.5),
        None if failed else target if match else "scheduling",
        error_type="TimeoutError" if failed else None,
    )
    outcome = Outcome.NONE if failed else Outcome.MATCH if match else Outcome.MISMATCH
    made = ShadowRecord(
        pair_id=f"{rng.getrandbits(128):032x}",
        graph="enrolment",
        node=("greeting", "qualification")[number % 2],
        mode=Mode.V2_SHADOW,
        arm=Arm.HOLDOUT if held else Arm.SHADOWED,
        session_id=f"{session:032x}",
        timestamp=START + timedelta(seconds=session * 60 + number % 6 * 10, milliseconds=number % 1000),
        v1=v1,
        v2=None if held else v2,
        comparison=Comparison(
            outcome, match if not failed else None, True, () if match else ("outbox", "current_step")
        ),
        v1_served=True,
        reason="holdout" if held else None,
        intent=("price", "visit", None)[session % 3],
        v2_build="1.4.0",
        config_digest="a1b2c3d4e5f6",
        key_id="k1",
        trace_id=f"{number:032x}",
    )
    return replace(made, **more)


def log(records: int, *, seed: int = 1, start: int = 0) -> list[bytes]:
    """The lines of so many records, in the order in which they were written."""
    rng = random.Random(seed)
    return [encode(line) for number in range(start, start + records) for line in lines(record(number, rng))]


def beats(number: int, *, seed: int = 1) -> list[bytes]:
    """So many heartbeats of two processes and two nodes: totals grow, stand still, or are told for the last time."""
    rng = random.Random(seed)
    written = {place: [0, 0] for place in range(4)}
    made = []
    for minute in range(number):
        place = rng.randrange(4)
        for event in range(2):
            written[place][event] += rng.randrange(3)
        baselines, pairs = written[place]
        totals = {semconv.EVENT_BASELINE: baselines, semconv.EVENT_V2: pairs}
        beat = Heartbeat(
            "enrolment", f"process {place // 2}", START + timedelta(minutes=minute), "enrolment",
            ("greeting", "qualification")[place % 2], baselines + pairs, {name: n for name, n in totals.items() if n},
            last=minute > number - 2, v2_build="1.4.0", config_digest="a1b2c3d4e5f6", key_id="k1",
        )  # fmt: skip
        made.append(encode(heartbeat_line(beat)))
    return made


def mixed(ours: list[bytes]) -> list[bytes]:
    """Ours among an application's own lines."""
    others = [
        b"INFO request served in 12 ms\n",
        b'{"msg": "not ours", "event": "other"}\n',
        b"\n",
        "Olá, à noite\n".encode(),
    ]
    return [line for number, own in enumerate(ours) for line in (others[number % 4], own)]


def kubernetes(line: bytes) -> bytes:
    return b"2025-01-09T10:30:45.123456789Z stderr F " + line


def compose(line: bytes) -> bytes:
    return b"app-1  | " + line


def formatted(line: bytes) -> bytes:
    return b"2025-01-09 10:30:45,123 [MainThread] {shadow} INFO " + line


def docker(line: bytes) -> bytes:
    return (
        json.dumps({"log": line.decode(), "stream": "stderr", "time": "2025-01-09T10:30:45Z"})
        .replace('{"log": ', '{"log":')
        .encode()
        + b"\n"
    )


def shipped(line: bytes) -> bytes:
    """Parsed and wrapped by a log shipper."""
    return json.dumps({"date": 1.5, "kubernetes": {"pod": "a"}, "payload": json.loads(line)}).encode() + b"\n"


def console(line: bytes) -> bytes:
    """As OpenTelemetry's console exporter prints a log event: over several lines, the line a text in one of them."""
    text = line.decode().rstrip("\n")
    told = {"body": text, "severity_number": 9, "attributes": {"shadow.node.name": "greeting"}, "trace_flags": 1}
    return json.dumps({**told, "event_name": json.loads(text)["event"]}, indent=4).encode() + b"\n"


def otlp(ours: list[bytes], batch: int = 7) -> list[bytes]:
    """As the Collector's file exporter writes them: batches of log records whose body is the line."""
    batches = [ours[place : place + batch] for place in range(0, len(ours), batch)]
    return [
        json.dumps(
            {"resourceLogs": [{"resource": {}, "scopeLogs": [{"scope": {"name": "otel_shadow"}, "logRecords": [
                {"timeUnixNano": "1", "body": {"stringValue": line.decode().rstrip("\n")}} for line in lines_
            ]}]}]}
        ).encode() + b"\n"
        for lines_ in batches
    ]  # fmt: skip


def flattened(line: bytes, mark: str) -> bytes:
    """With the keys inside its tables at the top, as shippers and stores do."""

    def inside(table: dict[str, Any], before: str = "") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in table.items():
            found |= inside(value, f"{before}{name}{mark}") if isinstance(value, dict) else {before + name: value}
        return found

    return json.dumps(inside(json.loads(line)), separators=(",", ":")).encode() + b"\n"
