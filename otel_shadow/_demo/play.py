"""Plays conversations through a graph, turn by turn, as its users would."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import sleep
from typing import Any

from langchain_core.messages import HumanMessage

from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow._calibration.conversations import Conversation
from otel_shadow._demo.clock import SimulatedClock, turn_times

_ROOM = 0.5
"""Share of the queue that a replay may fill before it waits: nobody waits for a replay, so nothing need be shed."""


@dataclass
class Played:
    """What was played: conversations, turns, and turns that the graph itself failed on, by error type."""

    conversations: int = 0
    turns: int = 0
    failed: dict[str, int] = field(default_factory=dict)


def play(
    graph: Any,
    conversations: Sequence[Conversation],
    manager: ShadowTrafficManager,
    *,
    message: str = "messages[-1].content",
    clock: SimulatedClock | None = None,
    starts: Sequence[float] = (),
    seed: int = 7,
    advance: Callable[[], None] = lambda: None,
) -> Played:
    """Send every user turn through ``graph``, each conversation as a session (thread) of its own.

    Arguments:
        graph: a compiled graph.
        conversations: in the order in which they begin.
        manager: whose queue is not to overflow.
        message: where the user's message goes in the input: ``messages[-1].content`` or a plain key.
        clock: told the simulated time of each turn; None: the system's clock is used.
        starts: simulated start of each conversation, in epoch seconds.
        seed: of the pauses between simulated turns.
        advance: called after each turn.
    """
    played = Played()
    for moment, conversation, number, text in _turns(conversations, starts, seed):
        if clock is not None:
            clock.now = moment
        while manager.dispatcher.depth > manager.config.limits.queue * _ROOM:
            sleep(0.005)
        _send(graph, conversation, text, message, played)
        played.turns += 1
        played.conversations += number == 0
        advance()
    return played


def _turns(
    conversations: Sequence[Conversation], starts: Sequence[float], seed: int
) -> Iterable[tuple[float, Conversation, int, str]]:
    """Every turn with its time; with a simulated clock sessions overlap, as they do in life."""
    source = random.Random(seed)  # noqa: S311 - a simulation, repeatable by its seed
    found = [
        (moment, place, number, text)
        for place, conversation in enumerate(conversations)
        for number, (moment, text) in enumerate(
            zip(
                turn_times(starts[place] if starts else float(place), len(conversation.turns), source),
                conversation.turns,
                strict=True,
            )
        )
    ]
    if starts:
        found.sort(key=lambda turn: turn[:3])
    return ((moment, conversations[place], number, text) for moment, place, number, text in found)


def _send(graph: Any, conversation: Conversation, text: str, message: str, played: Played) -> None:
    configurable: dict[str, Any] = {"thread_id": conversation.id}
    if conversation.reference_datetime is not None:
        configurable["reference_datetime"] = conversation.reference_datetime.isoformat()
    try:
        graph.invoke(as_input(text, message), {"configurable": configurable})
    except Exception as error:  # noqa: BLE001 - the graph's own failure is counted, and the replay goes on
        kind = type(error).__name__
        played.failed[kind] = played.failed.get(kind, 0) + 1


def as_input(text: str, path: str) -> dict[str, Any]:
    """The graph's input for a user message: a message list where ``path`` indexes one, else the text under its key."""
    key, bracket, _ = path.partition("[")
    return {key: [HumanMessage(text)]} if bracket else {path.partition(".")[0]: text}
