"""From the verdict and the evidence behind it to the view: everything a reader is told, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

from otel_shadow import semconv
from otel_shadow._report.rows import STATES, row
from otel_shadow._report.view import Cell, Fact, Group, Matrix, Node, Row, Speed, Trace, View
from otel_shadow.evidence.view import Confusion, EvidenceView, LatencyHistogram, MismatchGroup, Reading, Sample
from otel_shadow.policy import Policy
from otel_shadow.record import Outcome
from otel_shadow.verdict import units as words
from otel_shadow.verdict.reasons import ReasonKind, Role
from otel_shadow.verdict.result import CriterionResult, Decision, NodeVerdict, Verdict, Window
from otel_shadow.verdict.wording import sentence, title

WHOLE = "*"
"""The whole workflow, where evidence is counted per node."""

_COUNTED: Mapping[str, str] = {
    "mode": "Mode", "arm": "Arm", "v1_status": "V1", "v2_status": "V2", "comparison": "Comparison",
    "error_type": "Error types", "baseline": "No shadow because", "fallback": "Live fallbacks", "served": "Served",
    "intent": "Intent",
}  # fmt: skip


def present(verdict: Verdict, evidence: EvidenceView, trace_url: str | None = None) -> View:
    """The view of ``verdict``.

    Arguments:
        trace_url: a link with ``{trace_id}`` in it, for the traces of mismatches.
    """
    counted = [group for group in evidence.mismatches if group.accepted is None]
    settled = verdict.decision is not Decision.WAIT
    heaviest = max((group.share for group in counted), default=0.0) or 1.0
    return View(
        state=STATES[verdict.decision],
        headline=_headline(verdict),
        simulated=verdict.simulated,
        at=words.moment(verdict.at),
        earliest=words.moment(_eta(verdict)) if _eta(verdict) else "",
        slowest=_title(verdict),
        blockers=verdict.blockers,
        warnings=_warnings(verdict),
        missing=() if settled else verdict.missing[max(len(verdict.blockers), 1) :],
        advice=verdict.advice,
        notes=verdict.notes,
        facts=_facts(verdict, evidence),
        rows=_rows(verdict, verdict.criteria),
        nodes=tuple(_node(verdict, node, evidence, number) for number, node in enumerate(verdict.nodes)),
        matrices=tuple(_matrix(confusion) for confusion in evidence.confusion),
        speeds=tuple(_speed(histogram) for histogram in evidence.latency),
        groups=tuple(_group(group, trace_url, heaviest) for group in counted),
        accepted=tuple(_group(group, trace_url, 1.0) for group in evidence.mismatches if group.accepted is not None),
        mismatches=max(_compared(evidence).get(Outcome.MISMATCH, 0), sum(group.count for group in counted)),
        left_out=(*_left_out(evidence.reading), *_builds(verdict)),
        examples=evidence.reading.examples,
        noise=_noise(verdict),
        policy=tuple(_policy(verdict.policy)),
    )


def _warnings(verdict: Verdict) -> tuple[str, ...]:
    """Return the warnings but that of a simulated clock: every output has louder words for it."""
    quiet = (one for one in verdict.reasons if one.role is Role.WARNING and one.kind is not ReasonKind.SIMULATED)
    return tuple(map(sentence, quiet))


def _headline(verdict: Verdict) -> str:
    """Return why, in one sentence."""
    if verdict.window is None:
        return f"Not enough evidence: {verdict.reason}"
    if verdict.decision is Decision.WAIT:
        return f"Not enough evidence yet. First of all: {verdict.reason}"
    return verdict.reason[:1].upper() + verdict.reason[1:]


def _rows(verdict: Verdict, criteria: Sequence[CriterionResult]) -> tuple[Row, ...]:
    """The criteria in words; after a NO-GO none promises a date."""
    told = tuple(row(result) for result in criteria)
    return tuple(replace(one, earliest="") for one in told) if verdict.decision is Decision.NO_GO else told


def _compared(evidence: EvidenceView) -> Mapping[str, int]:
    return evidence.counts.get(WHOLE, {}).get("comparison", {})


def _eta(verdict: Verdict) -> datetime | None:
    """When a GO is possible; after a NO-GO this build has none."""
    return verdict.eta if verdict.decision is Decision.WAIT else None


def _title(verdict: Verdict) -> str:
    return title(verdict.slowest) if verdict.slowest else ""


def _facts(verdict: Verdict, evidence: EvidenceView) -> tuple[Fact, ...]:
    sessions = max((node.sessions for node in verdict.nodes), default=0)
    pairs = sum(_compared(evidence).values())
    build = verdict.build
    return (
        *_window(verdict.window),
        Fact("Closed sessions", words.count(sessions), _open_sessions(verdict.nodes)),
        Fact("Pairs", words.count(pairs), f"{words.count(sum(node.events for node in verdict.nodes))} executions"),
        Fact("V2 build", (build.build or "(no build)") if build else words.DASH, _digest(verdict)),
        Fact("Judged at", words.moment(verdict.at), "under a simulated clock" if verdict.simulated else ""),
    )


def _digest(verdict: Verdict) -> str:
    return f"configuration {verdict.build.digest}" if verdict.build and verdict.build.digest else ""


def _open_sessions(nodes: Sequence[NodeVerdict]) -> str:
    still_open = max((node.open_sessions for node in nodes), default=0)
    return f"{still_open:,} still open, left out" if still_open else ""


def _window(window: Window | None) -> list[Fact]:
    if window is None:
        return [Fact("Window", "no evidence")]
    length = words.span(window.end - window.start)
    cycles = words.plural(window.whole_cycles, "whole cycle")
    return [Fact("Window", length, f"{words.moment(window.start)} to {words.moment(window.end)}"),
            Fact("Traffic cycles", cycles, _next_cycle(window))]  # fmt: skip


def _next_cycle(window: Window) -> str:
    gaps = f"; {words.plural(len(window.gaps), 'gap')} without traffic" if window.gaps else ""
    return f"next ends {words.moment(window.next_cycle)}{gaps}"


def _node(verdict: Verdict, node: NodeVerdict, evidence: EvidenceView, number: int) -> Node:
    counts = evidence.counts.get(node.node, {})
    return Node(
        name=node.node,
        anchor=f"node-{number}-{re.sub('[^a-z0-9]+', '-', node.node.lower()).strip('-')[:40]}",
        state=STATES[node.decision],
        facts=(
            Fact("Graph", node.graph),
            Fact("Closed sessions", words.count(node.sessions), _open_sessions([node])),
            Fact("Executions", words.count(node.events)),
            Fact("Parity judged", "against V1's own noise floor" if node.relative_parity else "against the bound"),
        ),
        notes=node.notes,
        rows=_rows(verdict, node.criteria),
        counts=tuple(_counted(counts)),
    )


def _counted(counts: Mapping[str, Mapping[str, int]]) -> Iterable[Fact]:
    for heading, labels in counts.items():
        if labels:
            ordered = sorted(labels.items(), key=lambda item: (-item[1], item[0]))
            told = ", ".join(f"{label} {words.count(number)}" for label, number in ordered)
            yield Fact(_COUNTED.get(heading, heading), told)


def _matrix(confusion: Confusion) -> Matrix:
    cells = {
        (original, shadow): count
        for original, line in zip(confusion.original, confusion.counts, strict=True)
        for shadow, count in zip(confusion.shadow, line, strict=True)
    }
    most = {kind: max((count for (one, two), count in cells.items() if (one == two) is kind), default=0)
            for kind in (True, False)}  # fmt: skip

    def cell(original: str, shadow: str) -> Cell:
        count, same = cells[original, shadow], original == shadow
        return Cell(count, round(0.15 + 0.85 * count / most[same], 3) if count else 0.0, same)

    rows = tuple(
        (target(original), tuple(cell(original, shadow) for shadow in confusion.shadow), sum(line))
        for original, line in zip(confusion.original, confusion.counts, strict=True)
    )
    total = sum(cells.values())
    same = sum(count for (original, shadow), count in cells.items() if original == shadow)
    agreed = words.percent(same / total) if total else words.DASH
    return Matrix(confusion.node, tuple(map(target, confusion.shadow)), rows, agreed, total)


def target(name: str | None) -> str:
    """A decision as people call it: LangGraph's ``__end__`` is END, nothing at all is a dash."""
    if not name:
        return words.DASH
    return "END" if name == semconv.END else name.replace(semconv.END, "END")


