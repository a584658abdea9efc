"""Criteria as tables: their numbers in their own units, where they lie on their scale, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from otel_shadow import semconv
from otel_shadow._report.blocks import Cell, Column, Gauge, State, Table
from otel_shadow.verdict import units
from otel_shadow.verdict.reasons import Quantity, ReasonKind, Role
from otel_shadow.verdict.result import CriterionResult, Decision, NodeVerdict, Part
from otel_shadow.verdict.titles import TITLES, bound, title, value
from otel_shadow.verdict.wording import sentences

STATES: Mapping[Decision, State] = {
    Decision.GO: State("go", "GO"), Decision.NO_GO: State("no_go", "NO-GO"), Decision.WAIT: State("wait", "WAIT"),
}  # fmt: skip
_IN_TABLE = {
    ReasonKind.KEPT, ReasonKind.UNPROVEN, ReasonKind.SERVED, ReasonKind.COVERED, ReasonKind.NOT_ENOUGH,
    ReasonKind.NO_EVIDENCE,
}  # fmt: skip
"""What the numbers of the terminal's table say already; a NO-GO is told in its head."""
_ALWAYS = ("match", "mismatch", "error", "timeout", "served", "executed")
_EXACT = (semconv.CRITERION_V1_SERVED, semconv.CRITERION_COVERAGE)
_FULL_TURN = 3.0
"""A gauge shows three times the distance between bound and ideal; what lies beyond is at its end."""


def by_criterion(criteria: Sequence[CriterionResult], *, promised: bool, page: bool, nodes: int = 1) -> Table:
    """Return criteria with their numbers, the evidence so far, and why; of a single node also what is missing.

    Arguments:
        promised: whether an earliest GO is told; after a NO-GO there is none.
        page: whether each criterion says what it asks.
        nodes: of the workflow.
    """

    def cells(one: CriterionResult) -> tuple[Cell, ...]:
        name = title(one.criterion) if one.required else f"{title(one.criterion)} (shown only)"
        weakest = (f"weakest node: {one.weakest}",) if one.weakest else ()
        return (
            Cell(name, (TITLES[one.criterion].question, *weakest) if page else ()), Cell(state=state(one)),
            Cell(estimate(one), strong=True), _proven(one), Cell(_bound(one)),
            Cell(small=(_band(one),), gauge=_gauge(one)),
            *([] if page else [Cell(one.weakest or "")]), _evidence(one),
            _why(one, promised=promised, page=page, nodes=nodes),
        )  # fmt: skip

    columns = (
        Column("Criterion"), Column("Verdict"), Column("Estimate", number=True),
        Column("Proven so far", number=True), Column("Bound", number=True), Column("Always-valid band", whole=True),
        *([] if page else [Column("Weakest node", whole=True)]), Column("Evidence so far", long=True),
        Column("Why", long=True),
    )  # fmt: skip
    return Table(columns, tuple(map(cells, criteria)), label="Criteria table", kind="criteria stack")


def by_node(nodes: Sequence[NodeVerdict], anchors: Mapping[str, str]) -> Table:
    """Return the estimates of all nodes in one table; on the page (with ``anchors``) under full titles, with links."""
    heads = [one.title if anchors else one.short for one in (TITLES[name] for name in semconv.CRITERIA)]

    def cells(node: NodeVerdict) -> tuple[Cell, ...]:
        estimates = (Cell(estimate(one), state=state(one)) for one in node.criteria)
        return (Cell(node.node, anchor=anchors.get(node.node, "")), Cell(state=STATES[node.decision]), *estimates)

    exact = {name for name in _EXACT if not anchors}  # a narrow terminal has no room for them
    columns = (
        Column("Node"), Column("Verdict"),
        *(Column(head, whole=name in exact) for name, head in zip(semconv.CRITERIA, heads, strict=True)),
    )  # fmt: skip
    return Table(columns, tuple(map(cells, nodes)), label="Nodes table", kind="stack nodes")


def parts(result: CriterionResult) -> Table:
    def cells(one: Part) -> tuple[Cell, ...]:
        start = "" if one.kind == "intent" else units.moment(datetime.fromisoformat(one.label))
        return (
            Cell(f"from {start}" if start else f"intent {one.label}"),
            Cell(state=STATES[one.decision], small=() if one.certified else ("too few sessions: not certified",)),
            Cell(value(result.quantity, one.estimate)), Cell(_ends(result.quantity, one.lower, one.upper)),
            Cell(units.count(one.sessions)), Cell(units.count(one.events)),
        )  # fmt: skip

    numbers = (Column(head, number=True) for head in ("Estimate", "Band", "Sessions", "Events"))
    name = title(result.criterion)
    return Table((Column("Part"), Column("Verdict"), *numbers), tuple(map(cells, result.parts)),
                 f"{name} by block of hours and by intent", label=f"{name} of {result.node} in parts")  # fmt: skip


