"""What the parent wants: a score in [0, 1] for each intent, from folded patterns and the form of the sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from otel_shadow._demo.v2.extract import fold, names
from otel_shadow._demo.v2.extract.normal import joined

GREET = "greet"
ASK = "ask_information"
SCHEDULE = "schedule"
HUMAN = "human"
AFFIRM = "affirm"
DENY = "deny"
CLOSE = "close"
NONE = "none"
INTENTS = (GREET, ASK, SCHEDULE, HUMAN, AFFIRM, DENY, CLOSE)

_OPENS, _INQUIRES = 0.95, 0.9  # "hello", "how are you"
GENERAL = "general"  # the topic of a question that none of the known topics is behind


def _any(alternatives: str, *, before: str = r"\b", after: str = r"\b") -> re.Pattern[str]:
    """Compile alternatives for folded text, in both languages."""
    return re.compile(f"{before}(?:{joined(alternatives)}){after}")


# fmt: off
_HUMAN = _any(r"""
    atendentes?|humano|ser humano|human(?: being)?|real person|operator|representative|pessoa (?:real|de verdade)|
    (?:falar|conversar|me passa|transferir?) (?:com |para |pra )?(?:alguem|uma pessoa|(?:a |o )?(?:secretaria|direcao|
    coordenacao|coordenador[a]?|gerente|responsavel|atendente|professor[a]?|diretor[a]?)|um atendente|
    voces por telefone)|(?:speak|talk|connect me|transfer me|put me through)(?: directly)?(?: to| with)? (?:someone|
    a person|somebody|an? agent|your agent|an? advisor|the (?:\w+ )?(?:director|office|manager|team|desk|reception)|
    a human|customer service|support|staff)|an? agent\b|secretaria""")
_SCHEDULE = _any(r"""
    (?:re)?agendar|(?:re)?agendad[oa]|(?:re)?agendamento|agendo|agenda(?: uma| um| pra| para)|(?:re)?marcar|
    marcad[oa]|remarco|reservar?|reservas?|desmarcar|cancelar a (?:visita|aula|reserva)|adiar|(?:re)?book(?:ed|ing|
    ings)?|(?:re)?schedul(?:e|ed|ing)|appointments?|reserv(?:e|ed|ation|ations|ing)|calendar|pencil (?:me|us) in|
    visita(?:r)?(?! de)|conhecer (?:a escola|o espaco|voces|o centro|o lugar|a unidade)|aula (?:experimental|teste|
    gratis)|trial (?:class|lesson)|a tour|(?:come|stop|drop) (?:by|in)\b|meeting(?: room)?s?|(?:get|find|need|want|
    save|hold|set up|have|got) (?:me |us )?(?:a |an |the |any )?(?:\w+ )?(?:table|room|slot|session|availability)s?\b|
    check(?:ing)?[- ]?in\b|(?:room|table|slot)s? (?:free|available|for)|availability|(?:un|pre)-?reserved?|
    cancellation|set (?:up )?a time|disponibilidade|(?:algum|tem) horario (?:na|no|para|pra|livre|disponivel)|
    encaixe""")
# Questions about bookings as such: they want an answer, not a booking.
_ABOUT_BOOKING = _any(r"""
    (?<!my )(?<!our )(?<!have )reservations|reservation policy|how (?:long|busy|much time)|wait(?:ing)? (?:to get|for|
    time)|(?:aceitam|fazem|precisa(?:m)?(?: de)?|e preciso) (?:reserva|agendamento|marcar|agendar)""")
_TOPICS = {
    "price": _any(r"""
        precos?|valor(?:es)?|quanto (?:que )?(?:custa[m]?|e|fica|sai|ta|esta|da|voces cobram|vcs cobram|cobram|seria|
        pago|vou pagar)|mensalidades?|descontos?|promoc(?:ao|oes)|matricula|bolsas?|taxas?|pagamento|gratis|
        gratuit[oa]|prices?|pricing|how much|costs?|fees?|charge[sd]?|discounts?|tuition|expensive|cheap(?:er)?|
        rates?|for free|deals?"""),
    "dates_hours": _any(r"""
        que horas|horarios?|quando|funcionamento|abr(?:e|em)|aberto|fecha[m]?|que dias?|(?:opening |business )?hours|
        what times?|when|what days?|closing|how (?:long|soon)|how many days|time ?frame|wait(?:ing)?(?: times?)?|busy|
        estimated|crowded|packed"""),
    "address": _any(r"""
        onde|aonde|endereco|localiza(?:cao|do|da|m)|(?:como|para) (?:chego|chegar)|where(?:'s)?|address|locations?|
        located|directions?|nearest|closest|nearby|how (?:do|can|should) (?:i|we|you) get (?:to|there)|(?:fastest|
        quickest|best) (?:way|route)|what countr(?:y|ies)|(?:take|get) me to"""),
    "contact": _any(r"""
        telefones?|whats(?:app)?|zap|e-?mail|contatos?|phone(?: numbers?)?|contact"""),
    "how_it_works": _any(r"""
        como (?:funciona[m]?|e que funciona|sao as aulas|faco|fazer|sao|e a aula)|metodologia|metodo|how (?:does|do|
        can|would|could|should|old|often|many)|methods?|process|polic(?:y|ies)|age (?:limit|restriction|requirement|
        minimum)s?|minimum age|(?:what|which) age|requirements?|allowed"""),
    "offer": _any(r"""
        cursos?|aulas? de|materias?|disciplinas?|reforco|oferece[m]?|cardapio|menu|opcoes|(?:voces|vcs|vc|
        voce) (?:tem|dao|fazem|trabalham|atendem|aceitam|vende[m]?)|tem (?:o que|de que|aula|curso|vaga|turma|alg\w+)|
        (?:quais|qual) (?:sao )?(?:as |os |o |a )?(?:opcoes|turmas|sabores|bebidas|refris?|refrigerantes?|cursos|
        aulas)|pra (?:beber|comer|tomar)|courses?|class(?:es)?|subjects?|offers?|reviews?|ratings?|(?:well )?rated|
        options|choices|(?:do|does|did) (?:you|they|the \w+) (?:guys )?(?:have|offer|teach|provide|support|accept|do|
        serve|sell)|(?:what|which)(?: \w+){0,4} (?:supported|accepted|available|offered|support|accept|offer|provide)|
        (?:is|are) (?:\w+ ){0,4}(?:supported|accepted|available|included)|is there|are there|(?:what|
        anything)(?: else)? (?:can|could|do) (?:i|you) (?:ask|do|help|know)|(?:things|stuff|topics|questions|
        kinds? of)(?: \w+){0,3} (?:you|ask|help)|(?:your|are you) (?:capab\w+|able|areas|expertise|abilities|
        functions?)"""),
}
_QUESTION = re.compile(joined(r"""
    ^\W*(?:(?:oi|ola|bom dia|boa tarde|boa noite|e|mas|hi|hello|hey|ok|okay|please|so|and|also|but|well|yes|no|sure|
    great|thanks|perfect|cool|sim|nao|obrigad[oa]|um|just|siri|listen)\b\W*){0,3}(?:what|which|where|when|who|whose|
    how|why|is|are|am|do|does|did|can i|can we|could i|will|would it|should|may i|has|have you|any|qual|quais|quanto|
    quanta|quantos|quantas|quando|onde|aonde|como|que|quem|por que|porque|posso|da pra|tem|voces|vcs|existe[m]?)\b"""))
_WANTS_TO_KNOW = _any(r"""
    tell me|let me know|(?:want|like|need|got|have|wanna|love) (?:to )?(?:know|hear|learn|find out|see|check)|
    find out|do you know|wondering|curious|any idea|looking for info\w*|more (?:info\w*|about)|info\w* (?:on|about)|
    explain|is it (?:possible|ok)|look (?:up|into)|(?:read|show|get|give) me|check (?:if|whether|on|the)|
    question about|(?:quero|queria|gostaria de|preciso|posso) saber|(?:pode|poderia) me (?:dizer|falar|explicar|
    informar|passar)|me (?:fala|diz|explica|passa|conta|informa|manda)|informac(?:ao|oes)|duvidas?|saber (?:se|mais|
    sobre|como|quanto|qual)""")
# Asks for an action, in the form of a question.
_REQUEST = _any(r"""
    (?:can|could|would|will) (?:you|u) (?:(?:please|help me|just|also) )*(?!tell|explain|say|let|show|describe|
    confirm|advise|inform|clarify|do\b|help|be\b)[a-z]+|(?:pode|poderia|podem|consegue) (?!ser|me (?:dizer|falar|
    explicar|informar))[a-z]+r\b""")
_PROVIDER = _any(r"""
    you(?:r|rs|'re| guys)?|u\b|voces|vcs|the (?:school|centre|center|team|staff|card|account)|escola|centro|unidade|
    turmas?|can i|can we|may i|am i able|it possible|posso|da pra""")
_GREET_FIRST = _any(r"""
    o+i+e?|ol(?:a|aa+)|opa+|alo+|bom dia|boa (?:tarde|noite)|e ?a[ie]+|eae+|eai+|salve|fala(?! sobre| com| mais)|hi+|
    hello+|hey+|hiya|howdy|yo|good (?:morning|afternoon|evening|day)|greetings|salutations|ahoy|heyo+|'?sup|wass?up|
    ciao|hola|aloha|morning|evening""", before=r"^\W*")
_GREET_ANY = _any(r"""
    tudo (?:bem|bom|certo|joia)|como vai|como (?:voce|vc|voces|vcs) (?:ta|tao|esta|estao|vai|vao)|beleza\?|
    quanto tempo|prazer (?:em|te|lhe)|o melhor do dia|how (?:are|r|have) (?:you|u|things|we|ya)(?! (?:able|going to))|
    how (?:are|is) (?:the ai|everything|life|things|your day|it going|it)\b(?: doing| going)?|how(?:'s| is|
    s) (?:it going|life|everything|your|you|things|the ai|the day|ai)|how (?:do you do|you doing|goes it|you been)|
    (?:are you|you) (?:doing )?(?:well|ok|okay|good|alright|fine)\b|what(?:'s| is|s) (?:up|new|going on|happening|
    good)|how(?:'s| is| are|'re)? ?(?:the ai|you|your day|ya|u|it|things|everything|life)(?:'re| are| is)? (?:doing|
    going|feeling|been|hanging|treating)|is everything (?:ok|okay|alright|going)|what are you (?:feeling|up to)|
    nice to (?:meet|see|talk)|pleased to meet|good to see|how.{0,12}(?:you|ai) (?:doing|feeling|been)""", after="")
_OPENING = r"^\W*(?:(?:hm+|ah+|oh|umm*|well|entao|bom|ola|oi|actually|na verdade)\b\W*)?"
_AFFIRM = _any(r"""
    sim+|isso|claro|pode(?: ser| sim| confirmar)?|confirm(?:o|ado|ada|ar)|ok(?:ay|ey)?|perfeito|combinado|certo|
    com certeza|beleza|blz|fechado|quero sim|otimo|ss|uhum|aham|ta (?:bom|bem|certo|otimo)|esta (?:bom|bem|certo|
    otimo)|por mim|serve|show|maravilha|yes|yeah+|yea|ya|yep|yup|sure|correct|exactly|absolutely|definitely|of course|
    please do|right|great|perfect|awesome|cool|fine|alright|indeed|good|
    (?:yes )?that(?:'s| is| will be| would be| sounds| works| will work|
    'll)(?: all)?(?: very| just)?(?: right| fine| correct| good| great| perfect| ok| okay| work)?|sounds (?:good|
    great|fine|perfect)|confirm(?:ed)?|works for me|go ahead|i (?:agree|confirm|do)|lets do (?:it|that)|
    let's do (?:it|that)""", before=_OPENING)
_DENY = _any(r"""
    n(?:ao|aum|em)|negativo|nunca|nada disso|no+|nope|nah|not (?:really|that)|don't|do not|prefiro (?:nao|outro)|
    cancel(?:a|ar)?|wrong|errado|that(?:'s| is)(?: not| n't| wrong)|isn't""", before=_OPENING)
_CLOSE = _any(r"""
    obrigad[oa]s?|brigad[oa]|valeu|vlw|agradeco|grat[oa]|tchau|ate (?:mais|logo|la|amanha|breve)|falou|thank(?:s| you|
    ful)?|thx|ty|many thank|bye+|bbye|goodbye|good bye|adios|see (?:you|ya)|take care|cheers|appreciate|
    that(?:'s| is| was|s|'ll| will)(?: be)? all|all (?:i|for) (?:need|now)|nothing else|so long|later|
    talk (?:to you )?later""")
_NAME_CHANGE = _any(r"""
    (?:change|update|switch|correct|set) (?:my|your|the)? ?(?:user)?name|calling me|refer to me|address me|(?:my|
    new) (?:user)?name (?:is|to)|trocar (?:meu )?nome""")
# fmt: on


@dataclass(frozen=True)
class Intents:
    """Every intent's score, the topic of a question, and whether the message is a greeting and little more."""

    scores: dict[str, float]
    topic: str | None
    small_talk: bool = False

    @property
    def best(self) -> str:
        """The intent with the highest score, `none` where nothing was recognised."""
        name = max(self.scores, key=lambda intent: self.scores[intent])
        return name if self.scores[name] else NONE

    def has(self, intent: str, least: float = 0.5) -> bool:
        return self.scores.get(intent, 0.0) >= least

    def counting(self, least: Mapping[str, float]) -> Intents:
        """Return these intents, those that score below their least score having none."""
        scores = {name: score if score >= least.get(name, 0.0) else 0.0 for name, score in self.scores.items()}
        return replace(self, scores=scores) if least else self


@lru_cache(maxsize=256)  # the nodes of one turn ask the same
def recognise(text: str) -> Intents:
    folded = fold(text).replace("’", "'")
    asking = _asking(folded)
    topic = next((topic for topic, pattern in _TOPICS.items() if pattern.search(folded)), None)
    about = bool(asking and _ABOUT_BOOKING.search(folded))
    scores = {
        HUMAN: 0.95 if _HUMAN.search(folded) else 0.0,
        SCHEDULE: 0.0 if about else 0.95 if _SCHEDULE.search(folded) else 0.0,
        ASK: _ask_score(asking, topic, about, folded),
        GREET: _INQUIRES if _GREET_ANY.search(folded) else _OPENS if _GREET_FIRST.match(folded) else 0.0,
        AFFIRM: 0.9 if _AFFIRM.match(folded) else 0.0,
        DENY: 0.9 if _DENY.match(folded) else 0.0,
        CLOSE: 0.85 if _CLOSE.search(folded) else 0.0,
    }
    topic = topic or (GENERAL if scores[ASK] >= 0.5 else None)
    return Intents(scores, topic, _only_greets(scores, topic, len(folded.split())))


def _asking(folded: str) -> bool:
    return "?" in folded or bool(_QUESTION.match(folded)) or bool(_WANTS_TO_KNOW.search(folded))


def _ask_score(asking: bool, topic: str | None, about: bool, folded: str) -> float:
    if about:
        return 0.95
    if topic is not None:
        return 0.9 if asking else 0.7 if len(folded.split()) <= 6 else 0.5
    if not asking:
        return 0.0
    return 0.65 if _PROVIDER.search(folded) and not _REQUEST.search(folded) else 0.5


def node_of(text: str) -> str:
    """Return the node that a message without any context is for; `other` where it is for none."""
    intents = recognise(text)
    if intents.has(HUMAN):
        return "other"
    if intents.has(SCHEDULE):
        return "scheduling"
    if intents.small_talk:
        return "greeting"
    if any(mention.score >= 0.75 for mention in names(text)) or _NAME_CHANGE.search(fold(text)):
        return "qualification"
    if intents.has(CLOSE):
        return "other"
    if intents.has(ASK, 0.6):
        return "information"
    return "other"


def _only_greets(scores: dict[str, float], topic: str | None, words: int) -> bool:
    """Whether a message is a greeting and little more; "how are you" counts as one, not as a question."""
    if not scores[GREET] or words > 8:
        return False
    opens, asks = scores[GREET] == _OPENS, scores[ASK] >= 0.5
    return words <= 4 if opens and not asks else not opens and topic in (None, GENERAL, "offer", "how_it_works")
