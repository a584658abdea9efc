"""What V1 says, in both languages."""

from __future__ import annotations

from langchain_core.messages import AIMessage

from otel_shadow._demo.state import EnrolmentState

_TEXTS = {
    "pt": {
        "welcome": "Olá! Sou a assistente do Centro Aprender. Com quem eu falo?",
        "ask_parent_name": "Para começar, pode me dizer o seu nome?",
        "nice": "Prazer, {parent_name}!",
        "ask_child_name": "Como se chama a criança?",
        "ask_age": "Quantos anos tem {child_name}?",
        "ask_level": "Em que série {child_name} está?",
        "qualified": "Perfeito, temos turmas para {child_name}.",
        "ask_date": "Que dia seria bom para a visita?",
        "ask_time": "E qual horário prefere?",
        "confirm": "Posso confirmar a visita para {requested_date} às {requested_time}?",
        "booked": "Visita confirmada para {requested_date} às {requested_time}. Até lá!",
        "price": "As mensalidades começam em R$ 390, conforme a quantidade de aulas.",
        "dates_hours": "Funcionamos de segunda a sexta, das 8h às 18h, e aos sábados das 8h às 12h.",
        "address": "Ficamos na Rua das Acácias, 120, perto da praça central.",
        "contact": "Nosso telefone é (11) 5555-0100 e o e-mail é contato@aprender.example.",
        "how_it_works": "Cada aluno tem um plano próprio e duas aulas por semana, em turmas pequenas.",
        "offer": "Oferecemos reforço de matemática, português, inglês e programação.",
        "not_understood": "Desculpe, não entendi. Pode explicar de outra forma?",
    },
    "en": {
        "welcome": "Hello! I am the assistant of Centro Aprender. Who am I talking to?",
        "ask_parent_name": "To begin, may I have your name?",
        "nice": "Nice to meet you, {parent_name}!",
        "ask_child_name": "What is the child's name?",
        "ask_age": "How old is {child_name}?",
        "ask_level": "Which grade is {child_name} in?",
        "qualified": "Great, we have groups for {child_name}.",
        "ask_date": "Which day would suit you for a visit?",
        "ask_time": "And what time do you prefer?",
        "confirm": "Shall I confirm the visit on {requested_date} at {requested_time}?",
        "booked": "Your visit is confirmed for {requested_date} at {requested_time}. See you!",
        "price": "Monthly fees start at R$ 390, depending on the number of classes.",
        "dates_hours": "We are open Monday to Friday from 8 to 18, and on Saturdays from 8 to 12.",
        "address": "We are at Rua das Acácias, 120, near the central square.",
        "contact": "Our phone is (11) 5555-0100 and our e-mail contato@aprender.example.",
        "how_it_works": "Every pupil has a plan of their own and two classes a week, in small groups.",
        "offer": "We offer help with maths, Portuguese, English and programming.",
        "not_understood": "Sorry, I did not understand. Could you say it another way?",
    },
}


def say(state: EnrolmentState, *keys: str, **slots: object) -> list[AIMessage]:
    """Return one answer made of the named texts, filled from `slots`, then from the state."""
    texts = _TEXTS[state.get("language", "pt")]
    values = {**state, **slots}
    return [AIMessage(" ".join(texts[key].format_map(values) for key in keys))]
