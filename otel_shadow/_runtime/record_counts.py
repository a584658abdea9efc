"""The counts of a process: which records are due and which were made, so that a reader can count what is missing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from otel_shadow import semconv
from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow.flags import FlagSource
from otel_shadow.record import Heartbeat, ShadowRecord


class NodeCounts:
    """Counts of one node of one graph."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin at nothing."""
        self.hand_over: Callable[[], int] = count(1).__next__
        """Counts an execution that a record is due of. V1's path calls it: one call of C code, and no lock."""
        self._looks = 0
        self.totals: Counter[str] = Counter()
        """Records made so far, by the event of their first line; ``unlogged``: while no lines were wanted."""
        self.told: tuple[int, Mapping[str, int]] = (0, {})

    def now(self) -> tuple[int, Mapping[str, int]]:
        """Return the executions handed over and the totals; in one thread, for each look counts on and is taken off."""
        self._looks += 1
        return self.hand_over() - self._looks, dict(sorted(self.totals.items()))


class RecordCounts:
    """Counts of all nodes under one id of the process; a fork begins anew, under an id of its own.

    Arguments:
        flags: say whether records are to be written as lines (``SHADOW_LOGGING``): only those are numbered. None: all.
    """

    def __init__(self, flags: FlagSource | None = None) -> None:
        self._flags = flags
        self._nodes: dict[tuple[str, str], NodeCounts] = {}
        self.about: Callable[[], Mapping[str, Any]] = dict
        """Returns what every heartbeat says of the process, by the names of its fields."""
        self._reset()
        on_fork(self._reset)

    def _reset(self) -> None:
        self._process = os.urandom(8).hex()
        for counts in list(self._nodes.values()):
            counts.reset()

    def _are_lines(self) -> bool:
        return self._flags is None or self._flags.current.shadow_logging

    def of(self, graph: str, node: str) -> NodeCounts:
        """Return the counts of a node, the same for all graphs of one name."""
        return self._nodes.setdefault((graph, node), NodeCounts())

    def number(self, record: ShadowRecord) -> ShadowRecord:
        """Count ``record``, and return it with its number; without one where it is not to be a line."""
        totals = self.of(record.graph, record.node).totals
        if not self._are_lines():
            totals[semconv.TOTAL_UNLOGGED] += 1
            return record
        event = semconv.EVENT_V2 if record.is_pair else semconv.EVENT_BASELINE
        totals[event] += 1
        return replace(record, process=self._process, sequence=totals[event])

    def heartbeats(self, last: bool) -> Iterator[Heartbeat]:
        """Yield the heartbeats of the nodes of which anything has changed since their last; ``last``: of all.

        Without lines nothing is claimed: then there are none.
        """
        if not self._are_lines():
            return
        about = self.about()
        for (graph, node), counts in list(self._nodes.items()):
            now = counts.now()
            if now == (0, {}) or (now == counts.told and not last):
                continue
            counts.told = handed_over, totals = now
            yield Heartbeat(
                process=self._process,
                graph=graph,
                node=node,
                handed_over=handed_over,
                totals=totals,
                last=last,
                **about,
            )
