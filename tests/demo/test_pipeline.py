"""V2's pipeline: intents, router, thresholds, planner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langgraph.graph import END

from otel_shadow._demo.state import EnrolmentState
from otel_shadow._demo.v2 import V2_NODES, Thresholds, build_nodes, pipeline
from otel_shadow._demo.v2.intents import ASK, GREET, NONE, SCHEDULE, node_of, recognise
from otel_shadow._demo.v2.response import DraftingChatModel
from otel_shadow._demo.v2.router import Plan, confidence_of
from otel_shadow._demo.workflow import build_graph


def state(text: str, **more: Any) -> EnrolmentState:
    """A turn's state."""
    base = {"messages": [HumanMessage(text)], "language": "pt", "reference_datetime": "2025-01-09T10:00:00"}
    return {**base, "visited": [], **more}  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("Oi!", "greeting"),
        ("Bom dia, tudo bem?", "greeting"),
        ("how are you doing", "greeting"),
        ("Me chamo Paula", "qualification"),
        ("please call me Ann", "qualification"),
        ("qual o preço?", "information"),
        ("vcs dão aula de inglês", "information"),
        ("Do you take reservations?", "information"),
        ("quero remarcar a visita", "scheduling"),
        ("I'd like to book for Friday", "scheduling"),
        ("obrigada, tchau", "other"),
        ("quero falar com um atendente", "other"),
        ("a lua é feita de queijo", "other"),
    ],
)
def test_intents_lead_to_nodes(text: str, node: str) -> None:
    """A message without context is for one node, or for none."""
    assert node_of(text) == node


@given(st.text(max_size=80))
def test_scores_are_scores(text: str) -> None:
    """Every score lies in [0, 1]; the best intent has the highest."""
    intents = recognise(text)
    assert all(0 <= score <= 1 for score in intents.scores.values())
    assert intents.best == NONE or intents.scores[intents.best] == max(intents.scores.values())


def test_an_intent_below_its_least_score_does_not_count() -> None:
    """Calibrated thresholds of intents silence weak ones."""
    intents = recognise("qual o preço?")
    assert intents.has(ASK)
    assert not intents.counting({ASK: 0.99}).has(ASK)
    assert intents.counting({}) is intents


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_confidence_grows_with_either_witness(intent: float, pattern: float, more: float) -> None:
    """1 - (1 - intent)(1 - pattern), between the stronger of both and one."""
    confidence = confidence_of(Plan(END, GREET, intent, pattern), "oi")
    assert 0 <= confidence <= 1
    if intent or pattern:
        assert confidence >= round(max(intent, pattern), 4)
        assert confidence_of(Plan(END, GREET, max(intent, more), pattern), "oi") >= confidence


@given(st.text(max_size=80))
def test_without_evidence_confidence_is_low(text: str) -> None:
    """Nothing recognised is never enough for an answer, and gibberish not even for asking again."""
    assert confidence_of(Plan(END), text) < Thresholds().llm_rag
    assert confidence_of(Plan(END), "xqzt wvrk plmf") < Thresholds().handoff


@pytest.mark.parametrize(
    ("confidence", "action"),
    [
        (1.0, "template"),
        (0.74, "template"),
        (0.739, "llm_rag"),
        (0.6, "llm_rag"),
        (0.599, "fallback"),
        (0.38, "fallback"),
        (0.379, "handoff"),
        (0.0, "handoff"),
    ],
)
def test_the_default_thresholds(confidence: float, action: str) -> None:
    """Template from 0.74, llm_rag from 0.60, handoff below 0.38, fallback between."""
    assert Thresholds().action(confidence) == action


@pytest.mark.parametrize("bounds", [(0.5, 0.6, 0.38), (0.7, 0.6, 0.65), (1.1, 0.6, 0.3), (0.7, 0.6, -0.1)])
def test_thresholds_out_of_order_are_refused(bounds: tuple[float, float, float]) -> None:
    """The error shows the order and the values."""
    with pytest.raises(ValueError, match="expected 0 <= handoff <= llm_rag <= template <= 1"):
        Thresholds(*bounds)


