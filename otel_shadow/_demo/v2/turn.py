"""One turn as V2's nodes see it: where the conversation stands, and what the message says, read once."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from typing import TypeVar

from otel_shadow._demo.state import EnrolmentState, Language, last_user_text
from otel_shadow._demo.v2 import extract
from otel_shadow._demo.v2.extract import Mention, fold
from otel_shadow._demo.v2.intents import Intents, recognise

V = TypeVar("V")
OPENS_AT = 8
_MORNING = re.compile(r"\d\s*a\.?\s?m\b|manha|madrugada|morning|\b0\d[:h]")


@dataclass(frozen=True)
class Turn:
    """A message in the light of the slot that was asked for.

    `pending` is the slot that the assistant asked for last; it is `None` where another node of this turn has already
    taken the answer.
    """

    text: str
    language: Language
    pending: str | None
    intents: Intents
    parent_names: tuple[Mention[str], ...]
    child_names: tuple[Mention[str], ...]
    ages: tuple[Mention[int], ...]
    levels: tuple[Mention[str], ...]
    dates: tuple[Mention[date], ...]
    times: tuple[Mention[str], ...]
    node: str = ""
    first_in_turn: bool = True


def turn_of(state: EnrolmentState, node: str) -> Turn:
    """Return the turn that `state` is in, for `node`; the workflow has set its time before any node runs."""
    first = not state.get("visited")
    pending = state.get("requested_slot") if first else None
    now = datetime.fromisoformat(state["reference_datetime"])
    read = _read(last_user_text(state), state.get("language", "pt"), pending, now)
    return replace(read, node=node, first_in_turn=first)


@lru_cache(maxsize=512)  # the router and the business node of one turn ask the same
def _read(text: str, language: Language, pending: str | None, now: datetime) -> Turn:
    return Turn(
        text=text,
        language=language,
        pending=pending,
        intents=recognise(text),
        parent_names=_sure(extract.names(text, asked=pending == "parent_name"), 0.7),
        child_names=tuple(extract.child_names(text, asked=pending == "child_name")),
        ages=_sure(extract.ages(text, asked=pending in ("child_name", "child_age")), 0.5),
        levels=tuple(extract.levels(text)),
        dates=tuple(extract.dates(text, language, now, asked=pending == "date")),
        times=tuple(in_opening_hours(m, text) for m in extract.times(text, now, asked=pending == "time")),
    )


def in_opening_hours(mention: Mention[str], text: str) -> Mention[str]:
    """Read an hour that nothing marks as the morning's as the one at which the centre is open: "às 3" is 15:00."""
    hour, rest = int(mention.value[:2]), mention.value[2:]
    if not 1 <= hour < OPENS_AT or _MORNING.search(fold(text[mention.start : mention.end + 12])):
        return mention
    return replace(mention, value=f"{hour + 12:02d}{rest}")


def _sure(mentions: list[Mention[V]], least: float) -> tuple[Mention[V], ...]:
    return tuple(mention for mention in mentions if mention.score >= least)
