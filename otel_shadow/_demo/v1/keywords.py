"""V1's keywords: what the parent wants, and which topic a question is about."""

from __future__ import annotations

import re

_I = re.IGNORECASE
_HUMAN = re.compile(
    r"\b(?:atendente|humano|pessoa de verdade|falar com (?:algu[ée]m|uma pessoa|a secretaria)|secretaria|human|"
    r"real person|agent|operator|representative|(?:speak|talk) (?:to|with) (?:someone|a person))\b",
    _I,
)
_SCHEDULING = re.compile(
    r"\b(?:agendar|agendamento|marcar|remarcar|reagendar|hor[áa]rio para visita|visita|reserva[r]?|"
    r"book|booking|schedule|appointment|reserve|reservation|visit)\b",
    _I,
)
_TOPICS = {
    "price": r"pre[çc]os?|valor(?:es)?|quanto (?:custa|[ée]|fica|sai)|mensalidade|desconto|"
    r"price|how much|cost|fees?|charge|discount",
    "dates_hours": r"que horas|hor[áa]rios?|quando|funcionamento|abre|fecha|hours|what time|when|open|close",
    "address": r"onde|endere[çc]o|localiza[çc][ãa]o|fica em|como chego|where|address|location|directions",
    "contact": r"telefone|whats(?:app)?|e-?mail|contato|phone|contact",
    "how_it_works": r"como funciona|metodologia|m[ée]todo|how (?:does|do|can|would)|method|program",
    "offer": r"cursos?|aulas?|mat[ée]rias?|disciplinas?|oferece[m]?|vocês têm|voces tem|"
    r"courses?|class(?:es)?|subjects?|offer|do you have",
}
_TOPIC_PATTERNS = tuple((topic, re.compile(rf"\b(?:{pattern})\b", _I)) for topic, pattern in _TOPICS.items())
_GREETING = re.compile(
    r"^\s*(?:oi+|ol[áa]|bom dia|boa (?:tarde|noite)|e a[íi]|hi|hello|hey|good (?:morning|afternoon|evening))\b", _I
)
_YES = re.compile(
    r"^\s*(?:sim|isso|claro|pode ser|confirmo|confirmado|ok|perfeito|combinado|"
    r"yes|yeah|yep|sure|correct|that works|sounds good|confirm)\b",
    _I,
)
_NO = re.compile(r"^\s*(?:n[ãa]o|nope|no|negativo)\b", _I)


def wants_human(text: str) -> bool:
    return bool(_HUMAN.search(text))


def wants_visit(text: str) -> bool:
    return bool(_SCHEDULING.search(text))


def topic_of(text: str) -> str | None:
    return next((topic for topic, pattern in _TOPIC_PATTERNS if pattern.search(text)), None)


def asks_question(text: str) -> bool:
    """Whether the text is a question with a topic that V1 can answer."""
    return topic_of(text) is not None and ("?" in text or len(text.split()) > 1)


def greets(text: str) -> bool:
    return bool(_GREETING.search(text))


def agrees(text: str) -> bool:
    return bool(_YES.search(text))


def refuses(text: str) -> bool:
    return bool(_NO.search(text))
