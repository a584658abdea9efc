"""A verdict and the evidence behind it as a document: everything that a reader is told, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from otel_shadow import semconv
from otel_shadow._report import criteria_tables, mismatch_tables
from otel_shadow._report.blocks import Beside, Block, Document, Fact, Figure, Section, Table, Text, Texts, fact_table
from otel_shadow._report.criteria_tables import STATES
from otel_shadow._report.policy_facts import policy_facts
from otel_shadow._report.verdict_figures import Side, bands, latencies
from otel_shadow.evidence.view import EvidenceView, Reading
from otel_shadow.record import Outcome
from otel_shadow.verdict import units
from otel_shadow.verdict.reasons import ReasonKind, Role
from otel_shadow.verdict.result import Decision, NodeVerdict, Verdict, Window
from otel_shadow.verdict.wording import sentence, title

WHOLE = "*"
"""The whole workflow, where evidence is counted per node."""
_SHOWN = 5
"""Missing sentences at the head of the page; each criterion has its own."""
_KINDS = 8
"""Kinds of mismatches on the terminal."""
_SERVED_NOW: tuple[Side, Side] = (("v1", "holdout", "V1 without shadow"), ("v1", "shadowed", "V1 with shadow"))
_SERVED_AFTER: tuple[Side, Side] = (("v1", "shadowed", "V1"), ("v2", "shadowed", "V2"))
_COUNTED: Mapping[str, str] = {
    "mode": "Mode", "arm": "Arm", "v1_status": "V1", "v2_status": "V2", "comparison": "Comparison",
    "error_type": "Error types", "baseline": "No shadow because", "fallback": "Live fallbacks", "served": "Served",
    "intent": "Intent",
}  # fmt: skip


def screen(verdict: Verdict, evidence: EvidenceView, *, wide: bool = True) -> Document:
    """Return ``verdict`` as the terminal shows it.

    Arguments:
        wide: whether there is room for trace ids.
    """
    promised = verdict.decision is not Decision.NO_GO
    criteria = criteria_tables.on_screen(verdict.criteria, promised=promised)
    parts = (Role.BLOCKER, Role.WARNING, Role.MISSING, Role.ADVICE, Role.NOTE)
    return _document(
        verdict,
        evidence,
        (Texts(tuple(text for part in parts for text in _texts(verdict, part))),),
        (
            Section("Criteria (the weakest node's numbers)", (criteria,)),
            *_nodes_on_screen(verdict),
            *_mismatches_on_screen(evidence, wide=wide),
            Section("Left out", tuple(_left_out_on_screen(verdict, evidence))),
            Section("Policy", (Text(" · ".join(f"{one.name}={one.value}" for one in policy_facts(verdict.policy))),)),
        ),
    )


def page(verdict: Verdict, evidence: EvidenceView, trace_url: str | None = None) -> Document:
    """Return ``verdict`` as the page shows it.

    Arguments:
        trace_url: a link with ``{trace_id}`` in it, for the traces of mismatches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    known = (Role.BLOCKER, Role.WARNING, Role.NOTE)
    lists = (
        Texts(tuple(text for part in known for text in _texts(verdict, part)), "To know"),
        Texts(_texts(verdict, Role.MISSING), "Missing for a GO", _SHOWN, "criteria"),
        Texts(_texts(verdict, Role.ADVICE), "What would speed it up"),
    )
    promised = verdict.decision is not Decision.NO_GO
    criteria = criteria_tables.on_page(verdict.criteria, promised=promised)
    sections = (
        Section("Criteria", (criteria,), "criteria", "Criteria", _LEADS["criteria"]),
        _nodes_on_page(verdict, evidence),
        _over_time(verdict, evidence),
        _latency(evidence),
        Section("Decisions", _beside("matrices", map(mismatch_tables.confusion, evidence.confusion)), "decisions",
                "Decisions", _LEADS["decisions"]),
        _mismatches_on_page(verdict, evidence, trace_url),
        Section("Noise floor", _facts_block(_noise(verdict)), "noise", "Noise floor", _LEADS["noise"]),
        _left_out_on_page(verdict, evidence.reading),
        Section("The policy that was applied", _facts_block(policy_facts(verdict.policy)), "policy", "Policy",
                _LEADS["policy"]),
        Section("How to read this page", (), "reading", "How to read", partial="how_to_read.html.j2"),
    )  # fmt: skip
    return _document(verdict, evidence, lists, tuple(one for one in sections if one.blocks or one.partial))


