"""Auto-instrumentation: graphs of any kind, compiled before or after, and nothing left behind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint
from langgraph.graph.state import StateGraph
from small_graphs import call, left, small_graph

from otel_shadow import ConfigError, ShadowInstrumentor, with_shadow_v2
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


def test_a_node_that_no_graph_has_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A misspelt node, or one of another graph, is named with the remedy; a node that some graph has is not."""
    from otel_shadow._api.instrumentor import MissingNodes
    from otel_shadow.config import ShadowConfig

    nodes = {"greeting": {}, "greting": {}, "elsewhere": {"graph": "other"}}
    missing = MissingNodes(ShadowConfig.from_mapping({"nodes": nodes}), after_s=3600.0)
    missing.compiled("enrolment", ["greeting", "elsewhere"])
    missing.log()
    (record,) = caplog.records
    assert "'elsewhere', 'greting': no shadow will run" in record.getMessage()
    missing.compiled("other", ["elsewhere", "greting"])
    caplog.clear()
    missing.log()
    assert not caplog.records
