"""What the parent wants: a score in [0, 1] for each intent, from folded patterns."""

from __future__ import annotations

import re
from dataclasses import dataclass

from otel_shadow.demo.v2.text import fold

GREET = "greet"
ASK = "ask_information"
SCHEDULE = "schedule"
HUMAN = "human"
AFFIRM = "affirm"
DENY = "deny"
NONE = "none"

_HUMAN = (
    (0.95, r"atendentes?|humano|human|real person|operator|representative|pessoa (?:real|de verdade)"),
    (0.95, r"(?:falar|conversar) com (?:alguem|uma pessoa|a secretaria|a direcao|a coordenacao|um atendente|voces por telefone)"),
    (0.95, r"(?:speak|talk) (?:to|with) (?:someone|a person|somebody|an? agent|the (?:director|office|manager))|an? agent"),
    (0.85, r"secretaria"),
)  # fmt: skip
_SCHEDULE = (
    (0.95, r"(?:re)?agendar|(?:re)?agendamento|(?:re)?marcar|remarcar|reservar|reserva"),
    (0.95, r"book|booking|(?:re)?schedule|appointment|reserve|reservation"),
    (0.9, r"visita(?:r)?|visit|conhecer (?:a escola|o espaco|voces|o centro)|aula experimental|trial class|tour"),
)
_TOPICS = {
    "price": r"precos?|valor(?:es)?|quanto (?:custa|e|fica|sai|ta|esta|voces cobram|cobram|seria|que e)|mensalidades?|descontos?|matricula|bolsas?|price|prices|pricing|how much|cost|costs|fees?|charge[sd]?|discounts?|tuition|expensive|cheap",
    "dates_hours": r"que horas|horarios?|quando|funcionamento|abre[m]?|fecha[m]?|(?:opening )?hours|what time|when|open|close|closing|what days?|que dias?",
    "address": r"onde|endereco|localiza(?:cao|do|da)|fica em|como (?:chego|chegar)|where|address|location|located|directions|nearest|closest",
    "contact": r"telefone|whats(?:app)?|zap|e-?mail|contato|phone(?: number)?|contact",
    "how_it_works": r"como (?:funciona|e que funciona|sao as aulas|faco|fazer)|metodologia|metodo|how (?:does|do|can|would|long|often|many)|methods?|program|process|policy",
    "offer": r"cursos?|aulas?|materias?|disciplinas?|reforco|oferece[m]?|voces (?:tem|dao|fazem|trabalham)|turmas?|courses?|class(?:es)?|subjects?|offers?|do you (?:have|offer|teach|provide)|is there|are there",
}  # fmt: skip
_GREET = (
    (0.95, r"(?:oi+|oie|ola|opa|alo|bom dia|boa (?:tarde|noite)|e a[ie]|eae|hi+|hello|hey+|good (?:morning|afternoon|evening)|greetings)"),
    (0.8, r"tudo (?:bem|bom|certo)|como vai|como (?:voce|vc) (?:ta|esta|vai)|how are you|how's it going|what's up"),
)  # fmt: skip
_YES = r"(?:sim|isso|claro|pode(?: ser| sim| confirmar)?|confirm(?:o|ado|ar)|ok(?:ay)?|perfeito|combinado|certo|com certeza|beleza|blz|fechado|quero sim|otimo|ss|yes|yeah|yep|yup|sure|correct|that works|that's (?:right|fine|correct|good)|sounds (?:good|great)|confirm|great|perfect|absolutely|of course|please do|right)"  # noqa: E501
_NO = r"(?:nao|nem|negativo|nunca|no|nope|nah|not really|don't|do not|prefiro (?:nao|outro)|cancel(?:a|ar)?)"


def _table(pairs: tuple[tuple[float, str], ...]) -> tuple[tuple[float, re.Pattern[str]], ...]:
    return tuple((score, re.compile(rf"\b(?:{pattern})\b")) for score, pattern in pairs)


_TABLES = {HUMAN: _table(_HUMAN), SCHEDULE: _table(_SCHEDULE)}
_TOPIC_TABLE = tuple((topic, re.compile(rf"\b(?:{pattern})\b")) for topic, pattern in _TOPICS.items())
_GREET_FIRST = re.compile(rf"^\W*(?:{_GREET[0][1]})\b")
_GREET_ANY = re.compile(rf"\b(?:{_GREET[1][1]})\b")
_AFFIRM = re.compile(rf"^\W*{_YES}\b")
_DENY = re.compile(rf"^\W*{_NO}\b")


@dataclass(frozen=True)
class Intents:
    """Every intent's score, and the topic of a question."""

    scores: dict[str, float]
    topic: str | None

    @property
    def best(self) -> str:
        """The intent with the highest score, `none` where nothing was recognised."""
        name = max(self.scores, key=lambda intent: self.scores[intent])
        return name if self.scores[name] else NONE

    def has(self, intent: str, least: float = 0.5) -> bool:
        """Whether `intent` scores at least `least`."""
        return self.scores.get(intent, 0.0) >= least


def recognise(text: str) -> Intents:
    """Score every intent in `text`."""
    folded = fold(text)
    scores = {name: _best(table, folded) for name, table in _TABLES.items()}
    topic = next((topic for topic, pattern in _TOPIC_TABLE if pattern.search(folded)), None)
    question = "?" in text
    scores[ASK] = 0.0 if topic is None else 0.9 if question else 0.7
    scores[GREET] = _GREET[0][0] if _GREET_FIRST.match(folded) else _GREET[1][0] if _GREET_ANY.search(folded) else 0.0
    scores[AFFIRM] = 0.9 if _AFFIRM.match(folded) else 0.0
    scores[DENY] = 0.9 if _DENY.match(folded) else 0.0
    return Intents(scores, topic)


def _best(table: tuple[tuple[float, re.Pattern[str]], ...], folded: str) -> float:
    return max((score for score, pattern in table if pattern.search(folded)), default=0.0)
