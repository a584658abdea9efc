"""Coverage as a document: what the window saw, where V2 is unsure, and what a corpus adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from otel_shadow._calibration.coverage import FEW_SESSIONS, Coverage, Row
from otel_shadow._report.blocks import Block, Cell, Column, Document, Section, Table, Text, Texts
from otel_shadow.verdict.units import DASH, percent, plural

if TYPE_CHECKING:
    from otel_shadow._calibration.gaps import Gaps

_SPOTS = 12
_GROUPS = 20
_FAULTS = 3


def coverage_document(coverage: Coverage, gaps: Gaps | None, notes: Sequence[str]) -> Document:
    """Return ``coverage`` in words, and what the corpus adds."""
    return Document(
        kind="coverage",
        title="Coverage",
        heading="Coverage",
        headline=f"{plural(coverage.pairs, 'pair')} of {plural(coverage.sessions, 'session')}",
        lists=(Texts(tuple(Text(note, "note") for note in notes)),),
        sections=(
            Section("Intents (as V2 recognised them)", (_rows(("Intent",), coverage.intents), _missing(coverage))),
            Section("Routes (as V1 decided)", (_rows(("Node", "V1 goes to"), coverage.routes),)),
            Section("Where V2 is unsure or disagrees", _spots(coverage)),
            *(_corpus(gaps) if gaps else ()),
        ),
    )


def _table(keys: Sequence[str], numbers: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    columns = (*map(Column, keys), *(Column(head, number=True) for head in numbers))
    return Table(columns, tuple(tuple(map(Cell, row)) for row in rows))


def _rows(keys: Sequence[str], rows: Sequence[Row]) -> Table:
    numbers = ("Sessions", "Pairs", "Agreement", "Confidence", "Unsure", "V2 failed")
    told = [
        (*row.key, f"{row.sessions:,}", f"{row.pairs:,}", percent(row.agreement), _confidence(row.confidence),
         percent(row.unsure / row.pairs), percent(row.failed / row.pairs)) for row in rows
    ]  # fmt: skip
    return _table(keys, numbers, told)


def _confidence(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"


def _missing(coverage: Coverage) -> Text:
    if not coverage.declared:
        return Text('no intents are declared: name them in [session] intents = ["…"] of shadow.toml')
    told = f"declared and never seen: {', '.join(coverage.unseen) or 'none'}"
    few = f"; seen in fewer than {FEW_SESSIONS} sessions: {', '.join(coverage.few)}" if coverage.few else ""
    return Text(told + few)


def _spots(coverage: Coverage) -> tuple[Block, ...]:
    if not coverage.spots:
        return (Text("nowhere"),)
    rows = [
        (spot.node, spot.intent, _route(spot.original, spot.shadow), f"{spot.pairs:,}", f"{spot.sessions:,}",
         f"{spot.unsure:,}", _confidence(spot.confidence)) for spot in coverage.spots[:_SPOTS]
    ]  # fmt: skip
    table = _table(("Node", "Intent", "V1 → V2"), ("Pairs", "Sessions", "Unsure", "Confidence"), rows)
    pairs = sum(spot.pairs for spot in coverage.spots[_SPOTS:])
    return (table, *_rest(coverage.spots, _SPOTS, f"kinds with {pairs:,} pairs (--json)"))


def _route(original: str, shadow: str) -> str:
    return f"{original} (same)" if original == shadow else f"{original} → {shadow}"


def _rest(found: Sequence[object], shown: int, what: str) -> list[Text]:
    return [Text(f"and {len(found) - shown:,} more {what}", "muted")] if len(found) > shown else []


def _corpus(gaps: Gaps) -> tuple[Section, ...]:
    told = (
        f"{plural(gaps.texts, 'text')} of the corpus made {plural(gaps.joined_pairs, 'pair')}; {gaps.unsaid:,} were "
        f"not said in the window; {gaps.unrecognised:,} were not recognised"
    )
    faults = [Text(f"left out: {fault}", "warning") for fault in gaps.malformed[:_FAULTS]]
    return (
        Section("Corpus (texts stay on this machine)",
                (Text(told), *faults, *_rest(gaps.malformed, _FAULTS, "lines left out"))),
        Section("Unrecognised messages, alike ones together", _groups(gaps)),
    )  # fmt: skip


def _groups(gaps: Gaps) -> tuple[Block, ...]:
    rows = [
        (", ".join(gap.terms), _counts(gap.meant), _counts(gap.langs), f"{gap.messages:,}", f"{gap.sessions:,}")
        for gap in gaps.groups[:_GROUPS]
    ]
    alone = gaps.unrecognised - sum(gap.messages for gap in gaps.groups)
    return (
        _table(("Have in common", f"Meant, by {gaps.judged_by}", "Languages"), ("Messages", "Sessions"), rows),
        *_rest(gaps.groups, _GROUPS, "groups, all smaller (--json)"),
        Text(f"{alone:,} of {gaps.unrecognised:,} are in no group", "muted"),
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name or 'unknown'} {count}" for name, count in list(counts.items())[:4]) or DASH