def _speed(histogram: LatencyHistogram) -> Speed:
    who = histogram.version.upper()
    if histogram.version == semconv.VERSION_V1:
        who += " without shadow (holdout)" if histogram.arm == "holdout" else " with shadow"
    return Speed(histogram.node, who, words.count(sum(histogram.counts)), _ms(histogram.p50_ms), _ms(histogram.p95_ms))


def _ms(value: float | None) -> str:
    return words.milliseconds(None if value is None else value / 1000.0)


def _group(group: MismatchGroup, trace_url: str | None, heaviest: float) -> Group:
    original, _, shadow = group.route.partition("->")
    return Group(
        node=group.node,
        original=target(original),
        shadow=target(shadow),
        same_route=original == shadow,
        steps=(group.steps or "").replace("->", " → "),
        fields=group.fields,
        intent=group.intent or "",
        build=group.build,
        count=group.count,
        sessions=group.sessions,
        share=group.share,
        weight=round(group.share / heaviest, 3),
        accepted=group.accepted or "",
        traces=tuple(_trace(sample, trace_url) for sample in group.samples),
    )


def _trace(sample: Sample, trace_url: str | None) -> Trace:
    trace = sample.trace_id or ""
    url = trace_url.replace("{trace_id}", quote(trace, safe="")) if trace_url and trace else ""
    return Trace(trace, url, sample.pair_id, words.moment(sample.at))


