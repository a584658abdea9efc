"""Tables of where V1 and V2 differ: kinds of mismatches, decisions of both, latencies."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from otel_shadow import semconv
from otel_shadow._report.blocks import Cell, Column, PairLink, Table
from otel_shadow.evidence.view import Confusion, LatencyHistogram, MismatchGroup, Sample
from otel_shadow.verdict import units


def mismatches(groups: Sequence[MismatchGroup], trace_url: str | None, title: str = "") -> Table:
    """Return kinds of mismatches with pairs to open; ``trace_url`` is a link with ``{trace_id}`` in it."""
    heaviest = max((group.share for group in groups), default=0.0) or 1.0

    def cells(group: MismatchGroup) -> tuple[Cell, ...]:
        sessions, share = units.plural(group.sessions, "session"), f"{group.share * 100:.0f} % · "
        steps = (f"step {group.steps.replace('->', ' → ')}",) if group.steps else ()
        nothing = "" if group.fields or group.steps else "the decision only"
        pairs = tuple(_link(sample, trace_url) for sample in group.samples)
        return (
            Cell(_route(group), (f"accepted: {group.accepted}",) if group.accepted else (), above=group.node),
            Cell(f"{group.count:,}", (sessions if group.accepted else share + sessions,),
                 bar=None if group.accepted else round(group.share / heaviest, 3)),
            Cell(nothing, steps, chips=group.fields, tint="muted" if nothing else ""),
            Cell(group.intent or units.DASH, (group.build,)),
            Cell(pairs=pairs) if pairs else Cell("none recorded", tint="muted"),
        )  # fmt: skip

    columns = (Column("Node and route (V1 → V2)"), Column("Pairs", number=True), Column("Differing fields and steps"),
               Column("Intent, build", whole=True), Column("Traces to open", whole=True))  # fmt: skip
    return Table(columns, tuple(map(cells, groups)), title, label="Mismatches by kind", kind="stack")


def confusion(found: Confusion) -> Table:
    """Return the decisions of one node: V1's by row, V2's by column.

    Agreements are tinted against the largest agreement, disagreements against the largest disagreement.
    """
    cells = {
        (original, shadow): count
        for original, line in zip(found.original, found.counts, strict=True)
        for shadow, count in zip(found.shadow, line, strict=True)
    }
    most = {same: max((count for (one, two), count in cells.items() if (one == two) is same), default=0)
            for same in (True, False)}  # fmt: skip
    total, agreed = sum(cells.values()), sum(count for (one, two), count in cells.items() if one == two)

    def cell(original: str, shadow: str) -> Cell:
        count, same = cells[original, shadow], original == shadow
        if not count:
            return Cell("0", tint="zero")
        return Cell(f"{count:,}", tint="same" if same else "differs", weight=round(0.15 + 0.85 * count / most[same], 3))

    rows = tuple(
        (Cell(target(original)), *(cell(original, shadow) for shadow in found.shadow)) for original in found.original
    )
    share = units.percent(agreed / total) if total else units.DASH
    caption = f"{found.node}: {share} of {total:,} decisions agree"
    columns = (Column("V1 ↓ \u00a0 V2 →"), *(Column(target(shadow)) for shadow in found.shadow))
    return Table(columns, rows, label=f"Decisions of {found.node}", kind="confusion", caption=caption)


def latency(histograms: Sequence[LatencyHistogram]) -> Table:
    columns = (Column("Node"), Column("Version"), *(Column(head, number=True) for head in ("Executions", "p50", "p95")))
    rows = tuple(
        tuple(map(Cell, (one.node, _version(one), units.count(sum(one.counts)), units.latency(one.p50_ms),
                         units.latency(one.p95_ms)))) for one in histograms
    )  # fmt: skip
    return Table(columns, rows, label="Latency table")


def target(name: str | None) -> str:
    """Return a decision as people call it: LangGraph's ``__end__`` is END, nothing at all is a dash."""
    if not name:
        return units.DASH
    return "END" if name == semconv.END else name.replace(semconv.END, "END")


def _version(one: LatencyHistogram) -> str:
    if one.version != semconv.VERSION_V1:
        return one.version.upper()
    return "V1 without shadow (holdout)" if one.arm == "holdout" else "V1 with shadow"


def _route(group: MismatchGroup) -> str:
    original, _, shadow = group.route.partition("->")
    return f"{target(original)} (same decision)" if original == shadow else f"{target(original)} → {target(shadow)}"


def _link(sample: Sample, trace_url: str | None) -> PairLink:
    trace = sample.trace_id or ""
    url = trace_url.replace("{trace_id}", quote(trace, safe="")) if trace_url and trace else ""
    return PairLink(trace, url, sample.pair_id, units.moment(sample.at))
