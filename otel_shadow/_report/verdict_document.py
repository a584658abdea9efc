"""A verdict and the evidence behind it as a document, for the terminal and the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from otel_shadow import semconv
from otel_shadow._report import criteria_tables, mismatch_tables
from otel_shadow._report.blocks import Block, Document, Fact, Figure, Section, Table, Text, Texts, fact_table
from otel_shadow._report.criteria_tables import STATES
from otel_shadow._report.verdict_figures import bands, latencies
from otel_shadow.evidence.view import EvidenceView
from otel_shadow.policy import Policy
from otel_shadow.record import Outcome
from otel_shadow.verdict import units
from otel_shadow.verdict.reasons import Reason, ReasonKind, Role
from otel_shadow.verdict.result import Decision, NodeVerdict, Verdict, Window
from otel_shadow.verdict.titles import title
from otel_shadow.verdict.wording import sentences

WHOLE = "*"
"""The whole workflow, where evidence is counted per node."""
_KINDS = 8
"""Kinds of mismatches on the terminal."""
_HOW_TO_READ = Section("How to read this page", (), "reading", "How to read", partial="how_to_read.html.j2")
_COUNTED: Mapping[str, str] = {
    "mode": "Mode", "arm": "Arm", "v1_status": "V1", "v2_status": "V2", "comparison": "Comparison",
    "error_type": "Error types", "baseline": "No shadow because", "fallback": "Live fallbacks", "served": "Served",
    "intent": "Intent",
}  # fmt: skip


def verdict_document(verdict: Verdict, evidence: EvidenceView, *, page: bool, trace_url: str | None = None) -> Document:
    """Return ``verdict`` in words.

    Arguments:
        page: whether plots and the details of each node are there too, for the page.
        trace_url: a link with ``{trace_id}`` in it, for the traces of mismatches.
    """
    state, at = STATES[verdict.decision], units.moment(verdict.at)
    blockers = Texts(_texts(verdict, Role.BLOCKER), "Forbids a GO")
    facts = _facts(verdict, evidence)
    promised = verdict.decision is not Decision.NO_GO
    criteria = criteria_tables.by_criterion(verdict.criteria, promised=promised, page=page, nodes=len(verdict.nodes))
    policy = tuple(_policy(verdict.policy))
    sections = (
        Section("Criteria", (criteria,), "criteria", "Criteria", _how_decided(verdict)),
        _listed("Missing for a GO", _texts(verdict, Role.MISSING, Role.ADVICE), "missing", "Missing"),
        _listed("To know", _texts(verdict, Role.WARNING, Role.NOTE), "to-know"),
        *([] if page else [Section("What was judged", (fact_table(facts),))]),
        _nodes(verdict, evidence, page),
        *(_on_page_only(verdict, evidence) if page else ()),
        _mismatches(verdict, evidence, page, trace_url),
        *(_noise(verdict) if page else ()),
        _left_out(verdict, evidence),
        Section(
            "The policy that was applied",
            (fact_table(policy) if page else Text(" · ".join(f"{one.name}={one.value}" for one in policy)),),
            "policy", "Policy", _LEADS["policy"],
        ),
        *((_HOW_TO_READ,) if page else ()),
    )  # fmt: skip
    return Document(
        kind="verdict",
        title=f"{state.word} · shadow verdict · {at}",
        state=state,
        headline=headline(verdict),
        remarks=tuple(_dates(verdict)),
        banner="The clock was simulated: these times are not real traffic's." if verdict.simulated else "",
        lists=(blockers,) if blockers.texts else (),
        facts=facts if page else (),
        sections=tuple(one for one in sections if one.blocks or one.partial),
    )


def _listed(title: str, texts: tuple[Text, ...], anchor: str, nav: str = "") -> Section:
    return Section(title, (Texts(texts),) if texts else (), anchor, nav)


def _how_decided(verdict: Verdict) -> str:
    """Return of what GO and NO-GO are made, and when what is proven was."""
    cycle = f"{verdict.policy.cycle_hours:g} h"
    told = (
        f"A GO needs every one of them, proven at the end of a whole cycle of traffic ({cycle}). A NO-GO comes at any "
        "moment, from the always-valid band, which moves with every session; docs/statistics.md explains both."
    )
    if verdict.window is None or verdict.window.go_end is None:
        return told
    return f"{told} Proven so far: at the end of the last whole cycle, {units.moment(verdict.window.go_end)}."


_LEADS: Mapping[str, str] = {
    "parity": (
        "The share of pairs in which V2 decides what V1 decides, of all sessions closed by then, with its always-valid "
        "band. Dots are single hours (joined until they hold 20 pairs): a night that is worse than the day shows here "
        "first."
    ),
    "latency": (
        "Both versions on the same requests: what users would feel once V2 is live. V1 with and without its shadow is "
        "in each node's details."
    ),
    "decisions": (
        "Where V1 sent the conversation (rows) and where V2 would have sent it (columns), in pairs where both decided. "
        "They agree where row and column have the same name."
    ),
    "noise": (
        "How often V1 differs from itself when it runs twice on the same input. Where that is often, V2 can't agree "
        "with V1 better than V1 with itself, and is held to that instead of the bound of parity."
    ),
    "left-out": "Everything that was read and is not in the verdict; what did not occur is not listed.",
    "policy": "From [sla] of shadow.toml; a key that is not there has its default.",
}


# --- the head --------------------------------------------------------------------------------------------------------
def headline(verdict: Verdict) -> str:
    if verdict.window is None:
        return f"Not enough evidence: {verdict.reason}"
    if verdict.decision is Decision.WAIT and verdict.blockers:
        return f"No GO on this evidence: {verdict.reason}"
    if verdict.decision is Decision.WAIT:
        return f"Not enough evidence yet. What is missing first: {verdict.reason}"
    return verdict.reason[:1].upper() + verdict.reason[1:]


def _dates(verdict: Verdict) -> Iterator[str]:
    """Yield the one date on which to look again, and when a GO is to be expected."""
    if verdict.window is None:
        return
    if verdict.decision is Decision.NO_GO:
        yield "It is the verdict of this V2 build: after a fix, the next build begins a window of its own."
        return
    if verdict.next_look is None:
        yield f"The next look needs evidence from after {units.moment(verdict.window.next_cycle)}."
        return
    look = units.moment(verdict.next_look)
    if verdict.decision is Decision.GO:
        yield f"This GO stands until the next look, at {look}; then it is judged anew."
        return
    last = f"; {title(verdict.slowest).lower()} takes longest" if verdict.slowest else ""
    eta = f" At the present rate a GO is possible from {units.moment(verdict.eta)} on{last}." if verdict.eta else ""
    yield f"The next look is at {look}: what is proven changes only then.{eta}"


def _judged(verdict: Verdict) -> Iterator[Fact]:
    """Yield what had to be proven: the nodes together, or each."""
    if not verdict.pooled:
        remark = 'as [sla] judge = "node" says' if verdict.judge == "node" else "no two nodes can be judged together"
        yield Fact("Judged", "each node by itself", remark if verdict.nodes[1:] else "")
        return
    alone = [node.node for node in verdict.nodes if node.node not in verdict.pooled]
    rest = f"; by themselves: {', '.join(alone)}" if alone else ""
    names, of = ", ".join(verdict.pooled), "the nodes together"
    if verdict.judge == "node":
        of, names = "each node by itself", f"the latencies together: {names}"
    yield Fact("Judged", of, f"{names}, each guarded by a wider margin{rest}")


def _texts(verdict: Verdict, *roles: Role) -> tuple[Text, ...]:
    """Return the reasons of each role in words, but those that the head says in another place."""
    told = (one for role in roles for one in verdict.reasons if _place(one) is role)
    found = sentences(one for one in told if one.kind is not ReasonKind.SIMULATED)
    if verdict.decision is not Decision.WAIT:
        found = tuple(one for one in found if one[0].role is not Role.MISSING)
    elif verdict.window is not None:
        found = tuple(one for one in found if one[1] != verdict.reason)
    return tuple(Text(text, one.role.value) for one, text in found)


def _place(reason: Reason) -> Role:
    """Return the role beside which a reason is told: the time that was added beside the latency."""
    return Role.MISSING if reason.kind is ReasonKind.ADDED_TIME else reason.role


def _facts(verdict: Verdict, evidence: EvidenceView) -> tuple[Fact, ...]:
    sessions = max((node.sessions for node in verdict.nodes), default=0)
    executions = units.plural(sum(node.events for node in verdict.nodes), "execution")
    build = verdict.build
    digest = f"configuration {build.digest}" if build and build.digest else ""
    return (
        *_window(verdict.window),
        *(_judged(verdict) if verdict.nodes else ()),
        Fact("Closed sessions", units.count(sessions), _open_sessions(verdict.nodes)),
        Fact("Pairs", units.count(sum(_compared(evidence).values())), executions),
        Fact("V2 build", (build.build or "(no build)") if build else units.DASH, digest),
        Fact("Judged at", units.moment(verdict.at), "under a simulated clock" if verdict.simulated else ""),
    )


def _compared(evidence: EvidenceView) -> Mapping[str, int]:
    return evidence.counts.get(WHOLE, {}).get("comparison", {})


def _open_sessions(nodes: Sequence[NodeVerdict]) -> str:
    still_open = max((node.open_sessions for node in nodes), default=0)
    return f"{still_open:,} still open and left out" if still_open else ""


def _window(window: Window | None) -> list[Fact]:
    if window is None:
        return [Fact("Window", "no evidence")]
    gaps = f"{units.plural(len(window.gaps), 'gap')} without traffic" if window.gaps else ""
    span = f"{units.moment(window.start)} to {units.moment(window.end)}"
    return [
        Fact("Window", units.span(window.end - window.start), span),
        Fact("Traffic cycles", units.plural(window.whole_cycles, "whole cycle"), gaps),
    ]  # fmt: skip


# --- nodes -----------------------------------------------------------------------------------------------------------
def _nodes(verdict: Verdict, evidence: EvidenceView, page: bool) -> Section:
    nothing = Text("No execution of a configured node is in the evidence.", "empty")
    notes = Texts(tuple(Text(f"{node.node}: {note}", "note") for node in verdict.nodes for note in node.notes))
    anchors = _anchors(verdict) if page else {}
    blocks: tuple[Block, ...] = (nothing,)
    if verdict.nodes:
        blocks = (criteria_tables.by_node(verdict.nodes, anchors), *([notes] if notes.texts else ()))
    return Section(
        "Nodes", (*blocks, *(_details(verdict, evidence, anchors) if page else ())), "nodes", "Nodes",
        "Estimates per node, and below the details of each." if page and verdict.nodes else "",
    )  # fmt: skip


def _anchors(verdict: Verdict) -> dict[str, str]:
    return {
        node.node: f"node-{number}-{re.sub('[^a-z0-9]+', '-', node.node.lower()).strip('-')[:40]}"
        for number, node in enumerate(verdict.nodes)
    }


def _details(verdict: Verdict, evidence: EvidenceView, anchors: Mapping[str, str]) -> Iterator[Section]:
    handoff = bands(verdict, evidence, semconv.CRITERION_HANDOFF, "Handoff rate over time")
    sides = (("v1", "holdout", "V1 without shadow"), ("v1", "shadowed", "V1 with shadow"))
    now = latencies(evidence, "now", *sides, title="V1 with and without its shadow")
    promised = verdict.decision is not Decision.NO_GO
    for node in verdict.nodes:
        facts = (
            Fact("Graph", node.graph),
            Fact("Closed sessions", units.count(node.sessions), _open_sessions([node])),
            Fact("Executions", units.count(node.events)),
            Fact(
                "Parity judged",
                "against V1's own noise floor" if node.relative_parity else "against the bound of parity",
            ),
            *_counted(evidence.counts.get(node.node, {})),
        )
        blocks: tuple[Block, ...] = (
            criteria_tables.by_criterion(node.criteria, promised=promised, page=True),
            *_beside(figures[node.node] for figures in (handoff, now) if node.node in figures),
            *(criteria_tables.parts(one) for one in node.criteria if one.parts),
            fact_table(facts, "What was counted"),
        )
        told = f"closed sessions {facts[1].value} · executions {facts[2].value}"
        yield Section(node.node, blocks, anchors[node.node], state=STATES[node.decision], remark=told,
                      unfolded=len(verdict.nodes) == 1)  # fmt: skip


def _counted(counts: Mapping[str, Mapping[str, int]]) -> Iterator[Fact]:
    for heading, labels in counts.items():
        if labels:
            ordered = sorted(labels.items(), key=lambda item: (-item[1], item[0]))
            told = ", ".join(f"{label} {units.count(number)}" for label, number in ordered)
            yield Fact(_COUNTED.get(heading, heading), told)


# --- evidence --------------------------------------------------------------------------------------------------------
def _beside(blocks: Iterable[Figure | Table]) -> tuple[Block, ...]:
    found = tuple(blocks)
    return (found,) if found else ()


def _on_page_only(verdict: Verdict, evidence: EvidenceView) -> tuple[Section, ...]:
    parity = bands(verdict, evidence, semconv.CRITERION_PARITY)
    after = latencies(evidence, "after", ("v1", "shadowed", "V1"), ("v2", "shadowed", "V2"))
    table = (mismatch_tables.latency(evidence.latency),) if evidence.latency else ()
    matrices = map(mismatch_tables.confusion, evidence.confusion)
    return (
        Section("Parity over time", _beside(parity.values()), "parity", "Over time", _LEADS["parity"]),
        Section("Latency of V1 and V2", (*_beside(after.values()), *table), "latency", "Latency", _LEADS["latency"]),
        Section("Decisions", _beside(matrices), "decisions", "Decisions", _LEADS["decisions"]),
    )


def _mismatches(verdict: Verdict, evidence: EvidenceView, page: bool, trace_url: str | None) -> Section:
    groups = [group for group in evidence.mismatches if group.accepted is None]
    accepted = [group for group in evidence.mismatches if group.accepted is not None]
    grouped = sum(group.count for group in groups)
    differing = max(_compared(evidence).get(Outcome.MISMATCH, 0), grouped)
    if not groups:
        blocks: list[Block] = [Text("No pair differs." if verdict.nodes else "No pair was compared.", "empty")]
    else:
        shown = groups if page else groups[:_KINDS]
        blocks = [mismatch_tables.mismatches(shown, trace_url)]
        if len(shown) < len(groups):
            blocks.append(Text(f"and {len(groups) - len(shown)} more kinds; --html and --json show them", "muted"))
        elif differing > grouped:
            blocks.append(Text(f"{differing - grouped:,} more pairs differ in rarer ways.", "muted"))
    if accepted:
        known = "Accepted differences: known by [[accept]] in shadow.toml, and not counted in the parity"
        blocks.append(mismatch_tables.mismatches(accepted, trace_url, known))
    lead = (
        f"{units.plural(differing, 'pair')} in which V2 differs from V1, grouped by node, route, differing fields, "
        "intent and build: what to fix first. Names only: no value of the state leaves the process."
    )
    return Section("Mismatches, the heaviest first" if groups else "Mismatches", tuple(blocks), "mismatches",
                   "Mismatches", lead if groups else "")  # fmt: skip


def _noise(verdict: Verdict) -> Iterator[Section]:
    facts = []
    for node in verdict.nodes:
        share = node.criterion(semconv.CRITERION_PARITY).details.get("self_disagreement")
        if share is not None:
            judged = "V2 is held to this" if node.relative_parity else "seldom: V2 is held to the bound of parity"
            facts.append(Fact(node.node, units.percent(share), judged))
    if facts:
        yield Section("Noise floor", (fact_table(facts),), "noise", "Noise floor", _LEADS["noise"])


def _left_out(verdict: Verdict, evidence: EvidenceView) -> Section:
    reading = evidence.reading
    schemas = ", ".join(f"schema {name}: {units.count(number)}" for name, number in reading.other_schema.items())
    counted = (
        ("Malformed lines", reading.malformed, "written by otel-shadow, but not readable"),
        ("Truncated last lines", reading.truncated, "without an end of line: still being written"),
        ("Lines of another schema", sum(reading.other_schema.values()), schemas),
        ("Lines with another code", reading.forged, "changed, or written by somebody without the key"),
        ("Duplicate lines", reading.duplicates, "a pair that was already there counts once"),
        (
            "Contradictory pairs",
            reading.contradictory,
            "recorded more than once, with different contents; no GO while there are any",
        ),
        ("Outside the window", reading.out_of_window, "executions before the window that is judged"),
        ("From the future", reading.future, "executions stamped later than the time of this verdict"),
        (
            "Other lines",
            reading.other_lines,
            "the application's own, and SHADOW_COMPARISON lines, which repeat a pair for people",
        ),
    )
    facts = [Fact(name, units.count(number), remark) for name, number, remark in counted if number]
    facts += [
        Fact(f"Other build: {build.label}", units.count(build.events),
             f"executions from {units.moment(build.first)} to {units.moment(build.last)}")
        for build in verdict.left_out
    ]  # fmt: skip
    examples = Texts(tuple(Text(example, "example") for example in reading.examples))
    blocks: tuple[Block, ...] = (fact_table(facts) if facts else Text("Nothing.", "empty"),)
    return Section("What was left out", (*blocks, *([examples] if examples.texts else ())), "left-out", "Left out",
                   _LEADS["left-out"])  # fmt: skip


def _policy(policy: Policy) -> Iterator[Fact]:
    """Yield every key with what it means; those of single nodes come last."""

    def fact(name: str, setting: object, remark: str) -> Fact:
        if isinstance(setting, tuple):
            return Fact(name, ", ".join(map(str, setting)) or "none declared", remark)
        return Fact(name, f"{setting:g}" if isinstance(setting, float) else str(setting), remark)

    for name, field in type(policy).model_fields.items():
        if name != "nodes":
            yield fact(name, getattr(policy, name), " ".join((field.description or "").split()))
    for node, bounds in policy.nodes.items():
        for name in sorted(bounds.model_fields_set):
            yield fact(f"nodes.{node}.{name}", getattr(bounds, name), "for this node only")
