"""The verdict's gauges: names, units and attributes are what the registry says."""

from __future__ import annotations

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from sample_verdict import verdict

from otel_shadow import semconv
from otel_shadow._report.verdict_gauges import VerdictGauges
from otel_shadow.registry.attributes import ATTRIBUTES
from otel_shadow.registry.groups import registry_files
from otel_shadow.verdict import Decision


def test_the_gauges_are_as_the_registry_says() -> None:
    """Every gauge of a verdict; the node is told where a point is of one, and the criterion is one that is listed."""
    reader = InMemoryMetricReader()
    gauges = VerdictGauges(MeterProvider(metric_readers=[reader], shutdown_on_exit=False))
    gauges.verdict = verdict(Decision.GO)
    data = reader.get_metrics_data()
    assert data is not None
    exported = [metric for part in data.resource_metrics for scope in part.scope_metrics for metric in scope.metrics]
    known = {group["metric_name"]: group for group in registry_files("0.0.0")["metrics.yaml"]["groups"]}
    assert {metric.name: (metric.unit, metric.description) for metric in exported} == {
        name: (group["unit"], group["brief"]) for name, group in known.items() if name.startswith(semconv.VERDICT.name)
    }
    for metric in exported:
        found = {frozenset(point.attributes or {}) for point in metric.data.data_points}
        levels = {one["ref"]: one["requirement_level"] for one in known[metric.name]["attributes"]}
        required = {name for name, level in levels.items() if level == "required"}
        assert (metric.name, found) == (metric.name, {frozenset(required), frozenset(levels)})
    (listed,) = (attribute.members for attribute in ATTRIBUTES if attribute.name == semconv.CRITERION)
    points = [point.attributes or {} for metric in exported for point in metric.data.data_points]
    assert {point[semconv.CRITERION] for point in points} == set(listed)
