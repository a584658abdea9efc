"""What became of each execution of a demo run."""

from __future__ import annotations

from collections import Counter

from otel_shadow._runtime.sinks import Sink
from otel_shadow.record import ShadowRecord


class Tally(Sink):
    """Counts records by what became of them, and keeps the last of each session for the scenarios' table."""

    def __init__(self) -> None:
        self.pairs: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.baselines: Counter[str] = Counter()
        self.by_session: dict[str, list[ShadowRecord]] = {}
        self.keep = True

    def emit(self, record: ShadowRecord) -> None:
        """Count ``record``."""
        if record.is_pair and record.v2 is not None:
            self.pairs[str(record.v2.status)] += 1
            self.outcomes[str(record.comparison.outcome)] += 1
        else:
            self.baselines[record.reason or "-"] += 1
        if self.keep:
            self.by_session.setdefault(record.session_id, []).append(record)

    @property
    def executions(self) -> int:
        """Executions of configured nodes that left a record."""
        return sum(self.pairs.values()) + sum(self.baselines.values())
