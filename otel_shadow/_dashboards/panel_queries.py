"""Queries of the panels, made of the parts in ``queries`` and Grafana's variables.

The dashboards define ``$service``, ``$graph``, ``$node`` and ``$window``; Grafana defines ``$__rate_interval``.
"""

from __future__ import annotations

from typing import Final

from otel_shadow import semconv
from otel_shadow._dashboards import queries
from otel_shadow._dashboards.queries import by, increase, where
from otel_shadow._dashboards.series_names import INSTANCE, SERVICE, WINDOW, label, series
from otel_shadow.record import Mode, Outcome, Status
from otel_shadow.semconv import Metric

GRAPH: Final = label(semconv.GRAPH)
NODE: Final = label(semconv.NODE)
CRITERION: Final = label(semconv.CRITERION)
VERSION: Final = label(semconv.VERSION)
_RANGE: Final = "$__rate_interval"

SERVICES: Final = f'{SERVICE}=~"$service"'
GRAPHS: Final = f'{GRAPH}=~"$graph"'
PLACE: Final = f'{SERVICES},{GRAPHS},{NODE}=~"$node"'


def _rate(metric: Metric, *labels: str, **only: str | tuple[str, ...]) -> str:
    return by(labels, f"rate({series(metric)}{where(PLACE, **only)}[{_RANGE}])")


def _runs(*labels: str, **only: str | tuple[str, ...]) -> str:
    """Return runs of nodes per second, counted by the histogram of their durations."""
    return f"histogram_count({_rate(semconv.NODE_DURATION, *labels, **only)})"


def _gained(metric: Metric, *labels: str, scope: str = PLACE, over: str = "$__range") -> str:
    return by(labels, increase(metric, where(scope), over))


def _gauge(metric: Metric, scope: str, *labels: str, function: str = "max", **only: str) -> str:
    return by(labels, f"{series(metric)}{where(scope, **only)}", function=function)


def _p(share: float, metric: Metric, *labels: str, **only: str | tuple[str, ...]) -> str:
    return f"histogram_quantile({share}, {_rate(metric, *labels, **only)})"


def _quantiles(metric: Metric, *labels: str, **only: str) -> dict[str, str]:
    return {f"p{round(share * 100)}": _p(share, metric, *labels, **only) for share in (0.5, 0.95, 0.99)}


# --- variables ------------------------------------------------------------------------------------------------------
VARIABLES: Final = {
    "service": f"label_values({series(semconv.ELIGIBLE)}, {SERVICE})",
    "graph": f"label_values({series(semconv.ELIGIBLE)}{{{SERVICES}}}, {GRAPH})",
    "node": f"label_values({series(semconv.ELIGIBLE)}{{{SERVICES},{GRAPHS}}}, {NODE})",
}


# --- SLA window -----------------------------------------------------------------------------------------------------
# The process that runs `verdict --watch` may have another service name: the verdict is chosen by graph alone.
VERDICT: Final = _gauge(semconv.VERDICT, GRAPHS, function="min", CRITERION=semconv.CRITERION_OVERALL, NODE="")
WHY: Final = {
    "Says": _gauge(semconv.VERDICT, GRAPHS, CRITERION, function="min", NODE=""),
    "Estimate": _gauge(semconv.VERDICT_ESTIMATE, GRAPHS, CRITERION, NODE=""),
    "Proven so far": _gauge(semconv.VERDICT_PROVEN, GRAPHS, CRITERION, NODE=""),
    "At least": _gauge(semconv.VERDICT_LOWER, GRAPHS, CRITERION, NODE=""),
    "At most": _gauge(semconv.VERDICT_UPPER, GRAPHS, CRITERION, NODE=""),
    "Bound": _gauge(semconv.SLA_OBJECTIVE, SERVICES, CRITERION),
}
VERDICT_NODES: Final = by(
    (NODE, CRITERION), f'{series(semconv.VERDICT)}{{{GRAPHS},{NODE}=~"$node",{NODE}!=""}}', function="min"
)


