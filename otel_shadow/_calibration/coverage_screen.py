"""Coverage on the terminal, and the proposed patterns as a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from otel_shadow._calibration.clusters import Cluster, Clusters
from otel_shadow._calibration.coverage import FEW_SESSIONS, Coverage, Row
from otel_shadow._calibration.patterns import LEAST_LOWER, LEAST_MISSED, LEAST_PRECISION, PatternProposal
from otel_shadow._report.terminal import clean
from otel_shadow.verdict.units import DASH, percent, plural

_SPOTS = 12
_CLUSTERS = 12


@dataclass(frozen=True, slots=True)
class CorpusFindings:
    """What a corpus adds: counts, clusters and patterns; ``judged_by`` says what patterns are judged by."""

    messages: int
    unsaid: int
    joined_pairs: int
    malformed: tuple[str, ...]
    judged_by: str
    unrecognised: int
    clusters: Clusters
    patterns: tuple[PatternProposal, ...]
    too_few: tuple[tuple[str, str, int], ...]


def show(coverage: Coverage, found: CorpusFindings | None, notes: Sequence[str], out: Console) -> None:
    """Print ``coverage``, and what the corpus adds."""
    out.print(f"Coverage of {plural(coverage.pairs, 'pair')} of {plural(coverage.sessions, 'session')}")
    for note in notes:
        out.print(Text(f"  note: {clean(note)}", "yellow"))
    _rows("Intents (as V2 recognised them)", ("Intent",), coverage.intents, out)
    _missing(coverage, out)
    _rows("Routes (as V1 decided)", ("Node", "V1 goes to"), coverage.routes, out)
    _spots(coverage, out)
    if found is not None:
        _corpus(found, out)


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


def _corpus(found: CorpusFindings, out: Console) -> None:
    _heading("Corpus (texts stay on this machine)", out)
    out.print(
        f"  {plural(found.messages, 'text')} of the corpus made {plural(found.joined_pairs, 'pair')}; "
        f"{found.unsaid:,} were not said in the window; {found.unrecognised:,} were not recognised"
    )
    for fault in found.malformed[:3]:
        out.print(Padding(Text(clean(f"left out: {fault}"), "yellow"), (0, 0, 0, 2), expand=False))
    if len(found.malformed) > 3:
        out.print(Text(f"  and {len(found.malformed) - 3:,} more lines left out", "yellow"))
    _clusters(found.clusters, out)
    _patterns(found, out)


def _clusters(found: Clusters, out: Console) -> None:
    _heading("Unrecognised messages, alike ones together", out)
    for cluster in found.clusters[:_CLUSTERS]:
        out.print(Padding(Text(clean(_cluster_head(cluster))), (0, 0, 0, 2), expand=False))
        out.print(Padding(Text(clean(f"sets apart: {', '.join(cluster.ngrams)}"), "dim"), (0, 0, 0, 4), expand=False))
        for text in cluster.examples:
            out.print(Padding(Text(clean(f"“{text}”")), (0, 0, 0, 4), expand=False))
    if len(found.clusters) > _CLUSTERS:
        out.print(Text(f"  and {len(found.clusters) - _CLUSTERS} more clusters (--json)", "dim"))
    out.print(Text(f"  {found.scattered:,} of {found.clustered:,} are like no others", "dim"))


def _cluster_head(cluster: Cluster) -> str:
    langs = ", ".join(f"{lang} {count}" for lang, count in cluster.langs.items())
    like = "" if cluster.resembles is None else f"; resembles {cluster.resembles} ({percent(cluster.likeness, 0)})"
    meant = ", ".join(f"{intent} {count}" for intent, count in list(cluster.meant.items())[:4])
    return f"{plural(cluster.messages, 'message')} ({langs}){like}{f'; meant {meant}' if meant else ''}"


def _patterns(found: CorpusFindings, out: Console) -> None:
    _heading(f"Patterns, judged by {found.judged_by} (5-fold cross-validation over conversations)", out)
    if found.too_few:
        told = ", ".join(f"{intent} {lang} ({missed})" for intent, lang, missed in found.too_few)
        out.print(Padding(Text(clean(f"not enough data (missed messages): {told}"), "dim"), (0, 0, 0, 2), expand=False))
    if not found.patterns:
        out.print(f"  none: no intent misses {LEAST_MISSED} messages of one language, or nothing sets them apart")
        return
    table = _grid("Intent", "Language", "Missed now", "Precision", "Recall", "Matched", left=2)
    for one in found.patterns:
        low = f" (≥ {percent(one.precision_lower)})" if one.precision is not None else ""
        table.add_row(one.intent, one.lang, f"{one.missed:,}", f"{percent(one.precision)}{low}",
                      f"{percent(one.recall)} ({one.found})", f"{one.matched:,}")  # fmt: skip
    out.print(table)
    for one in found.patterns:
        wanted = f"{percent(LEAST_PRECISION)} precision, {percent(LEAST_LOWER)} at its lower bound"
        told = "" if one.proposed else f"not proposed (wanted: {wanted}): "
        out.print(Padding(Text(clean(f"{one.intent} {one.lang}: {told}{one.pattern}")), (0, 0, 0, 2), expand=False))


def pattern_file(found: CorpusFindings) -> str:
    """The proposed patterns as TOML: an intent, a regular expression for folded text, and the score it deserves."""
    blocks = [
        f"# Proposed by otel-shadow coverage, judged by {found.judged_by}. For folded text (no case, no accents)."
    ]
    for one in found.patterns:
        if one.proposed:
            blocks.append(
                "\n".join(
                    (
                        "[[patterns]]",
                        f"intent = {json.dumps(one.intent)}",
                        f"lang = {json.dumps(one.lang)}",
                        f"pattern = {json.dumps(one.pattern, ensure_ascii=False)}",
                        f"score = {round(one.precision or 0.0, 2)!r}",
                        f"# cross-validated precision {one.found}/{one.matched}, recall {one.found}/{one.missed}",
                    )
                )
            )
    return "\n\n".join(blocks) + "\n"
