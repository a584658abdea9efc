"""Which evidence is judged: one build, its window, whole cycles, gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from otel_shadow.policy import Policy
from otel_shadow.verdict.build_choice import choose
from otel_shadow.verdict.cycle_rows import CycleSlice
from otel_shadow.verdict.executions import Summary, milliseconds, moment
from otel_shadow.verdict.result import Build, Window
from otel_shadow.verdict.rows import Rows
from otel_shadow.verdict.session_counts import Slice, count_within, parts_within

HOUR = 3_600_000
_MINUTE = 60_000
_TAIL = 48
"""Evidence may end a 48th of a cycle (half an hour of a day) before the cycle does and still count as whole."""
_HEAD = 288
"""Observation may have begun a 288th of a cycle (five minutes of a day) before the first execution was seen."""
_MOST_BLOCKS = 1000
_EXPECTED = 500
"""A silence in which so many executions were to be expected at the window's mean rate is a gap."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The judged build and window, and the slice of the summary that belongs to it."""

    build: Build
    left_out: tuple[Build, ...]
    window: Window
    slice: Slice
    cycles: CycleSlice
    """All whole cycles of the build: the tests of a GO remember their earlier looks."""
    earlier: int
    """Executions of the build before the window: the evidence is longer than the policy's window."""


def frame(summary: Summary, policy: Policy, at: datetime) -> Frame | None:
    """Return the newest build (the one that appeared last) and its window at ``at``; None without evidence by then."""
    used = (
        "cycles_held", "window_start", "cycle_hours", "min_cycles", "block_hours", "session_idle_minutes",
        "max_gap_hours", "rate_limited",
    )  # fmt: skip
    key = ("frame", milliseconds(at), *(getattr(policy, name) for name in used))
    if key not in summary.cache:
        summary.cache[key] = _frame(summary, policy, milliseconds(at))
    found: Frame | None = summary.cache[key]
    return found


def _frame(summary: Summary, policy: Policy, at: int) -> Frame | None:
    choice = choose(summary, at)
    if choice is None:
        return None
    newest = choice.build
    first, last = milliseconds(newest.first), milliseconds(newest.last)
    cycle = max(round(policy.cycle_hours * HOUR), 1)
    end = min(at, last + cycle // _TAIL)
    # The window slides by whole cycles: as many as it holds, and the one that runs.
    held = policy.cycles_held
    if policy.window_start is not None:
        first = max(first, milliseconds(policy.window_start))
    whole = max(end - first + cycle // _HEAD, 0) // cycle
    cycles = min(whole, held)
    start = first + (whole - cycles) * cycle
    go_end = start + cycles * cycle
    idle = round(policy.session_idle_minutes * 60_000)
    # Once every session is closed, a later time sees the same evidence.
    chosen = Slice(
        choice.unit, start, min(at, last + idle), idle, block_length(policy), go_end, policy.rate_limited == "excluded",
    )  # fmt: skip
    window = Window(
        start=moment(start),
        end=moment(end),
        whole_cycles=int(cycles),
        go_end=moment(go_end) if cycles >= policy.min_cycles else None,
        next_cycle=moment(start + max(cycles + 1, policy.min_cycles) * cycle),
        gaps=_gaps(parts_within(summary, chosen), start, min(go_end, end) if cycles else end, policy),
    )
    earlier = count_within(summary, Slice(chosen.build, 0, start - 1, 0))
    since = replace(chosen, start=first, go_end=0)
    return Frame(newest, choice.left_out, window, chosen, CycleSlice(since, cycle, int(whole)), earlier)


def block_length(policy: Policy) -> int:
    """Return the length of a block in ms: at least a thousandth of the longest window."""
    return max(round(max(policy.block_hours, policy.window_length_hours / _MOST_BLOCKS) * HOUR), 1)


def _gaps(parts: Sequence[Rows], start: int, end: int, policy: Policy) -> tuple[tuple[datetime, datetime], ...]:
    """Return silences before ``end`` longer than the policy allows; by default, too long for the mean rate."""
    if end <= start:
        return ()
    size = (end - start) // _MINUTE + 1
    per_minute = np.zeros(size, np.int64)
    for rows in parts:
        per_minute += np.bincount((rows.time[rows.time <= end] - start) // _MINUTE, minlength=size)
    if not per_minute.any():
        return ()
    expected = _EXPECTED * (end - start) / int(per_minute.sum())
    longest = min(12 * HOUR, max(HOUR, expected)) if policy.max_gap_hours is None else policy.max_gap_hours * HOUR
    minutes = np.flatnonzero(per_minute) * _MINUTE + start
    edges = np.r_[start, minutes, end]
    silent = np.flatnonzero(np.diff(edges) >= longest + _MINUTE)
    return tuple((moment(int(edges[place])), moment(int(edges[place + 1]))) for place in silent)
