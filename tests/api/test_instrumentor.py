"""Auto-instrumentation: graphs of any kind, compiled before or after, and nothing left behind."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint
from langgraph.graph.state import StateGraph
from small_graphs import call, left, small_graph

from otel_shadow import ConfigError, ShadowConfig, ShadowInstrumentor, with_shadow_v2
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Callable[..., ShadowCapture]


@pytest.fixture
def instrumentor() -> Iterator[ShadowInstrumentor]:
    made = ShadowInstrumentor()
    yield made
    made.uninstrument()


def v2(state: Any) -> dict[str, Any]:
    """V2 of the small graph, importable."""
    return left(state)


def test_graphs_compiled_before_and_after(shadow_capture: ShadowCapture, instrumentor: ShadowInstrumentor) -> None:
    """Both have their shadows; V2 comes from ``resolve_v2``."""
    before = small_graph(name="before")
    asked: list[tuple[str, str]] = []

    def resolve(graph: str, node: str) -> Any:
        asked.append((graph, node))
        return v2 if node == "left" else None

    instrumentor.instrument(manager=shadow_capture.manager, resolve_v2=resolve)
    after = small_graph(name="after")
    for graph in (before, after):
        call(graph)
    assert {record.graph for record in shadow_capture.records} == {"before", "after"}
    assert {("before", "left"), ("before", "right"), ("after", "left"), ("after", "right")} <= set(asked)


def test_a_file_names_the_v2(tmp_path: Path, instrumentor: ShadowInstrumentor, monkeypatch: pytest.MonkeyPatch) -> None:
    """``shadow.toml`` alone: nodes, V2 by path, and the log file by environment variable."""
    file, log = tmp_path / "shadow.toml", tmp_path / "app.log"
    file.write_text(f'[arms]\nholdout = 0.0\n[nodes.left]\nv2 = "{__name__}:v2"\n', encoding="utf-8")
    monkeypatch.setenv("OTEL_SHADOW_CONFIG", str(file))
    monkeypatch.setenv("OTEL_SHADOW_LOG_FILE", str(log))
    instrumentor.instrument()
    call(small_graph())
    assert instrumentor.manager is not None
    assert instrumentor.manager.flush(30)
    assert '"shadow_status":"success"' in log.read_text(encoding="utf-8")


def test_the_functional_api(shadow_capture: ShadowCapture, instrumentor: ShadowInstrumentor) -> None:
    """An ``@entrypoint`` is a graph too."""
    instrumentor.instrument(manager=shadow_capture.manager, resolve_v2=lambda graph, node: lambda text: text + "!")

    @entrypoint()
    def greet(text: str) -> str:
        return text + "!"

    assert greet.invoke("hi", {"configurable": {"thread_id": "session_1"}}) == "hi!"
    assert [(record.node, str(record.comparison.outcome)) for record in shadow_capture.records] == [("greet", "match")]


def test_uninstrumenting_leaves_nothing(make_shadow_capture: MakeCapture, instrumentor: ShadowInstrumentor) -> None:
    """``compile`` is the original, live graphs are bare; graphs attached by hand keep shadows and guards."""
    compile_before = StateGraph.compile
    own, by_hand = make_shadow_capture(), make_shadow_capture()
    saver = InMemorySaver()
    other = small_graph(name="other", checkpointer=saver)
    attached = by_hand.attach(small_graph(name="by_hand"), {"left": lambda state: call(other) and v2(state)})
    instrumentor.instrument(manager=own.manager, resolve_v2=lambda graph, node: v2 if node == "left" else None)
    graph = small_graph()
    instrumentor.uninstrument()
    for compiled in (graph, attached):
        assert call(compiled)["trail"] == ["left", "right"]
    assert StateGraph.compile is compile_before
    assert own.log_bytes() == b""
    assert [(record.graph, str(record.comparison.outcome)) for record in by_hand.records] == [("by_hand", "match")]
    assert list(saver.list(None)) == []


def test_a_decorated_node_outlives_the_instrumentation(
    make_shadow_capture: MakeCapture, instrumentor: ShadowInstrumentor
) -> None:
    """While instrumented the decorated node reports there; afterwards its graph is bare and V1 answers."""
    capture = make_shadow_capture()
    instrumentor.instrument(manager=capture.manager)
    graph = small_graph(with_shadow_v2(v2)(lambda state: left(state)))
    call(graph)
    assert len(capture.records) == 1
    instrumentor.uninstrument()
    assert call(graph)["trail"] == ["left", "right"]
    assert len(capture.lines()) == 2


def test_a_comparator_that_cant_be_imported_is_logged_and_v1_runs(
    make_shadow_capture: MakeCapture, instrumentor: ShadowInstrumentor, caplog: pytest.LogCaptureFixture
) -> None:
    """Compiling the application's graph does not fail because of our configuration."""
    compare = {"function": "no_such_module:differ"}
    capture = make_shadow_capture({"nodes": {"left": {"v2": f"{__name__}:v2", "compare": compare}}})
    with caplog.at_level(logging.ERROR, logger="otel_shadow"):
        instrumentor.instrument(manager=capture.manager)
        graph = small_graph()
    assert call(graph)["trail"] == ["left", "right"]
    assert "no_such_module:differ" in caplog.text


