"""The templates of the four business nodes: own fields, sample states, and each node's own checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import HumanMessage

from otel_shadow.testing.compliance import SampleState, Template, extracts, progresses

_NOW = "2025-01-09T10:00:00"  # a Thursday


def _said(text: str, expect: Mapping[str, Any] | None = None, **state: Any) -> SampleState:
    """Return a sample in which the user said `text`; the language is Portuguese unless `state` says otherwise."""
    base = {"messages": [HumanMessage(text)], "language": "pt", "reference_datetime": _NOW, "visited": []}
    return SampleState({**base, **state}, expect or {})


GREETING = Template(
    name="greeting",
    own_fields=frozenset({"parent_name", "current_step", "missing_slots"}),
    samples=(
        _said("Olá, bom dia!"),
        _said("Oi, meu nome é Mariana Souza"),
        _said("Hello, I'm John", language="en"),
        _said("Carla", requested_slot="parent_name"),
        _said("Quanto custa a mensalidade?", parent_name="Mariana"),
        _said("quero agendar uma visita amanhã às 10h"),
    ),
)

_CHILDREN = (
    _said("Minha filha chama Ana e tem 8 anos", {"child_name": "Ana", "child_age": 8}),
    _said("meu filho se chama Lucas", {"child_name": "Lucas", "child_age": None}),
    _said("Pedro", {"child_name": "Pedro", "child_age": None}, requested_slot="child_name"),
    _said("o nome dela é Júlia, ela tem seis anos", {"child_name": "Júlia", "child_age": 6}),
    _said("My son is called Peter and he is 12 years old", {"child_name": "Peter", "child_age": 12}, language="en"),
    _said("7", {"child_name": None, "child_age": 7}, requested_slot="child_age", child_name="Rui"),
    _said("não sei ainda", {"child_name": None, "child_age": None}, requested_slot="child_name"),
)
_LEVEL_OF = {
    2: "early_childhood", 5: "early_childhood", 6: "elementary_1", 10: "elementary_1", 11: "elementary_2",
    14: "elementary_2", 15: "high_school", 17: "high_school", 18: "adult",
}  # fmt: skip
_LEVELS = tuple(_said(f"Ele tem {age} anos", {"education_level": level}) for age, level in _LEVEL_OF.items())
_QUALIFICATION_TURNS = (
    _said("Oi", {"current_step": "child_name_collection"}, requested_slot="child_name"),
    _said("Ana", {"current_step": "age_collection"}, requested_slot="child_name"),
    _said("não lembro", {"current_step": "age_collection"}, requested_slot="child_age"),
    _said("8", {"current_step": "qualification_complete"}, requested_slot="child_age"),
)

QUALIFICATION = Template(
    name="qualification",
    own_fields=frozenset({"child_name", "child_age", "education_level", "current_step", "missing_slots"}),
    samples=_CHILDREN,
    extra=(
        extracts("extracts_child_name", ["child_name"], _CHILDREN),
        extracts("extracts_age", ["child_age"], _CHILDREN),
        extracts("infers_education", ["education_level"], _LEVELS),
        progresses("correct_step_progression", "current_step", _QUALIFICATION_TURNS),
    ),
)

_QUESTIONS = (
    _said("Quanto custa a mensalidade?", {"topic": "price"}),
    _said("qual o endereço de vocês?", {"topic": "address"}),
    _said("que horas vocês abrem?", {"topic": "dates_hours"}),
    _said("How much does it cost?", {"topic": "price"}, language="en"),
    _said("Where are you located?", {"topic": "address"}, language="en"),
    _said("hmm", {"topic": None}),
)

INFORMATION = Template(
    name="information",
    own_fields=frozenset({"topic", "current_step"}),
    samples=_QUESTIONS,
    extra=(
        extracts("extracts_topic", ["topic"], _QUESTIONS),
        progresses(
            "correct_step_progression",
            "current_step",
            (
                _said("hmm", {"current_step": "information_clarification"}),
                _said("quanto custa?", {"current_step": "information_answer"}),
            ),
        ),
    ),
)

_VISITS = (
    _said("amanhã às 15h", {"requested_date": "2025-01-10", "requested_time": "15:00"}),
    _said("dia 20 de janeiro", {"requested_date": "2025-01-20", "requested_time": None}),
    _said("às 9 da manhã", {"requested_date": None, "requested_time": "09:00"}),
    _said("tomorrow at 3pm", {"requested_date": "2025-01-10", "requested_time": "15:00"}, language="en"),
    _said("pode ser", {"requested_date": None, "requested_time": None}),
)
_CONSENT = (
    _said("sim", {"booking_confirmed": True}, requested_slot="confirmation"),
    _said("não", {"booking_confirmed": None}, requested_slot="confirmation"),
    _said("sim", {"booking_confirmed": None}, requested_slot="date"),
)
_VISIT_TURNS = (
    _said("quero marcar uma visita", {"current_step": "date_collection"}),
    _said("amanhã", {"current_step": "time_collection"}, requested_slot="date"),
    _said("às 15h", {"current_step": "booking_confirmation"}, requested_slot="time"),
    _said("sim", {"current_step": "booking_complete"}, requested_slot="confirmation"),
)

SCHEDULING = Template(
    name="scheduling",
    own_fields=frozenset({"requested_date", "requested_time", "booking_confirmed", "current_step", "missing_slots"}),
    samples=(*_VISITS, *_CONSENT),
    extra=(
        extracts("extracts_date", ["requested_date"], _VISITS),
        extracts("extracts_time", ["requested_time"], _VISITS),
        extracts("records_consent", ["booking_confirmed"], _CONSENT),
        progresses("correct_step_progression", "current_step", _VISIT_TURNS),
    ),
)

TEMPLATES: dict[str, Template] = {t.name: t for t in (GREETING, QUALIFICATION, INFORMATION, SCHEDULING)}

__all__ = ["GREETING", "INFORMATION", "QUALIFICATION", "SCHEDULING", "TEMPLATES"]
