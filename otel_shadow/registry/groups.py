"""The registry's files as weaver reads them: a manifest, and groups of attributes, spans, metrics and events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from otel_shadow import semconv
from otel_shadow.registry.attributes import ATTRIBUTES, Attribute
from otel_shadow.registry.signals import (
    ALWAYS,
    AT_START,
    EVENT_ATTRIBUTES,
    EVENTS,
    MARK,
    METRIC_CONDITIONS,
    SPANS,
    EventConvention,
    SpanConvention,
)

Table = dict[str, Any]
_STABILITY = {"stability": "development"}
_HOME = "https://github.com/otel-shadow/otel-shadow/schemas"
"""Names the registry; no file is served there."""
_UPSTREAM = "https://github.com/open-telemetry/semantic-conventions"
_BY_NAME = {attribute.name: attribute for attribute in ATTRIBUTES}
_BODY = "One log line, byte for byte as in the log file: `docs/telemetry.md` has its keys."
_EXAMPLE = '{{"event":"{event}","graph":"enrolment","node":"greeting"}}'


def registry_files(version: str) -> Mapping[str, Table]:
    """Return what each file of the registry holds.

    Arguments:
        version: the package's.
    """
    return {
        "manifest.yaml": _manifest(version),
        "attributes.yaml": {"groups": [_own_attributes(), _mark()]},
        "spans.yaml": {"groups": [_span(span) for span in SPANS]},
        "metrics.yaml": {"groups": [_metric(metric) for metric in semconv.METRICS]},
        "events.yaml": {"groups": [_event(event) for event in EVENTS]},
    }


def _manifest(version: str) -> Table:
    conventions = semconv.SCHEMA_URL.rpartition("/")[2]
    return {
        "name": semconv.SCOPE,
        "description": f"Telemetry of otel-shadow, emitted in the instrumentation scope `{semconv.SCOPE}`.",
        "schema_url": f"{_HOME}/{version}",
        "dependencies": [
            {"schema_url": semconv.SCHEMA_URL, "registry_path": f"{_UPSTREAM}@v{conventions}[model]"},
        ],
    }


def _own_attributes() -> Table:
    own = [_definition(attribute) for attribute in ATTRIBUTES if not attribute.upstream]
    brief = "Attributes of otel-shadow."
    return {
        "id": "registry.shadow", "type": "attribute_group", "display_name": "Shadow attributes", "brief": brief,
        "attributes": own,
    }  # fmt: skip


def _mark() -> Table:
    return {
        "id": "shadow.mark",
        "type": "attribute_group",
        "brief": "On every span and log record that starts inside a shadow run, whoever makes it.",
        "attributes": list(_references((name, ALWAYS) for name in MARK)),
    }


def _definition(attribute: Attribute) -> Table:
    members = [
        {"id": value, "value": str(value), **({"brief": brief} if brief else {}), **_STABILITY}
        for value, brief in ((str(value), brief) for value, brief in attribute.members.items())
    ]
    examples = [list(example) if isinstance(example, tuple) else example for example in attribute.examples]
    return {
        "id": attribute.name,
        "type": {"members": members} if members else attribute.type,
        **_STABILITY,
        "brief": attribute.brief,
        **({"examples": examples} if examples else {}),
    }


def _references(attributes: Iterable[tuple[str, str]]) -> Iterator[Table]:
    """Yield references to ``attributes`` with their conditions; what OpenTelemetry defines is told in our words."""
    for name, condition in attributes:
        level = "required" if condition == ALWAYS else {"conditionally_required": f"If {condition}."}
        known = _BY_NAME[name]
        told = {"brief": known.brief} if known.upstream else {}
        yield {"ref": name, "requirement_level": level, **told}


def _span(span: SpanConvention) -> Table:
    attributes = _references(span.attributes.items())
    return {
        "id": f"span.{span.name}",
        "type": "span",
        "span_kind": "internal",
        "display_name": span.name,
        **_STABILITY,
        "brief": span.brief,
        "attributes": [one | ({"sampling_relevant": True} if one["ref"] in AT_START else {}) for one in attributes],
    }


def _metric(metric: semconv.Metric) -> Table:
    conditions = ((name, METRIC_CONDITIONS.get((metric.name, name), ALWAYS)) for name in metric.attributes)
    return {
        "id": f"metric.{metric.name}",
        "type": "metric",
        "metric_name": metric.name,
        "instrument": metric.kind,
        "unit": metric.unit,
        **_STABILITY,
        "brief": metric.description,
        "attributes": list(_references(conditions)),
    }


def _event(event: EventConvention) -> Table:
    return {
        "id": f"event.{event.name.lower()}",
        "type": "event",
        "name": event.name,
        **_STABILITY,
        "brief": event.brief,
        "attributes": list(_references((name, ALWAYS) for name in EVENT_ATTRIBUTES)),
        "body": {
            "id": f"body.{event.name.lower()}",
            "type": "string",
            "requirement_level": "required",
            **_STABILITY,
            "brief": _BODY,
            "examples": [_EXAMPLE.format(event=event.name)],
        },
    }
