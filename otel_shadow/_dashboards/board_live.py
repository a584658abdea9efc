"""Third dashboard: V2 on its way to all users."""

from __future__ import annotations

from typing import Final

from otel_shadow import semconv
from otel_shadow._dashboards import panel_queries as q
from otel_shadow._dashboards import panels as p
from otel_shadow._dashboards.dashboard import dashboard
from otel_shadow._dashboards.series_names import label

BOARD: Final = dashboard(
    "otel-shadow-live",
    "live rollout",
    "Empty until ROUTER_V2_ENABLED=true and ROUTER_V2_PERCENTAGE is above zero: then the share V2 serves, its "
    "fallbacks to V1, and whether V2 still agrees on the sessions that V1 serves.",
    [
        p.lines(
            "Share of executions that V2 answered",
            "Live V2 without its fallbacks, of all executions with a shadow or live.",
            {"served by V2": q.SHARE_LIVE},
            "percentunit",
            (8, 9),
        ),
        p.lines(
            "Fallbacks to V1 by reason",
            "Per second: live V2 failed and V1 answered.",
            {p.legend(label(semconv.REASON)): q.FALLBACKS},
            "reqps",
            (8, 9),
        ),
        p.lines(
            "Fallback rate per node",
            "Fallbacks of all live executions, against the SLA's handoff rate.",
            {p.legend(q.NODE): q.FALLBACK_SHARE, "bound": q.bound(semconv.CRITERION_HANDOFF)},
            "percentunit",
            (8, 9),
        ),
        p.row("Is it as good as before?"),
        p.lines(
            "Parity on the sessions that V1 still serves",
            "V2 is live for a share of the sessions and in shadow on the others: does it still agree there?",
            {p.legend(q.NODE): q.PARITY_BESIDE_LIVE, "bound": q.bound(semconv.CRITERION_PARITY)},
            "percentunit",
            (12, 9),
        ),
        p.lines(
            "p95 in live mode",
            "V2 serving, and V1 behind it (as fallback).",
            {p.legend(q.NODE, q.VERSION): q.LATENCY_LIVE},
            "s",
            (12, 9),
            exemplars=True,
        ),
        p.row("Single fallbacks"),
        p.panel(
            "table",
            "Fallbacks",
            "Traces in which V1 answered in place of V2.",
            [p.trace_query(q.TRACES_FALLBACK)],
            (24, 9),
        ),
    ],
    traces=True,
)
