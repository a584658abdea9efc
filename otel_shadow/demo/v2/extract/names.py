"""Names of people: the writer's, the child's, and those a booking stands under."""

from __future__ import annotations

import re

from otel_shadow.demo.v2.extract.mention import Mention, first_disjoint
from otel_shadow.demo.v2.text import fold
from otel_shadow.demo.words import words

_TOKEN = re.compile(r"[^\W\d_](?:[^\W_]|['’.-](?=[^\W\d_]))*")
_PARTICLES = words("de da do das dos e di del della van von der la le o' bin ibn")
_STOP = words(
    """oi ola bom boa dia tarde noite obrigado obrigada tudo bem bele sim nao ok certo claro quero queria gostaria
    preciso quanto qual quais quando onde como porque que quem e eu ele ela nos voces voce meu minha seu sua mae pai avo
    responsavel tia tio o a os as um uma uns aqui mas com para pra por sobre no na em tem tenho fez faz anos ano idade
    filho filha crianca aluno aluna aula aulas curso escola interessado interessada procurando nova novo daqui hoje
    amanha agora ainda muito mais so ja professor professora se chama nome dele dela este esta favor gente casado casada
    brasileiro brasileira solteiro solteira

    hi hello hey good morning afternoon evening night yes no not ok okay sure thanks thank you please yeah yep i i'm im
    my your his her their our me we he she it they this that these those the a an is are was be been am and or but so
    to for from with at on in of under by about what when where which who how why want wanted would like need looking
    interested calling trying going getting having making here there sorry happy glad afraid unable just also very
    really new parent mother father mom mum dad mommy daddy son daughter child kid boy girl name names reservation
    booking table appointment tomorrow today tonight yesterday can could do does did has have had will shall may might
    should must currently still already coming running staying arriving planning hoping wondering late early one two
    three four five six seven eight nine ten people person party years year old ready able good great fine well sick
    monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september
    october november december noon midnight lunch dinner breakfast reserved booked it's its that's there's let's
    segunda terca quarta quinta sexta sabado domingo janeiro fevereiro marco abril maio junho julho agosto setembro
    outubro novembro dezembro quem all some any my same different wrong right correct"""
)
_SELF = re.compile(
    r"\b(?:meu nome (?:completo )?(?:e|eh|:)|me chamo|chamo-me|(?:pode )?me chamar? de|pode chamar de|"
    r"aqui (?:quem fala )?(?:e|eh)|quem (?:fala|esta falando) (?:aqui )?(?:e|eh)|(?:eu )?sou|"
    r"my (?:full |first |last )?name'?s?(?: is|:)?|name is|name's|i am called|(?:they|you can|please|just|people)? ?call me|"
    r"this is|i am|i'm|im|you are (?:talking|speaking) (?:to|with))\s+(?:a mae|o pai|a avo|o avo)?(?:[oa]\s+)?"
)
_CHILD_WORD = (
    r"(?:filh[oa]|filhinh[oa]|filhote|crianca|net[oa]|net(?:inh)?[oa]|sobrinh[oa]|entead[oa]|afilhad[oa]|menin[oa]|garot[oa]|"
    r"bebe|alun[oa]|irmaozinho|irmazinha|son|daughter|child|kid|boy|girl|grandson|granddaughter|nephew|niece|stepson|"
    r"stepdaughter|toddler|little one)"
)
_CHILD = re.compile(
    rf"\b{_CHILD_WORD}(?:\s+(?:mais (?:velh|nov)[oa]|cacula|unic[oa]))?"
    r"(?:'s name(?: is|'s)|s name is|\s*,|\s+(?:se chama|chama-se|chama|chamad[oa]|e|eh|nome|de nome|is called|is named|called|named|is|name is|name's))?"
    r"\s*:?\s+(?:[oa]\s+)?"
)
_CHILD_NAME = re.compile(
    r"\b(?:(?:o )?nome (?:dele|dela|d[oa] (?:meu |minha )?(?:filh[oa]|crianca|menin[oa]|garot[oa]|alun[oa])) (?:e|eh|:)|"
    r"(?:his|her|their|the child's|the kid's) name(?: is|'s|:)|(?:ele|ela) (?:se chama|chama)|(?:he|she)(?:'s| is) called|"
    r"(?:(?:e|eh) )?(?:para|pra|pro|it's for|it is for) (?:meu filho |minha filha |my son |my daughter )?)\s*(?:[oa]\s+)?"
)
_NAME_AGE = re.compile(r"(?:,|\s+(?:tem|fez|faz|vai fazer|de|com|is|who is|turned)|\s*\()\s*\d{1,2}\b")
_LEAD = re.compile(r"^\W*(?:(?:e|eh|it's|its|it is|that's|sou|seria|nome)\s+)?(?:[oa]\s+)?")


def names(text: str, *, asked: bool = False) -> list[Mention[str]]:
    """Find the writer's own name; with `asked`, a bare answer counts too."""
    folded = fold(text)
    found = _after(_SELF, text, folded, 0.9)
    return first_disjoint(found) or (bare_name(text) if asked else [])


def child_names(text: str, *, asked: bool = False) -> list[Mention[str]]:
    """Find the child's name; with `asked`, a bare answer counts too."""
    folded = fold(text)
    found = _after(_CHILD_NAME, text, folded, 0.9) + _after(_CHILD, text, folded, 0.85) + _before_age(text)
    return first_disjoint(found) or (bare_name(text) if asked else [])


def bare_name(text: str) -> list[Mention[str]]:
    """Take the message for a name when nothing but a name, at most five words long, is in its first clause."""
    lead = _LEAD.match(fold(text))
    mention = _name_at(text, lead.end() if lead else 0, 0.8)
    if mention is None:
        return []
    rest = text[mention.end :].strip()
    return [mention] if not rest or rest[0] in ".,!;:-(" else []


def _after(trigger: re.Pattern[str], text: str, folded: str, score: float) -> list[Mention[str]]:
    found = (_name_at(text, match.end(), score) for match in trigger.finditer(folded))
    return [mention for mention in found if mention is not None]


def _before_age(text: str) -> list[Mention[str]]:
    found = []
    for token in _TOKEN.finditer(text):
        if token[0][0].isupper() and _NAME_AGE.match(text, token.end()) and fold(token[0]) not in _STOP:
            found.append(Mention(token[0], token.start(), token.end(), 0.75))
    return found


def _name_at(text: str, start: int, score: float) -> Mention[str] | None:
    """Read up to five name words from `start` on; particles count only between two of them."""
    end, count, position = start, 0, start
    capital = None
    while count < 5 and (token := _TOKEN.match(text, position)):
        word = fold(token[0])
        if word in _PARTICLES and count:
            position = _skip(text, token.end())
            continue
        if word in _STOP or len(word) < 2 or (capital and not token[0][0].isupper()):
            break
        capital = token[0][0].isupper()
        end, count, position = token.end(), count + 1, _skip(text, token.end())
    if not count:
        return None
    begin = start + len(text[start:end]) - len(text[start:end].lstrip())
    return Mention(text[begin:end], begin, end, score)


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] == " ":
        position += 1
    return position
