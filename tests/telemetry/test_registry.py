"""The registry: it is in OpenTelemetry's format, and what is emitted is what it says, both ways."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
import yaml
from frozen import FOLDER as GOLDEN
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from pydantic import ValidationError
from registry_format import Groups, Manifest
from registry_pages import FOLDER, PAGE, TABLES, made, written
from small_graphs import call, left, small_graph
from waiting import PATIENCE_S

from otel_shadow import FeatureFlags, ShadowConfig, ShadowIntegrationMiddleware, ShadowTrafficManager, semconv
from otel_shadow.registry.attributes import ATTRIBUTES, Attribute

Spans = Mapping[str, list[dict[str, Any]]]
KINDS = {"Sum": "counter", "Gauge": "gauge", "Histogram": "histogram"}
BY_VERDICT = {metric.name for metric in semconv.METRICS if metric.name.startswith(semconv.VERDICT.name)}
"""Exported by ``verdict --watch``: ``tests/report/test_verdict_gauges.py`` has them."""
KNOWN = {attribute.name: attribute for attribute in ATTRIBUTES}
DURATIONS = (semconv.V1_LATENCY_MS, semconv.V2_LATENCY_MS, semconv.LATENCY_DELTA_MS)


@cache
def groups(file: str) -> list[dict[str, Any]]:
    """The groups of a committed file."""
    found: list[dict[str, Any]] = yaml.safe_load((FOLDER / file).read_text(encoding="utf-8"))["groups"]
    return found


def recorded(signal: str) -> Any:
    """What the recorded run has told of a signal, by its scenes; another test holds it against a new run."""
    return json.loads((GOLDEN / "recorded_run" / f"{signal}.json").read_text(encoding="utf-8"))


def spans() -> Iterator[dict[str, Any]]:
    yield from (span for scene in recorded("spans").values() for span in scene)


def points() -> Iterator[dict[str, Any]]:
    yield from (point for scene in recorded("metrics").values() for point in scene["points"])


# --- the files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", made())
def test_the_files_are_made_of_the_definitions(file: str) -> None:
    """What is committed is what the definitions make; ``OTEL_SHADOW_UPDATE_GOLDEN=1`` writes it anew."""
    text = written(made()[file])
    if os.environ.get("OTEL_SHADOW_UPDATE_GOLDEN"):
        (FOLDER / file).write_text(text, encoding="utf-8")
    assert (FOLDER / file).read_text(encoding="utf-8") == text


def test_no_other_file_lies_there() -> None:
    """weaver reads every YAML file of the folder."""
    assert {path.name for path in FOLDER.glob("*.y*ml")} == set(made())


@pytest.mark.parametrize("file", made())
def test_the_files_are_in_opentelemetrys_format(file: str) -> None:
    """Every key is of the documented format, every value of its type, nothing that is required is missing."""
    model = Manifest if file == "manifest.yaml" else Groups
    model.model_validate(yaml.safe_load((FOLDER / file).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("span_kind", "inside"), ("stability", "experimental"), ("attributes", [{"ref": "shadow.mode"}]),
        ("brief", ""), ("prefix", "shadow"),
    ],
)  # fmt: skip
def test_the_format_is_strict(key: str, value: Any) -> None:
    """A word that the format does not have, a key that it does not know, and what is missing are refused."""
    span = {**groups("spans.yaml")[0], key: value}
    with pytest.raises(ValidationError):
        Groups.model_validate({"groups": [span]})


def test_every_reference_leads_to_one_definition() -> None:
    """Ids are unique; a reference is to an attribute that is defined here, or by OpenTelemetry."""
    every = [group for file in made() if file != "manifest.yaml" for group in groups(file)]
    assert len({group["id"] for group in every}) == len(every)
    defined = [one["id"] for group in every for one in group["attributes"] if "id" in one]
    assert len(set(defined)) == len(defined)
    theirs = {attribute.name for attribute in ATTRIBUTES if attribute.upstream}
    assert not theirs & set(defined)
    referred = {one["ref"] for group in every for one in group["attributes"] if "ref" in one}
    assert referred == theirs | set(defined)


def test_the_registry_names_every_name_of_semconv() -> None:
    """Attributes, spans, metrics and events that ``semconv`` has, and none that it has not."""
    ours = {value for value in vars(semconv).values() if isinstance(value, str) and value.startswith("shadow.")}
    assert {attribute.name for attribute in ATTRIBUTES if not attribute.upstream} == ours
    assert len(KNOWN) == len(ATTRIBUTES)
    named = vars(semconv).items()
    assert {group["display_name"] for group in groups("spans.yaml")} == {
        value for name, value in named if name.startswith("SPAN_")
    }
    assert [group["metric_name"] for group in groups("metrics.yaml")] == [metric.name for metric in semconv.METRICS]
    assert {group["name"] for group in groups("events.yaml")} == {
        value for name, value in named if name.startswith("EVENT_") and not name.startswith("EVENT_TYPE_")
    }


@pytest.mark.parametrize("part", TABLES)
def test_the_documentation_lists_what_the_registry_has(part: str) -> None:
    """The tables of the page; ``OTEL_SHADOW_UPDATE_GOLDEN=1`` writes them anew."""
    block = re.compile(rf"(<!-- {part}: begin -->\n)(.*?)(<!-- {part}: end -->)", re.S)
    text = PAGE.read_text(encoding="utf-8")
    if os.environ.get("OTEL_SHADOW_UPDATE_GOLDEN"):
        text = block.sub(lambda found: found[1] + TABLES[part]() + found[3], text)
        PAGE.write_text(text, encoding="utf-8")
    found = block.search(text)
    assert found is not None
    assert found[2] == TABLES[part]()


# --- what is emitted --------------------------------------------------------------------------------------------------


def unlike(attributes: Mapping[str, Any], references: list[dict[str, Any]]) -> list[str]:
    """How attributes that were emitted differ from what the registry says of their span, metric or event."""
    allowed = {one["ref"]: one["requirement_level"] for one in references}
    found = [f"{name} is not in the registry" for name in attributes if name not in allowed]
    found += [f"{name} is missing" for name, level in allowed.items() if level == "required" and name not in attributes]
    return found + [fault for name, value in attributes.items() if (fault := _mistyped(KNOWN[name], value))]


def _mistyped(attribute: Attribute, value: Any) -> str:
    if attribute.name in DURATIONS and value == "<ms>":
        return ""  # the recorded run asserts that it is a float, and leaves it out
    kinds: dict[str, type] = {"string": str, "boolean": bool, "double": float, "string[]": list}
    if type(value) is not kinds[attribute.type]:
        return f"{attribute.name} is {value!r}, no {attribute.type}"
    return f"{attribute.name} is {value!r}, no member" if attribute.members and value not in attribute.members else ""


def test_every_span_is_as_the_registry_says() -> None:
    """Name, kind, attributes with their types and values: nothing that the registry lacks, nothing required missing."""
    known = {group["display_name"]: group for group in groups("spans.yaml")}
    ours = [span for span in spans() if span["scope"] == semconv.SCOPE]
    assert {span["name"] for span in ours} == set(known)
    assert {span["kind"].lower() for span in ours} == {group["span_kind"] for group in known.values()}
    assert [fault for span in ours for fault in unlike(span["attributes"], known[span["name"]]["attributes"])] == []
    emitted = {(span["name"], name) for span in ours for name in span["attributes"]}
    assert emitted == {(name, one["ref"]) for name, group in known.items() for one in group["attributes"]}


class Asked(Sampler):
    """A sampler that lets everything in, and keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: dict[str, set[str]] = {}

    def should_sample(self, parent_context: Any, trace_id: int, name: str, *more: Any, **named: Any) -> SamplingResult:
        attributes = named.get("attributes", more[1] if len(more) > 1 else None)
        self.shown[name] = set(attributes or ())
        return SamplingResult(Decision.RECORD_AND_SAMPLE)

    def get_description(self) -> str:
        return "asked"


