"""What users test with: the capture, its fixtures, and the switch that lets nothing be swallowed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_graphs import call, left, small_graph

from otel_shadow import ConfigError, FeatureFlags, semconv
from otel_shadow.testing import ShadowCapture

USERS_TEST = """
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict
from otel_shadow.testing.fixtures import make_shadow_capture, shadow_capture

class State(TypedDict, total=False):
    answer: str

def test_my_v2_agrees(shadow_capture):
    graph = StateGraph(State)
    graph.add_node("answer", lambda state: {"answer": "one"})
    graph.add_edge(START, "answer")
    compiled = shadow_capture.attach(graph.compile(), {"answer": lambda state: {"answer": "one"}})
    compiled.invoke({})
    assert [line["comparison"] for line in shadow_capture.lines("SHADOW_V2")] == ["match"]
    assert [span.name for span in shadow_capture.spans()] == ["v1.node", "v2.shadow"]
"""


def test_two_runs_say_the_same() -> None:
    """Clock, ids, hashes and durations are held still: whole traces, lines and events can be compared at once."""
    seen = []
    for _ in range(2):
        capture = ShadowCapture({"session": {"message": "text"}})
        call(capture.attach(small_graph(), {"left": left}), session="somebody")
        seen.append((capture.lines(), capture.spans(), capture.metrics()[semconv.COMPARISONS.name]))
        capture.close()
    assert seen[0] == seen[1]


def test_durations_are_there_if_asked_for(shadow_capture: ShadowCapture) -> None:
    """``still=False`` gives what was measured."""
    call(shadow_capture.attach(small_graph(), {"left": left}))
    assert shadow_capture.lines(semconv.EVENT_V2)[0]["v1_latency_ms"] == 0.0
    assert shadow_capture.lines(semconv.EVENT_V2, still=False)[0]["v1_latency_ms"] > 0.0


def test_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own flags change no test."""
    monkeypatch.setenv("ROUTER_V2_SHADOW", "false")
    monkeypatch.setenv("V2_TIMEOUT_MS", "1")
    capture = ShadowCapture({"flags": {"percentage": 5}})
    flags = capture.manager.flags.current
    capture.close()
    assert flags.model_dump() == FeatureFlags.model_construct().model_dump() | {"router_v2_percentage": 5.0}


def test_a_wrong_configuration_is_an_error() -> None:
    """As everywhere in the explicit API."""
    with pytest.raises(ConfigError, match="ShadowCapture: nodez: no such key"):
        ShadowCapture({"nodez": {}})


def test_the_fixture_in_a_users_project(tmp_path: Path) -> None:
    """A plain import of the fixtures is all that a test file needs."""
    (tmp_path / "test_mine.py").write_text(USERS_TEST, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.parametrize("raises", [False, True])
def test_the_switch_that_swallows_nothing(
    make_shadow_capture: Callable[..., ShadowCapture], monkeypatch: pytest.MonkeyPatch, raises: bool
) -> None:
    """``OTEL_SHADOW_RAISE=true`` re-raises what the fault barrier would count, so that a test sees our own faults."""

    def broken(*args: Any, **more: Any) -> Any:
        raise LookupError("ours")

    monkeypatch.setenv("OTEL_SHADOW_RAISE", str(raises))
    capture = make_shadow_capture()
    graph = capture.attach(small_graph(), {"left": left})
    monkeypatch.setattr("otel_shadow._runtime.assignment.assign", broken)
    if raises:
        with pytest.raises(LookupError, match="ours"):
            call(graph)
    else:
        assert call(graph)["trail"] == ["left", "right"]
    assert capture.swallowed == {"enter": 1}
