"""What each message of the corpus meant, as far as anybody knows: a person's label, or what V1 did with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from otel_shadow._calibration.corpus import Message
from otel_shadow._calibration.coverage import UNSURE, handled_by, intent_of
from otel_shadow._calibration.labels import Names

NO_INTENT = "none"
_SURE = 0.8
_LEAST = 10


@dataclass(frozen=True, slots=True)
class Meant:
    """A message, what it meant (``none``: no intent of ours; None: nobody knows) and what V2 made of it.

    ``recognised`` is V2's intent where its router was sure enough to act on it, else None.
    """

    message: Message
    intent: str | None
    recognised: str | None

    @property
    def unrecognised(self) -> bool:
        """Whether V2 was not sure what to do."""
        return self.recognised is None


@dataclass(frozen=True, slots=True)
class Meanings:
    """All messages, and by what they are judged: ``human labels`` or ``agreement with V1``."""

    judged_by: str
    messages: tuple[Meant, ...]

    @property
    def unrecognised(self) -> tuple[Meant, ...]:
        """Those that V2 did not recognise."""
        return tuple(one for one in self.messages if one.unrecognised)


def meanings(messages: Sequence[Message], names: Names) -> Meanings:
    """What each of ``messages`` meant.

    A person's label counts before anything else; where any row has one, rows without are not judged. Else V1's
    decision does: the node that V1 let handle the message stands for the intent that messages handled there have
    nearly always (four in five of at least ten that V2 recognised and V1 agreed on).
    """
    human = any(message.intent or message.node for message in messages)
    usual = _usual_intents(messages, names)
    found = [Meant(one, _intent(one, usual, names, human), _recognised(one, names)) for one in messages]
    return Meanings("human labels" if human else "agreement with V1", tuple(found))


def _intent(message: Message, usual: Mapping[str, str], names: Names, human: bool) -> str | None:
    if human:
        if message.intent is not None or message.node is None:
            return message.intent
        return usual.get(message.node, NO_INTENT if message.node == "other" else None)
    moved = Counter(
        handled_by(pair.node, pair.original_target)
        for pair in message.pairs
        if handled_by(pair.node, pair.original_target) in usual
    )
    return usual[moved.most_common(1)[0][0]] if moved else NO_INTENT


def _usual_intents(messages: Sequence[Message], names: Names) -> dict[str, str]:
    """The intent that nearly all messages have that are handled by a node."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for message in messages:
        intent = _recognised(message, names)
        if intent in (None, NO_INTENT, "_other"):
            continue
        for pair in message.pairs[:1]:
            if pair.decisions_match:
                counts[handled_by(pair.node, pair.original_target)][str(intent)] += 1
    usual = {}
    for node, intents in counts.items():
        name, often = intents.most_common(1)[0]
        if intents.total() >= _LEAST and often >= _SURE * intents.total():
            usual[node] = name
    return usual


def _recognised(message: Message, names: Names) -> str | None:
    """V2's commonest intent if most of the message's pairs were acted upon, else None."""
    acted = [pair for pair in message.pairs if _sure(pair.v2.get(names.action), intent_of(pair, names))]
    if 2 * len(acted) < len(message.pairs):
        return None
    return Counter(intent_of(pair, names) for pair in acted).most_common(1)[0][0]


def _sure(action: object, intent: str) -> bool:
    """Whether V2 acted on its own; where the action is not observed, whether it found an intent."""
    return action not in UNSURE if action is not None else intent != NO_INTENT