@pytest.mark.parametrize(("percentage", "names"), [(0.0, {"v1.node", "v2.shadow"}), (100.0, {"v2.node"})])
def test_what_is_relevant_for_sampling_is_what_a_sampler_sees(
    clean_environment: None, percentage: float, names: set[str]
) -> None:
    """Of each kind of span, at its start: on the real SDK, in shadow and live."""
    asked = Asked()
    flags = FeatureFlags(router_v2_holdout=0, router_v2_enabled=bool(percentage), router_v2_percentage=percentage)
    provider = TracerProvider(sampler=asked, shutdown_on_exit=False)
    manager = ShadowTrafficManager(ShadowConfig(), flags, tracer_provider=provider, log_file=os.devnull)
    call(ShadowIntegrationMiddleware({"left": left}, manager).attach(small_graph()))
    assert manager.flush(PATIENCE_S)
    manager.shutdown(1.0)
    relevant = {
        group["display_name"]: {one["ref"] for one in group["attributes"] if one.get("sampling_relevant")}
        for group in groups("spans.yaml")
    }
    assert asked.shown == {name: relevant[name] for name in names}


def test_a_condition_is_one_that_does_not_always_hold() -> None:
    """An attribute that is told as conditional is missing from some span, and one of every span is told as required."""
    for group in groups("spans.yaml"):
        found = [set(span["attributes"]) for span in spans() if span["name"] == group["display_name"]]
        required = {one["ref"] for one in group["attributes"] if one["requirement_level"] == "required"}
        assert required == set.intersection(*found) - {semconv.GEN_AI_CONVERSATION_ID}, group["id"]


