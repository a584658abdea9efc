"""Names of people: the writer's, the child's, and those a booking stands under."""

from __future__ import annotations

import re

from otel_shadow._demo.language import words
from otel_shadow._demo.v2.extract.normal import Mention, first_disjoint, fold

# The commonest first names of Brazil and of English-speaking countries. They only decide where a name is written in
# lower case after words that introduce other things as well ("i'm free", "sou nova aqui", "minha filha ama ...").
FIRST_NAMES = words(
    """maria ana juliana fernanda patricia adriana camila amanda bruna julia mariana gabriela beatriz larissa isabela
    laura sofia helena alice luiza jose joao antonio francisco carlos paulo pedro lucas luiz marcos gabriel rafael
    daniel bruno eduardo felipe gustavo guilherme tiago thiago davi miguel arthur james mary michael jennifer john
    linda david elizabeth william susan joseph jessica thomas sarah christopher karen charles emily emma olivia anna
    matthew anthony mark andrew joshua kevin brian ryan jack henry oliver noah liam lucy kate chris mike tom sam ben"""
)
_TOKEN = re.compile(r"[^\W\d_](?:[^\W_]|['’.-](?=[^\W\d_]))*")
_PARTICLES = words("de da do das dos e di del della van von der la le")
_TITLES = words("mr mrs ms miss dr dra sr sra dona senhor senhora")
_STOP = words(
    """oi ola bom boa dia tarde noite obrigado obrigada tudo bem sim nao ok claro quero queria gostaria preciso quanto
    qual quais quando onde como que quem e eu ele ela nos voce meu minha seu mae pai o a os as um aqui mas com para
    pra por no na em tem tenho faz anos ano filho filha filhos crianca interessado interessada nova novo hoje amanha
    agora ainda muito mais so ja professor professora este esta isso favor casado casada vou estou to vai mora segunda
    terca quarta quinta sexta sabado domingo janeiro fevereiro marco abril maio junho julho agosto setembro outubro
    novembro dezembro manha rua residencial pode sei acho atras ou valeu tchau perfeito hi hello hey good morning
    afternoon evening night yes not okay sure thanks thank you please yeah yep nope i i'm my your his her their our me
    we us he she it they this that the an is are was be am and or but for from with at on in of under by about what
    when where which who how why want would like need looking interested calling trying here there sorry happy afraid
    unable just very really new mother father mom dad son daughter child name reservation table tomorrow today tonight
    yesterday can could do does did has have will may should still already one two three four five six seven eight
    nine ten people party years year old ready great fine well monday tuesday wednesday thursday friday saturday
    sunday january february march april june july august september october november december lunch dinner reserved
    booked listed it's that's let's some all any different wrong right correct if because maybe actually probably
    definitely only free available first last family called after before until than then now later umm perfect sounds
    cool awesome alright hmm oh wow change"""
)
# "Meu nome é", "under the name of": what follows is a name, however it is written.
_NAMED = re.compile(
    r"\b(?:(?:o )?(?:meu )?nome(?: completo)?(?: e| eh|:| seria)|meu nome|me chamo|chamo-me|(?:me )?chamar? de|(?:em|"
    r"no) nome d[eoa]|quem (?:fala|esta falando) (?:aqui )?(?:e|eh)|responsavel|(?:my (?:(?:full|first|second|last) )?|"
    r"the (?:first |last )?|first |last |family )(?:sur)?name'?s?(?: is| of|:)?|surname(?: is|:)?|i am called|"
    r"call (?:me|be)|i go by|known as|named me|(?:in|on|under|by)(?: the)? name(?: of)?|on behalf of)"
    r"\s*:?\s+(?:[oa]\s+)?"
)
_UNDER = re.compile(
    r"(?:^\W*|\b(?:book\w*|reserv\w*|table|appointment|session|slot|listed|party|it'?s|be|is)\b[^.?!]{0,60}?\b)under\s+"
)
# "Sou", "this is": a name follows only where it looks like one.
_MAYBE_NAMED = re.compile(
    r"(?:(?:^|[,.!]\s*)(?:e|eh)(?=\s+[oa]\s)|\b(?:aqui (?:quem fala )?(?:e|eh)|(?:eu )?sou|fal[ao] (?:com )?(?:e|eh)|"
    r"this is|i am|i'm|im|i’m|it's|its|it is|you are (?:talking|speaking) (?:to|with)))\s+"
    r"(?:(?:a|o) (?:mae|pai|avo|tia|tio|responsavel)(?: d[eoa] \w+)?\s*,?\s*)?(?:[oa]\s+)?"
)
_SPEAKING = re.compile(
    r"\s*(?:,\s*)?\b(?:here|speaking|aqui|falando|is (?:my|the) (?:\w+ )?(?:sur)?name|that is my name|has (?:done|"
    r"booked|made)|has a|e o meu nome)\b"
)
_CHILD = (
    r"(?:filh(?:inh)?[oa]|filhot[ea]|crianca|net(?:inh)?[oa]|sobrinh[oa]|entead[oa]|afilhad[oa]|menin[oa]|garot[oa]|"
    r"alun[oa]|bebe|pequen[oa]|(?:grand|step)?(?:son|daughter)|child|kid|boy|girl|nephew|niece|toddler|little one)"
    r"(?:\s+(?:mais (?:velh|nov)[oa]|cacula|unic[oa]))?"
)
_KIN = (
    r"(?:(?:mae|pai|mamae|papai|avo|vovo|tia|tio|madrasta|padrasto) d[eoa]s?|"
    r"(?:mother|father|mom|mum|dad|parent|grandmother|grandma|grandfather|aunt|uncle|guardian) (?:of|to))"
)
_POSSESSED = re.compile(
    r"\b([^\W\d_]+)['’]s (?:mother|father|mom|mum|dad|parent|grandmother|grandma|aunt|uncle|guardian)\b"
)
_CHILD_NAMED = re.compile(
    rf"\b(?:{_CHILD}(?:'s|s)?\s+(?:se chama|chama-se|chama|chamad[oa]|(?:o )?nome (?:e|eh)|(?:tem|de) nome(?: de)?|"
    rf"(?:is )?(?:called|named)|name is|name's)|(?:o )?nome (?:dele|dela|d[oa] (?:meu |minha )?{_CHILD})(?: e| eh|:)?|"
    rf"(?:his|her|their|(?:the|my) {_CHILD}'?s) name(?: is|'s|:)?|(?:ele|ela|que|anos) (?:se )?chama|chamad[oa]|"
    r"(?:he|she)(?:'s| is) (?:called|named)|(?:year|month)s?[- ]olds? (?:called|named))\s*:?\s+(?:[oa]\s+)?"
)
_MAYBE_CHILD = re.compile(
    rf"\b(?:{_CHILD}(?:\s*[,:(]|\s+(?:e|eh|is))?|{_KIN}|(?:matricular|inscrever|cadastrar|enroll?|register|sign up)|"
    rf"(?:para|pra|pro|for)(?:\s+(?:meu|minha|my))?(?:\s+{_CHILD},?)?)\s+(?:[oa]\s+)?"
)
_AGED = re.compile(
    r"(?:\s+(?:\w+\s+){0,2}?(?:tem|fez|faz|vai fazer|completou|esta com|de|com|is|turned|turns)|\s*,?\s*(?:aged?|"
    r"idade:?)|"
    r"\s*[,(]|\s+-)?\s*(?:ja\s+)?(?:\d{1,2}\b(?!\s*(?:h\b|:|/|horas|am\b|pm\b|de\s+[a-z]+o\b))|[a-z]+\s+(?:anos|year))"
)
_LEAD = re.compile(
    r"^\W*(?:(?:oi|ola|hi|hello|sim|yes|claro|bom dia|boa tarde|boa noite)\W+)?"
    r"(?:(?:e|eh|it's|its|it is|that's|sou|seria|nome|is)\s+)?(?:[oa]\s+)?"
)
_CLAUSE_ENDS = re.compile(
    r"\s*(?:$|[.,!;:(-]|(?:i|i'm|e|and|aqui|here|please|por favor|obrigad[oa]|thanks)\b)", re.IGNORECASE
)


