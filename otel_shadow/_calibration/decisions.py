"""Labelled decisions: how sure V2 was, and whether it was wrong; one per session, and the last sessions held out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScoredDecision:
    """One decision of V2; ``id`` is its pair's.

    Arguments:
        at: epoch seconds.
        score: confidence in [0, 1].
        wrong: whether it differs from V1's, or from the label.
        assumed: whether that is not known and the worst was assumed.
        group: the intent, where thresholds are per intent.
        action: what the router did, if that was observed.
    """

    id: str
    session: str
    node: str
    at: float
    score: float
    wrong: bool
    assumed: bool = False
    group: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """Decisions of the first sessions, to choose on, and of the last ones, to show the choice on."""

    chosen_on: tuple[ScoredDecision, ...]
    held_out: tuple[ScoredDecision, ...]

    @property
    def all(self) -> tuple[ScoredDecision, ...]:
        return self.chosen_on + self.held_out

    def where(self, node: str | None = None, group: str | None = None) -> Split:
        """Return only the decisions of ``node`` and ``group``; the split stays where it was."""
        return Split(
            *(
                tuple(one for one in part if node in (None, one.node) and group in (None, one.group))
                for part in (self.chosen_on, self.held_out)
            )
        )

    def one_each(self) -> Split:
        return Split(tuple(one_per_session(self.chosen_on)), tuple(one_per_session(self.held_out)))


def split(decisions: Sequence[ScoredDecision], held_out: float) -> Split:
    """Hold out the last ``held_out`` share of the sessions by their first decision; a session is never cut in two."""
    if not 0 <= held_out < 1:
        raise ValueError(f"held_out={held_out}: expected a share in [0, 1)")
    starts: dict[str, float] = {}
    for one in decisions:
        starts[one.session] = min(one.at, starts.get(one.session, one.at))
    ordered = sorted(starts, key=lambda session: (starts[session], session))
    last = set(ordered[len(ordered) - int(len(ordered) * held_out) :])
    return Split(
        tuple(one for one in decisions if one.session not in last),
        tuple(one for one in decisions if one.session in last),
    )


def one_per_session(decisions: Iterable[ScoredDecision]) -> list[ScoredDecision]:
    """Return one decision of each session, at a place that a hash of the session's id gives.

    Turns of a session are not independent; one label each is what the binomial test needs. The same traffic played
    again chooses the same turns.
    """
    sessions: dict[str, list[ScoredDecision]] = {}
    for one in decisions:
        sessions.setdefault(one.session, []).append(one)
    return [_chosen(session, own) for session, own in sessions.items()]


def _chosen(session: str, own: Sequence[ScoredDecision]) -> ScoredDecision:
    ordered = sorted(own, key=lambda one: (one.at, one.node, one.id))
    ticket = hashlib.blake2b(session.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return ordered[int.from_bytes(ticket) % len(ordered)]
