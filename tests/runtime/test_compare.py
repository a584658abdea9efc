"""How a pair compares: decision, step, fields; tolerance, order, what is ignored, a function of the user's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send
from small_graphs import State, call, left, right, small_graph

from otel_shadow import ConfigError, semconv
from otel_shadow._runtime.compare import Comparator
from otel_shadow._runtime.execution_result import ExecutionResult, Several
from otel_shadow.config import CompareTable, ShadowConfig
from otel_shadow.record import NOT_COMPARED, Comparison, Outcome, Status
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Callable[..., ShadowCapture]
Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def facts(status: Status = Status.SUCCESS, targets: tuple[str, ...] = ("next",), **writes: Any) -> ExecutionResult:
    return ExecutionResult(status, targets, writes)


def compare(
    v1: ExecutionResult, v2: ExecutionResult, steps: tuple[Any, Any] | None = None, differ: Any = None, **table: Any
) -> Comparison:
    return Comparator(CompareTable(**table), differ)(v1, v2, steps)


def differing(a: Any, b: Any, **table: Any) -> tuple[str, ...]:
    """The differing fields of two versions that wrote ``x``."""
    return compare(facts(x=a), facts(x=b), **table).diff_fields


def test_a_pair_that_agrees_is_a_match() -> None:
    """Decision and step agree: a match; differing fields are shown, and decide nothing unless asked for."""
    seen = compare(facts(answer="a"), facts(answer="b"), ("one", "one"))
    assert seen == Comparison(Outcome.MATCH, True, True, ("answer",))


@pytest.mark.parametrize(
    ("table", "outcome"),
    [
        ({}, Outcome.MISMATCH),
        ({"decision": False}, Outcome.MATCH),
        ({"decision": False, "step": True}, Outcome.MATCH),
    ],
)
def test_the_decision_decides_unless_told_otherwise(table: dict[str, Any], outcome: Outcome) -> None:
    """Another target is a mismatch; with ``decision = false`` it is only shown."""
    seen = compare(facts(targets=("a",)), facts(targets=("b",)), ("one", "one"), **table)
    assert (seen.outcome, seen.decisions_match) == (outcome, False)


@pytest.mark.parametrize(("table", "outcome"), [({}, Outcome.MISMATCH), ({"step": False}, Outcome.MATCH)])
def test_the_step_decides_unless_told_otherwise(table: dict[str, Any], outcome: Outcome) -> None:
    """Another step is a mismatch; with ``step = false`` it is only shown."""
    seen = compare(facts(), facts(), ("one", "two"), **table)
    assert (seen.outcome, seen.steps_match) == (outcome, False)


def test_without_a_configured_step_there_is_nothing_to_say_of_it() -> None:
    """``steps_match`` is None, not True."""
    assert compare(facts(), facts(), None).steps_match is None
    assert compare(facts(), facts(), (None, None)).steps_match is None
    assert compare(facts(), facts(), ("one", None)).steps_match is False


def test_configured_fields_decide() -> None:
    """``fields`` are part of the match; others are not even shown."""
    seen = compare(facts(name="Ana", other=1), facts(name="Rui", other=2), fields=("name",))
    assert seen == Comparison(Outcome.MISMATCH, True, None, ("name",), compared_fields=True)
    seen = compare(facts(name="Ana", other=1), facts(name="Ana", other=2), fields=("name",))
    assert seen == Comparison(Outcome.MATCH, True, None, (), compared_fields=True)


def test_a_star_is_every_field_but_the_ignored() -> None:
    """``["*"]`` compares all that either version wrote."""
    seen = compare(facts(a=1, b=1), facts(a=2, c=1), fields=("*",), ignore=("a",))
    assert (seen.outcome, seen.diff_fields) == (Outcome.MISMATCH, ("b", "c"))
    assert compare(facts(a=1), facts(a=2), fields=("*",), ignore=("a",)).outcome is Outcome.MATCH


def test_writing_none_is_not_the_same_as_not_writing() -> None:
    """A field that one version cleared differs from one it left alone."""
    assert compare(facts(a=None), facts(), fields=("a",)).diff_fields == ("a",)


@pytest.mark.parametrize(
    ("a", "b", "table", "same"),
    [
        (1.0, 1.05, {"tolerance": {"x": 0.1}}, True),
        (1.0, 1.2, {"tolerance": {"x": 0.1}}, False),
        (1, 1.05, {"tolerance": {"*": 0.1}}, True),
        ({"score": [1.0, {"deep": 2.0}]}, {"score": [1.05, {"deep": 2.05}]}, {"tolerance": {"x": 0.1}}, True),
        (1.0, 1.05, {"tolerance": {"y": 0.1}}, False),
        (float("nan"), float("nan"), {}, True),
        (True, 1, {}, True),
        (True, 0.95, {"tolerance": {"x": 0.1}}, False),
        ([1, 2, 2], [2, 1, 2], {}, False),
        ([1, 2, 2], [2, 1, 2], {"unordered": ("x",)}, True),
        ([1, 2, 2], [2, 1, 1], {"unordered": ("x",)}, False),
        ([1, 2], [1, 2, 2], {"unordered": ("x",)}, False),
        ([{"a": 1}, {"b": [1, 2]}], [{"b": [2, 1]}, {"a": 1}], {"unordered": ("x",)}, True),
        ({"a": 1}, {"a": 1, "b": None}, {}, False),
        ((1, 2), [1, 2], {}, True),
        ("1", 1, {}, False),
        (AIMessage("hi", id="1"), AIMessage("hi", id="2"), {}, True),
        (AIMessage("hi"), HumanMessage("hi"), {}, False),
        (AIMessage("hi"), AIMessage("ho"), {}, False),
        ([AIMessage("a", id="1")], [AIMessage("a", id="2")], {}, True),
        (Document("a", metadata={"k": 1.0}), Document("a", metadata={"k": 1.05}), {"tolerance": {"x": 0.1}}, True),
    ],
)
def test_values(a: Any, b: Any, table: dict[str, Any], same: bool) -> None:
    """Numbers within the tolerance, lists in any order where configured, messages without what changes by itself."""
    assert differing(a, b, **table) == (() if same else ("x",))


def test_arrays_are_compared_as_a_whole() -> None:
    """numpy's ``==`` is an array; equal means everywhere."""
    numpy = pytest.importorskip("numpy")
    assert differing(numpy.array([1, 2]), numpy.array([1, 2])) == ()
    assert differing(numpy.array([1, 2]), numpy.array([1, 3])) == ("x",)


