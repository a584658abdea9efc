"""Alerts of Prometheus, one entry each; ``docs/runbook.md`` has a section of the same name for every one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from otel_shadow import semconv
from otel_shadow._dashboards import queries
from otel_shadow._dashboards.queries import NODE, by, in_window, increase, objective, where
from otel_shadow._dashboards.series_names import SERVICE, label, series
from otel_shadow.record import Arm

RUNBOOK: Final = "docs/runbook.md"
ENOUGH: Final = 100
"""Pairs or executions below which no criterion raises an alert."""
_CRITERION: Final = label(semconv.CRITERION)
_NODE_LABEL: Final = label(semconv.NODE)
_COUNT: Final = '{{ $value | printf "%.0f" }}'
_SHARE: Final = '{{ $value | printf "%.3f" }}'
_OPERATION: Final = label(semconv.OPERATION)
_PLACE: Final = f"{{{{ $labels.{_NODE_LABEL} }}}} of {{{{ $labels.{label(semconv.GRAPH)} }}}}"


@dataclass(frozen=True, slots=True)
class Alert:
    """Alert of Prometheus.

    Arguments:
        name: in CamelCase; the runbook's heading.
        expression: PromQL; every series of its result is an alert.
        lasting: how long it must hold.
        severity: ``page`` (now) or ``ticket`` (in working hours).
        summary: one sentence, with label values.
    """

    name: str
    expression: str
    lasting: str
    severity: str
    summary: str

    def rule(self) -> dict[str, Any]:
        """Return the rule as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.lasting,
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "runbook": f"{RUNBOOK}#{self.name.lower()}"},
        }


def _count(metric: semconv.Metric, over: str, selector: str = "", labels: tuple[str, ...] = NODE) -> str:
    return by(labels, increase(metric, selector, over))


def _breached() -> str:
    """Return shares beyond their bound by two standard errors (of a share at the bound), and latencies beyond it."""
    on = f"on ({SERVICE}, {_CRITERION})"
    count = f"({in_window(queries.EVIDENCE, '24h')} >= {ENOUGH})"
    error = f"2 * sqrt(({objective()} * (1 - {objective()}) >= 0) / {on} group_right () {count})"
    least = f"({objective()} - {on} group_right () ({error}))"
    most = f"({objective()} + {on} group_right () ({error}))"
    above = _estimates(semconv.CRITERION_LATENCY_NOW, semconv.CRITERION_LATENCY_AFTER)
    return (
        f"({_estimates(semconv.CRITERION_PARITY, semconv.CRITERION_COVERAGE)} < {least}) "
        f"or ({_estimates(semconv.CRITERION_HANDOFF)} > {most}) "
        f"or ({above} > {on} group_left () {objective()} and {count})"
    )


def _estimates(*criteria: str) -> str:
    return in_window(queries.ESTIMATE, "24h", f'{_CRITERION}=~"{"|".join(criteria)}"')


def _worst_verdict() -> str:
    overall = where(CRITERION=semconv.CRITERION_OVERALL, NODE="")
    return by((SERVICE, label(semconv.GRAPH)), f"{series(semconv.VERDICT)}{overall}", function="min")


def _not_running() -> str:
    eligible = _count(semconv.ELIGIBLE, "15m", where(ARM=Arm.SHADOWED))
    started = _count(semconv.EXECUTIONS, "15m", where(STATUS=queries.EXECUTED))
    return f"({eligible} >= 10) unless ({started} > 0)"


def _overhead() -> str:
    """Return added times above a third of the latency margin and above one millisecond, as shares of V1's p95."""
    own = f"histogram_quantile(0.95, {_count(semconv.OVERHEAD, '15m')})"
    v1 = f"histogram_quantile(0.95, {_count(semconv.NODE_DURATION, '15m', where(VERSION=semconv.VERSION_V1))})"
    third = f"(({objective(semconv.CRITERION_LATENCY_NOW)} - 1) / 3)"
    return f"({own} > 0.001) / {v1} > on ({SERVICE}) group_left () {third}"


def _shedding() -> str:
    """Return the shares of shed executions above what the bound on coverage allows."""
    shed = _count(semconv.EXECUTIONS, "15m", where(STATUS=queries.SHED))
    allowed = f"(1 - {objective(semconv.CRITERION_COVERAGE)})"
    return f"{shed} / ({_count(semconv.EXECUTIONS, '15m')} >= 10) > on ({SERVICE}) group_left () {allowed}"


def _paused(selector: str) -> str:
    return by(NODE, f"{series(semconv.LIMITER_STATE)}{selector}", label(semconv.REASON), function="max") + " == 1"


def _silent() -> str:
    """Return the services that reported within six hours but not within Prometheus's last lookback."""
    beat = f"{series(semconv.SLA_OBJECTIVE)}{where(CRITERION=semconv.CRITERION_PARITY)}"
    seen = by((SERVICE,), f"max_over_time({beat}[6h])", function="max")
    return f"{seen} unless {by((SERVICE,), beat, function='max')}"


_NOT_BREAKER: Final = f'{{{label(semconv.REASON)}!="breaker"}}'

ALERTS: Final = (
    Alert(
        "ShadowVerdictNoGo",
        f"{_worst_verdict()} == -1",
        "5m",
        "ticket",
        f"The verdict on V2 of {{{{ $labels.{label(semconv.GRAPH)} }}}} is NO-GO.",
    ),
    Alert(
        "ShadowCriterionBreached",
        _breached(),
        "15m",
        "ticket",
        f"{_PLACE}: {{{{ $labels.{_CRITERION} }}}} is {_SHARE} over 24 h, beyond its bound.",
    ),
    Alert(
        "ShadowNotRunning",
        _not_running(),
        "10m",
        "ticket",
        f"{_PLACE}: {_COUNT} executions should have had a shadow; none ran.",
    ),
    Alert(
        "ShadowOverheadHigh",
        _overhead(),
        "15m",
        "page",
        f"{_PLACE}: shadowing adds {{{{ $value | humanizePercentage }}}} of V1's p95 on V1's path.",
    ),
    Alert(
        "ShadowShedding",
        _shedding(),
        "15m",
        "ticket",
        f"{_PLACE}: {{{{ $value | humanizePercentage }}}} of the shadows are shed.",
    ),
    Alert(
        "ShadowBreakerOpen",
        _paused(where(REASON="breaker")),
        "5m",
        "ticket",
        f"{_PLACE}: V2 failed so often in a row that its shadow is paused.",
    ),
    Alert(
        "ShadowPaused",
        _paused(_NOT_BREAKER),
        "15m",
        "ticket",
        f"{_PLACE}: the shadow is paused ({{{{ $labels.{label(semconv.REASON)} }}}}).",
    ),
    Alert(
        "ShadowFallbacks",
        f"{_count(semconv.FALLBACKS, '15m')} > 0",
        "0m",
        "page",
        f"{_PLACE}: live V2 failed {_COUNT} times in 15 minutes and V1 answered.",
    ),
    Alert(
        "ShadowErrorsSwallowed",
        f"{_count(semconv.SWALLOWED, '15m', '', (SERVICE, _OPERATION))} > 0",
        "5m",
        "ticket",
        f"otel-shadow failed {_COUNT} times in {{{{ $labels.{_OPERATION} }}}}; V1 unaffected.",
    ),
    Alert(
        "ShadowTelemetryMissing",
        _silent(),
        "10m",
        "ticket",
        f"{{{{ $labels.{SERVICE} }}}} sends no telemetry of its shadow any more.",
    ),
)
"""In the order of the runbook."""
