"""OpenTelemetry's format of a registry, as its documentation (``semconv-syntax``) describes it: every key and no other.

Stricter than weaver itself where that only warns: strings need examples, and an example is of its attribute's type.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

PYTHON: dict[str, type] = {"string": str, "boolean": bool, "int": int, "double": float}
Stability = Literal["stable", "development", "alpha", "beta", "release_candidate"]
Level = Literal["required", "recommended", "opt_in"]
Text = Annotated[str, Field(min_length=1)]
Identifier = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_.]*$")]
SchemaUrl = Annotated[str, Field(pattern=r"^https?://[^/]+(/[^/]+)*/\d+\.\d+\.\d+$")]


class Strict(BaseModel):
    """A table without unknown keys, of values that are of their type as they stand."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Dependency(Strict):
    """Another registry, to which references lead."""

    schema_url: SchemaUrl
    registry_path: Annotated[str, Field(pattern=r"^https://.+@v\d+\.\d+\.\d+\[model\]$")]


class Manifest(Strict):
    """``manifest.yaml``."""

    name: Text
    description: Text
    schema_url: SchemaUrl
    dependencies: list[Dependency]


class Conditional(Strict):
    """A requirement level with its condition."""

    conditionally_required: Text


class Member(Strict):
    """One value of an enumeration."""

    id: Identifier
    value: str
    brief: Text | None = None
    stability: Stability


class Enumeration(Strict):
    """The type of an attribute that has few values."""

    members: Annotated[list[Member], Field(min_length=1)]

    @model_validator(mode="after")
    def each_value_once(self) -> Self:
        assert len({member.id for member in self.members}) == len(self.members)
        assert len({member.value for member in self.members}) == len(self.members)
        return self


class Definition(Strict):
    """An attribute where it is defined."""

    id: Identifier
    type: Literal["string", "boolean", "int", "double", "string[]"] | Enumeration
    stability: Stability
    brief: Text
    examples: Annotated[list[Any], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def examples_are_of_the_type(self) -> Self:
        if isinstance(self.type, Enumeration):
            return self
        kind, several = self.type.removesuffix("[]"), self.type.endswith("[]")
        assert self.examples or kind != "string", f"{self.id} needs examples"
        for example in self.examples or []:
            assert isinstance(example, list) == several, self.id
            values = example if several else [example]
            assert all(type(value) is PYTHON[kind] for value in values), self.id
        return self


class Reference(Strict):
    """An attribute where it is used."""

    ref: Identifier
    requirement_level: Level | Conditional
    brief: Text | None = None
    sampling_relevant: bool | None = None


class Body(Strict):
    """The body of an event."""

    id: Identifier
    type: Literal["string"]
    requirement_level: Level
    stability: Stability
    brief: Text
    examples: Annotated[list[str], Field(min_length=1)]


class AttributeGroup(Strict):
    """A group of attributes: defined, or only referred to."""

    id: Identifier
    type: Literal["attribute_group"]
    display_name: Text | None = None
    brief: Text
    attributes: list[Definition] | list[Reference]


class Span(Strict):
    """A kind of span."""

    id: Identifier
    type: Literal["span"]
    span_kind: Literal["client", "server", "producer", "consumer", "internal"]
    display_name: Text
    stability: Stability
    brief: Text
    attributes: list[Reference]


class Metric(Strict):
    """A metric."""

    id: Identifier
    type: Literal["metric"]
    metric_name: Identifier
    instrument: Literal["counter", "gauge", "histogram", "updowncounter"]
    unit: Text
    stability: Stability
    brief: Text
    attributes: list[Reference]


class Event(Strict):
    """A kind of log event."""

    id: Identifier
    type: Literal["event"]
    name: Text
    stability: Stability
    brief: Text
    attributes: list[Reference]
    body: Body


class Groups(Strict):
    """Any other file of a registry."""

    groups: list[Annotated[AttributeGroup | Span | Metric | Event, Field(discriminator="type")]]