def names(text: str, *, asked: bool = False) -> list[Mention[str]]:
    """Find the name of the writer, or the one their booking stands under; with `asked`, a bare answer counts too."""
    folded = fold(text)
    found = [
        *_after(_NAMED, text, folded, 0.9),
        *_before(_SPEAKING, text, folded, 0.85),
        *_after(_UNDER, text, folded, 0.85),
        *(mention for mention in _after(_MAYBE_NAMED, text, folded, 0.85) if _looks_like_name(mention)),
    ]
    children = _after(_CHILD_NAMED, text, folded, 0.9)
    kept = [one for one in first_disjoint(found) if not any(one.overlaps(child) for child in children)]
    return kept or _bare_name(text, asked=asked)


def child_names(text: str, *, asked: bool = False) -> list[Mention[str]]:
    """Find the child's name; with `asked`, a bare answer counts too."""
    folded = fold(text)
    maybe = _after(_MAYBE_CHILD, text, folded, 0.85)
    found = [
        *_after(_CHILD_NAMED, text, folded, 0.95),
        *(one for one in maybe if _looks_like_name(one) or _AGED.match(folded, one.end)),
        *_before(_AGED, text, folded, 0.75),  # "Ana, 8 anos"
        *(Mention(text[slice(*m.span(1))], *m.span(1), 0.85) for m in _POSSESSED.finditer(folded)),
    ]
    return first_disjoint(found) or (_bare_name(text, asked=True) if asked else [])


