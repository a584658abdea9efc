"""Sentences about the evidence itself: what is missing, left out, or limits its meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, timedelta

from otel_shadow import semconv
from otel_shadow.verdict.reasons import Reason, ReasonKind
from otel_shadow.verdict.titles import title
from otel_shadow.verdict.units import count, moment, percent, plural, points, span


def _were(reason: Reason, noun: str, more: str = "") -> str:
    number = round(reason.have or 0)
    return f"{plural(number, noun)}{more} {'was' if number == 1 else 'were'}"


def _length(hours: float | None) -> str:
    return span((hours or 0.0) * 3600.0)


def _hours_of_day(reason: Reason) -> str:
    if reason.needed is None:
        return "the hours of little traffic"
    begin, length = reason.needed, reason.hours or 0.0
    if reason.since is None:
        return f"the hours {begin:g} to {begin + length:g} after the beginning of each cycle"
    start = reason.since.astimezone(UTC)
    return f"the hours {start:%H:%M} to {start + timedelta(hours=length):%H:%M} UTC of each day"


SENTENCES: Mapping[ReasonKind, Callable[[Reason], str]] = {
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
        f"{plural(round(one.have or 0), 'execution')} of the same hours or later are of others "
        f"({', '.join(one.names[1:])}): "
        "choose with --service, --build or --digest"
    ),
    ReasonKind.UNNAMED: lambda one: (
        "the V2 build has no name, so that two deployments can't be told apart: set service.version (or v2_build in "
        "shadow.toml)"
    ),
    ReasonKind.STALE: lambda one: (
        f"the evidence ended {_length(one.hours)} ago, at {moment(one.by)}: what runs now may be another thing; give "
        "the newest log"
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
    ReasonKind.UNHEARD: lambda one: (
        f"{_were(one, 'execution')} written by processes of which no {semconv.EVENT_HEARTBEAT} line tells so: these "
        "lines were filtered out or taken away, and what is missing at the ends of the logs can't be counted"
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
    ReasonKind.CAUSED_BY_SHADOW: lambda one: (
        f"{_were(one, 'execution')} left out: a shadow run of another service caused the call"
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
    ReasonKind.SILENT: lambda one: f"the evidence ended {_length(one.hours)} ago",
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
