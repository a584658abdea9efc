"""Reasons: why a verdict stands where it stands, and what it lacks, as data. ``wording`` makes sentences of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal

from otel_shadow.verdict.json_data import plain_fields

Direction = Literal["at_least", "at_most"]
Quantity = Literal["share", "ratio", "excess"]


class Role(StrEnum):
    """The part that a reason plays; JSON lists the sentences of each part under a key of its own."""

    WHY = "why"
    """Why this decision: ``reason``."""
    MISSING = "missing"
    """What a GO still needs."""
    BLOCKER = "blocker"
    """Why a GO is impossible with this evidence, whatever the numbers."""
    WARNING = "warning"
    """What limits the meaning of the verdict."""
    NOTE = "note"
    """What is worth knowing and changes nothing."""
    ADVICE = "advice"
    """What would make the verdict come sooner."""


class ReasonKind(StrEnum):
    """What a reason is about; the comments name the fields of ``Reason`` that go with each kind."""

    # of one criterion
    NO_EVIDENCE = "no_evidence"  # names: what is missing, as in ``wording``
    KEPT = "kept"  # have against needed, with quantity and limit, as in the next three
    BROKEN = "broken"
    BROKEN_SO_FAR = "broken_so_far"
    UNPROVEN = "unproven"
    SERVED = "served"  # have of of
    NOT_SERVED = "not_served"  # have of of
    V1_ERRORS = "v1_errors"  # have: difference of rates, needed: its bound; of: blocks
    V1_RATE_LIMITS = "v1_rate_limits"  # likewise
    COVERED = "covered"  # have of of
    NOT_ENOUGH = "not_enough"
    CYCLES = "cycles"  # needed, each of so many hours; by: the end of the next
    SESSIONS = "sessions"  # have, needed; rate; by
    PROOF = "proof"  # have, needed: sessions; rate; by
    OUT_OF_REACH = "out_of_reach"  # have against needed, with quantity and limit
    TOO_FEW_TO_TELL = "too_few_to_tell"
    OUT_OF_WINDOW = "out_of_window"  # of: cycles; rate; needed: sessions without a failure; have: cycles that would do;
    # names: the judgement
    HOLDS_NO_MORE = "holds_no_more"
    LAST_CYCLE = "last_cycle"
    OUTSIDE = "outside"  # have against needed, with quantity and limit
    GUARD = "guard"  # have: what is proven; needed: the guard's bound; quantity, limit; rate; by, or of: too few cycles
    SHARES_DIFFER = "shares_differ"
    # why V1 is slower with shadows; have: the ratio of the slots; names: "so far", unless it is proven to be slower
    OWN_TIME = "own_time"  # needed: the bound
    V1_BY_HOUR = "v1_by_hour"  # needed: the ratio with the hours alike
    CONTENTION = "contention"  # needed: the ratio inside ordinary slots
    OWN_SHADOW = "own_shadow"
    ADDED_TIME = "added_time"  # have: mean, needed: 95th percentile in milliseconds; of: executions
    BLOCK = "block"  # have, quantity, since
    INTENT = "intent"  # names, have, quantity
    CONSTANT_DECISION = "constant_decision"
    ACCEPTED = "accepted"  # have, needed: shares
    COMPARATOR = "comparator"  # have of of
    SHADOWS = "shadows"  # have of of; needed: a share; names: why they had none, with their counts
    # of the whole verdict
    PROVEN = "proven"
    NOTHING = "nothing"  # by, where there is evidence from later times only
    EVIDENCE = "evidence"
    UNCERTIFIED_INTENT = "uncertified_intent"  # names; have, needed: sessions
    KEYS = "keys"  # names
    GAP = "gap"  # since, hours
    UNKNOWN_NODE = "unknown_node"  # node
    CONTRADICTORY = "contradictory"  # have
    OTHER_SCHEMA = "other_schema"  # names, have
    HALF_READ = "half_read"  # have unreadable beside of readable ones
    # of the evidence itself
    BESIDE = "beside"  # names: the judged build first; have executions of others beside of judged ones
    CAUSED_BY_SHADOW = "caused_by_shadow"  # have: executions
    UNNAMED = "unnamed"
    STALE = "stale"  # hours, by
    LOST = "lost"  # node; have of of lines; since, by: where most are missing
    FILTERED = "filtered"  # node, have
    FILTERED_EVENT = "filtered_event"  # node, names, have
    NO_BASELINES = "no_baselines"  # have: pairs
    UNHEARD = "unheard"  # have
    ARMS = "arms"  # have, needed: shares
    UNSEEN_HOURS = "unseen_hours"  # names: from, to, reasons; have of of
    TRICKLE = "trickle"  # hours; have of of
    HOURS_AGAINST = "hours_against"  # criterion, node, have, of: sessions; needed: hours since the start; hours; since
    FORGED = "forged"  # have
    MISPLACED = "misplaced"  # have
    UNCODED = "uncoded"  # have
    UNAUTHENTICATED = "unauthenticated"
    # further
    OTHER_BUILD = "other_build"  # names, have, since, by
    EARLIER = "earlier"  # have
    REPEATED = "repeated"  # have
    ACCEPTANCE = "acceptance"  # names, day
    NOISE = "noise"  # have, needed: shares
    OPEN_SESSIONS = "open_sessions"  # have
    NOT_JUDGED = "not_judged"  # criterion; names: the columns that were not given
    SIMULATED = "simulated"
    LATER = "later"  # have, by
    UNREADABLE = "unreadable"  # have
    TRUNCATED = "truncated"  # have
    EXPIRED = "expired"  # names, day
    NO_SESSION_ID = "no_session_id"  # have: a share, of of
    ONE_SESSION = "one_session"  # node; have: a share, of of
    CUT_OFF = "cut_off"  # node; have: a share, of of
    SILENT = "silent"  # hours
    WINDOW_HOURS = "window_hours"  # have: cycles
    WINDOW_START = "window_start"  # since
    SMALLER_HOLDOUT = "smaller_holdout"  # have, needed: shares of the time


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason; fields that don't go with its kind are empty.

    Arguments:
        role: the part it plays.
        kind: what it is about.
        criterion, node: whose reason it is, where several are told together.
        names: intent, build, keys, columns and the like.
        have, needed: what there is and what there has to be, in the unit of the kind.
        of: the whole of which ``have`` is a part.
        quantity, limit: the quantity of a criterion and on which side of ``needed`` it has to lie.
        hours: a length of time in hours.
        since, by: times.
        day: a day of the calendar.
        rate: closed sessions a day.
    """

    role: Role
    kind: ReasonKind
    criterion: str = ""
    node: str = ""
    names: tuple[str, ...] = ()
    have: float | None = None
    needed: float | None = None
    of: int | None = None
    quantity: Quantity | None = None
    limit: Direction | None = None
    hours: float | None = None
    since: datetime | None = None
    by: datetime | None = None
    day: date | None = None
    rate: float | None = None

    def about(self, criterion: str, node: str | None) -> Reason:
        """Return the reason with its place; whole cycles are the same for every criterion and stay without one."""
        if self.kind is ReasonKind.CYCLES:
            return self
        return replace(self, criterion=criterion, node=node or "")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, without the fields that are empty."""
        return {key: value for key, value in plain_fields(self).items() if value is not None and value not in ("", [])}
