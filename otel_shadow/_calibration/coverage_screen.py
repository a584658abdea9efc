"""Coverage on the terminal, and the proposed patterns as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from otel_shadow._calibration.coverage import FEW_SESSIONS, Coverage, Row
from otel_shadow._report.terminal import clean
from otel_shadow.verdict.units import DASH, percent, plural

if TYPE_CHECKING:
    from otel_shadow._calibration.gaps import Gaps

_SPOTS = 12
_GROUPS = 20


def show(coverage: Coverage, gaps: Gaps | None, notes: Sequence[str], out: Console) -> None:
    """Print ``coverage``, and what the corpus adds."""
    out.print(f"Coverage of {plural(coverage.pairs, 'pair')} of {plural(coverage.sessions, 'session')}")
    for note in notes:
        out.print(Text(f"  note: {clean(note)}", "yellow"))
    _rows("Intents (as V2 recognised them)", ("Intent",), coverage.intents, out)
    _missing(coverage, out)
    _rows("Routes (as V1 decided)", ("Node", "V1 goes to"), coverage.routes, out)
    _spots(coverage, out)
    if gaps is not None:
        _corpus(gaps, out)


def _heading(text: str, out: Console) -> None:
    out.print()
    out.print(Text(clean(text), "bold"))


def _grid(*heads: str, left: int = 1) -> Table:
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for number, head in enumerate(heads):
        table.add_column(
            head, justify="left" if number < left else "right", header_style="dim", overflow="fold"
        )  # fmt: skip
    return table


def _rows(title: str, keys: tuple[str, ...], rows: Sequence[Row], out: Console) -> None:
    _heading(title, out)
    heads = ("Sessions", "Pairs", "Agreement", "Confidence", "Unsure", "V2 failed")
    table = _grid(*keys, *heads, left=len(keys))
    for row in rows:
        confidence = DASH if row.confidence is None else f"{row.confidence:.2f}"
        table.add_row(
            *map(clean, row.key), f"{row.sessions:,}", f"{row.pairs:,}", percent(row.agreement), confidence,
            percent(row.unsure / row.pairs), percent(row.failed / row.pairs),
        )  # fmt: skip
    out.print(table)


def _missing(coverage: Coverage, out: Console) -> None:
    if not coverage.declared:
        told = 'no intents are declared: name them in [session] intents = ["…"] of shadow.toml'
    else:
        told = f"declared and never seen: {', '.join(coverage.unseen) or 'none'}"
        if coverage.few:
            told += f"; seen in fewer than {FEW_SESSIONS} sessions: {', '.join(coverage.few)}"
    out.print(Padding(Text(clean(told)), (0, 0, 0, 2), expand=False))


def _spots(coverage: Coverage, out: Console) -> None:
    _heading("Where V2 is unsure or disagrees", out)
    if not coverage.spots:
        out.print("  nowhere")
        return
    table = _grid("Node", "Intent", "V1 → V2", "Pairs", "Sessions", "Unsure", "Confidence", left=3)
    for spot in coverage.spots[:_SPOTS]:
        same = spot.original == spot.shadow
        route = f"{spot.original} (same)" if same else f"{spot.original} → {spot.shadow}"
        confidence = DASH if spot.confidence is None else f"{spot.confidence:.2f}"
        table.add_row(*map(clean, (spot.node, spot.intent, route)), f"{spot.pairs:,}", f"{spot.sessions:,}",
                      f"{spot.unsure:,}", confidence)  # fmt: skip
    out.print(table)
    if len(coverage.spots) > _SPOTS:
        rest = sum(spot.pairs for spot in coverage.spots[_SPOTS:])
        out.print(Text(f"  and {len(coverage.spots) - _SPOTS} more kinds with {rest:,} pairs (--json)", "dim"))


def _corpus(gaps: Gaps, out: Console) -> None:
    _heading("Corpus (texts stay on this machine)", out)
    out.print(
        f"  {plural(gaps.texts, 'text')} of the corpus made {plural(gaps.joined_pairs, 'pair')}; "
        f"{gaps.unsaid:,} were not said in the window; {gaps.unrecognised:,} were not recognised"
    )
    for fault in gaps.malformed[:3]:
        out.print(Padding(Text(clean(f"left out: {fault}"), "yellow"), (0, 0, 0, 2), expand=False))
    if len(gaps.malformed) > 3:
        out.print(Text(f"  and {len(gaps.malformed) - 3:,} more lines left out", "yellow"))
    _groups(gaps, out)
    _patterns(gaps, out)


def _groups(gaps: Gaps, out: Console) -> None:
    _heading("Unrecognised messages, alike ones together", out)
    meant = "Labelled" if gaps.judged_by == "human labels" else "V1 goes to"
    table = _grid("Have in common", meant, "Languages", "Messages", "Sessions", left=3)
    for gap in gaps.groups[:_GROUPS]:
        told = (", ".join(gap.terms), _counts(gap.meant), _counts(gap.langs))
        table.add_row(*map(clean, told), f"{gap.messages:,}", f"{gap.sessions:,}")
    out.print(table)
    if len(gaps.groups) > _GROUPS:
        out.print(Text(f"  and {len(gaps.groups) - _GROUPS} smaller groups (--json)", "dim"))
    alone = gaps.unrecognised - sum(gap.messages for gap in gaps.groups)
    out.print(Text(f"  {alone:,} of {gaps.unrecognised:,} are in no group", "dim"))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name or 'unknown'} {count}" for name, count in list(counts.items())[:4]) or DASH


def _patterns(gaps: Gaps, out: Console) -> None:
    _heading(f"Patterns, judged by {gaps.judged_by}", out)
    tried = [gap.pattern for gap in gaps.groups if gap.pattern]
    proposed = [one for one in tried if one.proposed]
    for one in proposed:
        lower = f"of all messages, with 95 % confidence, in at least {percent(one.precision_lower, 0)}"
        told = f"{one.intent}: {one.pattern} is right in {one.right} of {one.matched}; {lower}"
        out.print(Padding(Text(clean(told)), (0, 0, 0, 2), expand=False))
    out.print(f"  {plural(len(tried), 'group')} tried, {plural(len(proposed), 'pattern')} proposed (--json shows all)")


def pattern_file(gaps: Gaps) -> str:
    """Return the proposed patterns as TOML: an intent, a regular expression for folded text, and its score."""
    blocks = [f"# Proposed by otel-shadow coverage, judged by {gaps.judged_by}. For folded text (no case, no accents)."]
    for one in (gap.pattern for gap in gaps.groups if gap.pattern and gap.pattern.proposed):
        keys = (
            "[[patterns]]",
            f"intent = {json.dumps(one.intent)}",
            f"pattern = {json.dumps(one.pattern, ensure_ascii=False)}",
            f"score = {one.right / one.matched:.2f}",
            f"# right in {one.right} of {one.matched} messages, at least {one.precision_lower:.2f} of all",
        )
        blocks.append("\n".join(keys))
    return "\n\n".join(blocks) + "\n"
