"""Names that OpenTelemetry's conventions define are written as the installed conventions have them, and are current."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml
from opentelemetry.semconv.schemas import Schemas

from otel_shadow import semconv
from otel_shadow.registry.attributes import ATTRIBUTES

ROOT = Path(__file__).resolve().parents[2]
THEIRS = re.compile(r"(gen_ai|session|error|feature_flag|otel|service|http)(\.[a-z_]+)+")
MOVED = "Moved to the [OpenTelemetry GenAI semantic conventions repository]"
"""Why conventions since 1.42 call every name of GenAI deprecated: it has the same name in a repository of its own."""

READ_OF_OLD_CLIENTS = {"http.url"}
"""Asked for in spans that instrumentations of HTTP clients make, many of which write the former names by default."""


@cache
def conventions() -> dict[str, str]:
    """What the installed conventions say of each attribute and metric, stable and in development."""
    spec = importlib.util.find_spec("opentelemetry.semconv")
    assert spec is not None
    assert spec.submodule_search_locations
    found: dict[str, str] = {}
    for folder in spec.submodule_search_locations:
        for file in sorted(Path(folder).rglob("*_[am]*s.py"), key=lambda path: "_incubating" not in path.parts):
            found |= dict(_told_below(ast.parse(file.read_text(encoding="utf-8")).body))
    return found


def _told_below(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """The value of each constant with the text below it; a stable one is told in its own module, the last one read."""
    for name, below in zip(body, [*body[1:], ast.Pass()], strict=True):
        value = name.value if isinstance(name, ast.AnnAssign) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            text = below.value if isinstance(below, ast.Expr) else None
            yield value.value, str(text.value) if isinstance(text, ast.Constant) else ""


@cache
def in_the_code() -> set[str]:
    """Names of theirs that our code writes or asks for, as whole texts."""
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in (ROOT / "otel_shadow").rglob("*.py"))
    texts = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {text for text in texts if isinstance(text, str) and THEIRS.fullmatch(text)}


@cache
def in_the_configurations() -> set[str]:
    """Names of theirs anywhere in the Collector's, Prometheus' and Grafana's files."""
    files = [path for folder in ("collector", "dashboards") for path in (ROOT / folder).rglob("*.[yj]*")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return {found[0] for found in re.finditer(rf"\b{THEIRS.pattern}", text)}


@cache
def on_the_pages() -> set[str]:
    """Names of theirs that the documentation puts in backquotes; ``session`` and ``error`` are also words of ours."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    names = {found[1] for found in re.finditer(rf"`({THEIRS.pattern})[`=]", text)}
    return names - {name for name in names if name.startswith(("session.", "error.")) and name not in in_the_code()}


def test_names_are_found() -> None:
    """The search itself: what must be there is."""
    assert {"service.name", "error.type", "session.id", "gen_ai.token.type"} <= in_the_code()
    assert {"service.name", "gen_ai.agent.name", "service.instance.id"} <= on_the_pages()
    assert "service.name" in in_the_configurations()
    assert len(conventions()) > 500


def test_every_name_of_theirs_is_in_the_installed_conventions() -> None:
    """As an attribute or a metric; no name is misspelt, or made up in a namespace that is not ours."""
    used = in_the_code() | in_the_configurations() | on_the_pages()
    assert sorted(used - set(conventions())) == []


def test_no_name_of_theirs_is_deprecated() -> None:
    """But for those that moved to the repository of the GenAI conventions, and one that older clients' spans have."""
    used = (in_the_code() | in_the_configurations() | on_the_pages()) - READ_OF_OLD_CLIENTS
    told = {name: conventions()[name] for name in used if "Deprecated" in conventions()[name]}
    assert {name: text for name, text in told.items() if MOVED not in text} == {}


def test_what_we_emit_of_theirs_is_what_the_registry_refers_to() -> None:
    """Each has the same name in ``semconv``, in the registry, and in the conventions that the schema URL names."""
    theirs = {value for value in vars(semconv).values() if isinstance(value, str) and THEIRS.fullmatch(value)}
    assert {attribute.name for attribute in ATTRIBUTES if attribute.upstream} == theirs
    assert theirs <= set(conventions())


def test_the_schema_url_is_one_that_opentelemetry_serves() -> None:
    """It is among the URLs that the installed conventions list, and the registry depends on the same version."""
    assert semconv.SCHEMA_URL in {one.value for one in Schemas}
    manifest = yaml.safe_load((ROOT / "otel_shadow/registry/manifest.yaml").read_text(encoding="utf-8"))
    version = semconv.SCHEMA_URL.rpartition("/")[2]
    assert [(one["schema_url"], f"@v{version}[" in one["registry_path"]) for one in manifest["dependencies"]] == [
        (semconv.SCHEMA_URL, True)
    ]
