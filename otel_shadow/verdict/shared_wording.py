"""Sentences that tell in one what several nodes or criteria lack: the weakest first, and what can be decided once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from otel_shadow import semconv
from otel_shadow.verdict.reasons import Reason, ReasonKind
from otel_shadow.verdict.titles import bound, title, value
from otel_shadow.verdict.units import count, moment, plural

_MARGINS: Mapping[str, str] = {
    semconv.CRITERION_PARITY: "parity",
    semconv.CRITERION_HANDOFF: "handoff",
    semconv.CRITERION_LATENCY_NOW: "latency_margin",
    semconv.CRITERION_LATENCY_AFTER: "latency_margin",
}
_SAMPLE = "more of the traffic in shadow ([nodes.NAME] sample, where it is below 1)"


def with_date(reason: Reason, told: str) -> str:
    """Return what is missing with the rate at which it comes, and the look at which it will be there."""
    return ", ".join(filter(None, (told, _rate(reason)))) + (f": {moment(reason.by)}" if reason.by else "")


def sessions(group: Sequence[Reason]) -> str:
    """Return how many closed sessions nodes lack, each with the criterion that lacks most."""
    nodes: dict[str, Reason] = {}
    for one in sorted(group, key=_share):
        nodes.setdefault(one.node, one)
    front = {one.criterion for one in group} if len(nodes) == 1 else set()
    named = f"{title(front.pop())}" if len(front) == 1 and front != {""} else ""
    return "; ".join(_sessions_of(node, one, named) for node, one in nodes.items())


def _sessions_of(node: str, reason: Reason, criterion: str) -> str:
    lacking = max(round((reason.needed or 0) - (reason.have or 0)), 1)
    told = f"{plural(lacking, 'more closed session')} ({count(reason.have)} of {count(reason.needed)} so far)"
    where = f"{criterion} ({node})" if criterion and node else criterion or node
    return f"{where}: {with_date(reason, told)}" if where else with_date(reason, told)


def _share(reason: Reason) -> float:
    return (reason.have or 0.0) / (reason.needed or 1.0)


def out_of_window(group: Sequence[Reason]) -> str:
    """Return what this traffic can't prove, and what the lead of a rollout can decide then."""
    window = f"within {plural(group[0].of or 0, 'cycle')}"
    if len(group) == 1:
        front = f"{_named(group[0])}: " if group[0].criterion else ""
        told = f"{front}this traffic can't prove the bound {window}{_at_least(group[0])}"
    else:
        each = ", ".join(f"{_lower(_named(one))}{_at_least(one)}" for one in group)
        told = f"this traffic can't prove {window}: {each}"
    return f"{told}; {decidable(group)}"


def _named(reason: Reason) -> str:
    return f"{title(reason.criterion)}{f' ({reason.node})' if reason.node else ''}"


def _at_least(reason: Reason) -> str:
    failures = f"at least {plural(round(reason.needed), 'more session')} without a failure" if reason.needed else ""
    told = ", ".join(filter(None, (failures, _rate(reason, "" if failures else " sessions"))))
    return f" ({told})" if told else ""


def decidable(group: Sequence[Reason]) -> str:
    """Return what the lead of a rollout can decide where the traffic is too small."""
    names = _once(_MARGINS[one.criterion] for one in group if one.criterion in _MARGINS)
    margin = f" ([sla] {', '.join(names)})" if names else ""
    choices = (
        f"a wider margin in writing{margin}",
        *(['the workflow instead of each node ([sla] judge = "graph")'] if "node" in group[0].names else []),
        _SAMPLE,
        f"a longer window ([sla] max_cycles{_longer(group)})",
    )
    return f"what can be decided: {', '.join(choices[:-1])}, or {choices[-1]}"


def _longer(group: Sequence[Reason]) -> str:
    """Return the cycles that would do for those of which that can be told."""
    known = [one for one in group if one.kind is ReasonKind.OUT_OF_WINDOW and one.have is not None]
    if not known:
        return ""
    least = f" = {count(max(one.have or 0.0 for one in known))}"
    if len(known) == len(group):
        return least
    return f"{least} for {', '.join(title(one.criterion).lower() for one in known)}"


