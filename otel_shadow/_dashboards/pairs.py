"""Second dashboard: the pairs, and the way into each of them."""

from __future__ import annotations

from typing import Any, Final

from grafanalib.core import Dashboard

from otel_shadow import semconv
from otel_shadow._dashboards import panel_queries as q
from otel_shadow._dashboards.boards import board, row
from otel_shadow._dashboards.names import label
from otel_shadow._dashboards.panels import TEMPO, Query, TraceQuery, Traces, at, column, lines, matching, table

UID: Final = "otel-shadow-pairs"
_KEPT: Final = "&".join(
    f"${{{name}:queryparam}}" for name in ("datasource", "tempo", "service", "graph", "node", "window", "jaeger")
)


def _links(trace: str) -> list[dict[str, Any]]:
    """Where a trace id leads; ``trace`` is Grafana's expression for it in this column."""
    return [
        {"title": "Show below", "url": f"/d/{UID}?${{__url_time_range}}&{_KEPT}&var-trace={trace}"},
        {"title": "Open in Jaeger", "url": f"${{jaeger}}/trace/{trace}", "targetBlank": True},
    ]


_TRACE_LINKS: Final = [
    column("traceID", links=_links("${__value.raw}")),
    column("spanID", links=_links("${__data.fields.traceIdHidden}")),
]
"""Grafana 9 lists traces, later ones list spans beside a hidden column of trace ids."""


def dashboard() -> Dashboard:
    """Build it."""
    return board(
        UID,
        "pairs",
        "V1 and V2 on the same requests: how long they took, where they would go, where they differ.",
        [
            row("Latency (points are traces: click one)"),
            _latency(),
            _latency_nodes(),
            _arms(),
            row("Decisions"),
            _confusion(),
            _comparisons(),
            _outcomes(),
            row("Single pairs (a trace id opens the pair)"),
            _list(
                "Mismatches",
                "Pairs that differ in decision, step or a compared field; every one is kept by the "
                "Collector. Differing fields are named, their values never leave the process.",
                q.TRACES_MISMATCH,
            ),
            _list("Errors and timeouts of V2", "Each would have been a fallback to V1.", q.TRACES_FAILED),
            _list("Slow pairs", "V2 took more than 250 ms longer than V1.", q.TRACES_SLOW),
            _chosen(),
        ],
        traces=True,
    )


def _latency() -> Any:
    curves = {f"{name} {{{{{q.VERSION}}}}}": expr for name, expr in q.LATENCY.items()}
    return lines(
        "Latency of V1 and V2",
        "Quantiles over all chosen nodes; V1's time includes our own work on its path.",
        curves,
        "s",
        exemplars=True,
        gridPos=at(12, 9),
    )


def _latency_nodes() -> Any:
    return lines(
        "p95 per node",
        "V1 and V2 of each node.",
        {f"{{{{{q.NODE}}}}} {{{{{q.VERSION}}}}}": q.LATENCY_NODES},
        "s",
        gridPos=at(12, 9),
    )


def _arms() -> Any:
    return table(
        "p95 per node, version and arm ($window)",
        "The window's p95, of the summed histogram. Shadowed against holdout is what shadowing does to V1.",
        [Query(q.LATENCY_ARMS, instant=True)],
        gridPos=at(24, 7),
        unit="s",
        transformations=[
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True, "window": True, "job": True, "__name__": True},
                    "renameByName": {
                        q.GRAPH: "Graph",
                        q.NODE: "Node",
                        q.VERSION: "Version",
                        label(semconv.ARM): "Arm",
                        "Value": "p95",
                    },
                },
            },
        ],
    )


def _confusion() -> Any:
    corner = f"{label(semconv.ORIGINAL_TARGET)}\\{label(semconv.SHADOW_TARGET)}"
    return table(
        "Where V1 went (rows), where V2 would have gone (columns)",
        "Pairs by decision within the time range; off the diagonal are the disagreements.",
        [Query(q.CONFUSION, instant=True)],
        gridPos=at(12, 9),
        unit="short",
        transformations=[
            {
                "id": "groupingToMatrix",
                "options": {
                    "rowField": label(semconv.ORIGINAL_TARGET),
                    "columnField": label(semconv.SHADOW_TARGET),
                    "valueField": "Value",
                },
            }
        ],
        overrides=[column(corner, displayName="V1 \\ V2", unit="string"), matching("/.*/", decimals=0)],
    )


def _comparisons() -> Any:
    return lines(
        "Comparisons",
        "Pairs per second by outcome.",
        {f"{{{{{label(semconv.COMPARISON)}}}}}": q.COMPARISONS},
        "reqps",
        gridPos=at(6, 9),
        stacking={"mode": "normal", "group": "A"},
        fillOpacity=30,
    )


def _outcomes() -> Any:
    return lines(
        "What became of the shadows",
        "Executions per second by status, those that never ran included.",
        {f"{{{{{label(semconv.STATUS)}}}}}": q.OUTCOMES},
        "reqps",
        gridPos=at(6, 9),
        stacking={"mode": "normal", "group": "A"},
        fillOpacity=30,
    )


def _list(title: str, description: str, query: str) -> Any:
    return table(title, description, [TraceQuery(query)], gridPos=at(24, 9), overrides=_TRACE_LINKS)


def _chosen() -> Any:
    return Traces(
        title="The chosen pair",
        description="Both spans of the pair and everything below them. Choose one above, or paste a trace id.",
        dataSource=TEMPO,
        targets=[TraceQuery("${trace}")],
        gridPos=at(24, 14),
        maxDataPoints=None,
    )