def test_a_log_file_that_cant_be_opened_is_logged_and_v1_runs(
    tmp_path: Path, instrumentor: ShadowInstrumentor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A directory where the log should be: one error, and the application runs."""
    monkeypatch.setenv("OTEL_SHADOW_LOG_FILE", str(tmp_path))
    instrumentor.instrument(config={"nodes": {"left": {"v2": f"{__name__}:v2"}}})
    assert call(small_graph())["trail"] == ["left", "right"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert str(tmp_path) in caplog.text


def test_errors_are_raised_where_asked_for(instrumentor: ShadowInstrumentor) -> None:
    """``raise_errors=True``, for those who instrument by hand."""
    with pytest.raises(ConfigError, match="nodez: no such key"):
        instrumentor.instrument(config={"nodez": {}}, raise_errors=True)


def test_a_node_that_no_graph_has_is_told() -> None:
    """A misspelt node, or one of another graph, is named with the nearest; a node that some graph has is not."""
    from otel_shadow._langgraph.instrument.missing_nodes import MissingNodes

    nodes = {"greeting": {}, "greting": {}, "elsewhere": {"graph": "enrolmnt"}, "zzz": {}}
    missing = MissingNodes(ShadowConfig.from_mapping({"nodes": nodes}))
    missing.compiled("enrolment", ["__start__", "greeting", "elsewhere"])
    assert missing.sentences() == [
        "graph 'enrolmnt' of [nodes.elsewhere] is none, did you mean 'enrolment'?",
        "no graph has a node 'greting', did you mean 'greeting'?",
        "no graph has a node 'zzz'",
    ]
    missing.compiled("enrolmnt", ["elsewhere", "greting", "zzz"])
    assert missing.sentences() == []


MISSPELT = """
import asyncio, logging
{before}
from typing import TypedDict
from langgraph.graph import StateGraph

class State(TypedDict, total=False):
    text: str

def triage(state): return {{"text": "one"}}
def fails(state): raise ValueError("Ana")

logging.basicConfig(format="%(levelname)s %(message)s")
{inner}
graph = StateGraph(State).add_node("triage", {node}).set_entry_point("triage").compile(name="desk")
for _ in range(3):
    try:
        {run}
    except ValueError:
        pass
"""
AUTO = "from otel_shadow import ShadowInstrumentor; ShadowInstrumentor().instrument(skip_dep_check=True)"
INNER = 'inner = StateGraph(State).add_node("part", triage).set_entry_point("part").compile(name="inner")'
RUN, ARUN = "graph.invoke({'text': 'x'})", "asyncio.run(graph.ainvoke({'text': 'x'}))"


@pytest.mark.parametrize(
    ("before", "inner", "node", "run"),
    [
        (AUTO, "", "triage", RUN),
        (AUTO, "", "triage", ARUN),
        (AUTO, "", "triage", "list(graph.stream({'text': 'x'}))"),
        (AUTO, "", "fails", RUN),
        (AUTO, INNER, "inner", RUN),
        ("", "from otel_shadow import with_shadow_v2", "with_shadow_v2('self')(triage)", RUN),
    ],
    ids=["invoke", "ainvoke", "stream", "raising", "subgraph", "decorator"],
)
def test_a_misspelt_node_is_told_when_the_first_run_ends(
    tmp_path: Path, before: str, inner: str, node: str, run: str
) -> None:
    """A script of a second says it too: one warning, with the nearest name, and LangGraph is as it was."""
    (tmp_path / "shadow.toml").write_text('[nodes.tirage]\nv2 = "self"\n')
    code = MISSPELT.format(before=before, inner=inner, node=node, run=run)
    done = subprocess.run(
        [sys.executable, "-c", code + UNTOUCHED], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    told = [line for line in done.stderr.splitlines() if "tirage" in line]
    graphs = "desk, inner" if node == "inner" else "desk"
    expected = (
        "WARNING otel-shadow: no shadow runs for what shadow.toml names: no graph has a node 'tirage', did you mean "
        f"'triage'? (graphs so far: {graphs}); otel-shadow doctor module:graph checks them"
    )
    assert told == [expected]
    assert done.stdout == "untouched\n"


UNTOUCHED = """
from langgraph.pregel._loop import AsyncPregelLoop, SyncPregelLoop
ends = SyncPregelLoop.__exit__, AsyncPregelLoop.__aexit__
print("touched" if any(hasattr(end, "__wrapped__") for end in ends) else "untouched")
"""


def test_nothing_is_told_where_every_node_is_found(tmp_path: Path) -> None:
    """Nor is the end of a run wrapped."""
    (tmp_path / "shadow.toml").write_text('[nodes.triage]\nv2 = "self"\n')
    code = MISSPELT.format(before=AUTO, inner="", node="triage", run=RUN)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "no shadow runs" not in done.stderr
