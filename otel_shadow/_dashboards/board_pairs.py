"""Second dashboard: the pairs, and links into each of them."""

from __future__ import annotations

from typing import Final

from otel_shadow import semconv
from otel_shadow._dashboards import panel_queries as q
from otel_shadow._dashboards import panels as p
from otel_shadow._dashboards.dashboard import dashboard
from otel_shadow._dashboards.series_names import label

UID: Final = "otel-shadow-pairs"
_KEPT: Final = "&".join(
    f"${{{name}:queryparam}}" for name in ("datasource", "tempo", "service", "graph", "node", "window", "jaeger")
)
_ORIGINAL: Final = label(semconv.ORIGINAL_TARGET)
_SHADOW: Final = label(semconv.SHADOW_TARGET)


def _links(trace_id: str) -> list[p.Json]:
    """Return where a trace id leads; ``trace_id`` is Grafana's expression for it in this column."""
    return [
        {"title": "Show below", "url": f"/d/{UID}?${{__url_time_range}}&{_KEPT}&var-trace={trace_id}"},
        {"title": "Open in Jaeger", "url": f"${{jaeger}}/trace/{trace_id}", "targetBlank": True},
    ]


_ARMS_COLUMNS: Final = {
    q.GRAPH: "Graph", q.NODE: "Node", q.VERSION: "Version", label(semconv.ARM): "Arm", "Value": "p95",
}  # fmt: skip
_TRACE_LINKS: Final = [
    p.column("traceID", links=_links("${__value.raw}")),
    p.column("spanID", links=_links("${__data.fields.traceIdHidden}")),
]
"""Grafana 9 lists traces, later ones list spans beside a hidden column of trace ids."""


def _list(title: str, description: str, traceql: str) -> p.Json:
    return p.panel("table", title, description, [p.trace_query(traceql)], (24, 9), overrides=_TRACE_LINKS)


BOARD: Final = dashboard(
    UID,
    "pairs",
    "V1 and V2 on the same requests: how long they took, where they would go, where they differ.",
    [
        p.row("Latency (points are traces: click one)"),
        p.lines(
            "Latency of V1 and V2",
            "Quantiles over all chosen nodes; V1's time includes what shadowing adds.",
            {f"{name} {p.legend(q.VERSION)}": expr for name, expr in q.LATENCY.items()},
            "s",
            (12, 9),
            exemplars=True,
        ),
        p.lines(
            "p95 per node", "V1 and V2 of each node.", {p.legend(q.NODE, q.VERSION): q.LATENCY_NODES}, "s", (12, 9)
        ),
        p.panel(
            "table",
            "p95 per node, version and arm ($window)",
            "The window's p95, of the summed histogram. Shadowed against holdout is what shadowing does to V1.",
            [p.query(q.LATENCY_ARMS, instant=True)],
            (24, 7),
            fields={"unit": "s"},
            transformations=[p.columns(_ARMS_COLUMNS, hidden=("Time", "window", "job", "__name__"))],
        ),
        p.row("Decisions"),
        p.panel(
            "table",
            "Where V1 went (rows), where V2 would have gone (columns)",
            "Pairs by decision within the time range; off the diagonal are the disagreements.",
            [p.query(q.CONFUSION, instant=True)],
            (12, 9),
            fields={"unit": "short"},
            transformations=[p.matrix(_ORIGINAL, _SHADOW)],
            overrides=[
                p.column(f"{_ORIGINAL}\\{_SHADOW}", displayName="V1 \\ V2", unit="string"),
                p.matching("/.*/", decimals=0),
            ],
        ),
        p.lines(
            "Comparisons",
            "Pairs per second by outcome.",
            {p.legend(label(semconv.COMPARISON)): q.COMPARISONS},
            "reqps",
            (6, 9),
            stacked=True,
        ),
        p.lines(
            "What became of the shadow runs",
            "Shadow runs per second by status, also those that never started.",
            {p.legend(label(semconv.STATUS)): q.OUTCOMES},
            "reqps",
            (6, 9),
            stacked=True,
        ),
        p.row("Single pairs (a trace id opens the pair)"),
        _list(
            "Mismatches",
            "Pairs that differ in decision, step or a compared field; every one is kept by the "
            "Collector. Differing fields are named, their values never leave the process.",
            q.TRACES_MISMATCH,
        ),
        _list("Errors and timeouts of V2", "Each would have been a fallback to V1.", q.TRACES_FAILED),
        _list("Slow pairs", f"V2 took more than {q.SLOW_MS} ms longer than V1.", q.TRACES_SLOW),
        p.trace(
            "The chosen pair",
            "Both spans of the pair and everything below them. Choose one above, or paste a trace id.",
            "${trace}",
        ),
    ],
    traces=True,
)
