"""Made-up traffic of whole weeks, turn by turn, as columns of ``Summary.from_arrays``: every line tells its slot.

Nothing here is measured: streams are seeded, and what is true of them is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from otel_shadow.slots import holdout_place

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Rng = np.random.Generator

DAY: Final = 86_400.0
START: Final = 20_000 * DAY
SERVICE: Final = "simulated"
SLOT_SECONDS: Final = 60.0
_PAUSE: Final = 20.0
"""Seconds between the turns of a session."""
_TAIL: Final = 0.25
"""Days of traffic after the last cycle, so that it is seen to be whole."""


@dataclass(slots=True)
class Turns:
    """Turns in the order of their sessions.

    Arguments:
        session: number of the session.
        at: days since the window's anchor.
        begun: the same of the session's first turn.
        node: number of the node.
        held: whether the turn lies in a holdout slot.
        holdout: share of the time in which no shadow starts, then.
        sample, adaptive: the probability of a shadow in an ordinary slot has these two factors.
        load: how much slower everything is, then.
    """

    session: Ints
    at: Floats
    begun: Floats
    node: Ints
    held: Flags
    holdout: Floats
    sample: Floats
    adaptive: Floats
    load: Floats
    shadowed: Flags = field(default_factory=lambda: np.empty(0, bool))

    def __len__(self) -> int:
        return len(self.session)

    def draw_shadows(self, rng: Rng) -> None:
        """Draw which turns have a shadow: the sample takes whole sessions, the load single turns."""
        chosen = rng.random(int(self.session.max()) + 1)[self.session] < self.sample
        self.shadowed = chosen & ~self.held & (rng.random(len(self)) < self.adaptive)


Shares = Callable[[Floats], Floats]
"""A function of the time in days."""


def one_turn(rng: Rng, count: int) -> Ints:
    """Return lengths of sessions of one turn."""
    return np.ones(count, np.int64)


def geometric(mean: float) -> Callable[[Rng, int], Ints]:
    """Return lengths with a geometric law of this mean."""
    return lambda rng, count: rng.geometric(1.0 / mean, count).astype(np.int64)


def uniform(rng: Rng, count: int) -> Ints:
    """Return lengths of 1 to 18 turns."""
    return rng.integers(1, 19, count)


def constant(value: float) -> Shares:
    """Return one value for all times."""
    return lambda at: np.full(len(at), value)


NEVER: Final = constant(0.0)
ALWAYS: Final = constant(1.0)


def by_day(values: list[float]) -> Shares:
    """Return one value for each day; the last one for all days after."""
    given = np.array(values)
    return lambda at: given[np.minimum(np.maximum(at, 0.0).astype(np.int64), len(given) - 1)]


def traffic(
    rng: Rng,
    days: int,
    sessions: float,
    length: Callable[[Rng, int], Ints] = uniform,
    *,
    holdout: Shares = NEVER,
    sample: Shares = ALWAYS,
    adaptive: Callable[[Floats], Floats] | None = None,
    load_sd: float = 0.0,
    node_shares: tuple[float, ...] = (1.0,),
) -> Turns:
    """Return the turns of so many whole days and a little more.

    Arguments:
        rng: the source of chance.
        days: whole cycles.
        sessions: expected a day.
        length: draws how many turns sessions have.
        holdout: share of the time in which no shadow starts, by the time in days.
        sample: share of the sessions with shadows, likewise.
        adaptive: the probability of a shadow by the load; None: 1.
        load_sd: standard deviation of the logarithm of the load, autoregressive from slot to slot (.98).
        node_shares: shares of the turns that the nodes have.
    """
    count = int(rng.poisson(sessions * (days + _TAIL)))
    begin = np.sort(rng.random(count)) * (days + _TAIL)
    begin[:1] = 0.0
    n = length(rng, count)
    session = np.repeat(np.arange(count), n)
    place = np.arange(len(session)) - np.repeat(np.cumsum(n) - n, n)
    begun = begin[session]
    at = begun + place * _PAUSE / DAY
    slot = (at * DAY // SLOT_SECONDS).astype(np.int64)
    load = _loads(rng, int(slot.max(initial=0)) + 1, load_sd)[slot]
    share = holdout(at)
    turns = Turns(
        session=session,
        at=at,
        begun=begun,
        node=rng.choice(len(node_shares), len(session), p=np.array(node_shares)),
        held=_held(at, share),
        holdout=share,
        sample=sample(begun),
        adaptive=np.ones(len(session)) if adaptive is None else adaptive(load),
        load=load,
    )
    turns.draw_shadows(rng)
    return turns


def _loads(rng: Rng, count: int, deviation: float, keeps: float = 0.98) -> Floats:
    found, value = np.zeros(count), rng.normal()
    steps = rng.normal(0.0, np.sqrt(1.0 - keeps**2), count)
    for place, step in enumerate(steps.tolist() if deviation else ()):
        value = keeps * value + step
        found[place] = value
    return np.exp(deviation * found)


@lru_cache(maxsize=1 << 18)
def cached_place(service: str, block: int, slots: int) -> int:
    """Return :func:`holdout_place`."""
    return holdout_place(service, block, slots)


def _held(at: Floats, share: Floats) -> Flags:
    held = np.zeros(len(at), bool)
    slot = ((START + at * DAY) // SLOT_SECONDS).astype(np.int64)
    for one in np.unique(share[share > 0.0]).tolist():
        slots, rows = round(1.0 / one), np.flatnonzero(share == one)
        block, place = np.divmod(slot[rows], slots)
        known, which = np.unique(block, return_inverse=True)
        held[rows] = (
            np.array([cached_place(SERVICE, number, slots) for number in known.tolist()])[which.ravel()] == place
        )
    return held


def outcomes(rng: Rng, turns: Turns, share: Floats, kind: str = "correlated", rho: float = 0.3) -> Flags:
    """Return successes with the given expected shares.

    Arguments:
        rng: the source of chance.
        turns: all turns, shadowed or not.
        share: of success, of each turn.
        kind: ``correlated`` (each session has its own share, beta: turns correlate by ``rho``), ``whole`` (a session
            succeeds or fails as one), ``longest`` (only sessions of the longest tenth fail).
        rho: correlation.
    """
    first = np.flatnonzero(np.r_[True, turns.session[1:] != turns.session[:-1]])
    size = np.diff(np.r_[first, len(turns)])
    if kind == "whole" or rho == 0.0:
        drawn = rng.random(len(turns)) if kind != "whole" else rng.random(len(first)).repeat(size)
        return np.asarray(drawn < share)
    if kind == "longest":
        long = size >= np.quantile(size, 0.9)
        part = float(size[long].sum() / size.sum())
        fails = np.minimum((1.0 - share) / part, 1.0) * long.repeat(size)
        return np.asarray(rng.random(len(turns)) >= fails)
    spread, own = (1.0 - rho) / rho, share[first]
    own = rng.beta(np.maximum(own * spread, 1e-9), np.maximum((1.0 - own) * spread, 1e-9))
    # Where the share changes within a session, so does the session's own.
    return np.asarray(rng.random(len(turns)) < np.clip(own.repeat(size) + share - share[first].repeat(size), 0.0, 1.0))


def times(rng: Rng, turns: Turns, kind: str = "log-normal", sigma: float = 0.5) -> Floats:
    """Return milliseconds, times the load.

    Arguments:
        rng: the source of chance.
        turns: of these.
        kind: ``log-normal``; ``LLM`` (a start and a time per token, whose number varies much); ``slow sessions`` (half
            of the variance is the session's own); ``retries`` (about a twentieth waits for a second attempt).
        sigma: standard deviation of the logarithm.
    """
    count = len(turns)
    if kind == "LLM":
        found = 200.0 + 15.0 * rng.lognormal(3.5, 0.8, count) * rng.gamma(8.0, 1.0 / 8.0, count)
    elif kind == "slow sessions":
        own = rng.normal(0.0, sigma / np.sqrt(2.0), int(turns.session.max(initial=0)) + 1)[turns.session]
        found = np.exp(3.0 + own + rng.normal(0.0, sigma / np.sqrt(2.0), count))
    elif kind == "retries":
        found = rng.lognormal(3.0, 0.2, count) + np.where(rng.random(count) < 0.055, 100.0, 0.0)
    else:
        found = rng.lognormal(3.0, sigma, count)
    return np.asarray(found * turns.load)


def columns(
    turns: Turns, match: Flags, fine: Flags | None = None, v1: Floats | None = None, v2: Floats | None = None
) -> dict[str, Any]:
    """Return the columns of ``Summary.from_arrays``.

    Arguments:
        turns: all of them.
        match: whether V2 would have matched.
        fine: whether V2 would have had no error; None: never one.
        v1, v2: milliseconds.
    """
    fine = np.ones(len(turns), bool) if fine is None else fine
    shadowed = turns.shadowed
    reason = np.where(turns.held, "holdout", np.where(shadowed, "", "sampled_out"))
    made: dict[str, Any] = {
        "node": np.char.add("node", turns.node.astype(str)),
        "session": turns.session,
        "timestamp": START + turns.at * DAY,
        "match": np.where(shadowed & fine, match, np.nan),
        "status": np.where(shadowed, np.where(fine, "success", "error"), ""),
        "arm": np.where(turns.held, "holdout", "shadowed"),
        "reason": reason,
        "graph": "g",
        "service": SERVICE,
        "sample": turns.sample,
        "probability": turns.sample * turns.adaptive * (1.0 - turns.holdout),
        # Decisions differ from turn to turn: a constant one could not be judged.
        "original_target": np.where(turns.session % 2 == 0, "a", "b"),
        "shadow_target": np.where(turns.session % 2 == 0, "a", "b"),
        "pair": np.arange(len(turns)),
    }
    if turns.holdout.any():
        made |= {"holdout": turns.holdout, "slot_seconds": np.full(len(turns), SLOT_SECONDS)}
    if v1 is not None:
        made["v1_latency_ms"] = v1
    if v2 is not None:
        made["v2_latency_ms"] = np.where(shadowed, v2, np.nan)
    return made