def state(result: CriterionResult) -> State:
    """Return the decision of a criterion with what qualifies it."""
    if not result.measured:
        return State("none", "no evidence")
    found = STATES[result.decision]
    if not result.certified and result.decision is not Decision.NO_GO:
        return State(found.key, "not certified")
    return State(found.key, f"{found.word} so far") if result.so_far else found


def estimate(result: CriterionResult) -> str:
    served, recorded = (result.counts.get(name) for name in ("served", "recorded"))
    if served is not None and recorded:
        return f"{units.count(served)} of {units.count(recorded)}"
    return value(result.quantity, result.estimate)


def _proven(result: CriterionResult) -> Cell:
    """Return what whole cycles prove: it stays until the next one ends."""
    if result.criterion in _EXACT:
        return Cell(units.DASH)
    if result.proven is None:
        return Cell("nothing yet" if result.measured else units.DASH)
    return Cell(bound(result.quantity, result.proven, result.direction))


def _bound(result: CriterionResult) -> str:
    return bound(result.quantity, result.bound, result.direction)


def _band(result: CriterionResult) -> str:
    if result.criterion in _EXACT and result.measured:
        return "an exact count"
    return _ends(result.quantity, result.lower, result.upper) or "no band yet"


def _ends(quantity: Quantity, lower: float | None, upper: float | None) -> str:
    if lower is None and upper is None:
        return ""
    return " … ".join("no end" if end is None else value(quantity, end) for end in (lower, upper))


def _evidence(result: CriterionResult) -> Cell:
    """Return what was counted, without the rarer things that never happened."""
    events = units.plural(result.events, TITLES[result.criterion].event)
    shown = [(name, number) for name, number in result.counts.items() if number or name in _ALWAYS]
    counted = " · ".join(f"{name.replace('_', ' ')} {units.count(number)}" for name, number in shown)
    seen = f"{units.plural(result.sessions, 'session')}, {events}" if result.measured else ""
    return Cell(seen, (counted,) if counted else ())


def _why(result: CriterionResult, *, promised: bool, page: bool, nodes: int) -> Cell:
    """Return why; what the workflow lacks is listed below its table, what a node lacks nowhere else."""
    why = [
        text
        for one, text in sentences(result.reasons)
        if one.role is Role.WHY and (page or not (one.kind in _IN_TABLE or result.decision is Decision.NO_GO))
    ]
    lacking = [f"missing: {sentence}" for sentence in result.missing] if result.node else []
    if result.nodes_proven and nodes > 1:
        every = len(result.nodes_proven) == nodes
        lacking.append(f"proven by {'every node' if every else ', '.join(result.nodes_proven)} alone")
    if result.eta and promised:
        lacking.append(f"earliest GO at this rate: {units.moment(result.eta)}")
    return Cell("; ".join(why), tuple(lacking))


def _gauge(result: CriterionResult) -> Gauge | None:
    if result.lower is None and result.upper is None and result.estimate is None:
        return None
    low, high = _scale(result)

    def place(number: float | None, otherwise: float) -> float:
        return otherwise if number is None else min(1.0, max(0.0, (number - low) / (high - low)))

    banded = result.criterion not in _EXACT and (result.lower is not None or result.upper is not None)
    lower, upper = (place(result.lower, 0.0), place(result.upper, 1.0)) if banded else (None, None)
    proven = None if result.proven is None else place(result.proven, 0.0)
    known = "" if result.proven is None else f", proven {bound(result.quantity, result.proven, result.direction)}"
    told = f"estimate {estimate(result)}{known}, band {_band(result)}, bound {_bound(result)}"
    point = None if result.estimate is None else place(result.estimate, 0.0)
    return Gauge(lower, upper, point, place(result.bound, 0.0), told, proven)


def _scale(result: CriterionResult) -> tuple[float, float]:
    edge = result.bound
    if result.quantity == "excess":
        return -_FULL_TURN * edge, _FULL_TURN * edge
    if result.quantity == "ratio":
        reach = _FULL_TURN * max(edge - 1.0, 0.01)
        return 1.0 - reach, 1.0 + reach
    if result.direction == "at_most":
        return 0.0, min(1.0, _FULL_TURN * edge)
    return (max(0.0, 1.0 - _FULL_TURN * (1.0 - edge)) if edge < 1 else 0.9), 1.0
