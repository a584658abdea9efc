"""The arrows go one way, the names live in one place, and the pure parts are pure."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_shadow import semconv

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "otel_shadow"


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Every module below ``folders``, parsed, by its path from the repository's root."""
    for folder in folders:
        assert (PACKAGE / folder).is_dir(), folder
        for file in sorted((PACKAGE / folder).rglob("*.py")):
            yield str(file.relative_to(ROOT)), ast.parse(file.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_arrows_go_one_way() -> None:
    """Every contract of ``.importlinter`` is kept."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-cache", "--no-logo"],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b0 broken", done.stdout)


def test_no_name_is_used_twice() -> None:
    """No class and no file (``__init__`` apart) has the name of another."""
    trees = list(modules(""))
    classes = Counter(node.name for _, tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    files = Counter(Path(path).name for path, _ in trees)
    files.pop("__init__.py")
    assert [name for name, times in (classes + files).items() if times > 1] == []


def test_telemetry_uses_the_api_only() -> None:
    """The SDK is the user's choice: neither telemetry nor the runtime nor LangGraph's side imports it."""
    bad = [
        (path, name)
        for path, tree in modules("_telemetry", "_runtime", "_langgraph")
        for name in imports(tree)
        if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))
    ]
    assert bad == []


def test_nothing_beside_v1_computes_under_functools_lock() -> None:
    """``functools.cached_property`` of Python 3.11 holds a lock that a fork may leave taken: ``cached`` has none."""
    without = {"otel_shadow/cached.py", "otel_shadow/_runtime/object_content.py"}  # its own base; finds the users'
    bad = [
        path
        for path, tree in modules("")
        if "functools.cached_property" in imports(tree) and not path.startswith("otel_shadow/verdict/")
    ]
    assert sorted(bad) == sorted(without)


def test_the_verdict_never_asks_the_time() -> None:
    """No ``now``, ``today`` or ``open`` in the pure modules: what they know, they were given."""
    forbidden = {"now", "utcnow", "today", "open", "print", "getenv", "perf_counter", "monotonic", "input"}
    bad = []
    for path, tree in modules("verdict"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                bad += [(path, node.lineno, name)] if name in forbidden else []
    assert bad == []


def telemetry_names() -> set[str]:
    """Every name of ours that ``semconv`` owns, apart from plain words."""
    constants = {value for value in vars(semconv).values() if isinstance(value, str)}
    metrics = {metric.name for metric in semconv.METRICS}
    return {name for name in constants | metrics if re.match(r"(shadow|v1|v2)\.|SHADOW_|OTEL_SHADOW_|ROUTER_", name)}


def test_telemetry_names_live_in_one_module() -> None:
    """No other module types the name of a span, metric, attribute, event or environment variable of ours."""
    names = telemetry_names()
    assert len(names) > 40
    bad = [
        (path, node.lineno, node.value)
        for path, tree in modules("")
        if path != "otel_shadow/semconv.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
    ]
    assert bad == []


def test_metric_attributes_are_of_low_cardinality() -> None:
    """No metric may carry an id, a hash or a trace."""
    high = {
        semconv.SESSION_ID, semconv.GEN_AI_CONVERSATION_ID, semconv.PAIR_ID, semconv.USER_MESSAGE_HASH,
        semconv.CONFIG_DIGEST, semconv.DIFF_FIELDS,
    }  # fmt: skip
    assert [metric.name for metric in semconv.METRICS if high & set(metric.attributes)] == []


def variables() -> list[str]:
    return sorted(value for name, value in vars(semconv).items() if name.startswith("ENV_"))


def test_every_environment_variable_is_documented() -> None:
    """Each variable that we read is in the documentation, with the others of its kind."""
    files = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files if file.is_file())
    if not text.strip():
        pytest.skip("there is no documentation yet")
    assert [name for name in variables() if not re.search(rf"\b{name}\b", text)] == []
