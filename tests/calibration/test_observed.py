"""Observed quantities, end to end: from a graph's state to the log line and back; numbers and declared words only."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pytest
from langgraph.graph import END, START, StateGraph

from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow._calibration.pairs import Pair, read_pairs
from otel_shadow._langgraph.instrument.attach import attach
from otel_shadow.config import ShadowConfig


class State(TypedDict, total=False):
    message: str
    score: Any
    missing: list[str]
    action: str
    sure: bool


CONFIG = {
    "arms": {"holdout": 0.0},
    "session": {"message": "message"},
    "nodes": {
        "router": {
            "observe": {
                "numbers": ["score", "missing", "sure", "message", "absent"],
                "categories": {"action": ["template", "handoff"]},
            }
        }
    },
}


def pair(folder: Path, v1: dict[str, Any], v2: dict[str, Any]) -> Pair:
    """One turn of a graph whose only node writes ``v1``, with a shadow that writes ``v2``."""
    log = folder / "app.log"
    log.unlink(missing_ok=True)
    manager = ShadowTrafficManager(ShadowConfig.from_mapping(CONFIG), log_file=str(log))
    builder = StateGraph(State)
    builder.add_node("router", lambda state: v1)
    builder.add_edge(START, "router")
    builder.add_edge("router", END)
    graph = builder.compile()
    attach(graph, manager, lambda _graph, _node: lambda state: v2)
    graph.invoke({"message": "Meu CPF é 123.456.789-00"}, {"configurable": {"thread_id": "thread-1"}})
    assert manager.flush(20.0)
    manager.shutdown()
    assert "CPF" not in log.read_text(encoding="utf-8")
    (found,) = read_pairs([str(log)]).pairs
    return found


def test_numbers_and_declared_words_of_both_versions_join_the_line(tmp_path: Path) -> None:
    """V1's and V2's own values; a list is its length, a truth value stays one."""
    found = pair(
        tmp_path,
        {"score": 0.25, "missing": ["name", "age"], "action": "handoff"},
        {"score": 0.75, "missing": [], "action": "template", "sure": True},
    )
    assert found.v1 == {"score": 0.25, "missing": 2, "action": "handoff"}
    assert found.v2 == {"score": 0.75, "missing": 0, "action": "template", "sure": True}


def test_text_never_joins(tmp_path: Path) -> None:
    """A text where a number is named is left out; a word that is not declared becomes ``_other``."""
    found = pair(tmp_path, {"score": "0.9"}, {"score": "Maria", "action": "call Maria"})
    assert found.v1 == {}
    assert found.v2 == {"action": "_other"}


def test_what_json_cannot_carry_does_not_cost_the_line(tmp_path: Path) -> None:
    """NaN, infinity and huge integers are left out and the pair is still written; numpy's numbers are numbers."""
    for odd in (float("nan"), float("inf"), 10**400):
        assert pair(tmp_path, {}, {"score": odd, "action": "template"}).v2 == {"action": "template"}
    assert pair(tmp_path, {}, {"score": np.float32(0.5)}).v2 == {"score": 0.5}
    assert pair(tmp_path, {}, {"score": np.int64(3)}).v2 == {"score": 3}


def test_the_demo_observes_what_calibration_and_coverage_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundled configuration: confidence, scores, action, plan and intent, in every node that ran."""
    from langchain_core.messages import HumanMessage

    from otel_shadow._demo.bundled import bundled_config
    from otel_shadow._demo.workflow import graph

    monkeypatch.setenv("ROUTER_V2_HOLDOUT", "0")
    log = tmp_path / "app.log"
    manager = ShadowTrafficManager(bundled_config(), log_file=str(log))
    subject = graph()
    attach(subject, manager)
    config = {"configurable": {"thread_id": "demo_001"}}
    for text in ("Olá, sou a Mariana", "Minha filha se chama Ana", "Quero agendar uma visita"):
        subject.invoke({"messages": [HumanMessage(text)]}, config)
    assert manager.flush(20.0)
    manager.shutdown()
    needed = {"router_confidence", "intent_score", "pattern_score", "threshold_action", "planned_target", "intent"}
    pairs = read_pairs([str(log)]).pairs
    assert {one.node for one in pairs} == {"greeting", "qualification", "scheduling"}
    assert all(needed <= one.v2.keys() for one in pairs)
    assert any("missing_slots" in one.v2 for one in pairs)
