"""Seeded evidence for the reports' tests: real records through the real log line contract, no hand-written lines."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from otel_shadow import log_line
from otel_shadow.record import Arm, Comparison, Mode, Observation, Outcome, ShadowRecord, Status

START = datetime(2025, 1, 9, 0, 0, tzinfo=UTC)
TARGETS = {
    "greeting": ("qualification", "information", "__end__"),
    "qualification": ("scheduling", "qualification", "information"),
    "information": ("scheduling", "qualification", "__end__"),
    "scheduling": ("__end__", "scheduling", "information"),
}
FIELDS = ("child_name", "child_age", "education_level", "outbox", "preferred_slot")
INTENTS = ("enrol", "price", "schedule")


@dataclass(frozen=True)
class Traffic:
    """What a window of simulated traffic looks like.

    Arguments:
        hours: length of the window.
        sessions: sessions in all, more by day than by night.
        parity: chance that a pair matches, by day; ``night_parity`` by night.
        failure: chance that V2 fails or times out.
        v2_speed: V2's median latency over V1's.
        served: whether V1 is always served.
        nodes: the nodes that run, in this order.
    """

    hours: float = 50.0
    sessions: int = 2600
    parity: float = 0.992
    night_parity: float = 0.99
    failure: float = 0.006
    v2_speed: float = 0.7
    served: bool = True
    nodes: Sequence[str] = ("greeting", "qualification", "information", "scheduling")
    holdout: float = 0.1
    seed: int = 7
    build: str = "2.4.0"
    spread: float = 0.5
    """Spread of V1's latency (sigma of its logarithm)."""


GO = Traffic()
NO_GO = Traffic(parity=0.93, night_parity=0.85, failure=0.05, v2_speed=1.4)
WAIT = Traffic(hours=5, sessions=24)


def records(traffic: Traffic) -> Iterator[ShadowRecord]:
    """The records of ``traffic`` in the order of their sessions."""
    dice = random.Random(traffic.seed)
    for number in range(traffic.sessions):
        yield from _session(traffic, dice, number)


def write(path: Path, traffic: Traffic, noise: bool = True) -> Path:
    """Write ``traffic`` as a log file, other people's lines in between."""
    with path.open("wb") as out:
        for number, record in enumerate(records(traffic)):
            if noise and number % 97 == 0:
                out.write(b'INFO uvicorn.access 127.0.0.1 "POST /chat HTTP/1.1" 200\n')
            for line in log_line.lines(record):
                out.write(log_line.encode(line))
    return path


def _session(traffic: Traffic, dice: random.Random, number: int) -> Iterator[ShadowRecord]:
    start = _moment(traffic, dice)
    arm = Arm.HOLDOUT if dice.random() < traffic.holdout else Arm.SHADOWED
    intent = dice.choice(INTENTS)
    for turn, node in enumerate(traffic.nodes):
        moment = start + timedelta(seconds=20 * turn + dice.random() * 10)
        record = _base(traffic, dice, number, node, moment, arm, intent)
        yield record if arm is Arm.HOLDOUT else _paired(traffic, dice, record)


def _moment(traffic: Traffic, dice: random.Random) -> datetime:
    while True:
        hour = dice.random() * traffic.hours
        if dice.random() < 0.15 + 0.85 * max(0.0, math.sin((hour % 24 - 6) / 24 * 2 * math.pi)):
            return START + timedelta(hours=hour)


def _base(
    traffic: Traffic, dice: random.Random, number: int, node: str, moment: datetime, arm: Arm, intent: str
) -> ShadowRecord:
    target = dice.choices(TARGETS.get(node, TARGETS["greeting"]), (6, 3, 1))[0]
    return ShadowRecord(
        pair_id=f"{dice.getrandbits(128):032x}", graph="enrolment", node=node, mode=Mode.V2_SHADOW, arm=arm,
        session_id=f"demo_{number:05d}", timestamp=moment,
        v1=Observation(Status.SUCCESS, dice.lognormvariate(math.log(0.08), traffic.spread), target, "step_a", node,
                       span_id=f"{dice.getrandbits(64):016x}"),
        v1_served=traffic.served or dice.random() > 0.002, reason="holdout" if arm is Arm.HOLDOUT else None,
        user_message_hash=f"{dice.getrandbits(48):012x}", intent=intent, v2_build=traffic.build,
        config_digest="c0ffee123456", key_id="k1", trace_id=f"{dice.getrandbits(128):032x}",
    )  # fmt: skip


def _paired(traffic: Traffic, dice: random.Random, record: ShadowRecord) -> ShadowRecord:
    latency = (record.v1.latency_s or 0.0) * traffic.v2_speed * dice.lognormvariate(0, 0.25)
    if dice.random() < traffic.failure:
        status = dice.choice((Status.ERROR, Status.TIMEOUT))
        error = "ValueError" if status is Status.ERROR else "TimeoutError"
        failed = Observation(status, 5.0 if status is Status.TIMEOUT else latency, error_type=error)
        return replace(record, v2=failed)
    v2 = replace(record.v1, latency_s=latency)
    by_day = 6 <= record.timestamp.hour < 18
    if dice.random() < (traffic.parity if by_day else traffic.night_parity):
        return replace(record, v2=v2, comparison=Comparison(Outcome.MATCH, True, True))
    return _mismatched(dice, record, v2)


def _mismatched(dice: random.Random, record: ShadowRecord, v2: Observation) -> ShadowRecord:
    if dice.random() < 0.6:
        others = [name for name in TARGETS.get(record.node, TARGETS["greeting"]) if name != record.v1.target]
        comparison = Comparison(Outcome.MISMATCH, False, True, ("outbox",))
        return replace(record, v2=replace(v2, target=dice.choices(others, (4, 1))[0]), comparison=comparison)
    fields = tuple(sorted(dice.sample(FIELDS, dice.choice((1, 1, 2)))))
    return replace(record, v2=replace(v2, step="step_b"), comparison=Comparison(Outcome.MISMATCH, True, False, fields))
