"""What is wrong with the evidence itself: what is missing, left out, out of date, or can't be chance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otel_shadow import semconv
from otel_shadow.policy import Policy
from otel_shadow.record import Arm, Mode
from otel_shadow.slots import slots_per_block
from otel_shadow.verdict.day_blocks import day_blocks
from otel_shadow.verdict.dense_codes import dense, split
from otel_shadow.verdict.executions import Summary, milliseconds, moment
from otel_shadow.verdict.numbering import ARRIVAL, EVENTS, NodeLines, count_lines
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role
from otel_shadow.verdict.rows import Rows
from otel_shadow.verdict.session_counts import within
from otel_shadow.verdict.time_slots import slot_length
from otel_shadow.verdict.window import Frame

MISSING = 0.01
"""Above this share of a node's lines that are missing, those that are there may be a biased choice."""
GO_ONLY = frozenset({ReasonKind.STALE, ReasonKind.GAP, ReasonKind.NO_BASELINES, ReasonKind.FILTERED_EVENT})
"""Faults that forbid a GO and leave true what the pairs say: unknown are other times, or what had no shadow."""
_FEW = 20
"""Executions from which on a process without a single baseline, or an hour without a pair, is no accident."""
_UNHEARD = 0.05
_BESIDE = 0.1
_UNNAMED = ("", semconv.UNVERSIONED)
_NOT_DRAWN = frozenset({"retry", "resumed_inside"})
"""Reasons of executions that follow another one; a sampled-out one has the arm of its slot (or session)."""
_CHANCE = 5.0
"""Standard deviations beyond which the shares of the arms are no chance: two in ten million."""
_HOUR = 3_600_000


def evidence_faults(summary: Summary, policy: Policy, found: Frame, at: datetime) -> tuple[Reason, ...]:
    """Return blockers, warnings and notes about the evidence of the judged build; kept until the summary changes."""
    key = ("faults", found.slice, milliseconds(at), policy.model_dump_json())
    if key not in summary.cache:
        rows = within(summary, found.slice)
        summary.cache[key] = (
            *_beside(summary, found, milliseconds(at)),
            *caused_by_shadow(summary, found),
            *_unnamed(summary, found),
            *_stale(policy, found, at),
            *_missing(summary, found, at),
            *_baselines(summary, rows, found.build.coded),
            *_unheard(summary, rows, found.build.coded),
            *_arms(summary, rows),
            *_unseen(summary, rows, policy),
            *day_blocks(summary, rows, milliseconds(found.window.start), policy),
            *_authenticity(summary, found),
        )
    told: tuple[Reason, ...] = summary.cache[key]
    return told


def _beside(summary: Summary, found: Frame, at: int) -> Iterator[Reason]:
    """Yield what was left out although it ran in the same hours, or later."""
    if not found.left_out:
        return
    # With verified lines about, those without a code are no part of the evidence: see _authenticity.
    other = np.array(
        [kind.unit != found.slice.build and kind.coded == found.build.coded for kind in summary.signatures], bool
    )
    mine = np.array([kind.unit == found.slice.build for kind in summary.signatures], bool)
    start = milliseconds(found.window.start)
    beside = judged = 0
    for part in summary.parts:
        inside = (part.time >= start) & (part.time <= at)
        apart = inside & other[part.kind]
        beside, judged = beside + int(apart.sum()), judged + int((inside & mine[part.kind]).sum())
    if beside > _BESIDE * judged:
        role = Role.BLOCKER if beside > judged else Role.WARNING
        names = tuple(
            one.label for one in found.left_out if milliseconds(one.last) >= start and one.coded == found.build.coded
        )
        yield Reason(role, ReasonKind.BESIDE, names=(found.build.label, *names), have=beside, of=judged)


def caused_by_shadow(summary: Summary, found: Frame) -> Iterator[Reason]:
    """Yield how many executions of the judged build were left out because a shadow run made the call."""
    caused = np.array([kind.unit == found.slice.build and kind.caused_by_shadow for kind in summary.signatures], bool)
    start, end = found.slice.start, found.slice.at
    if caused.any():
        inside = ((part.time >= start) & (part.time <= end) & caused[part.kind] for part in summary.parts)
        if number := sum(int(mask.sum()) for mask in inside):
            yield Reason(Role.NOTE, ReasonKind.CAUSED_BY_SHADOW, have=number)


def _unnamed(summary: Summary, found: Frame) -> Iterator[Reason]:
    if found.build.build in _UNNAMED and summary.reading.used:
        yield Reason(Role.WARNING, ReasonKind.UNNAMED)


def _stale(policy: Policy, found: Frame, at: datetime) -> Iterator[Reason]:
    silent = (at - found.build.last) / timedelta(hours=1)
    if silent >= policy.cycle_hours:
        yield Reason(Role.BLOCKER, ReasonKind.STALE, hours=silent, by=found.build.last)


