"""Made-up evidence, written line by line from the log line contract and from nothing else: the same bytes for ever."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

START = datetime(2025, 1, 9, tzinfo=UTC)
NODES = ("greeting", "qualification")
TARGETS = ("qualification", "information", "__end__")
INTENTS = ("price", "visit", "enrol")
FIELDS = ("outbox", "child_age", "slot")
"""Of each intent the field that differs: so no two groups of mismatches are alike in all that they are sorted by."""
Line = dict[str, Any]


@dataclass(frozen=True)
class Traffic:
    """What a window looks like. All chances are of single pairs.

    Arguments:
        sessions: spread evenly over ``hours``, without those that begin within ``silence``.
        holdout: every so-many-th session has no shadow.
        loss: chance that V1's value was not what the caller got.
        retold: every so-many-th line is written twice.
        noisy: chance that V1 disagrees with itself; None where it never runs twice.
    """

    sessions: int
    hours: float = 49.0
    after_h: float = 0.0
    silence: tuple[float, float] = (0.0, 0.0)
    holdout: int = 4
    mismatch: float = 0.0
    failure: float = 0.0
    shed: float = 0.0
    loss: float = 0.0
    v2_speed: float = 0.7
    shadow_cost: float = 1.0
    build: str = "2.0.0"
    digest: str = "c0ffee123456"
    key_id: str = "0a1b2c3d"
    clock: str = "system"
    noisy: float | None = None
    live: int = 0
    retold: int = 0
    seed: int = 1


def lines(traffic: Traffic) -> Iterator[Line]:
    """The lines in the order in which their executions began."""
    dice = Random(traffic.seed)
    for number in range(traffic.sessions):
        hour = number * traffic.hours / traffic.sessions
        session = _session(traffic, dice, number, START + timedelta(hours=traffic.after_h + hour))
        if not traffic.silence[0] <= hour < traffic.silence[1]:
            yield from session


def encoded(line: Line) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def log(path: Path, *several: Traffic, broken: bool = False, other_schema: int = 0, twofold: int = 0) -> Path:
    """Write a log among other people's lines.

    Arguments:
        broken: one line of ours lacks its node, one is cut, and the last one has no end.
        other_schema: so many lines of another version.
        twofold: so many pairs are told a second time, in another way.
    """
    ours = [line for traffic in several for line in _written(traffic)]
    some = ours[0]
    with path.open("wb") as out:
        for number, data in enumerate(ours):
            if number % 97 == 0:
                out.write(b'INFO uvicorn.access 127.0.0.1 "POST /chat HTTP/1.1" 200\n')
            out.write(data)
        for number in range(other_schema):
            out.write(some.replace(b'"schema":2', b'"schema":9').replace(b'"pair_id":"', b'"pair_id":"%d' % number))
        for line in [line for line in ours if b'"shadow_status":"success"' in line][:twofold]:
            out.write(line.replace(b'"shadow_status":"success"', b'"shadow_status":"timeout"'))
        if broken:
            out.write(some.replace(b'"node":', b'"knot":'))
            out.write(some[:200] + b"\n")
            out.write(some[:300])
    return path


def _written(traffic: Traffic) -> Iterator[bytes]:
    for number, line in enumerate(lines(traffic), 1):
        yield encoded(line)
        if traffic.retold and number % traffic.retold == 0:
            yield encoded(line)


def _session(traffic: Traffic, dice: Random, number: int, start: datetime) -> list[Line]:
    held = traffic.holdout > 0 and number % traffic.holdout == 0
    is_live = traffic.live > 0 and number % traffic.live == 1
    found: list[Line] = []
    for turn, node in enumerate(NODES):
        facts = _facts(traffic, dice, number, turn, node, start, held=held, is_live=is_live)
        fate = dice.random()
        if is_live:
            found.append(_live(facts, failed=fate < traffic.failure))
        elif held:
            found.append(_baseline(facts, "holdout", None))
        elif fate < traffic.shed:
            found.append(_baseline(facts, "shed:queue", "shed"))
        else:
            found += _pair(traffic, dice, facts)
    return found


def _facts(
    traffic: Traffic, dice: Random, number: int, turn: int, node: str, start: datetime, *, held: bool, is_live: bool
) -> Line:
    """What all lines have in common, and what they are made from (keys with ``_``)."""
    cost = 1.0 if held else traffic.shadow_cost
    at = start + timedelta(seconds=20 * turn, milliseconds=number % 1000)
    return {
        "_target": TARGETS[int(dice.random() * len(TARGETS))],
        "_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "_session": f"{traffic.build}-{number:05}",
        "_ms": round(80.0 * cost * (0.85 + 0.3 * dice.random()), 3),
        "_live": is_live,
        "schema": 1,
        "pair_id": f"{traffic.seed:04x}{number:08x}{turn:04x}",
        "graph": "enrolment",
        "node": node,
        "mode": "v2_live" if is_live else "v2_shadow",
        "arm": "holdout" if held else "shadowed",
        "intent": INTENTS[int(dice.random() * len(INTENTS))],
        "v1_latency_ms": None,
        "v1_status": "success",
        "v1_error_type": None,
        "v1_served": None if is_live else dice.random() >= traffic.loss,
        "overhead_ms": 0.2,
        "v2_build": traffic.build,
        "config_digest": traffic.digest,
        "key_id": traffic.key_id,
        "clock": traffic.clock,
        "trace_id": f"{number * 16 + turn + 1:032x}",
        "v1_span_id": f"{number * 16 + turn + 1:016x}",
    }


def _common(facts: Line) -> Line:
    common = {key: value for key, value in facts.items() if not key.startswith("_")}
    return common | {"v1_latency_ms": None if facts["v1_status"] == "not_run" else facts["_ms"]}


def _baseline(facts: Line, reason: str, v2_status: str | None, **more: Any) -> Line:
    return {
        "event": "SHADOW_BASELINE",
        "event_type": "shadow_baseline",
        "session_id": facts["_session"],
        "user_message_hash": None,
        "reason": reason,
        "original_target": None,
        "timestamp": facts["_at"],
        **_common(facts),
        "served": "v1",
        "fallback_reason": None,
        "v2_status": v2_status,
        "v2_latency_ms": None,
        "v2_error_type": None,
        "v2_span_id": None,
        "observed": {"v1": {}, "v2": {}},
        **more,
    }


def _live(facts: Line, *, failed: bool) -> Line:
    if failed:
        told = {"fallback_reason": "error", "v2_latency_ms": 12.5, "v2_error_type": "ValueError"}
        return _baseline(facts, "live", "error", **told)
    return _baseline({**facts, "v1_status": "not_run"}, "live", "success", served="v2", v2_latency_ms=facts["_ms"])


def _pair(traffic: Traffic, dice: Random, facts: Line) -> list[Line]:
    status, outcome, target, fields, steps = "success", "match", facts["_target"], [], True
    error, step, v2_ms = None, "step_a", round(facts["_ms"] * traffic.v2_speed * (0.9 + 0.2 * dice.random()), 3)
    if dice.random() < traffic.failure:
        status, outcome, target, steps = ("error", "timeout")[int(dice.random() * 2)], "none", None, None
        error, step = ("ValueError" if status == "error" else None), None
    elif dice.random() < traffic.mismatch:
        outcome, fields = "mismatch", [FIELDS[INTENTS.index(facts["intent"])]]
        if dice.random() < 0.5:
            target = TARGETS[(TARGETS.index(target) + 1) % len(TARGETS)]
        else:
            step, steps = "step_b", False
    decided = None if outcome == "none" else target == facts["_target"]
    self_match = None if traffic.noisy is None else dice.random() >= traffic.noisy
    told = {
        "status": status, "target": target, "decided": decided, "outcome": outcome, "steps": steps, "step": step,
        "fields": fields, "error": error, "ms": v2_ms, "self": self_match,
    }  # fmt: skip
    return [_execution(facts, told), _comparison(facts, told)]


def _execution(facts: Line, told: Line) -> Line:
    return {
        "event": "SHADOW_V2",
        "event_type": "shadow_v2_execution",
        "session_id": facts["_session"],
        "user_message_hash": None,
        "original_stage": facts["node"],
        "shadow_stage": facts["node"],
        "shadow_status": told["status"],
        "shadow_latency_ms": told["ms"],
        "decision_comparison": {
            "original_target": facts["_target"],
            "shadow_target": told["target"],
            "decisions_match": told["decided"],
        },
        "timestamp": facts["_at"],
        **_common(facts),
        "comparison": told["outcome"],
        "steps_match": told["steps"],
        "v1_current_step": "step_a",
        "v2_current_step": told["step"],
        "diff_fields": told["fields"],
        "fields_compared": False,
        "comparison_error_type": None,
        "self_match": told["self"],
        "v2_error_type": told["error"],
        "v2_span_id": None,
        "queue_ms": 1.0,
        "observed": {"v1": {}, "v2": {}},
        "tokens": {},
        "blocked_tools": [],
    }


def _comparison(facts: Line, told: Line) -> Line:
    return {
        "event": "SHADOW_COMPARISON",
        "event_type": "shadow_comparison",
        "node_name": facts["node"],
        "session_id": facts["_session"],
        "v1_current_step": "step_a",
        "v2_current_step": told["step"],
        "steps_match": told["steps"],
        "v2_latency_ms": told["ms"],
        "v2_status": told["status"],
        "timestamp": facts["_at"],
        **_common(facts),
        "comparison": told["outcome"],
        "decisions_match": told["decided"],
        "diff_fields": told["fields"],
    }