@given(Json)
def test_a_value_equals_itself(value: Any) -> None:
    """Whatever V2 wrote, writing the same is no difference, ordered or not."""
    assert differing(value, value) == ()
    assert differing(value, value, unordered=("x",)) == ()


@given(Json, Json)
def test_comparing_is_symmetric(a: Any, b: Any) -> None:
    """Which version is V1 changes nothing about whether they differ."""
    for table in ({}, {"unordered": ("x",)}):
        assert differing(a, b, **table) == differing(b, a, **table)


@given(st.floats(-1e6, 1e6), st.floats(0, 10), st.floats(-20, 20))
def test_the_tolerance_is_absolute(value: float, tolerance: float, delta: float) -> None:
    """Within it: same; beyond it: different."""
    seen = differing(value, value + delta, tolerance={"x": tolerance})
    assert (seen == ()) == (abs((value + delta) - value) <= tolerance)


def test_a_function_of_the_users_names_the_fields() -> None:
    """What it returns decides; a name that neither version wrote is none (it may be a value)."""

    def differ(v1: Any, v2: Any) -> list[str]:
        return ["a", "Maria Silva"]

    seen = compare(facts(a=1), facts(a=1), differ=differ)
    assert seen == Comparison(Outcome.MISMATCH, True, None, ("a",), compared_fields=True)


@pytest.mark.parametrize("error", [KeyError("Maria"), RecursionError(), MemoryError()])
def test_a_comparator_that_raises_is_an_outcome(error: Exception) -> None:
    """The pair is neither match nor mismatch; the type of the error is told, its message is not."""

    def differ(v1: Any, v2: Any) -> list[str]:
        raise error

    assert compare(facts(), facts(), differ=differ) == Comparison(Outcome.ERROR, error_type=type(error).__name__)


def test_a_value_whose_equality_raises_is_an_outcome() -> None:
    """A broken ``__eq__`` is the comparator's error, not an accident."""

    class Broken:
        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

        __hash__ = None  # type: ignore[assignment]

    assert compare(facts(x=Broken()), facts(x=Broken())).error_type == "ZeroDivisionError"


@pytest.mark.parametrize("status", [Status.ERROR, Status.TIMEOUT, Status.CANCELLED, Status.NOT_IMPLEMENTED])
def test_there_is_nothing_to_compare_with_a_failure(status: Status) -> None:
    """V1 raised, or V2 failed: neither match nor mismatch."""
    assert compare(facts(status), facts()) == NOT_COMPARED
    assert compare(facts(), facts(status)) == NOT_COMPARED


