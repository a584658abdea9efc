"""Names of people: the writer's, the child's, and those a booking stands under."""

from __future__ import annotations

import re

from otel_shadow._demo.v2.extract.gazetteer import FIRST_NAMES
from otel_shadow._demo.v2.extract.mention import Mention, first_disjoint
from otel_shadow._demo.v2.text import fold
from otel_shadow._demo.words import words

_TOKEN = re.compile(r"[^\W\d_](?:[^\W_]|['’.-](?=[^\W\d_]))*")
_PARTICLES = words("de da do das dos e di del della van von der la le bin ibn")
_TITLES = words("mr mrs ms miss dr dra sr sra dona senhor senhora")
_STOP = words(
    """oi ola bom boa dia tarde noite obrigado obrigada tudo bem bele sim nao ok certo claro quero queria gostaria
    preciso quanto qual quais quando onde como porque que quem e eu ele ela nos voces voce vc vcs meu minha nome seu sua
    mae pai avo responsavel tia tio o a os as um uma uns aqui mas com para pra por sobre no na nao em tem tenho fez faz
    anos ano idade meses filho filha filhos filhas crianca aluno aluna aula aulas curso cursos escola reforco
    interessado interessada procurando nova novo daqui hoje amanha agora ainda muito mais so ja professor professora se
    chama chamo dele dela este esta essa esse isso favor gente casado casada brasileiro brasileira solteiro solteira
    estudante cliente vou estou to ta esta estava ama gosta precisa vai esta quer estuda faz nasceu mora segunda terca
    quarta quinta sexta sabado domingo janeiro fevereiro marco abril maio junho julho agosto setembro outubro novembro
    dezembro pela pelo manha rua avenida bairro residencial conjunto condominio parque praca pode ser nem sei acho
    matematica portugues ingles valor preco horario turma visita endereco atras ou tambem desculpa obrigado valeu tchau
    legal otimo perfeito beleza

    hi hello hey good morning afternoon evening night yes no not ok okay sure thanks thank you please yeah yep nope i
    i'm im my your his her their our me we us he she it they this that these those the a an is are was be been am and or
    but so to for from with at on in of under by about what when where which who how why want wanted would like need
    needing looking interested calling trying here there sorry happy glad afraid unable just also very really new parent
    mother father mom mum dad mommy daddy son daughter child kid boy girl name names reservation booking table
    appointment tomorrow today tonight yesterday can could do does did has have had will shall may might should must
    currently still already late early one two three four five six seven eight nine ten people person party years
    year old ready able great fine well sick monday tuesday wednesday thursday friday saturday sunday january february
    march april june july august september october november december noon midnight lunch dinner breakfast reserved
    booked listed it's its that's there's let's some all any same different wrong right correct as if because sometime
    maybe actually probably definitely only kind done free available first last surname family called known after
    before until than then now later hi' umm um perfect sounds cool awesome alright hmm oh wow let change cancel"""
)
_STRONG = re.compile(
    r"\b(?:(?:o )?(?:meu )?nome(?: completo)?(?: e| eh|:| seria)|meu nome|me chamo|chamo-me|"
    r"(?:pode(?:m)? )?me chamar? de|"
    r"pode(?:m)? (?:me )?chamar de|(?:em|no) nome d[eoa]|quem (?:fala|esta falando|ta falando) (?:aqui )?(?:e|eh)|"
    r"my (?:full |first |last |middle |second |family )?(?:sur)?name'?s?(?: is|:)?|(?:the |first |"
    r"last |sur|family )name(?: is|'s)?|"
    r"i am called|(?:(?:they|you can|please|just|people) )?call (?:me|be)|i go by|known as|named me|"
    r"(?:in|on|under|by|use)(?: the)? name(?: of)?|and the name of|on behalf of|"
    r"responsavel(?! pel))\s*:?\s+(?:[oa]\s+)?"
)
_UNDER = re.compile(
    r"(?:^\W*|\b(?:book\w*|reserv\w*|table|appointment|session|slot|listed|registered|party|it'?s|be|"
    r"is|somewhere)\b[^.?!]{0,60}?\b)"
    r"under\s+"
)
_WEAK = re.compile(
    r"(?:(?:^|[,.!]\s*)(?:e|eh)(?=\s+[oa]\s)|\b(?:aqui (?:quem fala )?(?:e|eh)|(?:eu )?sou|"
    r"fal[ao] (?:com )?(?:aqui )?(?:e|eh)|"
    r"this is|i am|i'm|im|i’m|it's|its|it is|you are (?:talking|speaking) (?:to|with)))\s+"
    r"(?:(?:a|o) (?:mae|pai|avo|tia|tio|responsavel)(?: d[eoa] \w+)?\s*,?\s*)?(?:[oa]\s+)?"
)
_FOR = re.compile(r"\b(?:for|by|with|i - )\s*")
_SUFFIX = re.compile(
    r"\s*(?:,\s*)?(?:\bhere\b|\bspeaking\b|\baqui\b|\bfalando\b|\bis (?:my|the) (?:\w+ )?(?:sur)?name\b|"
    r"\bthat is my name\b|\bis what you can call me\b|\bhas (?:a|done|booked|made)\b|\be o meu nome\b)"
)
_CHILD_WORD = (
    r"(?:filh[oa]|filhinh[oa]|filhote|filhota|crianca|net[oa]|netinh[oa]|sobrinh[oa]|entead[oa]|"
    r"afilhad[oa]|menin[oa]|"
    r"garot[oa]|alun[oa]|bebe|pequen[oa]|irmaozinho|irmazinha|son|daughter|child|kid|boy|girl|grandson|"
    r"granddaughter|nephew|"
    r"niece|stepson|stepdaughter|toddler|little one)"
)
_KIN_PT = r"(?:mae|pai|mamae|papai|avo|vovo|tia|tio|madrasta|padrasto|madrinha|padrinho)"
_KIN_EN = r"(?:mother|father|mom|mum|mommy|dad|daddy|parent|grandmother|grandma|grandfather|aunt|uncle|guardian)"
_POSSESSED = re.compile(rf"\b([^\W\d_]+)['’]s (?:{_KIN_EN})\b")
_CHILD_STRONG = re.compile(
    rf"\b(?:{_CHILD_WORD}(?:\s+(?:mais (?:velh|nov)[oa]|cacula|unic[oa]))?(?:'s|s)?\s+"
    r"(?:se chama|chama-se|chama|chamad[oa]|(?:o )?nome (?:e|eh)|(?:tem|de) nome(?: de)?|is called|"
    r"is named|called|named|"
    r"name is|name's|names)|"
    rf"(?:o )?nome (?:dele|dela|d[oa] (?:meu |minha )?{_CHILD_WORD})(?: e| eh|:)?|"
    rf"(?:his|her|their|the {_CHILD_WORD}'?s|my {_CHILD_WORD}'?s) name(?: is|'s|:)?|(?:ele|ela|que|anos|"
    r"se) (?:se )?chama|chamad[oa]|"
    r"(?:he|she)(?:'s| is) (?:called|named)|(?:year|month)s?[- ]olds? (?:called|named))\s*:?\s+(?:[oa]\s+)?"
)
_CHILD_WEAK = re.compile(
    rf"\b(?:{_CHILD_WORD}(?:\s+(?:mais (?:velh|nov)[oa]|cacula|unic[oa]))?(?:\s*[,:(]|\s+(?:e|eh|is))?|"
    rf"{_KIN_PT} d[eoa]s?|{_KIN_EN} (?:of|to)|"
    r"(?:matricular|inscrever|cadastrar|enroll?|register|sign up|twins,?|gemeos:?|gemeas:?)|"
    rf"(?:para|pra|pro|for)(?:\s+(?:meu|minha|my))?(?:\s+{_CHILD_WORD},?)?)\s+(?:[oa]\s+)?"
)
_CHILD_AGE = re.compile(
    r"(?:\s+(?:\w+\s+){0,2}?(?:tem|fez|faz|vai fazer|completou|ta com|esta com|de|com|is|who is|who's|"
    r"turned|turns)|\s*,?\s*(?:aged?|idade:?|both)|\s*[,(]|\s+-)?"
    r"\s*(?:ja\s+)?(?:so\s+)?(?:\d{1,2}\b(?!\s*(?:h\b|:|/|horas|am\b|pm\b|de\s+[a-z]+o\b))|"
    r"(?:um|dois|tres|quatro|cinco|seis|sete|oito|nove|dez|onze|doze|treze|catorze|quatorze|quinze|"
    r"dezesseis|dezessete|"
    r"four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen)\s+(?:an|year))"
)
_LEAD = re.compile(
    r"^\W*(?:(?:oi|ola|hi|hello|sim|yes|claro|bom dia|boa tarde|boa noite)\W+)?(?:(?:e|eh|it's|its|"
    r"it is|that's|sou|seria|nome|is)\s+)?(?:[oa]\s+)?"
)
_AFTER_BARE = re.compile(
    r"\s*(?:$|[.,!;:(-]|(?:i|i'm|e|and|aqui|here|please|por favor|obrigad[oa]|thanks)\b)", re.IGNORECASE
)
_COMMON_ENDING = re.compile(r"(?:ing|ed|ly|mente|ndo)$")


