"""Third dashboard: V2 on its way to all users."""

from __future__ import annotations

from typing import Any, Final

from grafanalib.core import Dashboard

from otel_shadow import semconv
from otel_shadow._dashboards import panel_queries as q
from otel_shadow._dashboards.boards import board, row
from otel_shadow._dashboards.names import label
from otel_shadow._dashboards.panels import TraceQuery, at, lines, table

UID: Final = "otel-shadow-live"


def dashboard() -> Dashboard:
    """Build it."""
    return board(
        UID,
        "live rollout",
        "Empty until ROUTER_V2_ENABLED=true and ROUTER_V2_PERCENTAGE is above zero: then the share V2 serves, its "
        "fallbacks to V1, and whether V2 still agrees on the sessions that V1 serves.",
        [
            _share(),
            _fallbacks(),
            _fallback_share(),
            row("Is it as good as before?"),
            _beside(),
            _latency(),
            row("Single fallbacks"),
            _list(),
        ],
        traces=True,
    )


def _share() -> Any:
    return lines(
        "Share of executions that V2 answered",
        "Live V2 without its fallbacks, of all executions with a shadow or live.",
        {"served by V2": q.SHARE_LIVE},
        "percentunit",
        gridPos=at(8, 9),
    )


def _fallbacks() -> Any:
    return lines(
        "Fallbacks to V1 by reason",
        "Per second: live V2 failed and V1 answered.",
        {f"{{{{{label(semconv.REASON)}}}}}": q.FALLBACKS},
        "reqps",
        gridPos=at(8, 9),
    )


def _fallback_share() -> Any:
    return lines(
        "Fallback rate per node",
        "Fallbacks of all live executions, against the SLA's handoff rate.",
        {f"{{{{{q.NODE}}}}}": q.FALLBACK_SHARE, "bound": q.bound(semconv.CRITERION_HANDOFF)},
        "percentunit",
        gridPos=at(8, 9),
    )


def _beside() -> Any:
    return lines(
        "Parity on the sessions that V1 still serves",
        "V2 is live for a share of the sessions and in shadow on the others: does it still agree there?",
        {f"{{{{{q.NODE}}}}}": q.PARITY_BESIDE_LIVE, "bound": q.bound(semconv.CRITERION_PARITY)},
        "percentunit",
        gridPos=at(12, 9),
    )


def _latency() -> Any:
    return lines(
        "p95 in live mode",
        "V2 serving, and V1 behind it (as fallback).",
        {f"{{{{{q.NODE}}}}} {{{{{q.VERSION}}}}}": q.LATENCY_LIVE},
        "s",
        exemplars=True,
        gridPos=at(12, 9),
    )


def _list() -> Any:
    return table(
        "Fallbacks", "Traces in which V1 answered in V2's stead.", [TraceQuery(q.TRACES_FALLBACK)], gridPos=at(24, 9)
    )