def _recorded(record: str, criterion: str | tuple[str, ...], *labels: str, level: str = "node") -> str:
    scope = PLACE if level == "node" else f"{SERVICES},{GRAPHS}"
    selector = where(scope, f'{WINDOW}="$window"', CRITERION=criterion)
    return by(labels, f"{level}:{record}{selector}", function="max")


def trend(criterion: str, level: str = "node") -> str:
    """Return the criterion's quantity, per node or (``level`` is ``graph``) of the whole graph."""
    return _recorded(queries.ESTIMATE, criterion, NODE if level == "node" else GRAPH, level=level)


def bound(criterion: str) -> str:
    return _gauge(semconv.SLA_OBJECTIVE, SERVICES, CRITERION=criterion)


_AT_LEAST: Final = (semconv.CRITERION_PARITY, semconv.CRITERION_COVERAGE)
_AT_MOST: Final = (semconv.CRITERION_HANDOFF, semconv.CRITERION_LATENCY_NOW, semconv.CRITERION_LATENCY_AFTER)
_BOUNDS: Final = f"on ({CRITERION}) group_left () {WHY['Bound']}"
MARGIN: Final = (
    f"({_recorded(queries.ESTIMATE, _AT_LEAST, NODE, CRITERION)} - {_BOUNDS}) "
    f"or -({_recorded(queries.ESTIMATE, _AT_MOST, NODE, CRITERION)} - {_BOUNDS})"
)
"""Distance of each node to each bound; below zero the bound is broken."""
EVIDENCE: Final = _recorded(queries.EVIDENCE, semconv.CRITERION_PARITY, NODE)
EXPECTED: Final = _rate(semconv.ELIGIBLE, ARM="shadowed")
EXECUTED: Final = _rate(semconv.EXECUTIONS, STATUS=queries.EXECUTED)


# --- pairs ----------------------------------------------------------------------------------------------------------
LATENCY: Final = _quantiles(semconv.NODE_DURATION, VERSION, MODE=Mode.V2_SHADOW)
LATENCY_NODES: Final = _p(0.95, semconv.NODE_DURATION, NODE, VERSION, MODE=Mode.V2_SHADOW)
LATENCY_ARMS: Final = queries.in_window(queries.P95, "$window", PLACE)
CONFUSION: Final = _gained(semconv.DECISIONS, label(semconv.ORIGINAL_TARGET), label(semconv.SHADOW_TARGET))
OUTCOMES: Final = _rate(semconv.EXECUTIONS, label(semconv.STATUS))
COMPARISONS: Final = _rate(semconv.COMPARISONS, label(semconv.COMPARISON), MODE=Mode.V2_SHADOW)

# --- live rollout ---------------------------------------------------------------------------------------------------
_SERVED_V1: Final = _runs(MODE=Mode.V2_SHADOW, VERSION=semconv.VERSION_V1)
_LIVE: Final = _runs(MODE=Mode.V2_LIVE, VERSION=semconv.VERSION_V2)
_LIVE_NODES: Final = _runs(NODE, MODE=Mode.V2_LIVE, VERSION=semconv.VERSION_V2)
FALLBACKS: Final = _rate(semconv.FALLBACKS, label(semconv.REASON))
FALLBACK_SHARE: Final = f"{_rate(semconv.FALLBACKS, NODE)} / on ({NODE}) ({_LIVE_NODES} > 0)"
SHARE_LIVE: Final = f"({_LIVE} - {_rate(semconv.FALLBACKS)}) / ({_LIVE} + {_SERVED_V1})"
PARITY_BESIDE_LIVE: Final = (
    f"{_rate(semconv.COMPARISONS, NODE, MODE=Mode.V2_SHADOW, COMPARISON=Outcome.MATCH)} / "
    f"({_rate(semconv.COMPARISONS, NODE, MODE=Mode.V2_SHADOW, COMPARISON=queries.COMPARED)} > 0)"
)
LATENCY_LIVE: Final = _p(0.95, semconv.NODE_DURATION, NODE, VERSION, MODE=Mode.V2_LIVE)

