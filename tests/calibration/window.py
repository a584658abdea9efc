"""Log files as the runtime writes them, made of records with chosen confidences, decisions and latencies."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from otel_shadow._runtime.redact import Redactor
from otel_shadow.log_line import encode, lines
from otel_shadow.record import Arm, Comparison, Mode, Observation, Outcome, ShadowRecord, Status

KEY = "a key of the tests"
START = datetime(2025, 1, 9, 10, 0, tzinfo=UTC)


def record(number: int, **given: Any) -> ShadowRecord:
    """A pair; ``observed`` is V2's, ``message`` is hashed, everything else is as the runtime would fill it."""
    redactor = Redactor(KEY)
    original, shadow = given.get("original", "information"), given.get("shadow", "information")
    status = given.get("status", Status.SUCCESS)
    ran = status is Status.SUCCESS
    same = original == shadow
    outcome = (Outcome.MATCH if same else Outcome.MISMATCH) if ran else Outcome.NONE
    return ShadowRecord(
        pair_id=f"{given.get('salt', '')}{number:016x}",
        graph="workflow",
        node=given.get("node", "greeting"),
        mode=Mode.V2_SHADOW,
        arm=Arm.SHADOWED,
        session_id=given.get("session", f"session_{number}"),
        timestamp=START + timedelta(seconds=20 * number),
        v1=Observation(Status.SUCCESS, latency_s=0.02, target=original),
        v2=Observation(
            status,
            latency_s=given.get("latency_s", 0.03),
            target=shadow if ran else None,
            observed=given.get("observed", {}),
        ),
        comparison=Comparison(outcome, decisions_match=same if ran else None),
        v1_served=True,
        user_message_hash=redactor.digest(given["message"]) if "message" in given else None,
        intent=given.get("intent"),
        v2_build=given.get("build", "2025.1"),
        key_id=redactor.key_id,
    )


def write_log(path: Path, records: Sequence[ShadowRecord], noise: bytes = b"GET /health 200\n") -> Path:
    """A log file with lines of the application in between."""
    with path.open("wb") as file:
        for one in records:
            file.write(noise)
            for line in lines(one):
                file.write(encode(line))
    return path


def observed(confidence: float, **more: float | str) -> Mapping[str, float | str]:
    """What a V2 with the default thresholds observes at ``confidence``."""
    sure = "template" if confidence >= 0.74 else "llm_rag" if confidence >= 0.6 else "fallback"
    action = "handoff" if confidence < 0.38 else sure
    return {"router_confidence": confidence, "threshold_action": action, **more}


def traffic(sessions: int, seed: int = 1, node: str = "greeting", risky_below: float = 0.4) -> list[ShadowRecord]:
    """Sessions of three turns: nearly always as V1 from ``risky_below`` on, often otherwise below."""
    source = random.Random(seed)
    found = []
    for number in range(sessions * 3):
        confidence = round(source.random(), 3)
        wrong = source.random() < (0.5 if confidence < risky_below else 0.005)
        plan = "scheduling" if wrong else "information"
        found.append(
            record(
                number,
                node=node,
                session=f"session_{number // 3}",
                shadow="human" if confidence < 0.38 else plan,
                latency_s=0.05 * source.lognormvariate(0, 0.4),
                observed=observed(confidence, planned_target=plan, intent="ask_information", intent_score=confidence),
            )
        )
    return found
