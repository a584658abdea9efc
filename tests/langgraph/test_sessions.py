"""Sessions: executions with the same id are one, and a run without an id is one of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph
from small_graphs import State, left, right

from otel_shadow import FeatureFlags
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Callable[..., ShadowCapture]
NO_IDS = [{}, {"thread_id": ""}, {"thread_id": "  "}, {"thread_id": None}, {"thread_id": "null"}]
V2 = {"left": lambda _: {"trail": ["v2"]}, "right": lambda _: {"trail": ["v2"]}}


def two_nodes() -> Any:
    """START -> left -> right -> END."""
    graph = StateGraph(State).add_node("left", left).add_node("right", right)
    return graph.add_edge(START, "left").add_edge("left", "right").add_edge("right", END).compile(name="two")


def play(capture: ShadowCapture, configurable: dict[str, Any], runs: int) -> list[list[str]]:
    graph = capture.attach(two_nodes(), V2)
    return [graph.invoke({"text": "hello"}, {"configurable": configurable})["trail"] for _ in range(runs)]


@pytest.mark.parametrize("configurable", NO_IDS)
def test_a_run_without_an_id_is_one_session_of_its_own(
    make_shadow_capture: MakeCapture, configurable: dict[str, Any]
) -> None:
    """Its nodes share a session, two runs don't, and each line says that there was no id."""
    capture = make_shadow_capture({})
    play(capture, configurable, 5)
    sessions = Counter(record.session_id for record in capture.records)
    assert sorted(sessions.values()) == [2] * 5
    assert {line["has_session_id"] for line in capture.lines()} == {False}


def test_with_an_id_the_line_says_so(make_shadow_capture: MakeCapture) -> None:
    """Five runs of one session."""
    capture = make_shadow_capture({})
    play(capture, {"thread_id": "session_1"}, 5)
    assert {record.session_id for record in capture.records} == {"session_1"}
    assert {line["has_session_id"] for line in capture.lines()} == {True}


@pytest.mark.parametrize("configurable", NO_IDS)
@pytest.mark.parametrize(("percentage", "served"), [(2.0, "v1"), (99.0, "v1"), (100.0, "v2")])
def test_runs_without_an_id_are_live_at_100_percent_only(
    make_shadow_capture: MakeCapture, configurable: dict[str, Any], percentage: float, served: str
) -> None:
    """At 2 % they are not all live because their one empty id is, and no turn hops between the versions."""
    flags = FeatureFlags(router_v2_enabled=True, router_v2_percentage=percentage)
    trails = play(make_shadow_capture({}, flags), configurable, 8)
    assert trails == [["left", "right"] if served == "v1" else ["v2", "v2"]] * 8


@pytest.mark.parametrize("configurable", NO_IDS)
def test_runs_without_an_id_draw_lots_of_their_own(
    make_shadow_capture: MakeCapture, configurable: dict[str, Any]
) -> None:
    """The sample is a share of the runs: neither none of them nor all."""
    capture = make_shadow_capture({"nodes": {"left": {"sample": 0.5}}})
    play(capture, configurable, 60)
    reasons = Counter(record.reason for record in capture.records if record.node == "left")
    assert set(reasons) == {None, "sampled_out"}  # missed once in 2**59


def test_without_an_id_nobody_is_in_a_sample_of_nothing(make_shadow_capture: MakeCapture) -> None:
    """At ``sample = 0`` V2 runs for nobody."""
    capture = make_shadow_capture({"nodes": {"left": {"sample": 0.0}, "right": {"sample": 0.0}}})
    play(capture, {}, 20)
    assert {record.reason for record in capture.records} == {"sampled_out"}


def test_one_run_has_one_lot_for_all_its_nodes(make_shadow_capture: MakeCapture) -> None:
    """A run without an id is in the sample as a whole or not at all."""
    capture = make_shadow_capture({"nodes": {"left": {"sample": 0.5}, "right": {"sample": 0.5}}})
    play(capture, {}, 30)
    reasons: dict[str, set[str | None]] = {}
    for record in capture.records:
        reasons.setdefault(record.session_id, set()).add(record.reason)
    assert [len(found) for found in reasons.values()] == [1] * 30
