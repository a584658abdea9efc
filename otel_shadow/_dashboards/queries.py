"""Every query of dashboards, rules and alerts, built from the names in ``semconv``; panels and rules type none.

Three layers: the raw series of the applications; five-minute increases recorded from them (``node:…:increase5m``,
histograms included); and what a window of those says, per node and per graph (``node:…``, ``graph:…``, by ``window``).
Increases are summed over the window and quantiles taken of the sum: p95s are never averaged.
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
"""Recording interval; the increases' range is the same, so that windows count nothing twice."""
WINDOWS: Final = ("1h", "24h", "48h")
GRAPH: Final = (SERVICE, label(semconv.GRAPH))
NODE: Final = (*GRAPH, label(semconv.NODE))
LEVELS: Final = {"node": NODE, "graph": GRAPH}

FINISHED: Final = (str(Status.SUCCESS), str(Status.INTERRUPT))
FAILED: Final = (str(Status.ERROR), str(Status.TIMEOUT))
EXECUTED: Final = FINISHED + FAILED
"""Shadows that ran to an end of their own: a cancelled one says nothing of V2."""
SHED: Final = tuple(str(status) for status in (Status.SHED, Status.BREAKER_OPEN, Status.OVER_BUDGET))
COMPARED: Final = (str(Outcome.MATCH), str(Outcome.MISMATCH))


def where(**labels: str | tuple[str, ...]) -> str:
    """A selector; keywords are names of ``semconv``'s constants: ``STATUS="shed"``, or several values in a tuple."""
    parts = []
    for constant, value in labels.items():
        name = label(getattr(semconv, constant))
        many = isinstance(value, tuple)
        parts.append(f'{name}=~"{"|".join(value)}"' if many else f'{name}="{value}"')
    return "{" + ",".join(parts) + "}"


def by(labels: tuple[str, ...], expression: str, *more: str, function: str = "sum") -> str:
    """``function by (labels) (expression)``."""
    return f"{function} by ({', '.join((*labels, *more))}) ({expression})"


def increase(metric: Metric, selector: str = "", over: str = STEP) -> str:
    """The increase of a counter or histogram."""
    return f"increase({series(metric)}{selector}[{over}])"


# --- five-minute increases ------------------------------------------------------------------------------------------
def recorded(metric: Metric) -> str:
    """Name of the recorded increases of ``metric``."""
    return f"node:{series(metric)}:increase{STEP}"


IN_SHADOW: Final = where(MODE=Mode.V2_SHADOW)
_COUNTED: Final = (
    (semconv.COMPARISONS, IN_SHADOW, semconv.COMPARISON),
    (semconv.EXECUTIONS, "", semconv.STATUS),
    (semconv.ELIGIBLE, "", semconv.ARM),
)


def increases() -> dict[str, str]:
    """The recorded increases: name to expression."""
    counted = {recorded(metric): by(NODE, increase(metric, scope), label(kept)) for metric, scope, kept in _COUNTED}
    return counted | {recorded(semconv.NODE_DURATION): _durations()}


_TIMED: Final = {
    VERSION_V1: f'{label(semconv.STATUS)}!="{Status.CANCELLED}"',
    VERSION_V2: where(STATUS=(*FINISHED, str(Status.TIMEOUT)))[1:-1],
}
"""Times that may be compared: V1's of all but cancelled runs, V2's where it ended or hit its time limit."""


def _durations() -> str:
    scopes = [f"{where(MODE=Mode.V2_SHADOW, VERSION=version)[:-1]},{timed}}}" for version, timed in _TIMED.items()]
    kept = (label(semconv.VERSION), label(semconv.ARM))
    return " or ".join(by(NODE, increase(semconv.NODE_DURATION, scope), *kept) for scope in scopes)


# --- what a window says ---------------------------------------------------------------------------------------------
ESTIMATE: Final = "shadow_criterion:estimate"
EVIDENCE: Final = "shadow_criterion:evidence"
P95: Final = "shadow_node_duration_seconds:p95"


def total(metric: Metric, level: str, window: str, selector: str = "", *more: str) -> str:
    """What ``metric`` increased by within ``window``, from the recorded increases."""
    return by(LEVELS[level], f"sum_over_time({recorded(metric)}{selector}[{window}])", *more)


