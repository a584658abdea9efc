"""Beside LangChain's instrumentations: which spans lie below which node's, what marks V2's, and how they are silenced.

The instrumentations are real ones, in an environment of their own that is kept outside the clone.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from environments import python_with

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
INSTRUMENTATIONS = [
    "openinference-instrumentation-langchain",
    "opentelemetry-instrumentation-langchain",
    "opentelemetry-instrumentation-genai-langchain",
]
EACH = pytest.mark.parametrize("which", ["openinference", "openllmetry", "genai"])
COLOURS = pytest.mark.parametrize("awaited", [False, True], ids=["sync", "async"])


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of an environment that has the instrumentations."""
    return python_with("instrumentations", INSTRUMENTATIONS)


class Spans:
    """The spans that an application left behind."""

    def __init__(self, file: Path, printed: str) -> None:
        self.text = file.read_text()
        self.all = [json.loads(line) for line in self.text.splitlines()]
        self.swallowed = json.loads(printed)
        self._by_id = {span["context"]["span_id"]: span for span in self.all}

    def above(self, span: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The spans around ``span``, the nearest first."""
        while span["parent_id"] in self._by_id:
            span = self._by_id[span["parent_id"]]
            yield span

    def node_of(self, span: dict[str, Any]) -> str | None:
        """The name of the nearest span of ours around ``span``."""
        return next((up["name"] for up in self.above(span) if up["name"] in OURS), None)

    def of(self, side: str) -> list[dict[str, Any]]:
        """The spans of the application, and those of its models, that one version has caused."""
        return [span for span in self.all if span["attributes"].get("side") == side or model(side) in span["name"]]


OURS = ("v1.node", "v2.shadow", "v2.node")


def model(side: str) -> str:
    """The name of a version's model."""
    return f"ModelOf{side.upper()}"


@pytest.fixture
def application(python: Path, tmp_path: Path) -> Any:
    """Runs the application and returns its spans."""

    def run(which: str, **told: Any) -> Spans:
        file = tmp_path / "spans"
        defaults = {"last": False, "awaited": False, "live": False, "silent": False, "own_provider": False}
        argument = json.dumps({**defaults, "which": which, "executor": "thread", "file": str(file), **told})
        path = os.pathsep.join([str(ROOT), str(HERE)])
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SHADOW", "ROUTER"))}
        done = subprocess.run(
            [python, "-W", "ignore", HERE / "instrumented_application.py"],
            env={**kept, "PYTHONPATH": path, "TEST_INSTRUMENTED": argument},
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return Spans(file, done.stdout)

    return run


@EACH
@COLOURS
@pytest.mark.parametrize(("last", "live"), [(False, False), (True, False), (False, True)])
def test_spans_of_a_version_lie_below_its_node(
    application: Any, which: str, awaited: bool, last: bool, live: bool
) -> None:
    """Whatever a node is (a function, a runnable, a chain, a graph), and whoever was there first.

    The instrumentation's own spans do too, where it makes the run's span current. OpenInference doesn't: its spans of
    V1 are a tree of their own, and stay one. The GenAI one knows two makers of models, none of which is here.
    """
    seen = application(which, awaited=awaited, last=last, live=live)
    app = {(span["attributes"]["side"], seen.node_of(span)) for span in seen.all if span["name"].startswith("app")}
    assert app == ({("v2", "v2.node")} if live else {("v1", "v1.node"), ("v2", "v2.shadow")})
    models = {(side, seen.node_of(span)) for side in ("v1", "v2") for span in seen.all if model(side) in span["name"]}
    if which == "openllmetry":
        assert models == app
    if which == "openinference":
        assert models == ({("v2", None)} if live else {("v1", None), ("v2", "v2.shadow")})
    assert len({span["context"]["trace_id"] for span in seen.all}) == 2
    assert seen.swallowed == {}


@pytest.mark.parametrize("which", ["openinference", "openllmetry"])
@pytest.mark.parametrize(
    ("awaited", "executor", "own_provider"),
    [(False, "thread", False), (True, "thread", True), (True, "loop", False), (True, "process", False),
     (False, "process", True)],
)  # fmt: skip
def test_what_v2_causes_is_marked_and_nothing_else(
    application: Any, which: str, awaited: bool, executor: str, own_provider: bool
) -> None:
    """``shadow.version = "v2"`` is on every span that V2 causes, whatever provider it goes to, and on none of V1's."""
    seen = application(which, awaited=awaited, executor=executor, own_provider=own_provider)
    marked = [span for span in seen.all if span["attributes"].get("shadow.version") == "v2"]
    caused = [span for span in seen.all if "v2.shadow" in [span["name"], *(up["name"] for up in seen.above(span))]]
    assert any(model("v1") in span["name"] for span in seen.of("v1"))
    assert any(model("v2") in span["name"] for span in seen.of("v2"))
    assert [span for span in seen.of("v1") if span in marked] == []
    assert [span for span in seen.of("v2") if span not in marked] == []
    assert [span["name"] for span in caused if span not in marked] == []
    assert [span["name"] for span in marked if span not in caused] == []
    assert {span["attributes"].get("shadow.mode") for span in marked} == {"v2_shadow"}


@EACH
@pytest.mark.parametrize(("awaited", "executor"), [(False, "thread"), (True, "loop"), (True, "process")])
def test_instrumentations_can_be_silenced_inside_a_shadow(
    application: Any, which: str, awaited: bool, executor: str
) -> None:
    """``[privacy] suppress_instrumentation``: V2's prompts are not exported, the application's own spans are.

    V1's are recorded as ever.
    """
    seen = application(which, awaited=awaited, executor=executor, silent=True)
    inside = [span for span in seen.all if seen.node_of(span) == "v2.shadow"]
    assert {span["name"] for span in inside} == {"app", "app thread"}
    assert "secret of v2" not in seen.text
    if which != "genai":
        assert "secret of v1" in seen.text
        assert any(model("v1") in span["name"] for span in seen.all)
