"""V1 in every form that a node may have, and sessions of every type: what we add changes neither value nor kind."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_graphs import left, small_graph

from otel_shadow import semconv
from otel_shadow._runtime.execution import begin
from otel_shadow._runtime.node import ShadowedNode
from otel_shadow._runtime.redact import Redactor
from otel_shadow.cohorts import cohorts
from otel_shadow.testing.capture import ShadowCapture

ROOT = Path(__file__).resolve().parents[2]


def test_a_decorated_node_is_of_the_kind_it_was() -> None:
    """Functions, methods, generators, partials, callable objects with slots or frozen, runnables: decorated, each gives
    the graph what it gave.

    In a process of its own: the decorator watches LangGraph for good.
    """
    file = Path(__file__).with_name("decorated_forms.py")
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert len(told) > 12
    assert [line for line in told if not line.startswith("same ")] == []


SESSIONS: list[Any] = [
    5, None, b"x", 1.5, float("nan"), True, "", ("a",), ["a"], {"a": 1}, "\ud800\u00e9", "\x00\n", "x" * 1_000_000,
    10**400, functools.partial(print), "Maria Silva", "11 98765-4321",
]  # fmt: skip


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: type(session).__name__)
def test_sessions_of_every_type(shadow_capture: ShadowCapture, session: Any, is_async: bool) -> None:
    """V1 runs, the pair is there, and the id is a hash in lines and spans alike."""
    graph = shadow_capture.attach(small_graph(), {"left": left})
    config: Any = {"configurable": {"thread_id": session}}
    given = {"text": "hello"}
    result = asyncio.run(graph.ainvoke(given, config)) if is_async else graph.invoke(given, config)
    assert result["trail"] == ["left", "right"]
    (record,) = shadow_capture.records
    assert record.is_pair
    (line,) = shadow_capture.lines("SHADOW_V2")
    assert line["session_id"] == record.session_id
    assert {span.attributes["session.id"] for span in shadow_capture.spans()} == {record.session_id}
    assert len(record.session_id) == 12
    for said in shadow_capture.exported().values():
        assert b"Maria" not in said
        assert b"98765" not in said
    assert shadow_capture.swallowed == {}


def test_a_session_that_can_not_be_written(make_shadow_capture: Callable[..., ShadowCapture]) -> None:
    """An integer of ten thousand digits, which Python refuses to write: V1 runs as if we were not there."""
    capture = make_shadow_capture({"session": {"id": "score"}})
    graph = capture.attach(small_graph(), {"left": left})
    result = graph.invoke({"text": "hello", "score": 10**10_000})
    assert result["trail"] == ["left", "right"]
    assert capture.records == []
    assert capture.swallowed == {"enter": 1}


def test_no_memory_of_large_ids(shadow_capture: ShadowCapture) -> None:
    """Whole messages for ids: the hash is the same, and none is kept; short ones are, and not without bound."""
    redactor = Redactor("key")
    kept = redactor._short.cache_info().currsize
    for n in range(100):
        text = f"{n}" + "x" * 10_000
        assert redactor.identifier(text) == redactor.digest(text)
        assert 0 <= cohorts(text).rollout < 1
    assert kept == redactor._short.cache_info().currsize
    node = ShadowedNode(shadow_capture.manager.services, "small", "left")
    for n in range(10_000):
        assert begin(node, {}, {"thread_id": f"session {n}" + ("x" * 10_000 if n % 2 else "")})
    remembered = node.assignments._known
    assert 0 < len(remembered) <= 4096
    assert max(map(len, filter(None, remembered))) < 20


def test_graphs_named_after_users_are_bounded(shadow_capture: ShadowCapture) -> None:
    """A graph per user, each of a name of its own: after many of them a graph is ``_other``, and shares one limiter."""
    manager = shadow_capture.manager
    nodes = [ShadowedNode(manager.services, f"graph of user {n}", "left") for n in range(1100)]
    for node in nodes:
        manager.add(node)
    assert len(manager.nodes) == 1001
    assert {node.graph for node in nodes[1000:]} == {semconv.OTHER}
    assert len({id(node.limiter) for node in nodes[1000:]}) == 1
