"""The one place where reasons become sentences, for terminal, JSON and page alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from otel_shadow import semconv
from otel_shadow.verdict.reasons import Direction, Quantity, Reason, ReasonKind
from otel_shadow.verdict.units import count, latency, moment, percent, plural, points, ratio, span


@dataclass(frozen=True, slots=True)
class Title:
    """A criterion in words: its title, long and short, what it asks, what one event of its evidence is called.

    ``quantity`` and ``limit``: what its numbers are, unless parity is relative, and on which side of the bound is good.
    """

    title: str
    short: str
    question: str
    event: str
    quantity: Quantity = "share"
    limit: Direction = "at_least"


TITLES: Mapping[str, Title] = {
    semconv.CRITERION_PARITY: Title("Functional parity", "Parity", "V2 decides what V1 decides", "pair"),
    semconv.CRITERION_HANDOFF: Title(
        "Handoff rate", "Handoff", "V2 fails or times out, so V1 would answer", "execution", limit="at_most"
    ),
    semconv.CRITERION_LATENCY_NOW: Title(
        "Latency impact now",
        "p95 now",
        "95th percentile of V1 while shadows run, against slots of time without any",
        "execution",
        "ratio",
        "at_most",
    ),
    semconv.CRITERION_LATENCY_AFTER: Title(
        "Latency impact after",
        "p95 after",
        "95th percentile of V2 against V1, on the same requests",
        "pair",
        "ratio",
        "at_most",
    ),
    semconv.CRITERION_V1_SERVED: Title(
        "Zero production impact", "V1 served", "users always got exactly what V1 made", "execution"
    ),
    semconv.CRITERION_COVERAGE: Title(
        "Coverage", "Coverage", "shadow runs that took place, of those that should have", "execution"
    ),
}


def sentence(reason: Reason) -> str:
    """Return ``reason`` as a sentence without a full stop; its criterion and node stand in front, if it has them."""
    told = _SENTENCES[reason.kind](reason)
    if not reason.criterion or reason.kind in _NAME_THEMSELVES:
        return told
    node = f" ({reason.node})" if reason.node else ""
    return f"{title(reason.criterion)}{node}: {told}"


def title(criterion: str) -> str:
    """Return the title of a criterion."""
    return TITLES[criterion].title


def value(quantity: Quantity | None, number: float | None) -> str:
    """Return a number in its own unit: a share, a change of p95, or a difference of shares."""
    return {"ratio": ratio, "excess": points}.get(quantity or "share", percent)(number)


def bound(quantity: Quantity | None, number: float | None, limit: Direction | None) -> str:
    """Return a bound with its side: ≥ 95 %, ≤ +15 %."""
    return f"{'≤' if limit == 'at_most' else '≥'} {value(quantity, number)}"


def _more(reason: Reason, noun: str) -> str:
    told = f"{plural(_difference(reason), f'more {noun}')} ({count(reason.have)} of {count(reason.needed)} so far)"
    return _with_date(reason, told)


def _with_date(reason: Reason, told: str) -> str:
    """Return what is missing with the rate at which it comes, and the look at which it will be there."""
    return ", ".join(filter(None, (told, _rate(reason)))) + (f": {moment(reason.by)}" if reason.by else "")


def _difference(reason: Reason) -> int:
    return max(round((reason.needed or 0) - (reason.have or 0)), 1)


def _were(reason: Reason, noun: str, more: str = "") -> str:
    number = round(reason.have or 0)
    return f"{plural(number, noun)}{more} {'was' if number == 1 else 'were'}"


def _length(hours: float | None) -> str:
    return span((hours or 0.0) * 3600.0)


def _measured(reason: Reason, what: str) -> str:
    where = f"{title(reason.criterion)} in {reason.node or 'the workflow'} is " if reason.criterion else ""
    limit = bound(reason.quantity, reason.needed, reason.limit)
    return f"{where}{value(reason.quantity, reason.have)}{what} the bound ({limit})"


def _cycles(reason: Reason) -> str:
    number = round(reason.needed or 1)
    each = "" if number == 1 else " each"
    return (
        f"{plural(number, 'whole cycle')} of traffic ({_length(reason.hours)}{each}), complete at {moment(reason.by)}"
    )


def _hours_of_day(reason: Reason) -> str:
    if reason.needed is None:
        return "the hours of little traffic"
    begin, length = reason.needed, reason.hours or 0.0
    return f"the hours {begin:g} to {begin + length:g} after the beginning of each cycle"


def _rate(reason: Reason) -> str:
    if reason.rate is None:
        return ""
    return f"at {count(reason.rate) if reason.rate >= 1 else f'{reason.rate:.2g}'} a day"


def _proof(reason: Reason) -> str:
    return _with_date(reason, f"about {plural(_difference(reason), 'more session')} with results like those so far")


def _out_of_window(reason: Reason) -> str:
    failures = f" (at least {plural(round(reason.needed), 'more session')} without a failure)" if reason.needed else ""
    rate = ", ".join(filter(None, (f"within {plural(reason.of or 0, 'cycle')}{failures}", _rate(reason))))
    return f"this traffic can't prove the bound {rate}; {_decidable(reason)}"


def _decidable(reason: Reason) -> str:
    """Return what the lead of a rollout can decide where the traffic is too small for a proof."""
    longer = "" if reason.have is None else f" = {count(reason.have)}"
    margin = f" ({_MARGINS[reason.criterion]})" if reason.criterion in _MARGINS else ""
    choices = (
        f"a wider margin in writing{margin}",
        *(['the workflow instead of each node ([sla] judge = "graph")'] if "node" in reason.names else []),
        "more of the traffic in shadow",
        f"a longer window ([sla] max_cycles{longer})",
    )
    return f"what can be decided: {', '.join(choices[:-1])}, or {choices[-1]}"


def _guard(reason: Reason) -> str:
    limit = bound(reason.quantity, reason.needed, reason.limit)
    have = "nothing so far" if reason.have is None else f"so far {bound(reason.quantity, reason.have, reason.limit)}"
    told = f"a proof of {limit} for this node alone ({have})"
    if reason.of:
        unless = "unless the margin is wider, more of the traffic is in shadow, or the window is longer"
        return f"{told}: not within {plural(reason.of, 'cycle')} of this traffic, {unless}"
    return _with_date(reason, told)


def _shadows(reason: Reason) -> str:
    shed = f"; without one: {', '.join(reason.names)}" if reason.names else ""
    return (
        f"a shadow run in at least {percent(reason.needed)} of the executions that should have one; so far "
        f"{count(reason.have)} of {count(reason.of)} had one{shed}"
    )


_MARGINS: Mapping[str, str] = {
    semconv.CRITERION_PARITY: "[sla] parity",
    semconv.CRITERION_HANDOFF: "[sla] handoff",
    semconv.CRITERION_LATENCY_NOW: "[sla] latency_margin",
    semconv.CRITERION_LATENCY_AFTER: "[sla] latency_margin",
}
_EVIDENCE: Mapping[str, str] = {
    "": "no evidence yet",
    semconv.CRITERION_PARITY: "pairs in which both versions decided",
    semconv.CRITERION_HANDOFF: "executions of V2",
    "holdout": "sessions without a shadow, to compare with: give them a share of the traffic ([arms] holdout)",
    "shadowed": "sessions with a shadow whose latency was measured",
    "v1": "requests on which the latency of both versions was measured",
    "v2": "requests on which the latency of both versions was measured",
    semconv.CRITERION_V1_SERVED: "executions for which it was checked what the caller got",
    semconv.CRITERION_COVERAGE: "executions that should have a shadow",
}
_NAME_THEMSELVES = {ReasonKind.BROKEN, ReasonKind.BROKEN_SO_FAR, ReasonKind.NOT_JUDGED}
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
        "blocks of time slots)"
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
    ReasonKind.SESSIONS: lambda one: _more(one, "closed session"),
    ReasonKind.PROOF: _proof,
    ReasonKind.OUT_OF_WINDOW: _out_of_window,
    ReasonKind.OUT_OF_REACH: lambda one: (
        "better results, or a wider margin in writing ([sla] of shadow.toml): the estimate is outside the bound, which "
        "more sessions alone don't change"
    ),
    ReasonKind.TOO_FEW_TO_TELL: lambda one: "more sessions: those so far are too few to estimate how many",
    ReasonKind.HOLDS_NO_MORE: lambda one: (
        "what was proven at an earlier look: the window as a whole does not support it any more"
    ),
    ReasonKind.LAST_CYCLE: lambda one: "a better last cycle: by itself it is evidence against the bound",
    ReasonKind.OUTSIDE: lambda one: _measured(one, ", outside"),
    ReasonKind.GUARD: _guard,
    ReasonKind.SHARES_DIFFER: lambda one: (
        "arms whose shares stay the same: between hours they differ by more than twice, and lines of the release "
        "before do not tell them; the lines of this one do"
    ),
    ReasonKind.OWN_TIME: lambda one: (
        f"it is our own time on V1's path: without it the bound ({ratio(one.needed)}) would be kept"
    ),
    ReasonKind.V1_BY_HOUR: lambda one: (
        f"it is V1 itself by hour, not the shadows: with the same hours on both sides p95 changes by "
        f"{ratio(one.needed)}"
    ),
    ReasonKind.CONTENTION: lambda one: (
        f"it is contention: V1's p95 changes by {ratio(one.have)} from slots without shadows to slots with them, "
        + (
            "and no request in these had none to compare with"
            if one.needed is None
            else f"but by {ratio(one.needed)} between the requests with and without a shadow inside these"
        )
        + "; fewer shadow runs at once ([limits] concurrency), or another executor"
    ),
    ReasonKind.OWN_SHADOW: lambda one: (
        f"it is what a request shares with its own shadow (a pool, a lock, the loop): V1's p95 changes by "
        f"{ratio(one.have)} between the requests with and without one"
    ),
    ReasonKind.ADDED_TIME: lambda one: (
        f"shadowing itself added {latency(one.have)} to V1 on average and {latency(one.needed)} at the 95th "
        f"percentile, exactly measured in {plural(one.of or 0, 'execution')}"
    ),
    ReasonKind.BLOCK: lambda one: (
        f"better results in the hours from {moment(one.since)} on: by themselves they break the bound "
        f"({value(one.quantity, one.have)})"
    ),
    ReasonKind.INTENT: lambda one: (
        f"better results for the intent {one.names[0]!r}: by itself it breaks the bound "
        f"({value(one.quantity, one.have)})"
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
    ReasonKind.UNCERTIFIED_INTENT: lambda one: f"{_more(one, 'closed session')} with the intent {one.names[0]!r}",
    ReasonKind.KEYS: lambda one: (
        f"the lines were written with {len(one.names)} hash keys ({', '.join(one.names)}), so that one session may "
        f"count as several: give all replicas the same {semconv.ENV_HASH_KEY} and the same release (0.1 gave every key "
        "another id), and judge a log that begins after that"
    ),
    ReasonKind.GAP: lambda one: (
        f"no execution for {_length(one.hours)} from {moment(one.since)}: nothing is known of that time (if the "
        "service was closed then, set max_gap_hours in [sla] of shadow.toml)"
    ),
    ReasonKind.UNKNOWN_NODE: lambda one: (
        f"[sla.nodes] of shadow.toml names the node {one.node!r}, of which there is no evidence"
    ),
    ReasonKind.CONTRADICTORY: lambda one: (
        f"{_were(one, 'pair')} recorded more than once, with different contents, and left out: find out why"
    ),
    ReasonKind.OTHER_SCHEMA: lambda one: (
        f"{_were(one, 'line', f' of another format (schema {one.names[0]})')} left out: read them with the version of "
        "otel-shadow that wrote them"
    ),
    ReasonKind.HALF_READ: lambda one: (
        f"{_were(one, 'line', ' of otel-shadow')} unreadable beside {count(one.of)} readable ones: too many to trust "
        "the rest"
    ),
    ReasonKind.BESIDE: lambda one: (
        f"V2 build {one.names[0]} was judged, on {plural(one.of or 0, 'execution')}, while "
        f"{plural(round(one.have or 0), 'execution')} of the same hours are of others ({', '.join(one.names[1:])}): "
        "choose with --service, --build or --digest"
    ),
    ReasonKind.UNNAMED: lambda one: (
        "the V2 build has no name, so that two deployments can't be told apart: set service.version (or v2_build in "
        "shadow.toml)"
    ),
    ReasonKind.STALE: lambda one: (
        f"the evidence ended {_length(one.hours)} before the time of this verdict, at {moment(one.by)}: what runs now "
        "may be another thing"
    ),
    ReasonKind.LOST: lambda one: (
        f"{count(one.have)} of {plural(one.of or 0, 'line')} of {one.node} are missing"
        + (f", most of them between {moment(one.since)} and {moment(one.by)}" if one.since else "")
        + ": the processes numbered them, and they are in no source"
    ),
    ReasonKind.FILTERED: lambda one: (
        f"no line of {one.node} is in any source, though the processes wrote {count(one.have)}: it was filtered out, "
        "and is not judged"
    ),
    ReasonKind.FILTERED_EVENT: lambda one: (
        f"no {one.names[0]} line of {one.node} is in any source, though the processes wrote {count(one.have)}: they "
        "were filtered out, and coverage can't be known"
    ),
    ReasonKind.NO_BASELINES: lambda one: (
        f"{plural(round(one.have or 0), 'pair')} and not one {semconv.EVENT_BASELINE} line of the processes that made "
        f"them: coverage can't be known. Give the whole log, not what grep {semconv.EVENT_V2} leaves of it"
    ),
    ReasonKind.ARMS: lambda one: (
        f"the shares of the arms can't be chance: the holdout has {percent(one.have)} of the executions where "
        f"{percent(one.needed)} were to be expected: lines of one arm are missing"
    ),
    ReasonKind.UNSEEN_HOURS: lambda one: (
        f"from {' to '.join(one.names[:2])} UTC only {count(one.have)} of {plural(one.of or 0, 'execution')} that "
        f"should have a shadow had one ({', '.join(one.names[2:]) or 'no reason told'}): of these hours next to "
        "nothing is known"
    ),
    ReasonKind.TRICKLE: lambda one: (
        f"{count(one.hours)} hours of the window together hold {count(one.have)} of "
        f"{plural(one.of or 0, 'execution')}: they stand for next to no traffic"
    ),
    ReasonKind.HOURS_AGAINST: lambda one: (
        f"{_hours_of_day(one)} break the bound by themselves ({percent(one.have)} in {plural(one.of or 0, 'session')})"
    ),
    ReasonKind.FORGED: lambda one: (
        f"{_were(one, 'line')} left out, because the code is not that of the line: somebody else wrote or changed them"
    ),
    ReasonKind.MISPLACED: lambda one: (
        f"{_were(one, 'line')} left out that stand behind other text, where whoever's text is logged can put one; give "
        f"{semconv.ENV_VERIFY_KEY}, and the code decides"
    ),
    ReasonKind.UNCODED: lambda one: (
        f"{plural(round(one.have or 0), 'execution')} come from lines without a code (release 0.1 wrote none), by "
        "which they could be told from made-up ones"
    ),
    ReasonKind.UNAUTHENTICATED: lambda one: (
        "the evidence is unauthenticated: without a key, lines are taken to be what they say. Give "
        f"{semconv.ENV_VERIFY_KEY}, which otel-shadow doctor --verify-key prints"
    ),
    ReasonKind.OTHER_BUILD: lambda one: (
        f"V2 build {one.names[0]} was left out, because one build is judged at a time: "
        f"{plural(round(one.have or 0), 'execution')}, {moment(one.since)} to {moment(one.by)}"
    ),
    ReasonKind.EARLIER: lambda one: (
        f"{_were(one, 'execution', ' before the window')} left out; every window is judged by itself"
    ),
    ReasonKind.REPEATED: lambda one: (
        f"{plural(round(one.have or 0), 'line')} repeated a pair that was already there; each pair counts once"
    ),
    ReasonKind.ACCEPTANCE: lambda one: f"difference accepted until {one.day} ([[accept]]): {one.names[0]}",
    ReasonKind.NOISE: lambda one: (
        f"V1 differs from itself on {percent(one.have)} of the requests that it ran twice; V2 may differ from V1 only "
        f"a little more often than that ({points(one.needed)})"
    ),
    ReasonKind.OPEN_SESSIONS: lambda one: (
        f"{_were(one, 'open session')} left out: a session is judged once nothing has happened in it for a while"
    ),
    ReasonKind.NOT_JUDGED: lambda one: (
        f"{title(one.criterion)} was not judged: no {' and no '.join(one.names)} was given"
    ),
    ReasonKind.SIMULATED: lambda one: "the clock was simulated: this says nothing about production",
    ReasonKind.LATER: lambda one: f"{_were(one, 'execution')} stamped later than {moment(one.by)} and left out",
    ReasonKind.UNREADABLE: lambda one: f"{_were(one, 'line', ' of otel-shadow')} unreadable and skipped",
    ReasonKind.TRUNCATED: lambda one: f"{_were(one, 'last line', ' of a file')} incomplete and skipped",
    ReasonKind.EXPIRED: lambda one: (
        f"the accepted difference {one.names[0]!r} ([[accept]]) expired on {one.day} and was not accepted"
    ),
    ReasonKind.NO_SESSION_ID: lambda one: (
        f"{percent(one.have)} of {plural(one.of or 0, 'execution')} had no session id: each run counts as a session of "
        "its own, so that the turns of one conversation count as independent; name the id in [session] of shadow.toml, "
        "and send one with each run"
    ),
    ReasonKind.ONE_SESSION: lambda one: (
        f"one session holds {percent(one.have)} of {plural(one.of or 0, 'execution')} of node {one.node!r}: if these "
        "were many conversations, they share an id; see [session] id in shadow.toml"
    ),
    ReasonKind.CUT_OFF: lambda one: (
        f"{percent(one.have)} of {plural(one.of or 0, 'execution')} of node {one.node!r} have no pair, because the "
        'event loop ended while V2 ran; set executor = "process" for this node in shadow.toml'
    ),
    ReasonKind.SILENT: lambda one: f"the evidence ends {_length(one.hours)} before the time of this verdict",
    ReasonKind.WINDOW_HOURS: lambda one: (
        f"[sla] window_hours is read as max_cycles = {count(one.have)}; write that in its place: the next release "
        "refuses window_hours"
    ),
    ReasonKind.WINDOW_START: lambda one: (
        f"the window begins at {moment(one.since)}, because [sla] window_start says so: what ran before is not judged"
    ),
    ReasonKind.SMALLER_HOLDOUT: lambda one: (
        f"latency now is proven: from now on a smaller holdout is enough ([arms] holdout = {one.needed:g}, now "
        f"{percent(one.have)} of the time), and the other criteria get more pairs"
    ),
}
