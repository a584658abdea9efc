"""Coming and going in a process that is not ours: lazy objects, dead proxies, an unknown LangGraph, late shadows."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import BaseTool, tool
from small_graphs import call, left, small_graph

from otel_shadow import ShadowInstrumentor
from otel_shadow._langgraph.instrument import compile_hook
from otel_shadow._langgraph.isolation.guards import install_guards, uninstall_guards
from otel_shadow.testing.capture import ShadowCapture

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def instrumentor() -> Iterator[ShadowInstrumentor]:
    made = ShadowInstrumentor()
    yield made
    made.uninstrument()


@pytest.fixture(autouse=True)
def unguarded() -> None:
    """Decorated nodes of other tests in this process have the guards installed."""
    uninstall_guards()


class Lazy:
    """Loads what it stands for when somebody asks for its class, as the proxies of web frameworks do."""

    loaded = 0

    @property
    def __class__(self) -> Any:
        type(self).loaded += 1
        return dict


class Gone:
    """Something that a proxy outlives."""


def test_looking_for_graphs_touches_no_object_of_the_application(
    shadow_capture: ShadowCapture, instrumentor: ShadowInstrumentor
) -> None:
    """Lazy objects stay unloaded, and a weak proxy whose object is gone is no error."""
    lazy, gone = Lazy(), Gone()
    proxy = weakref.proxy(gone)
    del gone
    instrumentor.instrument(manager=shadow_capture.manager, resolve_v2=lambda _, node: None)
    instrumentor.uninstrument()
    assert (type(lazy).loaded, type(proxy)) == (0, weakref.ProxyType)


def test_a_langgraph_that_we_do_not_know() -> None:
    """Our part can't be imported: the application's import of LangGraph succeeds, and one line says why we are off."""
    code = """
import logging, sys
logging.basicConfig()

class Newer:
    def find_spec(self, name, path, target=None):
        if name == "otel_shadow._langgraph.instrument.compile_hook":
            raise ImportError("cannot import name 'RunnableSeq'")

sys.meta_path.insert(0, Newer())
from otel_shadow import ShadowInstrumentor, with_shadow_v2
from otel_shadow._runtime import background_log
ShadowInstrumentor().instrument()

@with_shadow_v2(lambda state: {})
def node(state):
    return {}

from langgraph.graph import START, StateGraph
graph = StateGraph(dict).add_node(node).add_edge(START, "node").compile()
graph.invoke({"a": 1})
ShadowInstrumentor().uninstrument()
assert background_log.settle(10)
print("up")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.stdout == "up\n", done.stderr
    assert "V1 only: cannot import name 'RunnableSeq'" in done.stderr
    assert "Traceback" not in done.stderr


def test_shadows_that_wait_are_guarded_to_the_end(
    shadow_capture: ShadowCapture, instrumentor: ShadowInstrumentor
) -> None:
    """Uninstrumenting lets the waiting shadows run, under the guards: no tool is called for real."""
    paid: list[str] = []
    started, go_on = threading.Event(), threading.Event()

    @tool
    def pay(amount: str) -> str:
        """Pay."""
        paid.append(amount)
        return "paid"

    def v2(state: Any) -> Any:
        started.set()
        go_on.wait(30)
        pay.invoke({"amount": "100"})
        return left(state)

    instrumentor.instrument(manager=shadow_capture.manager, resolve_v2=lambda _, node: v2 if node == "left" else None)
    call(small_graph())
    assert started.wait(30)
    leaving = threading.Thread(target=instrumentor.uninstrument)
    leaving.start()
    go_on.set()
    leaving.join(60)
    assert paid == []
    (record,) = shadow_capture.records
    assert record.v2 is not None
    assert record.v2.error_type == "ToolBlockedError"


def test_a_shadow_that_was_given_up_stays_guarded(make_shadow_capture: Any, instrumentor: ShadowInstrumentor) -> None:
    """A V2 that hangs past the shutdown and then goes on is still in a shadow."""
    capture = make_shadow_capture()
    outcome: list[Any] = []
    started, go_on, over = threading.Event(), threading.Event(), threading.Event()

    @tool
    def pay(amount: str) -> str:
        """Pay."""
        return "paid"

    def v2(state: Any) -> Any:
        started.set()
        go_on.wait(30)
        try:
            outcome.append(pay.invoke({"amount": "100"}))
        except BaseException as error:
            outcome.append(type(error).__name__)
        over.set()

    instrumentor.instrument(manager=capture.manager, resolve_v2=lambda _, node: v2 if node == "left" else None)
    call(small_graph())
    assert started.wait(30)
    instrumentor.uninstrument(timeout=0.1)
    go_on.set()
    assert over.wait(30)
    assert outcome == ["ToolBlockedError"]


def test_guards_that_are_wanted_again_stay() -> None:
    """Uninstalled and installed anew while a shadow runs: they do not leave with that shadow."""
    from otel_shadow._langgraph.isolation.guards import guarded

    original = BaseTool.run
    install_guards()
    with guarded():
        uninstall_guards()
        assert BaseTool.run is not original
        install_guards()
    assert BaseTool.run is not original
    uninstall_guards()
    assert BaseTool.run is original


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("ROUTER_V2_PERCENTAGE", "10%", "ROUTER_V2_PERCENTAGE: got '10%', expected a number from 0 to 100"),
        ("OTEL_SHADOW_CONFIG", "/no/such/shadow.toml", "/no/such/shadow.toml: no such file"),
        ("OTEL_SHADOW_LOG_FILE", "/no/such/app.log", "/no/such/app.log"),
    ],
)
def test_a_wrong_variable_ends_no_decorated_application(variable: str, value: str, told: str) -> None:
    """Somebody mistypes a variable at night: decorated nodes run V1, and one line says what is wrong."""
    code = """
import sys
sys.path.insert(0, "tests")
from langgraph.graph import START, StateGraph
from small_graphs import State, left
from otel_shadow import with_shadow_v2
from otel_shadow._runtime import background_log
node = with_shadow_v2(left)(lambda state: left(state))
for _ in range(2):
    print(StateGraph(State).add_node("left", node).add_edge(START, "left").compile().invoke({"text": "x"})["trail"])
background_log.settle(10)
"""
    environment = {**os.environ, variable: value}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT, env=environment
    )
    assert done.stdout.splitlines() == ["['left']"] * 2, done.stderr
    assert done.stderr.count("the application runs V1 only") == 1
    assert told in done.stderr


def test_a_later_attacher_brings_the_guards_back(
    instrumentor: ShadowInstrumentor, shadow_capture: ShadowCapture
) -> None:
    """Where a decorated node came first and the guards were taken away since, instrumenting installs them again."""
    compile_hook.install(_nothing)
    try:
        uninstall_guards()
        instrumentor.instrument(manager=shadow_capture.manager)
        assert hasattr(BaseTool.run, "__wrapped__")
    finally:
        compile_hook.uninstall(_nothing)


def _nothing(_: Any) -> None:
    """Attach nothing."""