def test_thresholds_come_from_a_proposal(tmp_path: Path) -> None:
    """A node's own values come before the general ones; what is left out keeps its default."""
    path = tmp_path / "proposal.toml"
    path.write_text(
        "[calibration]\nalpha = 0.05\n[thresholds]\nhandoff = 0.3\n[thresholds.nodes.greeting]\ntemplate = 0.9\n"
        "[intents]\nschedule = 0.6\n[flags]\ntimeout_ms = 800\n",
        encoding="utf-8",
    )
    assert Thresholds.from_file(path) == Thresholds(handoff=0.3, intents={SCHEDULE: 0.6})
    assert Thresholds.from_file(path, "greeting") == Thresholds(0.9, handoff=0.3, intents={SCHEDULE: 0.6})
    as_json = tmp_path / "proposal.json"
    as_json.write_text(json.dumps({"thresholds": {"llm_rag": 0.5}}), encoding="utf-8")
    assert Thresholds.from_file(as_json) == Thresholds(llm_rag=0.5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[thresholds\n", "neither TOML nor"),
        ("thresholds = 3\n", "bad.toml: thresholds: expected a table, found 3"),
        ("[thresholds]\ntemplat = 0.5\n", "thresholds.templat: no such threshold; expected template, llm_rag, handoff"),
        ("[thresholds]\ntemplate = 'high'\n", "thresholds.template = 'high': expected a number from 0 to 1"),
        ("[thresholds]\ntemplate = true\n", "thresholds.template = True: expected a number from 0 to 1"),
        ("[thresholds]\ntemplate = 0.1\n", "expected handoff <= llm_rag <= template, got template 0.1"),
        ("[thresholds]\nnodes = 1\n", "thresholds.nodes: expected a table, found 1"),
        ("[intents]\nbuy = 0.1\n", "for some of greet, ask_information, .*; wrong: buy"),
        ("[intents]\ngreet = 7\n", "intents.greet = 7: expected a number from 0 to 1"),
    ],
)
def test_a_bad_thresholds_file_says_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    """Which file, which key, what was expected."""
    path = tmp_path / "bad.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        Thresholds.from_file(path)
    with pytest.raises(ValueError, match=r"absent\.toml: can't be read"):
        Thresholds.from_file(tmp_path / "absent.toml")


def test_lower_thresholds_mean_fewer_handoffs(tmp_path: Path) -> None:
    """The file reaches the routers of the whole workflow."""
    path = tmp_path / "proposal.toml"
    path.write_text("[thresholds]\nhandoff = 0.0\n", encoding="utf-8")
    said = {"messages": [HumanMessage("xqzt wvrk plmf")]}
    assert build_graph("v2").invoke(said)["current_step"] == "human_handoff"
    assert build_graph("v2", thresholds=path).invoke(said)["current_step"] == "parent_name_collection"


def test_the_model_words_what_the_router_is_less_sure_of() -> None:
    """Under `llm_rag` the injected chat model speaks; under `template` it does not."""
    eager = Thresholds(template=1.0, llm_rag=0.5, handoff=0.0)
    model = FakeListChatModel(responses=["Do modelo."])
    said = pipeline("greeting", thresholds=eager, model=model)(state("Oi"))
    assert [message.text for message in said["messages"]] == ["Do modelo."]
    assert said["threshold_action"] == "llm_rag"
    assert "Do modelo." not in V2_NODES["greeting"](state("Oi"))["messages"][0].text


def test_the_default_model_says_its_draft() -> None:
    """It needs no network and is the same every time."""
    model = DraftingChatModel()
    prompt = [SystemMessage("Answer parents.\nDraft: Tudo bem."), HumanMessage("Oi")]
    assert model.invoke(prompt).text == model.invoke(prompt).text == "Tudo bem."
    assert isinstance(model.invoke([]), AIMessage)


def test_a_fallback_asks_again_and_keeps_its_question() -> None:
    """Between llm_rag and handoff the answer says that it did not understand, and repeats what it needs."""
    said = V2_NODES["qualification"](state("eu não sei o que você quer com isso", requested_slot="child_name"))
    assert said["threshold_action"] == "fallback"
    assert said["messages"][0].text.startswith("Desculpe")
    assert "nome da criança" in said["messages"][0].text


def test_a_node_that_hands_on_leaves_the_question_to_the_next() -> None:
    """Greeting acknowledges the name and asks nothing; a digression is not commented upon."""
    named = V2_NODES["greeting"](state("Oi, sou a Carla"))
    assert [m.text for m in named["messages"]] == ["Prazer, Carla!"]
    assert "requested_slot" not in named
    assert "messages" not in V2_NODES["greeting"](state("Quanto custa?"))


def test_nodes_can_have_thresholds_of_their_own() -> None:
    """A mapping gives some nodes their own, the others keep the defaults."""
    nodes = build_nodes(thresholds={"greeting": Thresholds(1.0, 1.0, 1.0)})
    assert nodes["greeting"](state("Olha só", language="pt"))["threshold_action"] == "handoff"
    assert nodes["scheduling"](state("amanhã às 15h"))["threshold_action"] == "template"


@pytest.mark.parametrize(
    ("text", "clock"),
    [("às 3", "15:00"), ("às 9", "09:00"), ("7 da manhã", "07:00"), ("7:30 am", "07:30"), ("às 17h", "17:00")],
)
def test_an_unmarked_hour_is_one_at_which_the_centre_is_open(text: str, clock: str) -> None:
    """Nobody visits a school at three in the night, unless they say so."""
    assert V2_NODES["scheduling"](state(text, requested_slot="time"))["requested_time"] == clock