# --- shadow's own health --------------------------------------------------------------------------------------------
OVERHEAD: Final = _quantiles(semconv.OVERHEAD, NODE)
OVERHEAD_SHARE: Final = (
    f"{_p(0.95, semconv.OVERHEAD, NODE)} / {_p(0.95, semconv.NODE_DURATION, NODE, VERSION=semconv.VERSION_V1)}"
)
QUEUE: Final = _gauge(semconv.QUEUE_DEPTH, SERVICES, INSTANCE)
INFLIGHT: Final = _gauge(semconv.INFLIGHT, SERVICES, INSTANCE)
NOT_RUN: Final = _rate(semconv.EXECUTIONS, label(semconv.STATUS), STATUS=(*queries.SHED, str(Status.NOT_IMPLEMENTED)))
LIMITERS: Final = _gauge(semconv.LIMITER_STATE, PLACE, NODE, label(semconv.REASON))
SWALLOWED: Final = _gained(semconv.SWALLOWED, label(semconv.OPERATION), scope=SERVICES, over=_RANGE)
TOKENS: Final = _gained(semconv.TOKENS, NODE, label(semconv.TOKEN_TYPE), over="1h")
_LOST: Final = {
    f"{what} {signal}": Metric(f"otelcol_{what}_{signal}", "counter", f"{{{signal}}}", "", ())
    for what in ("receiver_refused", "exporter_send_failed", "exporter_enqueue_failed")
    for signal in ("spans", "metric_points", "log_records")
}
_QUEUED, _CAPACITY = (
    Metric(f"otelcol_exporter_queue_{what}", "gauge", "{batches}", "", ("exporter", "data_type"))
    for what in ("size", "capacity")
)
COLLECTOR_METRICS: Final = (*_LOST.values(), _QUEUED, _CAPACITY)
"""What the Collector tells of itself: only these names are not in ``semconv``."""
PIPELINE: Final = {name: f"sum(rate({series(metric)}[{_RANGE}]))" for name, metric in _LOST.items()}
"""Items that the Collector refused or lost."""
COLLECTOR_QUEUE: Final = f"max by (exporter, data_type) ({series(_QUEUED)} / {series(_CAPACITY)})"

# --- traces (TraceQL) -----------------------------------------------------------------------------------------------
_TRACE_PLACE: Final = (
    f'resource.service.name =~ "$service" && span.{semconv.GRAPH} =~ "$graph" && span.{semconv.NODE} =~ "$node"'
)
_SHOWN: Final = (
    semconv.NODE, semconv.ORIGINAL_TARGET, semconv.SHADOW_TARGET, semconv.STEPS_MATCH, semconv.STATUS,
    semconv.V1_LATENCY_MS, semconv.V2_LATENCY_MS, semconv.DIFF_FIELDS, semconv.ERROR_TYPE,
)  # fmt: skip


def _pairs(condition: str) -> str:
    shown = ", ".join(f"span.{attribute}" for attribute in _SHOWN)
    return f'{{ name = "{semconv.SPAN_V2_SHADOW}" && {_TRACE_PLACE} && {condition} }} | select({shown})'


TRACES_MISMATCH: Final = _pairs(f'span.{semconv.COMPARISON} = "{Outcome.MISMATCH}"')
TRACES_FAILED: Final = _pairs(f'span.{semconv.STATUS} =~ "{"|".join(queries.FAILED)}"')
SLOW_MS: Final = 250
"""Milliseconds by which V2 is slower in a slow pair: ``COLLECTOR_SLOW_DELTA_MS`` of ``collector/config.yaml``."""
TRACES_SLOW: Final = _pairs(f"span.{semconv.LATENCY_DELTA_MS} > {SLOW_MS}")
TRACES_FALLBACK: Final = (
    f'{{ name = "{semconv.SPAN_V1_NODE}" && {_TRACE_PLACE} && span.{semconv.FALLBACK_REASON} != nil }} '
    f"| select(span.{semconv.NODE}, span.{semconv.FALLBACK_REASON})"
)
