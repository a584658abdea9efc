"""Template compliance: each check passes on a sound node and fails on one that breaks it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langgraph.types import Command, Send

from otel_shadow._demo.v1 import V1_NODES
from otel_shadow._demo.v2.pipeline import BUSINESS
from otel_shadow.testing import GENERAL_CHECKS, SampleState, Template, check_node, extracts, progresses
from otel_shadow.testing.templates import GREETING, QUALIFICATION, TEMPLATES

Node = Callable[[dict[str, Any]], Any]

TEMPLATE = Template(
    "shop", frozenset({"article", "step"}), (SampleState({"text": "two apples"}), SampleState({"text": ""}))
)


def sound(state: dict[str, Any]) -> dict[str, Any]:
    """A node that keeps to the template."""
    return {"article": state["text"].split()[-1:], "step": "asked", "outbox": [{"kind": "ask"}]}


def also(**more: Any) -> Node:
    """The sound node, writing more than it may."""
    return lambda state: {**sound(state), **more}


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_every_business_node_of_v2_keeps_to_its_template(name: str) -> None:
    """V2's business nodes pass all of their checks."""
    assert str(check_node(BUSINESS[name], TEMPLATES[name])).splitlines()[1:] == []


def test_greeting_has_five_checks_and_qualification_nine() -> None:
    """The names of the checks are those that teams know them by."""
    five = ["no_routing_decision", "no_planned_response", "outbox_exists", "own_fields_only", "idempotent"]
    own = ["extracts_child_name", "extracts_age", "infers_education", "correct_step_progression"]
    assert [check.name for check in GREETING.checks] == five
    assert [check.name for check in QUALIFICATION.checks] == five + own


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_no_v1_node_keeps_to_its_template(name: str) -> None:
    """V1 routes and answers in one go, which is what the template forbids."""
    failed = {result.name for result in check_node(V1_NODES[name], TEMPLATES[name]).failures}
    assert failed >= {"no_routing_decision", "no_planned_response", "outbox_exists", "own_fields_only"}


def test_a_sound_node_passes() -> None:
    """The five general checks find nothing wrong with a sound node."""
    report = check_node(sound, TEMPLATE)
    assert report.passed
    assert str(report) == "shop: 5 of 5"


@pytest.mark.parametrize(
    "node",
    [
        also(next_node="checkout"),
        also(threshold_action="template"),
        also(article=Send("checkout", {})),
        lambda state: Command(goto="checkout", update=sound(state)),
        lambda state: [Send("checkout", state)],
    ],
)
def test_a_node_that_routes_fails(node: Node) -> None:
    """Fields, `Command` and `Send` are routing decisions."""
    assert not check_node(node, TEMPLATE)["no_routing_decision"].passed


@pytest.mark.parametrize(
    "node",
    [
        also(planned_response="Which one?"),
        also(messages=[AIMessage("Which one?")]),
        also(outbox=[{"kind": "say", "value": AIMessage("Which one?")}]),
    ],
)
def test_a_node_that_answers_fails(node: Node) -> None:
    """An answer is one whether it stands in the messages, in a field of its own, or in the outbox."""
    assert not check_node(node, TEMPLATE)["no_planned_response"].passed


@pytest.mark.parametrize("node", [lambda state: {"step": "asked"}, also(outbox=None), also(outbox="ask")])
def test_a_node_without_an_outbox_fails(node: Node) -> None:
    """The outbox is a list, always there."""
    assert not check_node(node, TEMPLATE)["outbox_exists"].passed


def changes_its_input(state: dict[str, Any]) -> dict[str, Any]:
    """A node that writes into the state it was given."""
    state["text"] = "pears"
    return sound({"text": "two apples"})


@pytest.mark.parametrize("node", [also(price=3), changes_its_input])
def test_a_node_that_writes_what_is_not_its_own_fails(node: Node) -> None:
    """Foreign fields count, and so does the state changed in place."""
    assert not check_node(node, TEMPLATE)["own_fields_only"].passed


def counting() -> Node:
    """A node whose every run differs."""
    runs = itertools.count()
    return lambda state: {**sound(state), "step": str(next(runs))}


def piling(state: dict[str, Any]) -> dict[str, Any]:
    """A node that adds to the outbox it finds."""
    return {**sound(state), "outbox": [*state.get("outbox", []), {"kind": "ask"}]}


def advancing(state: dict[str, Any]) -> dict[str, Any]:
    """A node that takes a second step on the same message."""
    return {**sound(state), "step": "paid" if state.get("step") == "asked" else "asked"}