_LEADS: Mapping[str, str] = {
    "criteria": (
        "GO needs every one of them, in every node. Each row shows the node that does worst. The band holds the true "
        "value at every moment you may look: while the bound (the upright line) lies inside it, the answer is WAIT."
    ),
    "parity": (
        "The share of pairs in which V2 decides what V1 decides, all closed sessions so far, with its always-valid "
        "band. Dots are single hours (joined until they hold 20 pairs): a night that is worse than the day shows here "
        "first."
    ),
    "latency": (
        "The same requests through both versions: what users would feel once V2 is live. V1 with and without its "
        "shadow is in each node's details."
    ),
    "decisions": (
        "Where V1 sent the conversation (rows) against where V2 would have sent it (columns), pairs where both "
        "decided. Off the diagonal they disagree."
    ),
    "noise": (
        "How often V1 disagrees with itself when it runs twice on the same input. Where that is much, V2 is held to "
        "V1's own consistency instead of the absolute bound."
    ),
    "left-out": "Nothing is skipped silently: each kind of line that is not in the verdict, and how many.",
    "policy": "From [sla] of shadow.toml; what it leaves out has its default.",
}


# --- the head --------------------------------------------------------------------------------------------------------
def _document(
    verdict: Verdict, evidence: EvidenceView, lists: tuple[Texts, ...], sections: tuple[Section, ...]
) -> Document:
    state, at = STATES[verdict.decision], units.moment(verdict.at)
    eta = verdict.eta if verdict.decision is Decision.WAIT else None
    last = f"; {title(verdict.slowest).lower()} will be last" if verdict.slowest else ""
    simulated = "The clock was simulated: these times are not real traffic's."
    return Document(
        kind="verdict",
        title=f"{state.word} · shadow verdict · {at}",
        state=state,
        headline=headline(verdict),
        remarks=(f"At the present rate a GO is possible from {units.moment(eta)}{last}.",) if eta else (),
        banner=simulated if verdict.simulated else "",
        lists=tuple(one for one in lists if one.texts),
        facts=_facts(verdict, evidence),
        sections=sections,
    )


def headline(verdict: Verdict) -> str:
    """Return why, in one sentence."""
    if verdict.window is None:
        return f"Not enough evidence: {verdict.reason}"
    if verdict.decision is Decision.WAIT:
        return f"Not enough evidence yet. First of all: {verdict.reason}"
    return verdict.reason[:1].upper() + verdict.reason[1:]


def _texts(verdict: Verdict, role: Role) -> tuple[Text, ...]:
    """Return the reasons of ``role`` in words, but those that the head says in another place."""
    found = [one for one in verdict.reasons if one.role is role and one.kind is not ReasonKind.SIMULATED]
    if role is Role.MISSING:
        headed = verdict.decision is Decision.WAIT and not verdict.blockers and verdict.window is not None
        found = [] if verdict.decision is not Decision.WAIT else found[1:] if headed else found
    return tuple(Text(sentence(one), role.value) for one in found)


def _facts(verdict: Verdict, evidence: EvidenceView) -> tuple[Fact, ...]:
    sessions = max((node.sessions for node in verdict.nodes), default=0)
    events = units.count(sum(node.events for node in verdict.nodes))
    build = verdict.build
    digest = f"configuration {build.digest}" if build and build.digest else ""
    return (
        *_window(verdict.window),
        Fact("Closed sessions", units.count(sessions), _open_sessions(verdict.nodes)),
        Fact("Pairs", units.count(sum(_compared(evidence).values())), f"{events} executions"),
        Fact("V2 build", (build.build or "(no build)") if build else units.DASH, digest),
        Fact("Judged at", units.moment(verdict.at), "under a simulated clock" if verdict.simulated else ""),
    )


def _compared(evidence: EvidenceView) -> Mapping[str, int]:
    return evidence.counts.get(WHOLE, {}).get("comparison", {})


def _open_sessions(nodes: Sequence[NodeVerdict]) -> str:
    still_open = max((node.open_sessions for node in nodes), default=0)
    return f"{still_open:,} still open, left out" if still_open else ""


def _window(window: Window | None) -> list[Fact]:
    if window is None:
        return [Fact("Window", "no evidence")]
    gaps = f"; {units.plural(len(window.gaps), 'gap')} without traffic" if window.gaps else ""
    span = f"{units.moment(window.start)} to {units.moment(window.end)}"
    return [
        Fact("Window", units.span(window.end - window.start), span),
        Fact("Traffic cycles", units.plural(window.whole_cycles, "whole cycle"),
             f"next ends {units.moment(window.next_cycle)}{gaps}"),
    ]  # fmt: skip


