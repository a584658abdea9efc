"""What one message says, read once: intents and mentions. The router and the business nodes both look here."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from typing import TypeVar

from otel_shadow._demo.state import EnrolmentState, Language
from otel_shadow._demo.v2 import extract
from otel_shadow._demo.v2.extract import Mention
from otel_shadow._demo.v2.extract.normal import fold
from otel_shadow._demo.v2.intents import Intents, recognise
from otel_shadow._demo.v2.resolver import Resolution, resolve

Names = tuple[Mention[str], ...]
V = TypeVar("V")
OPENS_AT = 8
_MORNING = re.compile(r"\d\s*a\.?\s?m\b|manha|madrugada|morning|\b0\d[:h]")


@dataclass(frozen=True)
class Understanding:
    """The reading of one message in the light of the slot that was asked for."""

    intents: Intents
    parent_names: Names
    child_names: Names
    ages: tuple[Mention[int], ...]
    levels: Names
    dates: tuple[Mention[date], ...]
    times: Names


def understand(resolution: Resolution, now: datetime) -> Understanding:
    """Return the reading of the turn; `now` is what relative dates are counted from."""
    return _read(resolution.text, resolution.language, resolution.pending, now)


def understanding_of(state: EnrolmentState, node: str) -> Understanding:
    """Return the reading of the turn that `state` is in, for `node`."""
    return understand(resolve(state, node), moment_of(state))


def moment_of(state: EnrolmentState) -> datetime:
    """Return the turn's own time: the workflow sets it before any node runs."""
    return datetime.fromisoformat(state["reference_datetime"])


@lru_cache(maxsize=512)  # the router and the business node of one turn ask the same
def _read(text: str, language: Language, pending: str | None, now: datetime) -> Understanding:
    return Understanding(
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
