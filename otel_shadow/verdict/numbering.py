"""Lines that are missing, counted from the numbers that each process gives its lines and from its heartbeats.

The rows of a summary carry process and number, so that a gap of one file is filled by another wherever they meet:
saved, merged and sharded evidence give the same counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from otel_shadow import semconv
from otel_shadow.verdict.executions import Summary
from otel_shadow.verdict.heartbeats import Beat
from otel_shadow.verdict.rows import Rows
from otel_shadow.verdict.session_counts import Slice

ARRIVAL = 600_000
"""Milliseconds after which a line that a heartbeat told of is not on its way any more."""
_LEAST_SPAN = 3_600_000
Node = tuple[str, str]
Ints = NDArray[np.int64]


Floats = NDArray[np.float64]


@dataclass(slots=True)
class NodeLines:
    """Lines of one node in the window: those seen, and those that are missing.

    ``filtered``: events of which no process has a single line, though processes wrote some. ``since`` and ``by``: the
    longest stretch in which lines are missing, in ms since 1970; 0 if there is none.
    """

    seen: int = 0
    missing: float = 0.0
    filtered: dict[str, int] = field(default_factory=dict)
    since: int = 0
    by: int = 0
    longest: float = 0.0

    def lose(self, number: float, since: int, by: int) -> None:
        """Add lines that are missing between two times."""
        self.missing += number
        if number > self.longest:
            self.longest, self.since, self.by = number, since, by

    def lose_all(self, numbers: Floats, since: Ints, by: Ints) -> None:
        """Add lines that are missing in several stretches."""
        most = int(np.argmax(numbers))
        self.lose(float(numbers[most]), int(since[most]), int(by[most]))
        self.missing += float(numbers.sum() - numbers[most])


def count_lines(summary: Summary, chosen: Slice, end: int) -> Mapping[Node, NodeLines]:
    """Return what is missing of each node (graph and name) of the judged unit, up to ``end`` (ms since 1970).

    Lines before the window are not missed: they may have been rotated away. Neither are those that a process which
    still writes has told of a moment ago.
    """
    found: dict[Node, NodeLines] = {}
    rows, place = _numbered(summary, chosen, end)
    nodes = sorted({(kind.graph, kind.node) for kind in summary.signatures})
    groups = _groups(rows, place)
    spans = _spans(rows.where(rows.time <= end))
    for (process, number), (first, last) in groups.items():
        lines = found.setdefault(nodes[number // 2], NodeLines())
        _add_group(lines, rows.where(slice(first, last)), chosen.start, end, spans[process])
    _add_beats(summary, chosen, end, found, {
        (process, *nodes[number // 2], EVENTS[number % 2]): int(rows.sequence[last - 1])
        for (process, number), (_, last) in groups.items()
    }, rows)  # fmt: skip
    return found


EVENTS = (semconv.EVENT_BASELINE, semconv.EVENT_V2)


def _numbered(summary: Summary, chosen: Slice, end: int) -> tuple[Rows, Ints]:
    """Return the rows of the unit's processes that have a number, ordered by process, node and event, and number.

    A process counts on through a change of its configuration, so that its rows of other units are no gap. Neither are
    those that are stamped later than ``end`` and stand before an earlier one: the clock went forth and back. Where the
    unit's lines are verified, no other line fills or makes a gap.
    """
    nodes = sorted({(kind.graph, kind.node) for kind in summary.signatures})
    of_kind = np.array([2 * nodes.index((kind.graph, kind.node)) + kind.pair for kind in summary.signatures], np.int64)
    wanted = np.array([kind.unit == chosen.build for kind in summary.signatures], bool)
    trusted = np.array([kind.coded == chosen.build[3] for kind in summary.signatures], bool)
    parts = []
    for part in summary.parts:
        mask = (part.sequence > 0) & (part.process > 0) & trusted[part.kind]
        if mask.any():
            parts.append(part.where(mask))
    rows = Rows.joined(parts)
    if not wanted.all():
        rows = rows.where(np.isin(rows.process, np.unique(rows.process[wanted[rows.kind] & (rows.time <= end)])))
    place = of_kind[rows.kind]
    order = np.lexsort((rows.sequence, place, rows.process))
    rows, place = rows.where(order), place[order]
    if (later := rows.time > end).any():
        seen = np.zeros(len(rows), bool)
        for first, last in _groups(rows, place).values():
            by_then = np.flatnonzero(~later[first:last])
            seen[first : first + int(by_then[-1]) + 1 if len(by_then) else first] = True
        rows, place = rows.where(seen), place[seen]
    return rows, place


def _groups(rows: Rows, place: Ints) -> dict[tuple[int, int], tuple[int, int]]:
    """Return where the rows of each process, node and event begin and end."""
    if not len(rows):
        return {}
    new = np.flatnonzero((rows.process[1:] != rows.process[:-1]) | (place[1:] != place[:-1])) + 1
    starts, ends = [0, *new.tolist()], [*new.tolist(), len(rows)]
    return {
        (int(rows.process[first]), int(place[first])): (first, last) for first, last in zip(starts, ends, strict=True)
    }


def _spans(rows: Rows) -> dict[int, tuple[int, int]]:
    """Return the times of the first and the last line of each process."""
    if not len(rows):
        return {}
    starts = np.flatnonzero(np.r_[True, rows.process[1:] != rows.process[:-1]])
    first, last = np.minimum.reduceat(rows.time, starts), np.maximum.reduceat(rows.time, starts)
    return dict(zip(rows.process[starts].tolist(), zip(first.tolist(), last.tolist(), strict=True), strict=True))


def _add_group(lines: NodeLines, rows: Rows, start: int, end: int, of_process: tuple[int, int]) -> None:
    numbers, times = rows.sequence.astype(np.int64), rows.time
    inside = int(((times >= start) & (times <= end)).sum())
    lines.seen += inside
    lost = np.diff(numbers) - 1
    gaps = np.flatnonzero(lost > 0)
    if len(gaps):
        low, high = np.sort([times[gaps], times[gaps + 1]], axis=0)
        lines.lose_all(lost[gaps] * _share_within(low, high, start, end), np.maximum(low, start), np.minimum(high, end))
    first, last = of_process
    if numbers[0] > 1 and first > start:
        # Some of what the process wrote before its first line here is of the window: as many as in such a time later.
        span = max(last - first, _LEAST_SPAN)
        lines.lose(min(float(numbers[0] - 1), len(numbers) / span * (first - start)), start, first)


def _share_within(low: Ints, high: Ints, start: int, end: int) -> Floats:
    """Return the shares of stretches of time that lie in the window."""
    inside = np.maximum(np.minimum(high, end) - np.maximum(low, start), 0) / np.maximum(high - low, 1)
    return np.where(high <= low, (start <= low) & (low <= end), inside)


def _add_beats(
    summary: Summary,
    chosen: Slice,
    end: int,
    found: dict[Node, NodeLines],
    highest: Mapping[tuple[int, str, str, str], int],
    rows: Rows,
) -> None:
    """Add what only the totals of a process tell: the lines after the last one that was seen."""
    service, build, digest, coded = chosen.build
    mine = {process for process, *_ in highest}
    beats = [
        beat for beat in summary.beats
        if ((beat.service, beat.build, beat.digest) == (service, build, digest) or beat.process in mine)
        and beat.time <= end and beat.coded == coded
    ]  # fmt: skip
    newest = max([min(int(rows.time.max(initial=0)), end), *(beat.time for beat in beats)], default=0)
    seen_events = {(graph, node, event) for _, graph, node, event in highest}
    for beat in beats:
        if beat.time < chosen.start:
            continue
        lines = found.setdefault((beat.graph, beat.node), NodeLines())
        arrived = beat.last or newest - beat.time > ARRIVAL
        for event, total in beat.totals:
            if event not in EVENTS or not total:
                continue
            if (beat.graph, beat.node, event) not in seen_events:
                lines.filtered[event] = lines.filtered.get(event, 0) + total
                continue
            tail = total - highest.get((beat.process, beat.graph, beat.node, event), 0)
            if tail > 0 and arrived:
                lines.lose(float(tail), chosen.start, beat.time)
        lines.lose(_never_written(beat, highest) if beat.last else 0.0, chosen.start, beat.time)


def _never_written(beat: Beat, highest: Mapping[tuple[int, str, str, str], int]) -> float:
    """Return the executions of a process that has ended of which no line was even numbered."""
    written = sum(total for _, total in beat.totals)  # those not logged on purpose included
    numbered = sum(highest.get((beat.process, beat.graph, beat.node, event), 0) for event in EVENTS)
    return float(max(beat.handed_over - max(written, numbered), 0))
