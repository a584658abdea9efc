"""How long a look takes at many executions: the first verdict of a window of seven cycles, the second, the next."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import numpy as np

from benchmarks.turns import START, columns, constant, geometric, outcomes, times, traffic
from otel_shadow.verdict import Policy, Summary, evaluate

_DAYS = 7
_TURNS = 4.0
_T = TypeVar("_T")


def made(executions: int) -> dict[str, Any]:
    """Return columns of a week of four nodes, a third of the time held out."""
    rng = np.random.default_rng(1)
    shares = (0.4, 0.3, 0.2, 0.1)
    a_day = executions / _TURNS / _DAYS
    turns = traffic(rng, _DAYS, a_day, geometric(_TURNS), holdout=constant(1.0 / 3.0), node_shares=shares)
    match, fine = (outcomes(rng, turns, np.full(len(turns), share)) for share in (0.97, 0.99))
    return columns(turns, match, fine, times(rng, turns), times(rng, turns))


def run(executions: int) -> None:
    """Print seconds on the clock and of processor, and the peak of memory."""
    given = made(executions)
    summary = _timed("columns to a summary", lambda: Summary.from_arrays(**given))
    given.clear()
    _timed("in order, each once", lambda: summary.rows)
    print(f"  {len(summary):,} executions")
    end = datetime.fromtimestamp(START, UTC) + timedelta(days=_DAYS)
    at = end + timedelta(minutes=31)
    for what, moment, policy in (
        (f"first verdict, {_DAYS} cycles", at, Policy()),
        ("the same again", at, Policy()),
        ("three minutes later", at + timedelta(minutes=3), Policy()),
        ("judged by node", at + timedelta(minutes=3), Policy(judge="node")),
        ("after 1 cycle", end - timedelta(days=_DAYS - 1, minutes=-31), Policy()),
    ):
        _timed(what, lambda moment=moment, policy=policy: evaluate(summary, policy, moment))  # type: ignore[misc]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory {peak:.2f} GB, the making of the columns included")


def _timed(what: str, do: Callable[[], _T]) -> _T:
    began, used = time.perf_counter(), time.process_time()
    done = do()
    seconds, busy = time.perf_counter() - began, time.process_time() - used
    print(f"{what}: {seconds:.3f} s ({busy:.3f} s of processor)", flush=True)
    return done
