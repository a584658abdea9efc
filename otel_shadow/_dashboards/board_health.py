"""Fourth dashboard: what otel-shadow itself costs, drops and swallows."""

from __future__ import annotations

from typing import Final

from otel_shadow import semconv
from otel_shadow._dashboards import panel_queries as q
from otel_shadow._dashboards import panels as p
from otel_shadow._dashboards.dashboard import dashboard
from otel_shadow._dashboards.series_names import label

COLLECTOR: Final = "The Collector"
BOARD: Final = dashboard(
    "otel-shadow-health",
    "own health",
    "What shadowing adds to V1's path, what is shed or paused, which errors were swallowed, and what was lost.",
    [
        p.row("On V1's path"),
        p.lines(
            "Time added on V1's path",
            "Snapshot, flags, span: measured on every execution.",
            {f"{name} {p.legend(q.NODE)}": expr for name, expr in q.OVERHEAD.items()},
            "s",
        ),
        p.lines(
            "Added time, of V1's p95",
            "p95 of the added time over V1's p95. The SLA's margin is for both together.",
            {p.legend(q.NODE): q.OVERHEAD_SHARE},
            "percentunit",
        ),
        p.row("Shadow runs that don't start"),
        p.lines(
            "Waiting and running",
            "Shadow runs that wait, and shadow runs under way, per instance.",
            {"waiting {{instance}}": q.QUEUE, "running {{instance}}": q.INFLIGHT},
            "short",
            (8, 8),
        ),
        p.lines(
            "Shed",
            "Shadow runs per second that never started, and why.",
            {p.legend(label(semconv.STATUS)): q.NOT_RUN},
            "reqps",
            (8, 8),
        ),
        p.panel(
            "state-timeline",
            "Paused",
            "Which limit pauses which node's shadow.",
            [p.query(q.LIMITERS, p.legend(q.NODE, label(semconv.REASON)))],
            (8, 8),
            fields={"mappings": p.words({0: "runs", 1: "paused"}, {0: p.GREEN, 1: p.RED})},
        ),
        p.row("Cost and errors"),
        p.lines(
            "Tokens spent by V2 in shadow, per hour",
            "From the models' own usage metadata.",
            {p.legend(q.NODE, label(semconv.TOKEN_TYPE)): q.TOKENS},
            "short",
        ),
        p.lines(
            "Errors of otel-shadow that its fault barrier caught",
            "None of them reached V1; each operation is named.",
            {p.legend(label(semconv.OPERATION)): q.SWALLOWED},
            "short",
        ),
        p.row(COLLECTOR),
        p.lines(
            "Refused and failed",
            "Items per second that the Collector refused (memory) or could not deliver.",
            q.PIPELINE,
            "cps",
        ),
        p.lines(
            "The Collector's sending queues",
            "How full they are; full means that a backend does not answer.",
            {"{{exporter}} {{data_type}}": q.COLLECTOR_QUEUE},
            "percentunit",
        ),
    ],
    since="now-6h",
)
