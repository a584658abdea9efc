"""The answer of a V2 node: words for what the outbox holds, as the router's action allows, and one state update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.graph import END

from otel_shadow._demo.state import BUSINESS_NODES, GREETING, HUMAN, INFORMATION, EnrolmentState, OutboxItem
from otel_shadow._demo.v2.intents import ASK, SCHEDULE
from otel_shadow._demo.v2.router import Routing
from otel_shadow._demo.v2.turn import Turn

_DRAFT = "Draft:"
_PROMPT = {
    "pt": "Você atende pais de um centro de reforço escolar. Responda em português, em até duas frases, só com o que "
    "o rascunho diz.\n",
    "en": "You answer parents of an after-school learning centre. Answer in English, in at most two sentences, with "
    "nothing but what the draft says.\n",
}


def respond(
    state: EnrolmentState, turn: Turn, routing: Routing, own: dict[str, Any], model: BaseChatModel
) -> dict[str, Any]:
    """Return the node's update: its business fields (`own`), the answer as a message, where to go, and why.

    `model` words the answer where the router's action is `llm_rag`; it gets the template's text as a draft.
    """
    known = {**state, **own}
    items = _to_say(routing, own.get("outbox", []))
    # A question on the way does not move the conversation: it goes on where it stood.
    stage = state.get("current_stage", GREETING) if turn.node == INFORMATION else turn.node
    update = {
        **own,
        "visited": [*state.get("visited", []), turn.node],
        "current_stage": stage,
        "next_node": routing.target,
        "intent": routing.plan.intent,
        "intent_score": routing.plan.intent_score,
        "pattern_score": routing.plan.pattern_score,
        "router_confidence": routing.confidence,
        "threshold_action": routing.action,
        "planned_target": routing.plan.target,
    }
    if answer := _answer(items, turn, routing, known, model):
        update["messages"] = [AIMessage(answer)]
    if asked := next((item["slot"] for item in items if item["kind"] == "ask"), None):
        update["requested_slot"] = asked
    return update


def _to_say(routing: Routing, outbox: list[OutboxItem]) -> list[OutboxItem]:
    """Return the items this node words: none for a person, no question before another node asks its own."""
    if routing.target == HUMAN:
        return []
    if routing.target in BUSINESS_NODES:
        digressing = routing.plan.intent in (ASK, SCHEDULE) and all(item["kind"] != "answer" for item in outbox)
        return [] if digressing else [item for item in outbox if item["kind"] != "ask"]
    return outbox


def _answer(
    items: list[OutboxItem], turn: Turn, routing: Routing, known: Mapping[str, Any], model: BaseChatModel
) -> str:
    """Return the answer, or an empty string where the next node speaks."""
    draft = " ".join(_text(item, turn, known) for item in items)
    if routing.action == "fallback" and routing.target == END:
        draft = f"{_TEXTS[turn.language]['unclear']} {draft}"
    if routing.action == "llm_rag" and draft:
        system = SystemMessage(f"{_PROMPT[turn.language]}{_DRAFT} {draft}")
        return str(model.invoke([system, HumanMessage(turn.text)]).text)
    return draft


def _text(item: OutboxItem, turn: Turn, known: Mapping[str, Any]) -> str:
    key = f"{item['kind']}.{item['slot']}" if "slot" in item else item["kind"]
    if key == "ask.parent_name" and turn.pending != "parent_name":
        key = "welcome"
    return _TEXTS[turn.language][key].format_map(_Spoken(known))


class _Spoken(dict[str, Any]):
    """Slots as they are spoken; a child whose name is not known yet is called by a neutral word."""

    def __missing__(self, key: str) -> str:
        return "…"


class DraftingChatModel(BaseChatModel):
    """Chat model of the demo, deterministic and without a network: it answers with the draft in its prompt."""

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        prompt = str(messages[0].text) if messages else ""
        answer = prompt.partition(_DRAFT)[2].strip()
        return ChatResult(generations=[ChatGeneration(message=AIMessage(answer))])

    @property
    def _llm_type(self) -> str:
        return "drafting"


_TEXTS = {
    "pt": {
        "welcome": "Olá! Eu sou a assistente do Centro Aprender. Qual é o seu nome?",
        "ask.parent_name": "Como posso chamar você?",
        "heard.parent_name": "Prazer, {parent_name}!",
        "ask.child_name": "Qual é o nome da criança?",
        "ask.child_age": "Quantos anos {child_name} tem?",
        "ask.education_level": "Em que ano da escola {child_name} está?",
        "qualified.child_name": "Ótimo, temos uma turma para {child_name}.",
        "ask.date": "Qual dia fica bom para a visita?",
        "ask.time": "A que horas prefere vir?",
        "ask.confirmation": "Confirma a visita em {requested_date} às {requested_time}?",
        "booked": "Visita marcada: {requested_date} às {requested_time}. Esperamos vocês!",
        "answer.price": "As mensalidades começam em R$ 390 e variam com o número de aulas por semana.",
        "answer.dates_hours": "Abrimos de segunda a sexta, das 8h às 18h, e aos sábados até as 12h.",
        "answer.address": "Estamos na Rua das Acácias, 120, perto da praça central.",
        "answer.contact": "O telefone é (11) 5555-0100 e o e-mail contato@aprender.example.",
        "answer.how_it_works": "Cada aluno tem um plano próprio, com duas aulas por semana em turmas pequenas.",
        "answer.offer": "Temos reforço de matemática, português, inglês e programação.",
        "unclear": "Desculpe, não entendi bem. Pode dizer de outro jeito?",
    },
    "en": {
        "welcome": "Hello! I am the assistant of Centro Aprender. What is your name?",
        "ask.parent_name": "What may I call you?",
        "heard.parent_name": "Nice to meet you, {parent_name}!",
        "ask.child_name": "What is the child's name?",
        "ask.child_age": "How old is {child_name}?",
        "ask.education_level": "Which school year is {child_name} in?",
        "qualified.child_name": "Great, we have a group for {child_name}.",
        "ask.date": "Which day suits you for the visit?",
        "ask.time": "What time would you like to come?",
        "ask.confirmation": "Shall I confirm the visit on {requested_date} at {requested_time}?",
        "booked": "Your visit is booked: {requested_date} at {requested_time}. We look forward to it!",
        "answer.price": "Monthly fees start at R$ 390 and depend on the number of classes a week.",
        "answer.dates_hours": "We open Monday to Friday from 8 to 18, and on Saturdays until 12.",
        "answer.address": "We are at Rua das Acácias, 120, near the central square.",
        "answer.contact": "Our phone is (11) 5555-0100 and our e-mail contato@aprender.example.",
        "answer.how_it_works": "Every pupil has their own plan, with two classes a week in small groups.",
        "answer.offer": "We offer help with maths, Portuguese, English and programming.",
        "unclear": "Sorry, I did not quite understand. Could you put it another way?",
    },
}
