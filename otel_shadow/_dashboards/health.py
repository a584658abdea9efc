"""Fourth dashboard: what the shadow itself costs, drops and swallows."""

from __future__ import annotations

from typing import Any, Final

from grafanalib.core import Dashboard

from otel_shadow import semconv
from otel_shadow._dashboards import panel_queries as q
from otel_shadow._dashboards.boards import board, row
from otel_shadow._dashboards.names import label
from otel_shadow._dashboards.panels import GREEN, RED, at, lines, states, words

UID: Final = "otel-shadow-health"


def dashboard() -> Dashboard:
    """Build it."""
    return board(
        UID,
        "own health",
        "What shadowing adds to V1's path, what is shed or paused, what our own code swallowed, and what was lost.",
        [
            row("On V1's path"),
            _overhead(),
            _share(),
            row("Shadows that don't run"),
            _queue(),
            _not_run(),
            _limiters(),
            row("Cost and errors"),
            _tokens(),
            _swallowed(),
            row("The Collector"),
            _lost(),
            _collector_queue(),
        ],
        since="now-6h",
    )


def _overhead() -> Any:
    curves = {f"{name} {{{{{q.NODE}}}}}": expr for name, expr in q.OVERHEAD.items()}
    return lines("Time added on V1's path", "Snapshot, flags, span: measured on every execution.", curves, "s")


def _share() -> Any:
    return lines(
        "Added time, of V1's p95",
        "p95 of the added time over V1's p95. The SLA's margin is for both together.",
        {f"{{{{{q.NODE}}}}}": q.OVERHEAD_SHARE},
        "percentunit",
    )


def _queue() -> Any:
    return lines(
        "Waiting and running",
        "Pairs that wait for their shadow, and shadows that run, per instance.",
        {"waiting {{instance}}": q.QUEUE, "running {{instance}}": q.INFLIGHT},
        "short",
        gridPos=at(8, 8),
    )


def _not_run() -> Any:
    return lines(
        "Shed",
        "Shadows per second that never ran, and why.",
        {f"{{{{{label(semconv.STATUS)}}}}}": q.NOT_RUN},
        "reqps",
        gridPos=at(8, 8),
    )


def _limiters() -> Any:
    return states(
        "Paused",
        "Which limit pauses which node's shadow.",
        q.LIMITERS,
        f"{{{{{q.NODE}}}}} {{{{{label(semconv.REASON)}}}}}",
        words({0: "runs", 1: "paused"}, {0: GREEN, 1: RED}),
        gridPos=at(8, 8),
    )


def _tokens() -> Any:
    return lines(
        "Tokens spent by V2 in shadow, per hour",
        "From the models' own usage metadata.",
        {f"{{{{{q.NODE}}}}} {{{{{label(semconv.TOKEN_TYPE)}}}}}": q.TOKENS},
        "short",
    )


def _swallowed() -> Any:
    return lines(
        "Errors of ours that the shield caught",
        "V1 never saw them; each operation is named.",
        {f"{{{{{label(semconv.OPERATION)}}}}}": q.SWALLOWED},
        "short",
    )


def _lost() -> Any:
    return lines(
        "Refused and failed",
        "Items per second that the Collector refused (memory) or could not deliver.",
        dict(q.PIPELINE),
        "cps",
    )


def _collector_queue() -> Any:
    return lines(
        "The Collector's sending queues",
        "How full they are; full means that a backend is away.",
        {"{{exporter}} {{data_type}}": q.COLLECTOR_QUEUE},
        "percentunit",
    )
