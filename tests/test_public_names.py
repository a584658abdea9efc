"""What the package exports is real, sorted, documented, and costs nothing to import."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import otel_shadow

HEAVY = (
    "langgraph", "langchain_core", "numpy", "duckdb", "matplotlib", "jinja2", "rich", "pandas", "scipy", "sklearn",
    "openfeature", "opentelemetry.sdk", "opentelemetry.exporter", "dateparser", "pebble", "pytest",
)  # fmt: skip
EXPECTED = {
    "FeatureFlags",
    "ShadowInstrumentor",
    "ShadowIntegrationMiddleware",
    "ShadowTrafficManager",
    "with_shadow_v2",
}


@pytest.mark.parametrize("name", otel_shadow.__all__)
def test_every_exported_name_is_real(name: str) -> None:
    """Each name of ``__all__`` is there, is ours, and has a docstring."""
    found = getattr(otel_shadow, name)
    assert found.__module__.startswith("otel_shadow.")
    assert inspect.getdoc(found)


def test_the_names_users_expect_are_there_and_sorted() -> None:
    """``__all__`` is sorted, complete, and what ``dir`` shows."""
    assert otel_shadow.__all__ == sorted(otel_shadow.__all__) == dir(otel_shadow)
    assert set(otel_shadow.__all__) >= EXPECTED
    assert set(otel_shadow._HOMES) == set(otel_shadow.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As for every module."""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        otel_shadow.nothing  # noqa: B018


@pytest.mark.parametrize(
    "module", ["otel_shadow.testing", "otel_shadow.verdict", "otel_shadow.evidence", "otel_shadow._calibration"]
)
def test_every_name_of_a_public_package_is_real(module: str) -> None:
    """What a package lists, it has."""
    found = import_module(module)
    assert [name for name in getattr(found, "__all__", []) if not hasattr(found, name)] == []


@pytest.mark.parametrize(
    "module", ["otel_shadow", "otel_shadow.testing", "otel_shadow.verdict", "otel_shadow.evidence"]
)
def test_every_public_name_is_used_where_types_are_checked(module: str) -> None:
    """``tests/typing/api.py`` uses each name that a package lists, as a user would."""
    tree = ast.parse((Path(__file__).parent / "typing" / "api.py").read_text(encoding="utf-8"))
    short = module.rpartition(".")[2]
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == short
    }
    assert set(import_module(module).__all__) - used == set()


def loaded_after(code: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after ``code``."""
    script = f"import sys; before = set(sys.modules)\n{code}\nimport json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "code",
    [
        "import otel_shadow",
        "from otel_shadow import FeatureFlags; FeatureFlags()",
        "from otel_shadow import with_shadow_v2\n@with_shadow_v2(len)\ndef node(state): return {}\nnode({})",
        "from otel_shadow import ShadowInstrumentor; ShadowInstrumentor().instrument(skip_dep_check=True)",
        "from otel_shadow._api.manager import ShadowTrafficManager; ShadowTrafficManager()",
        "import otel_shadow.testing",
    ],
)
def test_importing_is_light(code: str) -> None:
    """Neither LangGraph nor the SDK nor the analysis is loaded by what does not need it."""
    loaded = loaded_after(code)
    assert [name for name in HEAVY if name in loaded] == []


def test_the_types_are_shipped() -> None:
    """``py.typed`` lies in the package."""
    from importlib.resources import files

    assert files("otel_shadow").joinpath("py.typed").is_file()
