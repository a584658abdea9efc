"""``module:name`` and ``module:Class.method`` name the same thing wherever a configuration may name one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from small_graphs import call, left, small_graph
from v2_functions import Desk

from otel_shadow import ConfigError, with_shadow_v2
from otel_shadow._doctor.graph import import_graph
from otel_shadow._langgraph.process_run import importable
from otel_shadow.config import ShadowConfig
from otel_shadow.testing.capture import ShadowCapture

Make = Callable[..., ShadowCapture]


@pytest.mark.parametrize("executor", ["thread", "process"])
@pytest.mark.parametrize("method", ["plain", "static", "of_class"])
def test_a_method_named_in_shadow_toml_runs_in_shadow(make_shadow_capture: Make, executor: str, method: str) -> None:
    """A function that a class holds, a static method and a class method are V2 like any function."""
    node = {"v2": f"v2_functions:Desk.{method}", "executor": executor, "timeout_ms": 20_000}
    capture = make_shadow_capture({"nodes": {"left": node}})
    assert call(capture.attach(small_graph()))["trail"] == ["left", "right"]
    assert capture.manager.flush(30)
    [record] = capture.records
    assert (record.reason, record.v2 and record.v2.status, record.comparison.outcome) == (None, "success", "match")


def test_a_method_named_by_the_decorator_runs_in_shadow(make_shadow_capture: Make) -> None:
    """The decorator resolves the same names."""
    capture = make_shadow_capture()
    node = with_shadow_v2("v2_functions:Desk.static", manager=capture.manager)(lambda state: left(state))
    call(capture.attach(small_graph(node)))
    [record] = capture.records
    assert (record.v2 and record.v2.status, record.comparison.outcome) == ("success", "match")


def test_a_comparison_function_may_be_a_method(make_shadow_capture: Make) -> None:
    """``compare.function`` resolves the same names."""
    capture = make_shadow_capture({"nodes": {"left": {"compare": {"function": "v2_functions:Desk.trail_differs"}}}})
    call(capture.attach(small_graph(), {"left": left}))
    [record] = capture.records
    assert (record.comparison.outcome, record.comparison.diff_fields) == ("mismatch", ("trail",))


@pytest.mark.parametrize("method", [Desk.plain, Desk.static, Desk.of_class], ids=lambda method: method.__name__)
def test_a_worker_finds_a_method_that_was_given_itself(method: Any) -> None:
    """A V2 given as an object has its import path looked up, through its class."""
    assert importable(method, "left", ShadowConfig()) == f"v2_functions:Desk.{method.__name__}"


def test_a_method_of_an_object_has_no_path() -> None:
    """A worker can't make the object: the configuration is refused."""

    class Here:
        def method(self, state: Any) -> Any:
            return state

    with pytest.raises(ConfigError, match="can be imported"):
        importable(Here().method, "left", ShadowConfig())


def test_the_doctor_finds_a_graph_in_a_class() -> None:
    """The doctor resolves the same names, and says which one is missing."""
    with pytest.raises(ConfigError, match=r"v2_functions:Desk\.nothing: module 'v2_functions' has no 'Desk\.nothing'"):
        import_graph("v2_functions:Desk.nothing")
    with pytest.raises(ConfigError, match="expected a graph, found str"):
        import_graph("v2_functions:Desk.greeting")
