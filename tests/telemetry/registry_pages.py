"""What is made of the registry: its YAML files, and the tables of ``docs/telemetry.md``."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from otel_shadow.registry.attributes import ATTRIBUTES, Attribute
from otel_shadow.registry.groups import registry_files

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "otel_shadow" / "registry"
PAGE = ROOT / "docs" / "telemetry.md"
_HEADER = "# Made of otel_shadow/registry/*.py by tests/telemetry/test_registry.py (OTEL_SHADOW_UPDATE_GOLDEN=1).\n"


def made() -> Mapping[str, dict[str, Any]]:
    """Each file's content."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return registry_files(project["version"])


def written(content: Mapping[str, Any]) -> str:
    """A file's text."""
    return _HEADER + str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))


def attributes() -> str:
    """Every attribute of spans: its type, where it is, when, and what it says."""
    groups = made()
    spans = {span["display_name"]: span["attributes"] for span in groups["spans.yaml"]["groups"]}
    mark = {one["ref"] for one in groups["attributes.yaml"]["groups"][1]["attributes"]}
    rows = []
    for attribute in ATTRIBUTES:
        found = {name: one for name, references in spans.items() for one in references if one["ref"] == attribute.name}
        if not found:
            continue
        where = "all three" if len(found) == len(spans) else ", ".join(f"`{name}`" for name in found)
        also = ", and every span and log record inside V2" if attribute.name in mark else ""
        conditions = dict.fromkeys(filter(None, map(_condition, found.values())))
        when = "; ".join(conditions) or "always"
        rows.append((f"`{attribute.name}`", attribute.type, where + also, when, _told(attribute)))
    return _table(("attribute", "type", "on", "if", "what"), rows)


def metrics() -> str:
    """Every metric: instrument and unit, its attributes, what it counts."""
    rows = []
    for metric in made()["metrics.yaml"]["groups"]:
        names = ", ".join(f"`{one['ref']}`" for one in metric["attributes"]) or "–"
        kind = f"{metric['instrument']}, `{metric['unit']}`"
        rows.append((f"`{metric['metric_name']}`", kind, names, metric["brief"]))
    return _table(("metric", "kind, unit", "attributes", "what"), rows)


def events() -> str:
    """Every event, and when it is written."""
    return _table(("event", "when"), [(f"`{one['name']}`", one["brief"]) for one in made()["events.yaml"]["groups"]])


def _told(attribute: Attribute) -> str:
    """What an attribute says, and each of its values."""
    values = "; ".join(f"`{value}`{f' ({brief})' if brief else ''}" for value, brief in attribute.members.items())
    return f"{attribute.brief}: {values}" if values else attribute.brief


def _condition(reference: Mapping[str, Any]) -> str:
    level = reference["requirement_level"]
    return "" if level == "required" else str(level["conditionally_required"]).removeprefix("If ").rstrip(".")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = [head, tuple("---" for _ in head), *rows]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    lines[1] = "|" + "---|" * len(head)
    return "\n".join(lines) + "\n"


TABLES: dict[str, Callable[[], str]] = {"span attributes": attributes, "metrics": metrics, "events": events}
"""The generated parts of the page, by the name in their markers."""
