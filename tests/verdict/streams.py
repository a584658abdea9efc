"""Evidence made up for tests: seeded, and every piece of it can be overridden."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from otel_shadow.verdict import Summary

START = datetime(2025, 1, 9, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)


def columns(
    sessions: int = 2000,
    turns: int = 6,
    hours: float = 48.0,
    *,
    match: float = 0.98,
    failure: float = 0.0,
    holdout: float = 0.1,
    v2_ratio: float = 1.0,
    shadow_ratio: float = 1.0,
    nodes: tuple[str, ...] = ("greeting",),
    seed: int = 1,
    **more: Any,
) -> dict[str, Any]:
    """Columns of ``Summary.from_arrays``: whole sessions spread evenly over the window.

    Arguments:
        match, failure: shares of V2's executions.
        holdout: share of sessions without shadow.
        v2_ratio: V2's latency over V1's; shadow_ratio: V1's in the shadowed arm over V1's in the holdout.
        more: further columns, or a column instead of the one made up; a function is given the random generator and
            the number of rows.
    """
    rng = np.random.default_rng(seed)
    length = sessions * turns
    session = np.repeat(np.arange(sessions), turns)
    begin = np.arange(sessions) * hours / sessions * 3600.0
    held = session < 0 if holdout == 0.0 else session % round(1 / holdout) == 0
    failed = ~held & (rng.random(length) < failure)
    v1 = rng.lognormal(3.0, 0.5, length)
    made: dict[str, Any] = {
        "node": np.array(nodes)[np.arange(length) % len(nodes)],
        "session": session,
        "timestamp": START.timestamp() + np.repeat(begin, turns) + np.tile(np.arange(turns) * 20.0, sessions),
        "match": np.where(held | failed, np.nan, rng.random(length) < match),
        "status": np.where(held, "", np.where(failed, "error", "success")),
        "v1_latency_ms": np.where(held, v1, v1 * shadow_ratio),
        "arm": np.where(held, "holdout", "shadowed"),
        "v2_latency_ms": np.where(held, np.nan, rng.lognormal(3.0, 0.5, length) * v2_ratio * shadow_ratio),
        "pair": np.arange(length),
    }
    for name, value in more.items():
        made[name] = value(rng, length) if callable(value) else value
    return made


def summary(**given: Any) -> Summary:
    """A summary of ``columns``."""
    return Summary.from_arrays(**columns(**given))


def at(hours: float) -> datetime:
    """So many hours after the first execution."""
    return START + timedelta(hours=hours)
