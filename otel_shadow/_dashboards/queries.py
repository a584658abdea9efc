"""Queries of dashboards, rules and alerts, built from the names in ``semconv``; no panel and no rule writes its own.

Three layers: the raw series of the applications; five-minute increases recorded from them (``node:…:increase5m``,
histograms included); and quantities of a window of increases, per node (``node:…``) and per graph (``graph:…``).
Increases are summed over the window and quantiles are taken of the sum: p95s are never averaged.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from otel_shadow import semconv
from otel_shadow._dashboards.series_names import SERVICE, WINDOW, label, series
from otel_shadow.record import Arm, Mode, Outcome, Status
from otel_shadow.semconv import VERSION_V1, VERSION_V2, Metric

STEP: Final = "5m"
"""Recording interval, and the range of each increase: windows of increases count nothing twice."""
WINDOWS: Final = ("1h", "24h", "48h")
GRAPH: Final = (SERVICE, label(semconv.GRAPH))
NODE: Final = (*GRAPH, label(semconv.NODE))
LEVELS: Final = {"node": NODE, "graph": GRAPH}

FINISHED: Final = (str(Status.SUCCESS), str(Status.INTERRUPT))
FAILED: Final = (str(Status.ERROR), str(Status.TIMEOUT))
EXECUTED: Final = FINISHED + FAILED
"""Statuses of shadow runs that V2 itself ended; a cancelled run is no evidence on V2."""
SHED: Final = tuple(str(status) for status in (Status.SHED, Status.BREAKER_OPEN, Status.OVER_BUDGET))
COMPARED: Final = (str(Outcome.MATCH), str(Outcome.MISMATCH))


def matchers(**labels: str | tuple[str, ...]) -> str:
    """Return label matchers; keywords are names of constants in ``semconv``, and a tuple matches each of its values."""
    parts = []
    for constant, value in labels.items():
        name = label(getattr(semconv, constant))
        parts.append(f'{name}=~"{"|".join(value)}"' if isinstance(value, tuple) else f'{name}="{value}"')
    return ",".join(parts)


def where(*more: str, **labels: str | tuple[str, ...]) -> str:
    """Return a selector of the matchers ``more`` and those of ``labels``."""
    return "{" + ",".join(part for part in (*more, matchers(**labels)) if part) + "}"


def by(labels: tuple[str, ...], expression: str, *more: str, function: str = "sum") -> str:
    return f"{function} by ({', '.join((*labels, *more))}) ({expression})"


def increase(metric: Metric, selector: str = "", over: str = STEP) -> str:
    """Return the increase of a counter or histogram over a duration such as ``5m``."""
    return f"increase({series(metric)}{selector}[{over}])"


# --- five-minute increases ------------------------------------------------------------------------------------------
def recorded(metric: Metric) -> str:
    return f"node:{series(metric)}:increase{STEP}"


_IN_SHADOW: Final = matchers(MODE=Mode.V2_SHADOW)
_COUNTED: Final = (
    (semconv.COMPARISONS, where(_IN_SHADOW), semconv.COMPARISON),
    (semconv.EXECUTIONS, "", semconv.STATUS),
    (semconv.ELIGIBLE, "", semconv.ARM),
)


def increases() -> dict[str, str]:
    counted = {recorded(metric): by(NODE, increase(metric, scope), label(kept)) for metric, scope, kept in _COUNTED}
    return counted | {recorded(semconv.NODE_DURATION): _durations()}


_TIMED: Final = {
    VERSION_V1: f'{label(semconv.STATUS)}!="{Status.CANCELLED}"',
    VERSION_V2: matchers(STATUS=(*FINISHED, str(Status.TIMEOUT))),
}
"""Matchers of durations that are compared: V1's unless cancelled, V2's where it finished or timed out."""


def _durations() -> str:
    scopes = [where(matchers(MODE=Mode.V2_SHADOW, VERSION=version), timed) for version, timed in _TIMED.items()]
    kept = (label(semconv.VERSION), label(semconv.ARM))
    return " or ".join(by(NODE, increase(semconv.NODE_DURATION, scope), *kept) for scope in scopes)


# --- what a window says ---------------------------------------------------------------------------------------------
ESTIMATE: Final = "shadow_criterion:estimate"
EVIDENCE: Final = "shadow_criterion:evidence"
P95: Final = "shadow_node_duration_seconds:p95"


def total(metric: Metric, level: str, window: str, selector: str = "", *more: str) -> str:
    """Return what ``metric`` increased by within ``window``, from the recorded increases."""
    return by(LEVELS[level], f"sum_over_time({recorded(metric)}{selector}[{window}])", *more)


def p95(level: str, window: str, selector: str = "", *more: str) -> str:
    """Return the p95 of durations in seconds within ``window``; nothing where the summed histogram is empty."""
    return f"(histogram_quantile(0.95, {total(semconv.NODE_DURATION, level, window, selector, *more)}) >= 0)"


def _v1(arm: Arm) -> str:
    return where(VERSION=VERSION_V1, ARM=arm)


_V2: Final = where(VERSION=VERSION_V2)


def _latency_evidence(level: str, window: str, one: str, other: str) -> str:
    def count(selector: str) -> str:
        return f"histogram_count({total(semconv.NODE_DURATION, level, window, selector)})"

    return f"({count(one)} < {count(other)}) or ({count(other)} <= {count(one)})"


def estimates(level: str, window: str) -> dict[str, str]:
    """Return the quantity of each criterion that can be told from counts alone."""
    of = evidence(level, window)
    match = total(semconv.COMPARISONS, level, window, where(COMPARISON=Outcome.MATCH))
    failed = total(semconv.EXECUTIONS, level, window, where(STATUS=FAILED))
    started = total(semconv.EXECUTIONS, level, window, where(STATUS=EXECUTED))
    v1 = p95(level, window, _v1(Arm.SHADOWED))
    return {
        semconv.CRITERION_PARITY: f"{match} / ({of[semconv.CRITERION_PARITY]} > 0)",
        semconv.CRITERION_HANDOFF: f"{failed} / ({of[semconv.CRITERION_HANDOFF]} > 0)",
        semconv.CRITERION_COVERAGE: f"{started} / ({of[semconv.CRITERION_COVERAGE]} > 0)",
        semconv.CRITERION_LATENCY_NOW: f"{v1} / {p95(level, window, _v1(Arm.HOLDOUT))}",
        semconv.CRITERION_LATENCY_AFTER: f"{p95(level, window, _V2)} / {v1}",
    }


def evidence(level: str, window: str) -> dict[str, str]:
    """Return how many pairs or executions each estimate rests on: of two arms, the smaller number."""
    return {
        semconv.CRITERION_PARITY: total(semconv.COMPARISONS, level, window, where(COMPARISON=COMPARED)),
        semconv.CRITERION_HANDOFF: total(semconv.EXECUTIONS, level, window, where(STATUS=EXECUTED)),
        semconv.CRITERION_COVERAGE: total(semconv.ELIGIBLE, level, window, where(ARM=Arm.SHADOWED)),
        semconv.CRITERION_LATENCY_NOW: _latency_evidence(level, window, _v1(Arm.SHADOWED), _v1(Arm.HOLDOUT)),
        semconv.CRITERION_LATENCY_AFTER: _latency_evidence(level, window, _v1(Arm.SHADOWED), _V2),
    }


def objective(criterion: str | None = None) -> str:
    """Return the bound of a criterion, as the application exports it; of each criterion where it is None."""
    selector = where(CRITERION=criterion) if criterion else ""
    more = () if criterion else (label(semconv.CRITERION),)
    return by((SERVICE,), f"{series(semconv.SLA_OBJECTIVE)}{selector}", *more, function="max")


def in_window(record: str, window: str, *more: str, level: str = "node") -> str:
    """Return a recorded quantity of one window; ``more`` are further matchers."""
    return f"{level}:{record}" + where(f'{WINDOW}="{window}"', *more)


def unrecorded(expression: str) -> str:
    """Return ``expression`` over the raw series: for a Prometheus that did not have these rules all the window."""
    for metric in (semconv.COMPARISONS, semconv.EXECUTIONS, semconv.ELIGIBLE, semconv.NODE_DURATION):
        pattern = rf"sum_over_time\({re.escape(recorded(metric))}\{{([^}}]*)\}}\[(\w+)\]\)"
        expression = re.sub(pattern, partial(_raw, metric), expression)
    return expression


def _raw(metric: Metric, found: re.Match[str]) -> str:
    selector, window = found.groups()
    scopes = [selector]
    if label(semconv.MODE) in (label(name) for name in metric.attributes):
        scopes.append(_IN_SHADOW)
    if metric is semconv.NODE_DURATION:
        scopes.append(_TIMED[VERSION_V1 if f'"{VERSION_V1}"' in selector else VERSION_V2])
    return increase(metric, where(*scopes), window)