def _missing(summary: Summary, found: Frame, at: datetime) -> Iterator[Reason]:
    for (_, node), lines in sorted(count_lines(summary, found.slice, milliseconds(at)).items()):
        if lines.filtered and not lines.seen:
            yield Reason(Role.WARNING, ReasonKind.FILTERED, node=node, have=sum(lines.filtered.values()))
        elif lines.filtered:
            for event, number in sorted(lines.filtered.items()):
                yield Reason(Role.BLOCKER, ReasonKind.FILTERED_EVENT, node=node, names=(event,), have=number)
        number = round(lines.missing)
        if number:
            yield _lost(node, lines, number)


def _lost(node: str, lines: NodeLines, number: int) -> Reason:
    total = lines.seen + number
    role = Role.BLOCKER if number > MISSING * total else Role.WARNING
    stretch = (moment(lines.since), moment(lines.by)) if lines.by else (None, None)
    return Reason(role, ReasonKind.LOST, node=node, have=number, of=total, since=stretch[0], by=stretch[1])


def _baselines(summary: Summary, rows: Rows, coded: bool) -> Iterator[Reason]:
    """Yield whether the lines of executions without a shadow are missing altogether: coverage can't be known then."""
    if not summary.reading.used or not len(rows):
        return
    pair = np.array([kind.pair for kind in summary.signatures], bool)[rows.kind]
    heard = np.array([beat.process for beat in summary.beats if beat.coded == coded], np.uint64)
    silent = ~np.isin(rows.process, heard)
    unheard = pair & silent
    if pair.all():
        number = int(unheard.sum())
    else:
        numbered = rows.process > 0
        with_baseline = np.unique(rows.process[~pair])
        _, counts = np.unique(
            rows.process[unheard & numbered & ~np.isin(rows.process, with_baseline)], return_counts=True
        )
        number = int(counts[counts >= _FEW].sum())
    if number > _UNHEARD * len(rows):
        yield Reason(Role.BLOCKER, ReasonKind.NO_BASELINES, have=number)


def _unheard(summary: Summary, rows: Rows, coded: bool) -> Iterator[Reason]:
    """Yield whether the heartbeats of what was written are missing: a process that writes tells its totals soon."""
    if not len(rows):
        return
    told: dict[tuple[str, str, str], dict[int, int]] = {}
    for beat in (one for one in summary.beats if one.coded == coded):
        for event, total in beat.totals:
            of_process = told.setdefault((beat.graph, beat.node, event), {})
            of_process[beat.process] = max(of_process.get(beat.process, 0), total)
    names = [(kind.graph, kind.node, EVENTS[kind.pair]) for kind in summary.signatures]
    known = sorted(set(names))
    numbered = (rows.process > 0) & (rows.sequence > 0) & (rows.time < int(rows.time.max()) - ARRIVAL)
    number = 0
    for place, mine in split(np.where(numbered, np.array([known.index(name) for name in names])[rows.kind], -1)):
        if place >= 0:
            process, of = np.unique(rows.process[mine], return_inverse=True)
            totals = np.array([told.get(known[place], {}).get(one, 0) for one in process.tolist()])
            number += int((rows.sequence[mine] > totals[of]).sum())
    if number > _UNHEARD * len(rows):
        yield Reason(Role.WARNING, ReasonKind.UNHEARD, have=number)


def _arms(summary: Summary, rows: Rows) -> Iterator[Reason]:
    """Yield whether the shares of shadowed and held-out executions can't be chance: lines of one side are missing."""
    kinds = summary.signatures
    drawn = np.array([kind.mode == Mode.V2_SHADOW and kind.reason not in _NOT_DRAWN for kind in kinds], bool)
    holdout_arm = np.array([kind.arm == Arm.HOLDOUT for kind in kinds], bool)
    places: dict[tuple[float | None, float | None], int] = {}
    of_kind = [places.setdefault((kind.holdout, kind.slot_seconds), len(places)) for kind in summary.signatures]
    designs = list(places)
    for place, mine in split(np.where(drawn, np.array(of_kind, np.int64), -1)[rows.kind]):
        if place < 0:
            continue
        held, times = holdout_arm[rows.kind[mine]], rows.time[mine]
        holdout, seconds = designs[place]
        if holdout is None or seconds is None:
            found = _by_sessions(rows.session[mine], held, times)
        else:
            found = _by_slots(held, times, slots_per_block(holdout), slot_length(seconds))
        if found is not None and abs(found[0]) > _CHANCE:
            yield Reason(Role.BLOCKER, ReasonKind.ARMS, have=found[1], needed=found[2])