def _bare_name(text: str, *, asked: bool) -> list[Mention[str]]:
    """Take the message for a name when its first clause is one; without being `asked` only if it looks like one."""
    lead = _LEAD.match(fold(text))
    mention = _name_at(text, lead.end() if lead else 0, 0.85 if asked else 0.75)
    if mention is None or not _CLAUSE_ENDS.match(text, mention.end):
        return []
    first, *_, last = (*mention.value.split(), "")[:-1] * 2
    alone = mention.start == 0 and not text[mention.end :].strip(" .!")
    full = first[0].isupper() and (fold(first) in FIRST_NAMES or (" " in mention.value and last[0].isupper()))
    return [mention] if asked or (alone and full) else []


def _looks_like_name(mention: Mention[str]) -> bool:
    first = mention.value.split()[0]
    return first[0].isupper() or fold(first) in FIRST_NAMES


def _after(trigger: re.Pattern[str], text: str, folded: str, score: float) -> list[Mention[str]]:
    found = (_name_at(text, match.end(), score) for match in trigger.finditer(folded))
    return [mention for mention in found if mention is not None]


def _before(sequel: re.Pattern[str], text: str, folded: str, score: float) -> list[Mention[str]]:
    found = (_name_at(text, token.start(), score) for token in _TOKEN.finditer(text))
    return [one for one in found if one and _looks_like_name(one) and sequel.match(folded, one.end)]


def _name_at(text: str, start: int, score: float) -> Mention[str] | None:
    """Read up to five name words from `start` on; particles count only between two of them."""
    end, count, position, capital = start, 0, start, False
    while count < 5 and (token := _TOKEN.match(text, position)):
        word = fold(token[0])
        position = token.end() + len(text[token.end() :]) - len(text[token.end() :].lstrip(" "))
        if not count and word in _TITLES:
            position = start = position + len(text[position:]) - len(text[position:].lstrip(". "))
        elif word in _PARTICLES and token[0][0].islower():
            if word == "e" or not count:
                break
        elif word in _STOP or len(word) < 2 or (capital and not token[0][0].isupper()):
            break
        else:
            capital, end, count = token[0][0].isupper(), token.end(), count + 1
    return Mention(text[start:end], start, end, score) if count else None
