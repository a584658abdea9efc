"""First dashboard: may V2 go live, and if not, why."""

from __future__ import annotations

from typing import Final

from otel_shadow import semconv
from otel_shadow._dashboards import panel_queries as q
from otel_shadow._dashboards import panels as p
from otel_shadow._dashboards.dashboard import dashboard

_ANSWERS: Final = p.words({1: "GO", 0: "WAIT", -1: "NO-GO"}, {1: p.GREEN, 0: p.AMBER, -1: p.RED})
TITLES: Final = {
    semconv.CRITERION_OVERALL: "Overall",
    semconv.CRITERION_PARITY: "Functional parity (at least)",
    semconv.CRITERION_HANDOFF: "Handoff rate: V2 fails, V1 answers (at most)",
    semconv.CRITERION_LATENCY_NOW: "Latency now: V1's p95 with shadow ÷ without (at most)",
    semconv.CRITERION_LATENCY_AFTER: "Latency after: V2's p95 ÷ V1's p95 (at most)",
    semconv.CRITERION_V1_SERVED: "V1 always served (at least)",
    semconv.CRITERION_COVERAGE: "Shadow runs executed of those expected (at least)",
}
_DESCRIPTIONS: Final = {
    semconv.CRITERION_PARITY: "Pairs whose decision (and step) agree, of all pairs compared. Accepted differences "
    "can't be told from counts: the verdict leaves them out, this curve includes them.",
    semconv.CRITERION_HANDOFF: "Shadow runs that ended in error or timeout, of all executed: each would have been a "
    "fallback to V1.",
    semconv.CRITERION_COVERAGE: "Shadow runs executed, of the executions that should have one (the holdout has none).",
    semconv.CRITERION_LATENCY_NOW: "What users feel today: V1's p95 in slots of time with shadows, over that in "
    "slots without.",
    semconv.CRITERION_LATENCY_AFTER: "What users will feel once V2 is live: V2's p95 over V1's on the same requests.",
}


def _coloured(how: str) -> p.Json:
    """Return the property of a coloured cell, as Grafana 9 and as later ones read it."""
    return {"custom_displayMode": how, "custom_cellOptions": {"type": how}}


def _trend(criterion: str) -> p.Json:
    return p.lines(
        TITLES[criterion].partition(" (")[0],
        _DESCRIPTIONS[criterion],
        {p.legend(q.NODE): q.trend(criterion), "whole graph": q.trend(criterion, "graph"), "bound": q.bound(criterion)},
        "percentunit",
        (8, 8),
    )


def _why() -> p.Json:
    refs = {chr(65 + index): name for index, name in enumerate(q.WHY)}
    renamed = {q.CRITERION: "Criterion"} | {f"Value #{ref}": name for ref, name in refs.items()}
    hidden = ("Time", *(f"Time {index + 1}" for index in range(len(refs))))
    return p.panel(
        "table",
        "Why",
        "Each criterion: what the evidence says, the estimate, what whole cycles of traffic prove so far, the "
        "always-valid band, and the bound. A GO is made of what is proven, a NO-GO of the band. What a GO still needs: "
        "`otel-shadow verdict`.",
        [p.query(q.WHY[name], ref=ref, instant=True) for ref, name in refs.items()],
        (16, 10),
        transformations=[
            {"id": "joinByField", "options": {"byField": q.CRITERION, "mode": "outer"}},
            p.columns(renamed, hidden, ordered=True),
        ],
        overrides=[
            p.column("Criterion", mappings=p.words(TITLES), custom_width=420),
            p.column("Says", mappings=_ANSWERS, **_coloured("color-background")),
            *(p.column(name, unit="percentunit", decimals=2) for name in q.WHY if name != "Says"),
        ],
    )


BOARD: Final = dashboard(
    "otel-shadow-sla",
    "SLA window",
    "May V2 go live, and if not, why: the verdict, each criterion against its bound, and the evidence so far.",
    [
        p.panel(
            "stat",
            "May V2 go live?",
            "The verdict of `otel-shadow verdict --watch` over all evidence. WAIT means that the evidence does not "
            "suffice yet, for either answer. The worst of the chosen graphs is shown.",
            [p.query(q.VERDICT)],
            (8, 10),
            fields={"mappings": _ANSWERS, "noValue": "NO VERDICT: `otel-shadow verdict --watch` is not running"},
            options={"textMode": "value"},
        ),
        _why(),
        p.row("Where each node stands ($window, from counts)"),
        p.panel(
            "table",
            "Distance to the bound",
            "How far each node is on the good side of each bound; red is beyond it. From counts, without a band: "
            "the verdict above decides.",
            [p.query(q.MARGIN, instant=True)],
            (24, 7),
            transformations=[p.matrix(q.NODE, q.CRITERION)],
            thresholds=p.steps((None, p.RED), (0, p.GREEN)),
            fields={"unit": "percentunit"},
            overrides=[
                p.column(f"{q.NODE}\\{q.CRITERION}", displayName="Node", unit="string"),
                *(
                    p.column(name, displayName=title, decimals=2, **_coloured("color-text"))
                    for name, title in TITLES.items()
                ),
            ],
        ),
        *(_trend(criterion) for criterion in _DESCRIPTIONS),
        p.row("Evidence"),
        p.panel(
            "stat",
            "Pairs compared ($window)",
            "How many pairs of each node the counts above rest on.",
            [p.query(q.EVIDENCE)],
            (8, 8),
            fields={"unit": "short", "decimals": 0},
            options={"colorMode": "none", "textMode": "value_and_name", "orientation": "horizontal"},
        ),
        p.lines(
            "Shadow runs: expected and executed",
            "Executions per second that should have had a shadow, and shadow runs executed. A gap is shed, paused or "
            "broken.",
            {"expected": q.EXPECTED, "executed": q.EXECUTED},
            "reqps",
            (8, 8),
        ),
        p.panel(
            "state-timeline",
            "Verdict per node and criterion",
            "How the verdict came about: GO, WAIT or NO-GO over time.",
            [p.query(q.VERDICT_NODES, p.legend(q.NODE, q.CRITERION))],
            (8, 8),
            fields={"mappings": _ANSWERS},
        ),
    ],
)
