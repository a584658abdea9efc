"""The first stage of a V2 pipeline: where the conversation stands and what this turn says."""

from __future__ import annotations

from dataclasses import dataclass

from otel_shadow._demo.state import EnrolmentState, Language, last_user_text


@dataclass(frozen=True)
class Resolution:
    """What the later stages know of the turn.

    `pending` is the slot that the assistant asked for last; it is `None` where another node of this turn has
    already taken the answer.
    """

    node: str
    text: str
    language: Language
    pending: str | None
    first_in_turn: bool


def resolve(state: EnrolmentState, node: str) -> Resolution:
    """Return where `state` stands for `node`."""
    first = not state.get("visited")
    return Resolution(
        node=node,
        text=last_user_text(state),
        language=state.get("language", "pt"),
        pending=state.get("requested_slot") if first else None,
        first_in_turn=first,
    )
