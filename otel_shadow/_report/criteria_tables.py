"""Criteria as tables: their numbers in their own units, where they lie on their scale, why, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from otel_shadow import semconv
from otel_shadow._report.blocks import Cell, Column, Gauge, State, Table
from otel_shadow.verdict import units
from otel_shadow.verdict.reasons import Quantity
from otel_shadow.verdict.result import CriterionResult, Decision, NodeVerdict, Part
from otel_shadow.verdict.wording import TITLES, bound, title, value

STATES: Mapping[Decision, State] = {
    Decision.GO: State("go", "GO"), Decision.NO_GO: State("no_go", "NO-GO"), Decision.WAIT: State("wait", "WAIT"),
}  # fmt: skip
_NOTHING = State("none", "no evidence")
_ALWAYS = ("match", "mismatch", "error", "timeout", "served", "executed")
_EXACT = (semconv.CRITERION_V1_SERVED, semconv.CRITERION_COVERAGE)
_FULL_TURN = 3.0
"""A gauge shows three times the distance between bound and ideal; what lies beyond is at its end."""
_LONG = (Column("Evidence so far", long=True), Column("Why, and what is missing", long=True))
_HEADS = (Column("Criterion"), Column("Verdict"), Column("Estimate", number=True), Column("Bound", number=True),
          Column("Always-valid band"))  # fmt: skip


def on_screen(criteria: Sequence[CriterionResult], *, promised: bool) -> Table:
    """Return the workflow's criteria as the terminal shows them.

    Arguments:
        promised: whether an earliest GO is told; after a NO-GO there is none.
    """
    rows = tuple(
        (
            Cell(_name(one)), Cell(state=state(one)), Cell(estimate(one), strong=True), Cell(_bound(one)),
            Cell(_band(one)), Cell(one.weakest or ""), _evidence(one), _why(one, promised=promised),
        ) for one in criteria
    )  # fmt: skip
    return Table((*_HEADS, Column("Weakest node"), *_LONG), rows)


def on_page(criteria: Sequence[CriterionResult], *, promised: bool) -> Table:
    """Return criteria as the page shows them: with what each asks and where its band lies."""
    rows = tuple(
        (
            Cell(_name(one), (TITLES[one.criterion].question, *_weakest(one))), Cell(state=state(one)),
            Cell(estimate(one), strong=True), Cell(_bound(one)),
            Cell(small=(_band(one) or _no_band(one),), gauge=_gauge(one)),
            _evidence(one), _why(one, promised=promised),
        ) for one in criteria
    )  # fmt: skip
    return Table((*_HEADS, *_LONG), rows, label="Criteria table", kind="criteria stack")


def by_node(nodes: Sequence[NodeVerdict], criteria: Sequence[CriterionResult], anchors: Mapping[str, str]) -> Table:
    """Return the estimates of all nodes in one table; on the page (with ``anchors``) under full titles, with links."""
    names = [one.criterion for one in criteria]
    heads = [title(name) if anchors else TITLES[name].short for name in names]

    def cells(node: NodeVerdict) -> tuple[Cell, ...]:
        found = {one.criterion: Cell(estimate(one), state=state(one)) for one in node.criteria}
        name = Cell(node.node, anchor=anchors.get(node.node, ""))
        return (name, Cell(state=STATES[node.decision]), *(found.get(name, Cell()) for name in names))

    columns = tuple(Column(head) for head in ("Node", "Verdict", *heads))
    return Table(columns, tuple(map(cells, nodes)), label="Nodes table", kind="stack nodes")


def parts(result: CriterionResult) -> Table:
    """Return the blocks of hours and the intents of one criterion of one node."""
    rows = tuple(
        (
            Cell(_part_name(one)), Cell(state=STATES[one.decision], small=() if one.certified else _UNCERTIFIED),
            Cell(value(result.quantity, one.estimate)), Cell(_ends(result.quantity, one.lower, one.upper)),
            Cell(units.count(one.sessions)), Cell(units.count(one.events)),
        ) for one in result.parts
    )  # fmt: skip
    numbers = tuple(Column(head, number=True) for head in ("Estimate", "Band", "Sessions", "Events"))
    name = title(result.criterion)
    return Table((Column("Part"), Column("Verdict"), *numbers), rows, f"{name} by block of hours and by intent",
                 label=f"{name} of {result.node} in parts")  # fmt: skip


_UNCERTIFIED = ("too few sessions: not certified",)


def state(result: CriterionResult) -> State:
    """Return the decision of a criterion with what qualifies it."""
    if not result.measured:
        return _NOTHING
    found = STATES[result.decision]
    if not result.certified and result.decision is not Decision.NO_GO:
        return State(found.key, "not certified")
    return State(found.key, f"{found.word} so far") if result.so_far else found


def estimate(result: CriterionResult) -> str:
    """Return the estimate of a criterion in words."""
    served, recorded = (result.counts.get(name) for name in ("served", "recorded"))
    if served is not None and recorded:
        return f"{units.count(served)} of {units.count(recorded)}"
    return value(result.quantity, result.estimate)


def _name(result: CriterionResult) -> str:
    return title(result.criterion) if result.required else f"{title(result.criterion)} (shown only)"


def _weakest(result: CriterionResult) -> tuple[str, ...]:
    return (f"weakest node: {result.weakest}",) if result.weakest else ()


def _bound(result: CriterionResult) -> str:
    return bound(result.quantity, result.bound, result.direction)


def _band(result: CriterionResult) -> str:
    return "" if result.criterion in _EXACT else _ends(result.quantity, result.lower, result.upper)


def _no_band(result: CriterionResult) -> str:
    return "an exact count" if result.criterion in _EXACT and result.measured else "no band yet"


def _ends(quantity: Quantity, lower: float | None, upper: float | None) -> str:
    if lower is None and upper is None:
        return ""
    return " … ".join("no end" if end is None else value(quantity, end) for end in (lower, upper))


def _evidence(result: CriterionResult) -> Cell:
    """Return what was counted, without the rarer things that never happened."""
    event = TITLES[result.criterion].event
    seen = (
        f"{units.plural(result.sessions, 'session')}, {units.plural(result.events, event)}" if result.measured else ""
    )
    shown = [(name, number) for name, number in result.counts.items() if number or name in _ALWAYS]
    counted = " · ".join(f"{name.replace('_', ' ')} {units.count(number)}" for name, number in shown)
    return Cell(seen, (counted,) if counted else ())


def _why(result: CriterionResult, *, promised: bool) -> Cell:
    lacking = [f"missing: {sentence}" for sentence in result.missing]
    if result.eta and promised:
        lacking.append(f"earliest GO at this rate: {units.moment(result.eta)}")
    return Cell(result.reason, tuple(lacking))


def _gauge(result: CriterionResult) -> Gauge | None:
    if result.lower is None and result.upper is None and result.estimate is None:
        return None
    low, high = _scale(result)

    def place(number: float | None, otherwise: float) -> float:
        return otherwise if number is None else min(1.0, max(0.0, (number - low) / (high - low)))

    lower, upper = (place(result.lower, 0.0), place(result.upper, 1.0)) if _band(result) else (None, None)
    told = f"estimate {estimate(result)}, band {_band(result) or _no_band(result)}, bound {_bound(result)}"
    point = None if result.estimate is None else place(result.estimate, 0.0)
    return Gauge(lower, upper, point, place(result.bound, 0.0), told)


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


def _part_name(part: Part) -> str:
    if part.kind == "intent":
        return f"intent {part.label}"
    return f"from {units.moment(datetime.fromisoformat(part.label))}"