def test_the_spans_of_others_have_our_mark_and_no_more() -> None:
    """What V2 starts is marked with what the registry says; what V1 starts has nothing of ours."""
    mark = {one["ref"] for one in groups("attributes.yaml")[1]["attributes"]}
    theirs = [span for span in spans() if span["scope"] != semconv.SCOPE]
    assert {frozenset(name for name in span["attributes"] if name in KNOWN) for span in theirs} == {
        frozenset(mark), frozenset(),
    }  # fmt: skip


def test_every_metric_is_as_the_registry_says() -> None:
    """Instrument, unit, description and attributes of each point."""
    known = {group["metric_name"]: group for group in groups("metrics.yaml")}
    instruments = recorded("instruments")
    told = {name: (one["instrument"], one["unit"], one["brief"]) for name, one in known.items()}
    assert {
        name: (KINDS[one["kind"]], one["unit"], one["description"]) for name, one in instruments.items()
    } == {name: said for name, said in told.items() if name not in BY_VERDICT}  # fmt: skip
    assert [fault for one in points() for fault in unlike(one["attributes"], known[one["name"]]["attributes"])] == []
    emitted = {(one["name"], name) for one in points() for name in one["attributes"]}
    assert emitted == {
        (name, one["ref"]) for name, group in known.items() if name not in BY_VERDICT for one in group["attributes"]
    }


def test_every_event_is_as_the_registry_says() -> None:
    """Name and attributes; that its body is a line, byte for byte, the recorded run asserts."""
    known = {group["name"]: group for group in groups("events.yaml")}
    events = [event for scene in recorded("events").values() for event in scene]
    assert {event["event_name"] for event in events} == set(known)
    faults = [fault for one in events for fault in unlike(one["attributes"], known[one["event_name"]]["attributes"])]
    assert faults == []
    assert {name for event in events for name in event["attributes"]} == {
        one["ref"] for group in known.values() for one in group["attributes"]
    }


def test_every_value_of_an_enumeration_is_emitted() -> None:
    """Somewhere in the recorded run, on a span or a metric; but for the decision on all criteria: the verdict's."""
    emitted = {(name, value) for one in (*spans(), *points()) for name, value in _plain(one["attributes"])}
    wanted = {(attribute.name, value) for attribute in ATTRIBUTES for value in attribute.members}
    assert wanted - emitted == {(semconv.CRITERION, semconv.CRITERION_OVERALL)}


def _plain(attributes: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in attributes.items() if isinstance(value, str)]
