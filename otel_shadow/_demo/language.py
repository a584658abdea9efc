"""Which of the two languages a message is in, by its commonest words."""

from __future__ import annotations

import re

from otel_shadow._demo.state import Language


def words(text: str) -> frozenset[str]:
    """Return the whitespace-separated words of `text`: word lists are written as running text."""
    return frozenset(text.split())


_PT = words(
    """oi olá ola bom boa dia tarde noite tudo bem sim não nao obrigado obrigada por favor eu você voce vocês voces vc
    vcs meu minha nome é e sou chamo filho filha anos tem ele ela quero queria gostaria agendar marcar visita quanto
    custa qual quais onde fica quando como que para pra com uma um os as do da de no na em às ao amanhã amanha hoje
    segunda terça quarta quinta sexta sábado horas aula aulas escola curso preço endereço o mas se por dos das nos
    nas foi era está esta estou isso este essa esse aqui lá mais muito também tambem já ja ainda porque porquê quem
    algum alguma alguém nada ser ter fazer pode posso preciso vou vai são sao seu sua seus suas minhas meus nosso
    nossa até ate sem sobre depois antes agora pelo pela ao à há ha mesmo outro outra gente senhor senhora mãe pai"""
)
_EN = words(
    """hi hello hey good morning afternoon evening yes no thanks thank you please i my name is am a an the son daughter
    years old he she it want would like book schedule appointment visit how much cost what which where when do does
    can could to for with at on in of and tomorrow today monday tuesday wednesday thursday friday saturday sunday
    class classes school course price address but or if so not are was were be been have has had this that these
    those there here we they me us our your their his her its from by about into out up down more some any all get
    got need know tell find see make take give help will should may just also now then than because who why did i'm
    it's that's don't let new one two time day ok okay as too very many"""
)
_WORD = re.compile(r"[^\W\d_]+(?:'[a-z]+)?")
_ACCENTED = re.compile("[ãõçáâéêíóôú]", re.IGNORECASE)


def detect_language(text: str, default: Language = "pt") -> Language:
    """Return the language with more of its common words in `text`; `default` on a tie."""
    spoken = [word.lower() for word in _WORD.findall(text)]
    pt = sum(word in _PT for word in spoken) + bool(_ACCENTED.search(text))
    en = sum(word in _EN for word in spoken)
    if pt == en:
        return default
    return "pt" if pt > en else "en"


def familiarity(text: str) -> float:
    """Return the share of the words of `text` that are among the common ones of either language, in [0, 1]."""
    spoken = [word.lower() for word in _WORD.findall(text)]
    return sum(word in _PT or word in _EN for word in spoken) / len(spoken) if spoken else 0.0