def _left_out(reading: Reading) -> list[Fact]:
    schemas = ", ".join(f"schema {name}: {words.count(number)}" for name, number in reading.other_schema.items())
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
    return [Fact(name, words.count(number), remark) for name, number, remark in told]


def _builds(verdict: Verdict) -> list[Fact]:
    return [
        Fact(f"Other build: {build.label}", words.count(build.events),
             f"executions from {words.moment(build.first)} to {words.moment(build.last)}")
        for build in verdict.left_out
    ]  # fmt: skip


def _noise(verdict: Verdict) -> tuple[Fact, ...]:
    facts = []
    for node in verdict.nodes:
        details = next((result.details for result in node.criteria if result.criterion == semconv.CRITERION_PARITY), {})
        if (share := details.get("self_disagreement")) is not None:
            judged = "parity is judged against it" if node.relative_parity else "below the switch: parity is absolute"
            facts.append(Fact(node.node, words.percent(share), judged))
    return tuple(facts)


def _policy(policy: Policy) -> Iterable[Fact]:
    """Every key of the policy that was applied, its value and what it means."""
    for name in type(policy).model_fields:
        if name != "nodes":
            yield Fact(name, _plain(getattr(policy, name)), _MEANINGS.get(name, ""))
    for node, bounds in policy.nodes.items():
        for name in sorted(bounds.model_fields_set):
            yield Fact(f"nodes.{node}.{name}", _plain(getattr(bounds, name)), "for this node only")


def _plain(setting: object) -> str:
    if isinstance(setting, tuple):
        return ", ".join(map(str, setting)) or "none declared"
    return f"{setting:g}" if isinstance(setting, float) else str(setting)


_MEANINGS: Mapping[str, str] = {
    "parity": "least share of pairs in which V2 decides what V1 decides",
    "handoff": "largest share of V2 executions that end in an error or a timeout",
    "latency_margin": "how much slower a p95 may be: 0.15 is +15 %",
    "executed": "least share of eligible executions whose shadow ran",
    "accepted_cap": "above this share of accepted differences the verdict waits",
    "noise_margin": "by how much V2 may differ more often than V1 from itself, where parity is relative",
    "min_sessions": "closed sessions that each node needs",
    "min_sessions_per_intent": "closed sessions that each declared intent needs",
    "alpha": "chance of a false GO that is tolerated, on each side",
    "window_hours": "longest window that is read",
    "cycle_hours": "one cycle of traffic; GO only at a whole one",
    "min_cycles": "whole cycles needed for a GO",
    "no_go_sessions": "closed sessions from which a NO-GO is possible",
    "session_idle_minutes": "a session is closed after this much silence",
    "max_turns": "turns of one session that count",
    "block_hours": "no block of this length may be in NO-GO by itself",
    "intents": "each needs its own coverage",
    "noise_switch": "above this self-disagreement of V1 (lower bound) parity turns relative",
    "max_gap_hours": "a silence of this length is a gap, and no GO stands on it",
    "criteria": "criteria that count for the verdict; others are shown",
}
