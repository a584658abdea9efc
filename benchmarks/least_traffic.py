"""The least traffic that can prove parity and handoff: every pair matches, no V2 fails.

python -m benchmarks.least_traffic
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from otel_shadow import semconv
from otel_shadow.verdict import Decision, Policy, Summary, evaluate

_START = datetime(2026, 1, 1, tzinfo=UTC)
_WINDOW = timedelta(hours=48)
_STEP = 50


def sessions_needed(turns: int, max_turns: int) -> int:
    """Sessions of ``turns`` turns over 48 hours until both criteria say GO, in steps of 50."""
    count = 300
    while not _proven(count, turns, max_turns):
        count += _STEP
    return count


def _proven(count: int, turns: int, max_turns: int) -> bool:
    session = np.repeat(np.arange(count), turns)
    begun = _START.timestamp() + session / count * _WINDOW.total_seconds()
    moment = begun + 20.0 * np.tile(np.arange(turns), count)
    summary = Summary.from_arrays(
        node=np.full(len(session), "node"),
        session=session.astype(str),
        timestamp=moment,
        match=np.full(len(session), True),
    )
    verdict = evaluate(summary, Policy(max_turns=max_turns), at=_START + _WINDOW + timedelta(hours=2))
    wanted = (semconv.CRITERION_PARITY, semconv.CRITERION_HANDOFF)
    return all(verdict.criterion(name).decision is Decision.GO for name in wanted)


def main() -> None:
    """Print the table."""
    print("| turns in a session | `[sla] max_turns` | closed sessions |\n|---|---|---|")
    for turns, max_turns in ((1, 1), (1, 20), (4, 6), (4, 20), (10, 20)):
        print(f"| {turns} | {max_turns} | {sessions_needed(turns, max_turns):,} |")


if __name__ == "__main__":
    main()