@pytest.mark.parametrize("node", [counting(), piling, advancing])
def test_a_node_that_is_not_idempotent_fails(node: Node) -> None:
    """Two runs on one state agree, and a run on its own result changes nothing."""
    assert not check_node(node, TEMPLATE)["idempotent"].passed


def without(node: Node, field: str) -> Node:
    """The node, its output without one field."""
    return lambda state: {key: value for key, value in node(state).items() if key != field}


def with_value(node: Node, field: str, value: Any) -> Node:
    """The node, its output with one field fixed."""
    return lambda state: {**node(state), field: value}


@pytest.mark.parametrize(
    ("template", "check", "node"),
    [
        ("qualification", "extracts_child_name", without(BUSINESS["qualification"], "child_name")),
        ("qualification", "extracts_child_name", with_value(BUSINESS["qualification"], "child_name", "Ana")),
        ("qualification", "extracts_age", without(BUSINESS["qualification"], "child_age")),
        ("qualification", "infers_education", with_value(BUSINESS["qualification"], "education_level", "adult")),
        ("qualification", "correct_step_progression", with_value(BUSINESS["qualification"], "current_step", "x")),
        ("information", "extracts_topic", with_value(BUSINESS["information"], "topic", "price")),
        ("information", "correct_step_progression", without(BUSINESS["information"], "current_step")),
        ("scheduling", "extracts_date", without(BUSINESS["scheduling"], "requested_date")),
        ("scheduling", "extracts_time", with_value(BUSINESS["scheduling"], "requested_time", "15:00")),
        ("scheduling", "records_consent", with_value(BUSINESS["scheduling"], "booking_confirmed", True)),
        ("scheduling", "correct_step_progression", with_value(BUSINESS["scheduling"], "current_step", "x")),
    ],
)
def test_each_nodes_own_check_fails_on_a_node_that_breaks_it(template: str, check: str, node: Node) -> None:
    """Every extraction and step check can fail."""
    assert not check_node(node, TEMPLATES[template])[check].passed


def raising(state: dict[str, Any]) -> dict[str, Any]:
    """A node with a bug."""
    raise KeyError("text")


@pytest.mark.parametrize(
    ("node", "detail"),
    [(raising, "the node raised KeyError: 'text'"), (lambda state: None, "the node returned NoneType")],
)
def test_a_broken_node_is_a_finding_not_an_accident(node: Node, detail: str) -> None:
    """A node that raises, or returns no update, fails every check, and the report says why."""
    report = check_node(node, TEMPLATE)
    assert len(report.failures) == len(GENERAL_CHECKS)
    assert detail in report["outbox_exists"].detail


async def asynchronous(state: dict[str, Any]) -> dict[str, Any]:
    """The sound node as a coroutine function."""
    return sound(state)


def configured(state: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """The sound node with the parameter that LangGraph injects."""
    assert isinstance(config, dict)
    return sound(state)


@pytest.mark.parametrize("node", [asynchronous, configured, RunnableLambda(sound)])
async def test_nodes_of_every_kind_can_be_checked(node: Any) -> None:
    """Coroutine functions (inside a running loop too), nodes with a config, and runnables."""
    assert check_node(node, TEMPLATE).passed


def test_users_add_checks_of_their_own() -> None:
    """`extracts` and `progresses` make checks for any field."""
    template = Template(
        "shop",
        frozenset({"article", "step"}),
        (SampleState({"text": "two apples"}),),
        extra=(
            extracts("extracts_article", ["article"], [SampleState({"text": "two apples"}, {"article": ["apples"]})]),
            progresses("steps", "step", [SampleState({"text": "a"}, {"step": "asked"}), SampleState({"text": "b"})]),
        ),
    )
    assert check_node(sound, template).passed
    assert {f.name for f in check_node(also(article=[], step="x"), template).failures} == {"extracts_article", "steps"}


def test_a_template_that_could_not_fail_is_refused() -> None:
    """No samples, or no expectations, is a mistake of the template's author."""
    with pytest.raises(ValueError, match="at least one sample"):
        Template("empty", frozenset(), ())
    with pytest.raises(ValueError, match="no sample expects"):
        extracts("nothing", ["article"], [SampleState({})])
    with pytest.raises(ValueError, match="no turn expects"):
        progresses("nothing", "step", [SampleState({})])
    with pytest.raises(KeyError):
        check_node(sound, TEMPLATE)["no_such_check"]


def test_the_former_name_of_a_sample_state_warns() -> None:
    """`Sample`, the name of the release before, is the same class."""
    with pytest.warns(DeprecationWarning, match="is now SampleState"):
        from otel_shadow.testing import Sample
    assert Sample is SampleState
