"""The workflow: V1 and V2 on the same graph, turn by turn, on authored and on real conversations."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END

from otel_shadow._calibration.conversations import Conversation, read_conversations
from otel_shadow._demo import workflow
from otel_shadow._demo.bundled import CONVERSATIONS, SCENARIOS
from otel_shadow._demo.state import BUSINESS_NODES, HUMAN, STEPS
from otel_shadow._demo.v1 import V1_NODES
from otel_shadow._demo.v2 import V2_NODES
from otel_shadow._demo.workflow import build_graph, onward

NOW = "2025-01-09T10:00:00"  # a Thursday
Decisions = dict[tuple[str, str], set[str]]


def turn(graph: Any, text: str, thread: str = "t1", now: str = NOW) -> dict[str, Any]:
    """One turn of the user's."""
    config = {"configurable": {"thread_id": thread, "reference_datetime": now}}
    result: dict[str, Any] = graph.invoke(
        {"messages": [HumanMessage(text)]}, config, durability="exit" if graph.checkpointer else None
    )
    return result


def answers(state: dict[str, Any]) -> list[str]:
    """What was said since the user's last message."""
    last = max(i for i, message in enumerate(state["messages"]) if message.type == "human")
    return [message.text for message in state["messages"][last + 1 :]]


def recording(decisions: Decisions, nodes: dict[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """The nodes, their decisions kept by language and node."""

    def wrapped(name: str) -> Callable[[dict[str, Any]], Any]:
        def node(state: dict[str, Any]) -> Any:
            update = nodes[name](state)
            decisions[state["language"], name].add(onward({**state, **update}))
            return update

        return node

    return {name: wrapped(name) for name in nodes}


def real(path: Path) -> Iterator[Conversation]:
    """The well-formed conversations of a file."""
    return (row for row in read_conversations(path) if isinstance(row, Conversation))


def play(graph: Any, conversations: Iterable[Conversation]) -> Iterator[dict[str, Any]]:
    """Play every user turn; yield the state after each."""
    for conversation in conversations:
        reference = conversation.reference_datetime
        for text in conversation.turns:
            yield turn(graph, text, f"c{conversation.line}", reference.isoformat() if reference else NOW)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    ("language", "texts", "booked"),
    [
        (
            "pt",
            ["Oi", "Meu nome é Maria", "Minha filha chama Ana e tem 8 anos", "amanhã às 15h", "sim"],
            ("Maria", "Ana", 8, "elementary_1", "2025-01-10", "15:00"),
        ),
        (
            "en",
            ["Hi", "My name is Sarah", "My son is called Tom and he is 12 years old", "tomorrow at 3pm", "yes"],
            ("Sarah", "Tom", 12, "elementary_2", "2025-01-10", "15:00"),
        ),
    ],
)
def test_both_versions_lead_from_hello_to_a_booking(
    version: str, language: str, texts: list[str], booked: tuple[Any, ...]
) -> None:
    """A session of five turns ends booked, with every slot filled, and an answer in each turn."""
    graph = build_graph(version, checkpointer=InMemorySaver())
    states = [turn(graph, text) for text in texts]
    assert all(answers(state) for state in states)
    last = states[-1]
    slots = ("parent_name", "child_name", "child_age", "education_level", "requested_date", "requested_time")
    assert tuple(last[slot] for slot in slots) == booked
    assert (last["language"], last["current_step"]) == (language, "booking_complete")
    assert states[1]["visited"] == ["greeting", "qualification"]
    assert states[2]["visited"] == ["qualification", "scheduling"]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_question_on_the_way_is_answered_and_the_conversation_goes_on(version: str) -> None:
    """Information returns to the stage that the parent came from."""
    graph = build_graph(version, checkpointer=InMemorySaver())
    turn(graph, "Oi, sou a Carla")
    asked = turn(graph, "Quanto custa a mensalidade?")
    assert asked["visited"][0] == "information"
    assert "390" in " ".join(answers(asked))
    assert turn(graph, "Pedro")["child_name"] == "Pedro"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_parent_who_asks_for_a_person_gets_one(version: str) -> None:
    """The human node ends the turn."""
    state = turn(build_graph(version), "Quero falar com um atendente")
    assert (state["current_step"], state["next_node"]) == ("human_handoff", END)


def test_sessions_do_not_mix() -> None:
    """Two threads of one graph keep their own slots."""
    graph = build_graph("v1", checkpointer=InMemorySaver())
    turn(graph, "Meu nome é Maria", "a")
    assert "parent_name" not in turn(graph, "Oi", "b")
    assert turn(graph, "Minha filha chama Ana", "a")["parent_name"] == "Maria"


def test_the_default_graph_is_production() -> None:
    """The factory gives V1 with a checkpointer; one node may be replaced by another version."""
    assert workflow.graph().checkpointer is not None
    graph = build_graph({"greeting": V2_NODES["greeting"]})
    assert turn(graph, "Oi")["threshold_action"] == "template"


@pytest.mark.parametrize("nodes", ["v3", {"billing": V1_NODES["greeting"]}, None])
def test_an_unknown_version_or_node_is_refused(nodes: Any) -> None:
    """One clear error says what there is."""
    with pytest.raises(ValueError, match=r"v1|greeting"):
        build_graph(nodes)


def test_the_three_scenarios_are_those_of_the_product() -> None:
    """A greeting without a name, one with a name, a qualification with name and age."""
    graphs = {version: build_graph(version) for version in ("v1", "v2")}
    for scenario in SCENARIOS:
        for graph in graphs.values():
            config = {"configurable": {"reference_datetime": NOW}}
            state = graph.invoke({**scenario.state, "messages": [HumanMessage(scenario.message)]}, config)
            assert state["visited"][0] == scenario.node
    without_name, with_name, qualification = (
        V2_NODES[s.node]({"reference_datetime": NOW, **s.state, "messages": [HumanMessage(s.message)]})
        for s in SCENARIOS
    )
    assert "parent_name" not in without_name
    assert (without_name["next_node"], without_name["current_step"]) == (END, "parent_name_collection")
    assert (with_name["parent_name"], with_name["next_node"]) == ("Mariana", "qualification")
    assert (qualification["child_name"], qualification["child_age"]) == ("Ana", 8)
    assert (qualification["next_node"], qualification["current_step"]) == ("scheduling", "qualification_complete")


@pytest.mark.parametrize("version", [V1_NODES, V2_NODES])
@pytest.mark.parametrize("language", ["pt", "en"])
def test_decisions_vary(version: dict[str, Any], language: str) -> None:
    """In each language greeting, qualification and scheduling lead to at least two targets, all of them to four."""
    decisions: Decisions = defaultdict(set)
    graph = build_graph(recording(decisions, version), checkpointer=InMemorySaver())
    rows = (row for row in read_conversations(CONVERSATIONS) if isinstance(row, Conversation) and row.lang == language)
    assert all(state["messages"] for state in play(graph, rows))
    seen = {node: decisions[language, node] for node in BUSINESS_NODES}
    assert len(set().union(*seen.values())) >= 4
    assert all(len(targets) >= 2 for targets in seen.values())
    assert len(seen["greeting"]) >= 3


def test_the_versions_agree_in_most_cases_and_v2_books_more() -> None:
    """On the authored conversations nine in ten decisions agree; V2 brings more sessions to a booking."""
    same: list[bool] = []

    def both(name: str) -> Callable[[dict[str, Any]], Any]:
        def node(state: dict[str, Any]) -> Any:
            first, second = V1_NODES[name](state), V2_NODES[name](state)  # type: ignore[arg-type]
            same.append(onward({**state, **first}) == onward({**state, **second}))  # type: ignore[typeddict-item]
            return first

        return node

    rows = [row for row in read_conversations(CONVERSATIONS) if isinstance(row, Conversation)]
    finals: dict[str, int] = {}
    for version, nodes in (("v1", {name: both(name) for name in V1_NODES}), ("v2", "v2")):
        graph = build_graph(nodes, checkpointer=InMemorySaver())
        for _ in play(graph, rows):
            pass
        ends = [graph.get_state({"configurable": {"thread_id": f"c{row.line}"}}).values for row in rows]
        finals[version] = sum(bool(end.get("booking_confirmed")) for end in ends)
    assert sum(same) / len(same) >= 0.9
    assert finals["v2"] > finals["v1"] >= len(rows) / 2


@pytest.mark.data
@pytest.mark.parametrize("version", [V1_NODES, V2_NODES])
def test_every_real_message_goes_through_every_node(
    data_file: Callable[[str], Path], version: dict[str, Callable[..., Any]]
) -> None:
    """The real utterances, most of them out of the domain, raise nothing in any node and vary the decisions."""
    decisions: Decisions = defaultdict(set)
    nodes = recording(decisions, version)
    for name in ("utterances_pt.jsonl", "expressions_pt.jsonl", "utterances_en.jsonl"):
        for row in real(data_file(name)):
            said = {"messages": [HumanMessage(row.turns[0])]}
            state = {**said, **workflow.intake(said, {"configurable": {"reference_datetime": NOW}})}  # type: ignore[typeddict-item]
            assert {node(state)["current_step"] for node in nodes.values()} <= {*STEPS}
    for language in ("pt", "en"):
        assert all(len(decisions[language, node]) >= 2 for node in BUSINESS_NODES)
        assert len(set().union(*(decisions[language, node] for node in BUSINESS_NODES))) >= 3


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_every_real_dialogue_goes_through(data_file: Callable[[str], Path], version: str) -> None:
    """All the user turns of the recorded bookings run, each dialogue a session of its own."""
    graph = build_graph(version, checkpointer=InMemorySaver())
    states = play(graph, real(data_file("dialogues_en.jsonl")))
    assert sum(bool(state["current_step"] in STEPS) for state in states) == 2582


@settings(max_examples=30)
@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=4))
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_no_text_breaks_a_node(version: str, texts: list[str]) -> None:
    """Whatever a user types, the turn ends, in a known step, without a loop between nodes."""
    graph = build_graph(version, checkpointer=InMemorySaver())
    for text in texts:
        state = turn(graph, text)
        assert state["current_step"] in STEPS
        assert len(state["visited"]) == len(set(state["visited"])) >= 1