def test_interrupts_compare_by_whether_they_are() -> None:
    """Both ask: a match (their targets are what they asked). One alone: a mismatch, with no fields to speak of."""
    asks = facts(Status.INTERRUPT, ())
    assert compare(asks, asks).outcome is Outcome.MATCH
    assert compare(asks, facts(a=1)) == Comparison(Outcome.MISMATCH, False, None, ())
    assert compare(facts(a=1), asks).outcome is Outcome.MISMATCH


def test_sends_compare_by_their_arguments() -> None:
    """The same nodes with other arguments is another decision."""
    one, other = (ExecutionResult(Status.SUCCESS, ("n",), sends=(("n", {"item": item}),)) for item in (1, 2))
    assert compare(one, one).decisions_match is True
    assert compare(one, other).decisions_match is False


def test_a_field_written_twice_compares_as_both_writes() -> None:
    """Several writes of one execution are compared in their order."""
    assert differing(Several([1, 2]), Several([1, 2])) == ()
    assert differing(Several([1, 2]), Several([2, 1])) == ("x",)


def test_a_function_that_cant_be_imported_is_a_fault_of_the_configuration() -> None:
    """The error names the key and the path."""
    with pytest.raises(ConfigError, match=r"compare.function.*no_such_module:differ"):
        Comparator(ShadowConfig.from_mapping(
            {"nodes": {"n": {"compare": {"function": "no_such_module:differ"}}}}
        ).nodes["n"].compare)  # fmt: skip