def out_of_reach(group: Sequence[Reason]) -> str:
    """Return which estimates are outside their bounds, and the remedies."""
    if len(group) == 1 and not group[0].criterion:
        return f"better results, or a wider margin in writing ([sla]): {_OUTSIDE}"
    margins = ", ".join(_once(_MARGINS[one.criterion] for one in group if one.criterion in _MARGINS))
    seen = ", ".join(f"{_lower(_named(one))} {_against(one)}" for one in group)
    return f"better results, or a wider margin in writing ([sla] {margins}): {seen}; {_OUTSIDE}"


_OUTSIDE = "outside; with results like these, more sessions don't help"


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _against(reason: Reason) -> str:
    return f"{value(reason.quantity, reason.have)} ({bound(reason.quantity, reason.needed, reason.limit)})"


def guard(group: Sequence[Reason]) -> str:
    """Return what the nodes of a workflow lack by themselves, the weakest first."""
    guards = [one for one in group if one.kind is ReasonKind.GUARD]
    front = f"{title(group[0].criterion)}: " if group[0].criterion else ""
    if not guards:
        return f"{front}better results of single nodes{_outside(group)}"
    limit = bound(guards[0].quantity, guards[0].needed, guards[0].limit)
    until: dict[str, list[str]] = {}
    for one in sorted(guards, key=_weakness, reverse=True):
        when = f" (not within {plural(one.of, 'cycle')})" if one.of else f" ({moment(one.by)})" if one.by else ""
        proven = "nothing" if one.have is None else bound(one.quantity, one.have, one.limit)
        until.setdefault(when, []).append(f"{one.node} {proven}".strip())
    each = "; ".join(f"{', '.join(nodes)}{when}" for when, nodes in until.items())
    return f"{front}a proof of {limit} for each node by itself; so far {each}{_outside(group)}"


def _outside(group: Sequence[Reason]) -> str:
    """Return the nodes whose estimates are outside the bound of the criterion, the farthest first."""
    found = sorted((one for one in group if one.kind is ReasonKind.OUTSIDE), key=_beyond, reverse=True)
    if not found:
        return ""
    limit = bound(found[0].quantity, found[0].needed, found[0].limit)
    return f"; outside {limit}: {', '.join(f'{one.node} {value(one.quantity, one.have)}'.strip() for one in found)}"


def _beyond(reason: Reason) -> float:
    return abs((reason.have or 0.0) - (reason.needed or 0.0))


def _weakness(reason: Reason) -> tuple[bool, float]:
    """Return whether the guard is out of the window, and how far a node is from it."""
    return reason.of is not None, math.inf if reason.have is None else _beyond(reason)


def lost(group: Sequence[Reason]) -> str:
    """Return how many lines of which nodes are missing, and from when."""
    return f"{'; '.join(map(_lost_of, group))}: the processes numbered them, and they are in no source; {_FIND}"


_FIND = "look in rotated files, other replicas and what ships the log, or begin the window later ([sla] window_start)"


def _lost_of(reason: Reason) -> str:
    number, whole = round(reason.have or 0), plural(reason.of or 0, "line")
    told = f"{count(number)} of {whole} of {reason.node} {'is' if number == 1 else 'are'} missing"
    return f"{told}, most between {moment(reason.since)} and {moment(reason.by)}" if reason.since else told


def parts(group: Sequence[Reason]) -> str:
    """Return the blocks of hours, or the intents, that break a bound by themselves."""
    first = group[0]
    names = [repr(one.names[0]) if one.kind is ReasonKind.INTENT else moment(one.since) for one in group]
    each = ", ".join(f"{name} ({value(one.quantity, one.have)})" for name, one in zip(names, group, strict=True))
    what = f"{'the intent' if first.kind is ReasonKind.INTENT else 'the hours from'} {each}"
    if len(group) > 1:
        what = what.replace("the intent ", "the intents ", 1)
    front = f"{_named(first)}: " if first.criterion else ""
    return f"{front}better results {'for' if first.kind is ReasonKind.INTENT else 'in'} {what}: alone against the bound"


def _rate(reason: Reason, noun: str = "") -> str:
    if not reason.rate:
        return ""
    number = count(reason.rate) if reason.rate >= 1 else f"{reason.rate:.2g}"
    return f"at {number}{noun} a day"


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