@given(st.text(max_size=12), st.lists(st.sampled_from([*BUSINESS_NODES, HUMAN]), max_size=5))
def test_a_branch_leads_to_a_node_that_has_not_run_or_ends(target: str, visited: list[str]) -> None:
    """The branch of a node's output needs nothing but the state."""
    for wanted in (target, *BUSINESS_NODES, HUMAN, END):
        reached = onward({"next_node": wanted, "visited": visited})
        assert reached == END or (reached == wanted and reached not in visited)


def test_v2_without_its_extra_says_which_pip_line_brings_it() -> None:
    """A user who installed the core alone is told the remedy, not the module that is missing."""
    code = (
        "import sys; sys.modules['dateutil'] = None\n"
        "from otel_shadow.errors import MissingExtraError\n"
        "try:\n    import otel_shadow._demo.v2\nexcept MissingExtraError as error:\n    print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "dateutil is not installed: pip install 'otel-shadow[demo]'"


def test_the_closed_loop_without_its_extra_says_which_pip_line_brings_it() -> None:
    """``python -m otel_shadow._demo.closed_loop``: one sentence and exit code 2, no traceback."""
    code = (
        "import runpy, sys; sys.modules['sklearn'] = None\n"
        "runpy.run_module('otel_shadow._demo.closed_loop', run_name='__main__')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "sklearn is not installed: pip install 'otel-shadow[demo]'\n"