class TestInTheGraph:
    """Where the graph really goes, and really would have gone."""

    def line(self, capture: ShadowCapture) -> dict[str, Any]:
        (found,) = capture.lines(semconv.EVENT_V2)
        return found

    @pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
    @pytest.mark.parametrize(
        ("v2", "target"),
        [
            ({"next_node": "right"}, "right"),
            ({"next_node": "__end__"}, "__end__"),
            (Command(goto="right"), "right"),
            (Command(goto=END), "__end__"),
            (Command(goto=[Send("right", {"text": "a"}), Send("right", {"text": "b"})]), "right"),
            ({"next_node": "left"}, "left"),
        ],
    )
    def test_v2s_target_is_where_it_would_go(
        self, shadow_capture: ShadowCapture, is_async: bool, v2: Any, target: str
    ) -> None:
        """Branches, Command, Send and END, computed by the graph's own writers on V2's answer."""
        graph = StateGraph(State)
        v1: Any = left
        shadow: Any = lambda _: v2  # noqa: E731
        if is_async:

            async def v1(state: State) -> Any:
                return left(state)

            async def shadow(state: State) -> Any:
                return v2

        def path(state: State) -> Any:
            return [] if isinstance(v2, Command) and "trail" not in state else state.get("next_node") or END

        graph.add_node("left", v1)
        graph.add_node("right", right)
        graph.add_edge(START, "left")
        if isinstance(v2, Command):
            graph.add_conditional_edges("left", lambda s: s.get("next_node") or [], ["right"])
        else:
            graph.add_conditional_edges("left", path, ["right", "left", END])
        compiled = shadow_capture.attach(graph.compile(name="small"), {"left": shadow})
        answer = call(compiled, is_async=is_async)
        assert answer["trail"] == ["left", "right"]
        seen = self.line(shadow_capture)["decision_comparison"]
        assert seen == {
            "original_target": "right",
            "shadow_target": target,
            "decisions_match": target == "right" and not _sends(v2),
        }

    def test_a_branch_sees_the_reducers_result(self, shadow_capture: ShadowCapture) -> None:
        """A path that reads a reduced channel sees V2's writes applied to the state as it was."""
        graph = StateGraph(State)
        graph.add_node("left", lambda _: {"trail": ["a", "b"]})
        graph.add_node("right", lambda _: {})
        graph.add_edge(START, "left")
        graph.add_conditional_edges("left", lambda s: "right" if len(s["trail"]) > 2 else END, ["right", END])
        compiled = shadow_capture.attach(graph.compile(name="small"), {"left": lambda _: {"trail": ["c"]}})
        call(compiled, {"trail": ["given"]})
        seen = self.line(shadow_capture)["decision_comparison"]
        assert (seen["original_target"], seen["shadow_target"]) == ("right", "__end__")

    def test_steps_are_the_configured_key(self, make_shadow_capture: MakeCapture) -> None:
        """``[session] step`` names it; declared steps are written, others are ``_other`` and still compared."""
        capture = make_shadow_capture({"session": {"step": "data.step", "steps": ["known"]}})
        node = {"left": lambda _: {"data": {"step": "made up"}, "next_node": "right"}}
        graph = capture.attach(small_graph(lambda _: {"data": {"step": "known"}, "next_node": "right"}), node)
        call(graph)
        line = self.line(capture)
        assert (line["v1_current_step"], line["v2_current_step"], line["steps_match"]) == ("known", "_other", False)
        assert line["comparison"] == "mismatch"

    def test_differing_fields_are_top_level_names(self, make_shadow_capture: MakeCapture) -> None:
        """A difference deep in a channel is told by the channel's name; keys in it may be values."""
        capture = make_shadow_capture({"nodes": {"left": {"compare": {"fields": ["*"], "ignore": ["trail"]}}}})
        node = {"left": lambda _: {**left({}), "data": {"Maria Silva": 2}, "score": 1.0}}
        graph = capture.attach(small_graph(lambda _: {**left({}), "data": {"Maria Silva": 1}, "score": 1.0}), node)
        call(graph)
        assert self.line(capture)["diff_fields"] == ["data"]
        assert all("Maria" not in data.decode("utf-8", "replace") for data in capture.exported().values())

    def test_a_comparator_of_the_files(self, make_shadow_capture: MakeCapture) -> None:
        """``function = "module:name"`` is imported and called with both versions' writes."""
        capture = make_shadow_capture({"nodes": {"left": {"compare": {"function": f"{__name__}:differ_by_trail"}}}})
        call(capture.attach(small_graph(), {"left": lambda _: {"trail": ["x"], "next_node": "right"}}))
        assert (self.line(capture)["comparison"], self.line(capture)["diff_fields"]) == ("mismatch", ["trail"])

    def test_a_comparator_that_raises_is_on_the_line(self, make_shadow_capture: MakeCapture) -> None:
        """``comparison`` is ``error``; the pair is counted, and V1 unaffected."""
        capture = make_shadow_capture({"nodes": {"left": {"compare": {"function": f"{__name__}:broken"}}}})
        assert call(capture.attach(small_graph(), {"left": left}))["trail"] == ["left", "right"]
        line = self.line(capture)
        assert (line["comparison"], line["comparison_error_type"], line["v1_served"]) == ("error", "KeyError", True)
        assert capture.value(semconv.COMPARISONS, shadow__comparison="error") == 1

    def test_the_noise_floor_is_v1_against_itself(self, make_shadow_capture: MakeCapture) -> None:
        """On the noise share V1 runs a second time in the shadow's isolation; ``self_match`` tells what came of it."""
        count = iter(range(100))

        def unsteady(state: State) -> dict[str, Any]:
            return {**left(state), "next_node": "right" if next(count) % 2 == 0 else "__end__"}

        capture = make_shadow_capture({"arms": {"noise": 1.0, "holdout": 0.0}})
        call(capture.attach(small_graph(unsteady), {"left": left}))
        assert (self.line(capture)["comparison"], self.line(capture)["self_match"]) == ("match", False)


def _sends(value: Any) -> bool:
    return isinstance(value, Command) and isinstance(value.goto, list)


def differ_by_trail(v1: Any, v2: Any) -> list[str]:
    """A comparator that a ``shadow.toml`` names."""
    return ["trail"] if v1["trail"] != v2["trail"] else []


def broken(v1: Any, v2: Any) -> list[str]:
    """A comparator with a bug."""
    raise KeyError("Maria Silva")


def test_the_users_message_is_the_last_human_one_whoever_answered_in_between() -> None:
    """The hash of a turn's message is the same at every node of the turn, so that texts can be joined to pairs."""
    from langchain_core.messages import AIMessage, HumanMessage

    from otel_shadow._runtime.observer import Observer
    from otel_shadow.config import NodeTable, ShadowConfig

    observer = Observer(ShadowConfig(), NodeTable())
    said = [HumanMessage("first"), AIMessage("answer"), HumanMessage("mine"), AIMessage("another node's answer")]
    assert observer.user_message({"messages": said}, {}) == "mine"
    assert observer.user_message({"messages": [{"role": "user", "content": "plain"}]}, {}) == "plain"
    assert observer.user_message({}, {}) is None
