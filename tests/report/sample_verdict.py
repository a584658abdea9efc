"""Verdicts written by hand: what reports draw, independent of how the statistics get there."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from otel_shadow import semconv
from otel_shadow.evidence.view import (
    BandPoint,
    Confusion,
    EvidenceView,
    LatencyHistogram,
    MismatchGroup,
    ParityPoint,
    Reading,
    Sample,
)
from otel_shadow.policy import Policy
from otel_shadow.verdict.reasons import Direction, Quantity, Reason, ReasonKind, Role
from otel_shadow.verdict.result import Build, CriterionResult, Decision, NodeVerdict, Part, Verdict, Window

START = datetime(2025, 1, 9, 6, 0, tzinfo=UTC)
NOTHING = (Reason(Role.WHY, ReasonKind.NOTHING),)
NODES = ("greeting", "qualification")
BASE = 1.15 ** (1 / 16)


def criteria(node: str | None, decision: Decision, weakest: str | None = None) -> tuple[CriterionResult, ...]:
    """All six criteria; parity carries ``decision``, the others are GO (or WAIT when it is)."""
    other = Decision.WAIT if decision is Decision.WAIT else Decision.GO
    result = partial(
        CriterionResult, node=node, required=True, measured=True, sessions=2212, weakest=weakest,
        proven_at=None if decision is Decision.WAIT else START + timedelta(hours=48),
        nodes_proven=NODES[:1] if weakest == NODES[1] and decision is not Decision.WAIT else (),
    )  # fmt: skip
    looked = decision is not Decision.WAIT
    share, ratio = partial(result, quantity="share"), partial(result, quantity="ratio", bound=1.15)
    return (
        share(
            semconv.CRITERION_PARITY, decision=decision, bound=0.95, direction="at_least", events=8120,
            **_parity_numbers(decision), counts={"match": 7990, "mismatch": 130, "accepted": 4},
            log_e_go=5.1, log_e_no_go=-3.0, threshold_go=3.0, threshold_no_go=3.0,
            reasons=_parity_reasons(decision),
            parts=(Part("block", "2025-01-09T06:00:00Z", Decision.GO, True, 430, 1700, 0.985, 0.961, 0.997),
                   Part("intent", "price", Decision.WAIT, False, 12, 40, 0.97, 0.71, 1.0)),
        ),
        share(
            semconv.CRITERION_HANDOFF, decision=other, bound=0.03, direction="at_most", events=8178,
            estimate=0.0071, lower=0.0031, upper=0.0163, proven=0.0124 if looked else None,
            counts={"error": 31, "timeout": 27},
            reasons=(_proven(0.0071, 0.03, "share", "at_most"),),
        ),
        ratio(
            semconv.CRITERION_LATENCY_NOW, decision=other, direction="at_most", events=9010, estimate=1.012,
            lower=0.94, upper=1.09, proven=1.07 if looked else None,
            details={"p95_holdout_ms": 180.2, "p95_shadowed_ms": 182.4},
            reasons=(_proven(1.012, 1.15, "ratio", "at_most"),),
        ),
        ratio(
            semconv.CRITERION_LATENCY_AFTER, decision=other, direction="at_most", events=8120, estimate=0.78,
            lower=0.72, upper=0.85, proven=0.83 if looked else None, reasons=(_proven(0.78, 1.15, "ratio", "at_most"),),
        ),
        share(
            semconv.CRITERION_V1_SERVED, decision=Decision.GO, bound=1.0, direction="at_least", events=8178,
            estimate=1.0, counts={"served": 8178, "recorded": 8178},
            reasons=(Reason(Role.WHY, ReasonKind.SERVED, have=8178, of=8178),),
        ),
        share(
            semconv.CRITERION_COVERAGE, decision=other, bound=0.9, direction="at_least", events=8178, estimate=0.998,
            counts={"eligible": 8194, "executed": 8178},
            reasons=(Reason(Role.WHY, ReasonKind.COVERED, have=8178, of=8194),),
        ),
    )  # fmt: skip


def _parity_numbers(decision: Decision) -> dict[str, Any]:
    middle = {Decision.GO: 0.984, Decision.NO_GO: 0.913, Decision.WAIT: 0.958}[decision]
    waiting = decision is Decision.WAIT
    wide = 0.05 if waiting else 0.012
    return {
        "estimate": middle,
        "lower": middle - wide,
        "upper": min(1.0, middle + wide),
        "proven": {Decision.GO: 0.976, Decision.NO_GO: 0.902, Decision.WAIT: None}[decision],
        "eta": START + timedelta(hours=24) if waiting else None,
    }


def _proven(have: float, needed: float, quantity: Quantity, limit: Direction) -> Reason:
    return Reason(Role.WHY, ReasonKind.KEPT, have=have, needed=needed, quantity=quantity, limit=limit)


def _parity_reasons(decision: Decision) -> tuple[Reason, ...]:
    kind = {Decision.GO: ReasonKind.KEPT, Decision.NO_GO: ReasonKind.BROKEN, Decision.WAIT: ReasonKind.UNPROVEN}
    numbers = _parity_numbers(decision)
    why = Reason(Role.WHY, kind[decision], have=numbers["estimate"], needed=0.95, quantity="share", limit="at_least")
    return (why, SESSIONS) if decision is Decision.WAIT else (why,)


SESSIONS = Reason(
    Role.MISSING, ReasonKind.SESSIONS, have=22, needed=30, rate=75.4, by=START + timedelta(hours=24)
)  # fmt: skip
CYCLE = Reason(Role.MISSING, ReasonKind.CYCLES, have=0, needed=1, hours=24.0, by=START + timedelta(hours=24))


def reasons(decision: Decision, weakest: str) -> tuple[Reason, ...]:
    """Every role that goes with ``decision``."""
    parity = _parity_reasons(decision)[0].about(semconv.CRITERION_PARITY, weakest)
    why = {Decision.GO: (Reason(Role.WHY, ReasonKind.PROVEN),), Decision.NO_GO: (parity,), Decision.WAIT: ()}
    waiting = (
        CYCLE,
        SESSIONS.about(semconv.CRITERION_PARITY, weakest),
        Reason(Role.ADVICE, ReasonKind.SMALLER_HOLDOUT, have=1 / 3, needed=0.1),
    )
    return (
        *why[decision],
        *(waiting if decision is Decision.WAIT else ()),
        Reason(Role.WARNING, ReasonKind.UNREADABLE, have=3),
        Reason(Role.NOTE, ReasonKind.REPEATED, have=5),
    )


def verdict(decision: Decision = Decision.GO, nodes: tuple[str, ...] = NODES, simulated: bool = False) -> Verdict:
    """A verdict over ``nodes``; the last one is the weakest."""
    waiting = decision is Decision.WAIT
    end = START + timedelta(hours=7 if waiting else 49)
    per_node = tuple(
        NodeVerdict(
            node,
            "enrolment",
            kind,
            criteria(node, kind),
            2212,
            3,
            9100,
            (Reason(Role.NOTE, ReasonKind.OPEN_SESSIONS, have=3),),
        )
        for node in nodes
        for kind in [decision if node == nodes[-1] else Decision.WAIT if waiting else Decision.GO]
    )
    return Verdict(
        decision=decision,
        at=end,
        window=Window(START, end, 0 if waiting else 2, None if waiting else START + timedelta(hours=48),
                      START + timedelta(hours=24 if waiting else 72)),
        policy=Policy(intents=("enrol", "price")),
        criteria=criteria(None, decision, nodes[-1]),
        nodes=per_node,
        reasons=reasons(decision, nodes[-1]),
        build=Build("2.4.0", "c0ffee123456", 18200, START, end),
        left_out=(Build("2.3.9", "c0ffee123456", 310, START - timedelta(hours=9), START - timedelta(hours=1)),),
        key_ids=("k1",),
        simulated=simulated,
        slowest=semconv.CRITERION_PARITY if waiting else None,
        eta=START + timedelta(hours=24) if waiting else None,
        pooled=nodes,
        next_look=START + timedelta(hours=24 if waiting else 72),
    )  # fmt: skip


def evidence(found: Verdict) -> EvidenceView:
    """What was read for ``found``: two days (or seven hours) of every kind of evidence."""
    nodes = tuple(node.node for node in found.nodes)
    assert found.window is not None
    hours = int((found.window.end - found.window.start).total_seconds() // 3600)
    return EvidenceView(
        reading=Reading(("app.log",), 36800, 17_000_000, 18200, 18500, 3, 1, {"2": 40}, 5, 0, 0, 0,
                        ("app.log:17: not JSON: cut off",)),
        nodes=nodes,
        parity=tuple(ParityPoint(node, START + timedelta(hours=h), 160 - h % 5, 165, h % 3, 170)
                     for node in nodes for h in range(hours)),
        bands=tuple(point for node in found.nodes for point in _bands(node, hours)),
        latency=tuple(histogram for node in nodes for histogram in _latency(node)),
        confusion=tuple(Confusion(node, ("qualification", "__end__"), ("qualification", "__end__", "information"),
                                  ((5000, 40, 31), (22, 3027, 0))) for node in nodes),
        mismatches=(
            MismatchGroup(nodes[-1], "qualification->__end__", None, ("outbox",), "price", "2.4.0", 40, 31, 0.62,
                          None, tuple(Sample(START + timedelta(hours=n), f"pair{n}", f"{n:032x}") for n in range(3))),
            MismatchGroup(nodes[-1], "__end__->__end__", "age_collection->qualification_complete",
                          ("child_age", "education_level"), None, "2.4.0", 22, 20, 0.38),
            MismatchGroup(nodes[0], "__end__->information", None, (), None, "2.4.0", 4, 4, 0.0, "greets in two turns"),
        ),
        counts={"*": {"comparison": {"match": 15980, "mismatch": 260, "none": 116}},
                nodes[0]: {"v2_status": {"success": 8120, "error": 31, "timeout": 27}, "arm": {"shadowed": 8178}}},
    )  # fmt: skip


def hostile(text: str = "<script>alert('x')</script>") -> tuple[Verdict, EvidenceView]:
    """A verdict in which every name that comes from logs is ``text``."""
    found = verdict(Decision.NO_GO, (text, f"{text}[bold]"))
    read = evidence(found)
    groups = tuple(replace(group, route=f"{text}->{text}2", fields=(text,), intent=text, build=text, steps=f"{text}->x",
                           samples=(Sample(START, text, text), Sample(START, text, f'"onmouseover="{text}')))
                   for group in read.mismatches)  # fmt: skip
    confusion = tuple(replace(one, original=(text, "b"), shadow=(text, "b", "c")) for one in read.confusion)
    reading = replace(read.reading, sources=(text,), examples=(text,), other_schema={text: 1})
    build = Build(text, text, 1, START, START)
    planted = (
        Reason(Role.BLOCKER, ReasonKind.UNKNOWN_NODE, node=text),
        Reason(Role.WARNING, ReasonKind.EXPIRED, names=(text,), day=START.date()),
        Reason(Role.NOTE, ReasonKind.OTHER_BUILD, names=(text,), have=1, since=START, by=START),
        Reason(Role.WHY, ReasonKind.BROKEN, semconv.CRITERION_PARITY, text, have=0.9, needed=0.95),
    )
    return (replace(found, reasons=planted, build=build, left_out=(build,)),
            replace(read, mismatches=groups, confusion=confusion, reading=reading,
                    counts={text: {text: {text: 1}}}))  # fmt: skip


def _bands(node: NodeVerdict, hours: int) -> list[BandPoint]:
    points = []
    for criterion in node.criteria[:2]:
        for half in range(1, hours * 2 + 1):
            middle = criterion.estimate or 0.0
            wide = 0.9 / math.sqrt(half)
            drift = 0.006 * math.sin(half / 9) / math.sqrt(half)
            points.append(BandPoint(node.node, criterion.criterion, START + timedelta(minutes=30 * half),
                                    middle + drift, max(0.0, middle - wide * (1 - 0.5 * middle)),
                                    min(1.0, middle + wide * 0.12), half * 23))  # fmt: skip
    return points


def _latency(node: str) -> list[LatencyHistogram]:
    return [
        _histogram(node, "v1", "shadowed", 280, 41.2, 182.4, 8120),
        _histogram(node, "v1", "holdout", 279, 41.0, 180.2, 900),
        _histogram(node, "v2", "shadowed", 255, 30.9, 142.0, 8120),
    ]


def _histogram(
    node: str, version: str, arm: str, middle: int, p50_ms: float, p95_ms: float, total: int
) -> LatencyHistogram:
    shape = [math.exp(-((index - 120) ** 2) / 4000) for index in range(240)]
    counts = tuple(round(total * weight / sum(shape)) for weight in shape)
    edges = tuple(BASE ** (middle - 120 + index + 150) for index in range(241))
    return LatencyHistogram(node, version, arm, edges, counts, p50_ms, p95_ms)
