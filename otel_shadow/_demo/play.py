"""Plays conversations through a graph, turn by turn, as its users would, and counts what became of each execution.

A simulated clock is told the time of each turn: two days of traffic, with days and nights, are played in a minute.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import sleep
from typing import Any

from langchain_core.messages import HumanMessage

from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow._calibration.conversations import Conversation
from otel_shadow._runtime.sinks import Sink
from otel_shadow.record import ShadowRecord

_DAY_S = 86_400.0
_TURN_S = 25.0
_NIGHT_SHARE = 0.15
"""Rate of the quietest hour (03:00 UTC) over the rate of the busiest (15:00 UTC)."""
_ROOM = 0.5
"""Share of the queue that a replay may fill before it waits: nobody waits for a replay, so nothing need be shed."""


class SimulatedClock:
    """Epoch seconds that move only when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Tally(Sink):
    """Counts of records by what became of them, and the records of each session for the scenarios' table."""

    def __init__(self) -> None:
        self.pairs: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.baselines: Counter[str] = Counter()
        self.by_session: dict[str, list[ShadowRecord]] = {}
        self.keep = True

    def emit(self, record: ShadowRecord) -> None:
        if record.is_pair and record.v2 is not None:
            self.pairs[str(record.v2.status)] += 1
            self.outcomes[str(record.comparison.outcome)] += 1
        else:
            self.baselines[record.reason or "-"] += 1
        if self.keep:
            self.by_session.setdefault(record.session_id, []).append(record)


@dataclass
class Played:
    """What was played: conversations, turns, and turns that the graph itself failed on, by error type."""

    conversations: int = 0
    turns: int = 0
    failed: Counter[str] = field(default_factory=Counter)


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
        manager: whose queue is not to overflow.
        message: where the user's message goes in the input: ``messages[-1].content`` or a plain key.
        clock: told the simulated time of each turn; None: the system's clock is used.
        starts: simulated start of each conversation, in epoch seconds; ``seed`` is that of the pauses after turns.
    """
    played = Played(conversations=len(conversations))
    for moment, conversation, text in _turns(conversations, starts, seed):
        if clock is not None:
            clock.now = moment
        while manager.dispatcher.depth > manager.config.limits.queue * _ROOM:
            sleep(0.005)
        try:
            graph.invoke(as_input(text, message), {"configurable": _configurable(conversation)})
        except Exception as error:  # noqa: BLE001 - the graph's own failure is counted, and the replay goes on
            played.failed[type(error).__name__] += 1
        played.turns += 1
        advance()
    return played


def _turns(
    conversations: Sequence[Conversation], starts: Sequence[float], seed: int
) -> Iterable[tuple[float, Conversation, str]]:
    """Yield every turn with its time; with simulated starts sessions overlap, as they do in life."""
    source = random.Random(seed)  # noqa: S311 - a simulation, repeatable by its seed
    found = []
    for place, conversation in enumerate(conversations):
        moment = starts[place] if starts else float(place)
        for number, text in enumerate(conversation.turns):
            found.append((moment, place, number, text))
            moment += _TURN_S * source.uniform(0.4, 2.0)
    if starts:
        found.sort()
    return ((moment, conversations[place], text) for moment, place, _, text in found)


def _configurable(conversation: Conversation) -> dict[str, Any]:
    given = conversation.reference_datetime
    return {"thread_id": conversation.id} | ({"reference_datetime": given.isoformat()} if given else {})


def as_input(text: str, path: str) -> dict[str, Any]:
    """Return a graph's input for a message: a message list where ``path`` indexes one, else ``text`` by its key."""
    key, bracket, _ = path.partition("[")
    return {key: [HumanMessage(text)]} if bracket else {path.partition(".")[0]: text}


def session_starts(count: int, window: timedelta, end: datetime, seed: int) -> list[float]:
    """Return ``count`` start times (epoch seconds) over ``window`` before ``end``: many by day, few at night.

    A thinned Poisson process (Lewis & Shedler 1979) with a daily sine as its rate; the first session opens the window,
    the last closes it.
    """
    source = random.Random(seed)  # noqa: S311 - a simulation, repeatable by its seed
    start = end.timestamp() - window.total_seconds()
    starts = [start, end.timestamp()][:count]
    while len(starts) < count:
        moment = source.uniform(start, end.timestamp())
        phase = (moment % _DAY_S) / _DAY_S * 2 * math.pi
        if source.random() < _NIGHT_SHARE + (1 - _NIGHT_SHARE) * (1 - math.cos(phase - math.pi / 4)) / 2:
            starts.append(moment)
    return sorted(starts)


def this_minute() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)