def names(text: str, *, asked: bool = False) -> list[Mention[str]]:
    """Find the name of the writer, or the one their booking stands under; with `asked`, a bare answer counts too."""
    folded = fold(text)
    found = [
        *_after(_STRONG, text, folded, 0.9),
        *_before_suffix(text, folded),
        *_after(_UNDER, text, folded, 0.85),
        *(m for m in _after(_WEAK, text, folded, 0.85) if _looks_like_name(m)),
        *(m for m in _after(_FOR, text, folded, 0.65) if " " in m.value and m.value[0].isupper()),
    ]
    children = _after(_CHILD_STRONG, text, folded, 0.9)
    kept = [m for m in first_disjoint(found) if not any(m.overlaps(child) for child in children)]
    return kept or bare_name(text, asked=asked)


def child_names(text: str, *, asked: bool = False) -> list[Mention[str]]:
    """Find the child's name; with `asked`, a bare answer counts too."""
    folded = fold(text)
    found = [
        *_after(_CHILD_STRONG, text, folded, 0.95),
        *(m for m in _after(_CHILD_WEAK, text, folded, 0.85) if _child_like(m, folded)),
        *_before_age(text, folded),
        *(Mention(text[m.start(1) : m.end(1)], m.start(1), m.end(1), 0.85) for m in _POSSESSED.finditer(folded)),
    ]
    return first_disjoint(found) or (bare_name(text, asked=True) if asked else [])


