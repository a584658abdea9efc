"""The one place where reasons become sentences, for terminal, JSON and page alike."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping

from otel_shadow import semconv
from otel_shadow.verdict import evidence_wording
from otel_shadow.verdict.reasons import Reason, ReasonKind
from otel_shadow.verdict.shared_wording import (
    decidable,
    guard,
    lost,
    out_of_reach,
    out_of_window,
    parts,
    sessions,
    with_date,
)
from otel_shadow.verdict.titles import bound, title, value
from otel_shadow.verdict.units import count, latency, moment, percent, plural, points, ratio, span


def sentences(reasons: Iterable[Reason]) -> tuple[tuple[Reason, str], ...]:
    """Return reasons as sentences, each once and with its first reason; what several share is told in one.

    Shared are, for all criteria, what the traffic can't prove, what is outside its bound, and how many closed sessions
    nodes lack; and for each criterion what its nodes lack by themselves.
    """
    groups: dict[Hashable, list[Reason]] = {}
    for reason in dict.fromkeys(reasons):
        groups.setdefault(_shared_by(reason), []).append(reason)
    decided = any(group[0].kind is ReasonKind.OUT_OF_WINDOW for group in groups.values())
    told = []
    for group in groups.values():
        text = _told(group)
        if not decided and any(one.kind is ReasonKind.GUARD and one.of for one in group):
            text, decided = f"{text}; {decidable(group)}", True
        told.append((group[0], text))
    return tuple(told)


def sentence(reason: Reason) -> str:
    """Return ``reason`` as a sentence without a full stop; its criterion and node stand in front, if it has them."""
    return _told([reason])


def _shared_by(reason: Reason) -> Hashable:
    if reason.kind in (ReasonKind.OUT_OF_WINDOW, ReasonKind.OUT_OF_REACH, ReasonKind.SESSIONS, ReasonKind.LOST):
        return reason.role, reason.kind
    if reason.kind in (ReasonKind.BLOCK, ReasonKind.INTENT):
        return reason.role, reason.kind, reason.criterion, reason.node
    if reason.kind in (ReasonKind.GUARD, ReasonKind.OUTSIDE):
        return reason.role, ReasonKind.GUARD, reason.criterion
    return reason


def _told(group: list[Reason]) -> str:
    reason = group[0]
    if reason.kind in _SHARED:
        return _SHARED[reason.kind](group)
    told = _SENTENCES[reason.kind](reason)
    if not reason.criterion or reason.kind in _NAME_THEMSELVES:
        return told
    node = f" ({reason.node})" if reason.node else ""
    return f"{title(reason.criterion)}{node}: {told}"


def _measured(reason: Reason, what: str) -> str:
    where = f"{title(reason.criterion)} in {reason.node or 'the workflow'} is " if reason.criterion else ""
    limit = bound(reason.quantity, reason.needed, reason.limit)
    return f"{where}{value(reason.quantity, reason.have)}{what} the bound ({limit})"


def _cycles(reason: Reason) -> str:
    number = round(reason.needed or 1)
    length = f"{span((reason.hours or 0.0) * 3600.0)}{'' if number == 1 else ' each'}"
    complete = f", complete at {moment(reason.by)}" if reason.by else ""
    return f"{plural(number, 'whole cycle')} of traffic ({length}){complete}"


def _intent(reason: Reason) -> str:
    lacking = max(round((reason.needed or 0) - (reason.have or 0)), 1)
    so_far = f"{count(reason.have)} of {count(reason.needed)} so far"
    return f"{plural(lacking, 'more closed session')} ({so_far}) with the intent {reason.names[0]!r}"


def _proof(reason: Reason) -> str:
    number = max(round((reason.needed or 0) - (reason.have or 0)), 1)
    return with_date(reason, f"about {plural(number, 'more session')} with results like those so far")


def _shadows(reason: Reason) -> str:
    shed = (
        f"; without one: {', '.join(reason.names)} (what helps: ShadowShedding in docs/runbook.md)"
        if reason.names
        else ""
    )
    return (
        f"a shadow run in at least {percent(reason.needed)} of the executions that should have one; so far "
        f"{count(reason.have)} of {count(reason.of)} had one{shed}"
    )


def _contention(reason: Reason) -> str:
    slots = f"V1's p95 changes by {ratio(reason.have)} from slots without shadows to slots with them"
    remedy = "the remedy: fewer shadow runs at once ([limits] concurrency), or another executor"
    if reason.needed is None:
        told = f"contention, or what a request shares with its own shadow: {slots}, where every request has a shadow"
    else:
        told = f"contention: {slots}, but by {ratio(reason.needed)} between requests with and without one inside these"
    return f"{_seems(reason)} {told}; {remedy}"


def _seems(reason: Reason) -> str:
    return "so far it looks like" if reason.names else "it is"


_EVIDENCE: Mapping[str, str] = {
    "": "no evidence yet",
    semconv.CRITERION_PARITY: "pairs in which both versions decided",
    semconv.CRITERION_HANDOFF: "executions of V2",
    "holdout": "sessions without a shadow, to compare with: give them a share of the time ([arms] holdout)",
    "shadowed": "sessions with a shadow whose latency was measured",
    "v1": "requests on which the latency of both versions was measured",
    "v2": "requests on which the latency of both versions was measured",
    semconv.CRITERION_V1_SERVED: "executions for which it was checked what the caller got",
    semconv.CRITERION_COVERAGE: "executions that should have a shadow",
}
_NAME_THEMSELVES = {
    ReasonKind.BROKEN, ReasonKind.BROKEN_SO_FAR, ReasonKind.NOT_JUDGED,
    # Whose fault it is follows what it is.
    ReasonKind.OWN_TIME, ReasonKind.V1_BY_HOUR, ReasonKind.CONTENTION, ReasonKind.OWN_SHADOW,
}  # fmt: skip
_SHARED: Mapping[ReasonKind, Callable[[list[Reason]], str]] = {
    ReasonKind.OUT_OF_WINDOW: out_of_window,
    ReasonKind.OUT_OF_REACH: out_of_reach,
    ReasonKind.SESSIONS: sessions,
    ReasonKind.LOST: lost,
    ReasonKind.BLOCK: parts,
    ReasonKind.INTENT: parts,
    ReasonKind.GUARD: guard,
    ReasonKind.OUTSIDE: guard,
}
_SENTENCES: Mapping[ReasonKind, Callable[[Reason], str]] = {
    ReasonKind.NO_EVIDENCE: lambda one: _EVIDENCE["".join(one.names)],
    ReasonKind.KEPT: lambda one: _measured(one, ", proven to keep"),
    ReasonKind.BROKEN: lambda one: _measured(one, ", proven to break"),
    ReasonKind.BROKEN_SO_FAR: lambda one: _measured(one, " so far, proven to break"),
    ReasonKind.UNPROVEN: lambda one: _measured(one, ", not proven yet to keep"),
    ReasonKind.SERVED: lambda one: (
        f"in {count(one.have)} of {count(one.of)} executions the caller got what V1 produced"
    ),
    ReasonKind.NOT_SERVED: lambda one: (
        f"in {count(one.have)} of {count(one.of)} executions the caller got what V1 produced, in the others something "
        "else"
    ),
    ReasonKind.V1_ERRORS: lambda one: (
        f"V1 fails more often while shadows run: {points(one.have)} (at most {points(one.needed)}; {count(one.of)} "
        "blocks of time slots): lower the sample, or keep V2 off what both call"
    ),
    ReasonKind.V1_RATE_LIMITS: lambda one: (
        f"services tell V1 more often that it asks too often (429) while shadows run: {points(one.have)} (at most "
        f"{points(one.needed)}; {count(one.of)} blocks of time slots): lower sample, or give V2 a quota of its own"
    ),
    ReasonKind.COVERED: lambda one: (
        f"{count(one.have)} of {count(one.of)} executions that should have a shadow had one"
    ),
    ReasonKind.NOT_ENOUGH: lambda one: "not enough yet",
    ReasonKind.CYCLES: _cycles,
    ReasonKind.PROOF: _proof,
    ReasonKind.TOO_FEW_TO_TELL: lambda one: "more sessions: those so far are too few to estimate how many",
    ReasonKind.HOLDS_NO_MORE: lambda one: (
        "proven at an earlier look, but the window as a whole does not support it any more: see what has changed since"
    ),
    ReasonKind.LAST_CYCLE: lambda one: (
        "proven, but the last cycle by itself is evidence against the bound: see what has changed in it"
    ),
    ReasonKind.SHARES_DIFFER: lambda one: (
        "arms whose shares stay the same: between hours they differ by more than twice, and lines of the release "
        "before do not tell them; the lines of this one do"
    ),
    ReasonKind.OWN_TIME: lambda one: (
        f"{_seems(one)} our own time on V1's path: without it the bound ({ratio(one.needed)}) would be kept; where it "
        "comes from: ShadowOverheadHigh in docs/runbook.md"
    ),
    ReasonKind.V1_BY_HOUR: lambda one: (
        f"{_seems(one)} V1 itself by hour, not the shadows: with the same hours on both sides p95 changes by "
        f"{ratio(one.needed)}; the remedy: one holdout in all hours ([arms] holdout, ROUTER_V2_HOLDOUT)"
    ),
    ReasonKind.CONTENTION: _contention,
    ReasonKind.OWN_SHADOW: lambda one: (
        f"{_seems(one)} what a request shares with its own shadow (a pool, a lock, the loop): V1's p95 changes by "
        f"{ratio(one.have)} between the requests with and without one"
    ),
    ReasonKind.ADDED_TIME: lambda one: (
        f"shadowing itself added {latency(one.have)} to V1 on average and {latency(one.needed)} at the 95th "
        f"percentile, exactly measured in {plural(one.of or 0, 'execution')}"
    ),
    ReasonKind.CONSTANT_DECISION: lambda one: (
        "not certified: V1 took one and the same decision every time, so that agreement says little; compare steps or "
        "fields of this node too ([nodes.NAME.compare] in shadow.toml)"
    ),
    ReasonKind.ACCEPTED: lambda one: (
        f"{percent(one.have)} of the pairs are accepted differences ([[accept]]); at most {percent(one.needed)} may be"
    ),
    ReasonKind.COMPARATOR: lambda one: (
        f"the comparison of V1 with V2 itself failed on {count(one.have)} of {plural(one.of or 0, 'pair')}: repair it"
    ),
    ReasonKind.SHADOWS: _shadows,
    ReasonKind.PROVEN: lambda one: "every criterion is proven, on whole cycles of traffic",
    ReasonKind.NOTHING: lambda one: f"no execution up to {moment(one.by)}" if one.by else "no evidence at all",
    ReasonKind.EVIDENCE: lambda one: "evidence",
    ReasonKind.UNCERTIFIED_INTENT: _intent,
    **evidence_wording.SENTENCES,
}