# --- nodes -----------------------------------------------------------------------------------------------------------
def _nodes_on_screen(verdict: Verdict) -> list[Section]:
    if not verdict.nodes:
        return []
    notes = Texts(tuple(Text(note, node.node) for node in verdict.nodes for note in node.notes))
    return [Section("Nodes", (criteria_tables.by_node(verdict.nodes, verdict.criteria, {}), notes))]


def _nodes_on_page(verdict: Verdict, evidence: EvidenceView) -> Section:
    lead, anchors = "Estimates per node; details of each below.", _anchors(verdict)
    if not verdict.nodes:
        nothing = Text("No execution of a configured node is in the evidence.", "empty")
        return Section("Nodes", (nothing,), "nodes", "Nodes")
    handoff = bands(verdict, evidence, semconv.CRITERION_HANDOFF, "Handoff rate over time")
    now = latencies(evidence, "now", *_SERVED_NOW, title="V1 with and without its shadow")
    details = (
        _details(
            verdict,
            evidence,
            node,
            anchors[node.node],
            [each[node.node] for each in (handoff, now) if node.node in each],
        )
        for node in verdict.nodes
    )
    table = criteria_tables.by_node(verdict.nodes, verdict.criteria, anchors)
    return Section("Nodes", (table, *details), "nodes", "Nodes", lead)


def _anchors(verdict: Verdict) -> dict[str, str]:
    return {
        node.node: f"node-{number}-{re.sub('[^a-z0-9]+', '-', node.node.lower()).strip('-')[:40]}"
        for number, node in enumerate(verdict.nodes)
    }


def _details(
    verdict: Verdict, evidence: EvidenceView, node: NodeVerdict, anchor: str, figures: Sequence[Figure]
) -> Section:
    facts = (
        Fact("Graph", node.graph),
        Fact("Closed sessions", units.count(node.sessions), _open_sessions([node])),
        Fact("Executions", units.count(node.events)),
        Fact("Parity judged", "against V1's own noise floor" if node.relative_parity else "against the bound"),
        *_counted(evidence.counts.get(node.node, {})),
    )
    blocks: tuple[Block, ...] = (
        *([Texts(tuple(Text(note, "note") for note in node.notes))] if node.notes else []),
        criteria_tables.on_page(node.criteria, promised=verdict.decision is not Decision.NO_GO),
        *_beside("pair", figures),
        *(criteria_tables.parts(one) for one in node.criteria if one.parts),
        fact_table(facts, "What was counted"),
    )
    told = " · ".join(f"{fact.name.lower()} {fact.value}" for fact in facts[1:3])
    return Section(node.node, blocks, anchor, state=STATES[node.decision], remark=told,
                   unfolded=len(verdict.nodes) == 1)  # fmt: skip


def _counted(counts: Mapping[str, Mapping[str, int]]) -> Iterable[Fact]:
    for heading, labels in counts.items():
        if labels:
            ordered = sorted(labels.items(), key=lambda item: (-item[1], item[0]))
            told = ", ".join(f"{label} {units.count(number)}" for label, number in ordered)
            yield Fact(_COUNTED.get(heading, heading), told)


# --- evidence --------------------------------------------------------------------------------------------------------
def _beside(kind: str, blocks: Iterable[Figure | Table]) -> tuple[Block, ...]:
    found = tuple(blocks)
    return (Beside(found, kind),) if found else ()


def _facts_block(facts: Iterable[Fact]) -> tuple[Block, ...]:
    found = tuple(facts)
    return (fact_table(found),) if found else ()


def _over_time(verdict: Verdict, evidence: EvidenceView) -> Section:
    figures = bands(verdict, evidence, semconv.CRITERION_PARITY)
    return Section("Parity over time", _beside("pair", figures.values()), "parity", "Over time", _LEADS["parity"])


def _latency(evidence: EvidenceView) -> Section:
    figures = latencies(evidence, "after", *_SERVED_AFTER)
    table = (mismatch_tables.latency(evidence.latency),) if evidence.latency else ()
    blocks = (*_beside("pair", figures.values()), *table)
    return Section("Latency of V1 and V2", blocks, "latency", "Latency", _LEADS["latency"])