def quantile(level: str, window: str, selector: str = "", *more: str, share: float = 0.95) -> str:
    """A quantile of durations in seconds within ``window``, of the summed histogram; nothing where that is empty."""
    return f"(histogram_quantile({share}, {total(semconv.NODE_DURATION, level, window, selector, *more)}) >= 0)"


def _v1(arm: Arm) -> str:
    return where(VERSION=VERSION_V1, ARM=arm)


_V2: Final = where(VERSION=VERSION_V2)


def _latency_evidence(level: str, window: str, one: str, other: str) -> str:
    def count(selector: str) -> str:
        return f"histogram_count({total(semconv.NODE_DURATION, level, window, selector)})"

    return f"({count(one)} < {count(other)}) or ({count(other)} <= {count(one)})"


def estimates(level: str, window: str) -> dict[str, str]:
    """The quantity of each criterion that counts alone can tell."""
    of = evidence(level, window)
    match = total(semconv.COMPARISONS, level, window, where(COMPARISON=Outcome.MATCH))
    failed = total(semconv.EXECUTIONS, level, window, where(STATUS=FAILED))
    started = total(semconv.EXECUTIONS, level, window, where(STATUS=EXECUTED))
    v1 = quantile(level, window, _v1(Arm.SHADOWED))
    return {
        semconv.CRITERION_PARITY: f"{match} / ({of[semconv.CRITERION_PARITY]} > 0)",
        semconv.CRITERION_HANDOFF: f"{failed} / ({of[semconv.CRITERION_HANDOFF]} > 0)",
        semconv.CRITERION_COVERAGE: f"{started} / ({of[semconv.CRITERION_COVERAGE]} > 0)",
        semconv.CRITERION_LATENCY_NOW: f"{v1} / {quantile(level, window, _v1(Arm.HOLDOUT))}",
        semconv.CRITERION_LATENCY_AFTER: f"{quantile(level, window, _V2)} / {v1}",
    }


def evidence(level: str, window: str) -> dict[str, str]:
    """How many pairs or executions each estimate rests on (of two arms, the smaller)."""
    return {
        semconv.CRITERION_PARITY: total(semconv.COMPARISONS, level, window, where(COMPARISON=COMPARED)),
        semconv.CRITERION_HANDOFF: total(semconv.EXECUTIONS, level, window, where(STATUS=EXECUTED)),
        semconv.CRITERION_COVERAGE: total(semconv.ELIGIBLE, level, window, where(ARM=Arm.SHADOWED)),
        semconv.CRITERION_LATENCY_NOW: _latency_evidence(level, window, _v1(Arm.SHADOWED), _v1(Arm.HOLDOUT)),
        semconv.CRITERION_LATENCY_AFTER: _latency_evidence(level, window, _v1(Arm.SHADOWED), _V2),
    }


def p95_by_arm(level: str, window: str) -> str:
    """p95 of every version and arm, in seconds."""
    return quantile(level, window, "", label(semconv.VERSION), label(semconv.ARM))


def objective(criterion: str | None = None, level: tuple[str, ...] = (SERVICE,)) -> str:
    """The bound of a criterion (of all, with their label, if None) as the application exports it."""
    selector = where(CRITERION=criterion) if criterion else ""
    more = () if criterion else (label(semconv.CRITERION),)
    return by(level, f"{series(semconv.SLA_OBJECTIVE)}{selector}", *more, function="max")


def in_window(record: str, window: str, level: str = "node") -> str:
    """A recorded quantity of one window."""
    return f'{level}:{record}{{{WINDOW}="{window}"}}'


def unrecorded(expression: str) -> str:
    """The same quantity from the raw series: for a Prometheus that has no rules of ours, or had none all the window."""
    for metric in (semconv.COMPARISONS, semconv.EXECUTIONS, semconv.ELIGIBLE, semconv.NODE_DURATION):
        pattern = rf"sum_over_time\({re.escape(recorded(metric))}\{{([^}}]*)\}}\[(\w+)\]\)"
        expression = re.sub(pattern, partial(_raw, metric), expression)
    return expression


def _raw(metric: Metric, found: re.Match[str]) -> str:
    selector, window = found.groups()
    scopes = [selector]
    if label(semconv.MODE) in (label(name) for name in metric.attributes):
        scopes.append(IN_SHADOW[1:-1])
    if metric is semconv.NODE_DURATION:
        scopes.append(_TIMED[VERSION_V1 if f'"{VERSION_V1}"' in selector else VERSION_V2])
    return f"increase({series(metric)}{{{','.join(scopes)}}}[{window}])"