def bare_name(text: str, *, asked: bool) -> list[Mention[str]]:
    """Take the message for a name when its first clause is one; without being `asked` only if it looks like one."""
    lead = _LEAD.match(fold(text))
    mention = _name_at(text, lead.end() if lead else 0, 0.85)
    if mention is None or not _AFTER_BARE.match(text, mention.end):
        return []
    if asked:
        return [mention] if _looks_like_name(mention) or not _COMMON_ENDING.search(fold(mention.value)) else []
    alone = not text[mention.end :].strip(" .!") and mention.start == 0
    parts = mention.value.split()
    known = fold(parts[0]) in FIRST_NAMES
    if alone and mention.value[0].isupper() and (known or (len(parts) > 1 and parts[-1][0].isupper())):
        return [Mention(mention.value, mention.start, mention.end, 0.75)]
    return []


def _looks_like_name(mention: Mention[str]) -> bool:
    first = mention.value.split()[0]
    return first[0].isupper() or fold(first) in FIRST_NAMES


def _child_like(mention: Mention[str], folded: str) -> bool:
    """After a weak opening, a capital, a known first name, or an age behind it make a word a name."""
    return _looks_like_name(mention) or bool(_CHILD_AGE.match(folded, mention.end))


def _after(trigger: re.Pattern[str], text: str, folded: str, score: float) -> list[Mention[str]]:
    found = (_name_at(text, match.end(), score) for match in trigger.finditer(folded))
    return [mention for mention in found if mention is not None]


def _before_suffix(text: str, folded: str) -> list[Mention[str]]:
    """Find "Ana Lima here", "Osthoff is my surname"."""
    found = []
    for token in _TOKEN.finditer(text):
        mention = _name_at(text, token.start(), 0.85)
        if mention and _looks_like_name(mention) and _SUFFIX.match(folded, mention.end):
            found.append(mention)
    return found


def _before_age(text: str, folded: str) -> list[Mention[str]]:
    """Find "Ana, 8 anos", "o Pedro tem 7"."""
    found = []
    for token in _TOKEN.finditer(text):
        mention = _name_at(text, token.start(), 0.75)
        if mention and _looks_like_name(mention) and _CHILD_AGE.match(folded, mention.end):
            found.append(mention)
    return found


def _name_at(text: str, start: int, score: float) -> Mention[str] | None:
    """Read up to five name words from `start` on; particles count only between two of them."""
    end, count, position = start, 0, start
    capital = None
    while count < 5 and (token := _TOKEN.match(text, position)):
        word = fold(token[0])
        if not count and word in _TITLES:
            position = start = _skip(text, token.end() + (text[token.end() : token.end() + 1] == "."))
            continue
        if word in _PARTICLES and token[0][0].islower():
            if word == "e" or not count:
                break
            position = _skip(text, token.end())
            continue
        if word in _STOP or len(word) < 2 or (capital and not token[0][0].isupper()):
            break
        capital = token[0][0].isupper()
        end, count, position = token.end(), count + 1, _skip(text, token.end())
    return Mention(text[start:end], start, end, score) if count else None


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] == " ":
        position += 1
    return position