def _mismatches_on_screen(evidence: EvidenceView, *, wide: bool) -> list[Section]:
    groups = [group for group in evidence.mismatches if group.accepted is None]
    if not groups:
        return []
    more = len(groups) - _KINDS
    rest = [Text(f"and {more} more kinds; --html and --json show them", "muted")] if more > 0 else []
    table = mismatch_tables.on_screen(groups[:_KINDS], wide=wide)
    return [Section(f"Mismatches that weigh most ({_differing(evidence):,} pairs in all)", (table, *rest))]


def _differing(evidence: EvidenceView) -> int:
    """Return all pairs that differ and count; the groups may be the heaviest only."""
    grouped = sum(group.count for group in evidence.mismatches if group.accepted is None)
    return max(_compared(evidence).get(Outcome.MISMATCH, 0), grouped)


def _mismatches_on_page(verdict: Verdict, evidence: EvidenceView, trace_url: str | None) -> Section:
    groups = [group for group in evidence.mismatches if group.accepted is None]
    accepted = [group for group in evidence.mismatches if group.accepted is not None]
    rest = _differing(evidence) - sum(group.count for group in groups)
    blocks: list[Block] = []
    if groups:
        blocks.append(mismatch_tables.on_page(groups, trace_url))
    else:
        blocks.append(Text("No pair differs." if verdict.nodes else "No pair was compared.", "empty"))
    if groups and rest > 0:
        blocks.append(Text(f"{rest:,} more pairs differ in rarer ways.", "muted"))
    if accepted:
        known = "Accepted differences: known by a rule in shadow.toml, and in neither side of the parity"
        blocks.append(mismatch_tables.on_page(accepted, trace_url, known))
    lead = (
        f"{_differing(evidence):,} pairs that differ, by node, route, differing fields, intent and build: what to fix "
        "first. Names only: no value of the state leaves the process."
    )
    head = "Mismatches, the heaviest first"
    return Section(head, tuple(blocks), "mismatches", "Mismatches", lead if groups else "")


def _skipped(reading: Reading) -> list[tuple[int, Fact]]:
    schemas = ", ".join(f"schema {name}: {units.count(number)}" for name, number in reading.other_schema.items())
    told = (
        ("Malformed lines", reading.malformed, "ours by their event name, but not readable"),
        ("Truncated last lines", reading.truncated, "no end of line: somebody is still writing"),
        ("Lines of another schema", sum(reading.other_schema.values()), schemas),
        ("Duplicate lines", reading.duplicates, "the same pair counts once"),
        ("Contradictory pairs", reading.contradictory, "told twice in different ways; no GO while there are any"),
        ("Outside the window", reading.out_of_window, "older than the window that the policy reads"),
        ("From the future", reading.future, "stamped later than clock skew explains"),
        ("Other lines", reading.other_lines, "the application's own, and SHADOW_COMPARISON, which repeats its pair"),
    )
    return [(number, Fact(name, units.count(number), remark)) for name, number, remark in told]


def _builds(verdict: Verdict) -> list[Fact]:
    return [
        Fact(f"Other build: {build.label}", units.count(build.events),
             f"executions from {units.moment(build.first)} to {units.moment(build.last)}")
        for build in verdict.left_out
    ]  # fmt: skip


def _left_out_on_screen(verdict: Verdict, evidence: EvidenceView) -> Iterable[Text]:
    facts = [*(fact for number, fact in _skipped(evidence.reading) if number), *_builds(verdict)]
    told = [f"{fact.name}: {fact.value} ({fact.remark})" for fact in facts]
    told += [
        f"Accepted differences, {group.accepted}: {group.count:,} of {group.node}"
        for group in evidence.mismatches
        if group.accepted is not None
    ]
    yield from map(Text, told or ["nothing"])
    yield from (Text(f"such as {example}", "detail") for example in evidence.reading.examples[:3])


def _left_out_on_page(verdict: Verdict, reading: Reading) -> Section:
    facts = (*(fact for _, fact in _skipped(reading)), *_builds(verdict))
    examples = Texts(tuple(Text(example, "example") for example in reading.examples))
    blocks: tuple[Block, ...] = (fact_table(facts), *([Section("Examples", (examples,))] if reading.examples else []))
    return Section("What was left out", blocks, "left-out", "Left out", _LEADS["left-out"])


def _noise(verdict: Verdict) -> Iterable[Fact]:
    for node in verdict.nodes:
        share = node.criterion(semconv.CRITERION_PARITY).details.get("self_disagreement")
        if share is not None:
            judged = "parity is judged against it" if node.relative_parity else "below the switch: parity is absolute"
            yield Fact(node.node, units.percent(share), judged)