def _by_slots(held: NDArray[Any], times: NDArray[Any], slots: int, length: int) -> tuple[float, float, float] | None:
    """Return how many standard deviations the held-out share is off, that share, and the one that was set.

    Each block of slots has its holdout drawn evenly among them, whatever the traffic: with c executions in a slot,
    those held out have the mean Σc/M and the variance Σc²/M − (Σc/M)².
    """
    if slots < 2:
        return None
    which, number = dense(times // length)
    per_slot = np.bincount(which).astype(float)
    member, block = dense(number // slots)
    total = np.bincount(member, weights=per_slot)
    squares = np.bincount(member, weights=per_slot**2)
    variance = float((squares / slots - (total / slots) ** 2).sum())
    expected, seen = float(total.sum()) / slots, float(held.sum())
    if len(block) < _FEW or variance <= 0.0:
        return None
    return (seen - expected) / math.sqrt(variance), seen / len(held), 1.0 / slots


def _by_sessions(session: NDArray[Any], held: NDArray[Any], times: NDArray[Any]) -> tuple[float, float, float] | None:
    """Return the same where sessions were drawn: how far one quarter of a day is from the rest of the window."""
    starts = np.flatnonzero(np.r_[True, session[1:] != session[:-1]])  # the rows are ordered by session
    begun, arm = np.divmod(np.minimum.reduceat(2 * times + held, starts), 2)
    share = float(arm.mean())
    if not 0.0 < share < 1.0:
        return None
    quarter = (begun - begun.min()) // (6 * _HOUR)
    size = np.bincount(quarter).astype(float)
    of_arm = np.bincount(quarter, weights=arm)
    used = (size > 0) & (size < len(arm))
    rest = (of_arm.sum() - of_arm[used]) / (len(arm) - size[used])
    # Of each quarter against the others, and of all of them together (Wilson and Hilferty's cube root of chi-square).
    error = np.sqrt(share * (1.0 - share) * (1.0 / size[used] + 1.0 / (len(arm) - size[used])))
    if not used.any():
        return None
    each = (of_arm[used] / size[used] - rest) / error
    enough = size[used] * share * (1.0 - share) >= 10.0
    if not enough.any():
        return None
    worst = int(np.argmax(np.abs(np.where(enough, each, 0.0))))
    freedom = int(enough.sum()) - 1
    chi = float(((of_arm[used] - size[used] * share) ** 2 / (size[used] * share * (1.0 - share)))[enough].sum())
    together = ((chi / freedom) ** (1 / 3) - 1 + 2 / (9 * freedom)) / math.sqrt(2 / (9 * freedom)) if freedom else 0.0
    score = max(abs(float(each[worst])), together)
    return score, float(of_arm[used][worst] / size[used][worst]), float(rest[worst])


def _unseen(summary: Summary, rows: Rows, policy: Policy) -> Iterator[Reason]:
    """Yield hours of the day in which most of the shadows that should have run did not."""
    eligible = np.array([kind.eligible for kind in summary.signatures], bool)[rows.kind]
    if not eligible.any():
        return
    pair = np.array([kind.pair for kind in summary.signatures], bool)[rows.kind]
    hour = (rows.time // _HOUR) % 24
    asked = np.bincount(hour[eligible], minlength=24)
    ran = np.bincount(hour[eligible & pair], minlength=24)
    if ran.sum() < policy.executed * asked.sum():
        return  # coverage itself says so
    dark = (asked >= _FEW) & (ran < 0.5 * asked)
    why = sorted({kind.reason for kind in summary.signatures if kind.eligible and not kind.pair and kind.reason})
    for first, last in _stretches(dark):
        names = (f"{first:02}:00", f"{(last + 1) % 24:02}:00", *why)
        have, of = int(ran[first : last + 1].sum()), int(asked[first : last + 1].sum())
        yield Reason(Role.WARNING, ReasonKind.UNSEEN_HOURS, names=names, have=have, of=of)


def _stretches(dark: NDArray[Any]) -> list[tuple[int, int]]:
    """Return the first and last hour of each stretch of hours."""
    edges = np.flatnonzero(np.diff(np.r_[False, dark, False].astype(np.int8)))
    return [(int(first), int(last) - 1) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _authenticity(summary: Summary, found: Frame) -> Iterator[Reason]:
    """Yield what is known of who wrote the lines."""
    reading = summary.reading
    if reading.forged:
        yield Reason(Role.WARNING, ReasonKind.FORGED, have=reading.forged)
    if reading.misplaced:
        yield Reason(Role.WARNING, ReasonKind.MISPLACED, have=reading.misplaced)
    if reading.uncoded and not found.build.coded:
        yield Reason(Role.WARNING, ReasonKind.UNCODED, have=found.build.events)
    elif reading.used and not reading.verified:
        yield Reason(Role.NOTE, ReasonKind.UNAUTHENTICATED)
    for one in found.left_out:
        if found.build.coded and not one.coded:
            yield Reason(Role.WARNING, ReasonKind.UNCODED, have=one.events)
