"""Precision, recall and F1 of slot extraction: V1, V2, and `dateparser` alone, per slot and language.

    python benchmarks/extraction.py [DATA] [--half report|tune|all] [--errors SLOT:LANG:WHO]

A prediction is right if its value is one of the gold's; where the gold has no value, if their spans overlap.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Protocol

from corpus import DEFAULT_DATA, TODAY_SGD, Gold, Row, authored_rows, dialogues, folded, half, rows

from otel_shadow._demo.v1 import keywords
from otel_shadow._demo.v1 import patterns as v1
from otel_shadow._demo.v2 import extract as v2

Spans = list[tuple[str, int, int]]
SLOTS = ("name", "age", "date", "time")
AUTHORED_SLOTS = ("name", "child_name", "age", "level")


class Extractor(Protocol):
    """Returns a row's (value, start, end) for one slot, or `None` where it has no such ability."""

    def __call__(self, slot: str, row: Row) -> Spans | None: ...


def by_v1(slot: str, row: Row) -> Spans | None:
    """V1, as it is frozen."""
    if slot == "name":
        return [(folded(f.value), f.start, f.end) for f in v1.names(row.text, asked=_asked_name(row))]
    if slot == "child_name":
        return [(folded(f.value), f.start, f.end) for f in v1.child_names(row.text)][:1]
    if slot == "level":
        level = v1.education_level(row.text)
        return [(level, 0, len(row.text))] if level else []
    if slot == "age":
        return [(str(f.value), f.start, f.end) for f in v1.ages(row.text)]
    if slot == "date":
        return [(f.value.isoformat(), f.start, f.end) for f in v1.dates(row.text, row.lang, row.reference)]
    return [(f.value, f.start, f.end) for f in v1.times(row.text)]


def by_v2(slot: str, row: Row) -> Spans | None:
    """V2."""
    language: Any = row.lang
    if slot == "name":
        return [(folded(m.value), m.start, m.end) for m in v2.names(row.text, asked=_asked_name(row))]
    if slot == "child_name":
        return [(folded(m.value), m.start, m.end) for m in v2.child_names(row.text)][:1]
    if slot == "level":
        return [(m.value, m.start, m.end) for m in v2.levels(row.text)][:1]
    if slot == "age":
        return [(str(a.value), a.start, a.end) for a in v2.ages(row.text)]
    if slot == "date":
        found = v2.dates(row.text, language, row.reference, asked="date" in row.asked)
        return [(m.value.isoformat(), m.start, m.end) for m in found]
    return [(m.value, m.start, m.end) for m in v2.times(row.text, row.reference, asked="time" in row.asked)]


def by_library(slot: str, row: Row) -> Spans | None:
    """`dateparser.search`, as its documentation shows it; it knows neither names nor ages."""
    if slot not in ("date", "time"):
        return None
    from dateparser.search import search_dates

    settings = {"RELATIVE_BASE": row.reference, "PREFER_DATES_FROM": "future", "RETURN_TIME_SPAN": False}
    try:
        found = search_dates(row.text, languages=[row.lang], settings=settings) or []
    except Exception:
        return []
    spans, position = [], 0
    for piece, moment in found:
        start = max(row.text.find(piece, position), 0)
        position = start + len(piece)
        spoke_time = moment.time().replace(second=0, microsecond=0) != row.reference.time().replace(second=0)
        if slot == "time" and (":" in piece or (spoke_time and moment.hour + moment.minute)):
            spans.append((f"{moment:%H:%M}", start, position))
        if slot == "date" and not (moment.date() == row.reference.date() and ":" in piece):
            spans.append((moment.date().isoformat(), start, position))
    return spans


def _asked_name(row: Row) -> bool:
    return bool(row.asked & {"first_name", "last_name"})


@dataclass
class Tally:
    """Counts of one slot, language and extractor."""

    hits: int = 0
    predicted: int = 0
    gold: int = 0

    @property
    def precision(self) -> float:
        """Hits over predictions; 1 where nothing was predicted."""
        return self.hits / self.predicted if self.predicted else 1.0

    @property
    def recall(self) -> float:
        """Hits over gold."""
        return self.hits / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def score(gold: Sequence[Gold], predicted: Spans) -> tuple[Tally, Spans, list[Gold]]:
    """Return the counts of one text, and the predictions and gold slots that found no partner."""
    wanted = [g for g in gold if not g.neutral]
    neutral = [g for g in gold if g.neutral]
    hits, spurious = 0, []
    for value, start, end in predicted:
        match = next((g for g in wanted if _touches(g, start, end) and (not g.values or value in g.values)), None)
        if match:
            wanted.remove(match)
            hits += 1
        elif not any(_touches(g, start, end) for g in neutral):
            spurious.append((value, start, end))
    return Tally(hits, hits + len(spurious), hits + len(wanted)), spurious, wanted


def _touches(gold: Gold, start: int, end: int) -> bool:
    return gold.start < end and start < gold.end


EXTRACTORS: dict[str, Callable[[str, Row], Spans | None]] = {"V1": by_v1, "V2": by_v2, "library": by_library}


Tallies = dict[tuple[str, str, str], Tally]


def measure(data: Path, part: str, errors: str = "", library: bool = True) -> Tallies:
    """Return the counts by (slot, language, extractor); print the errors of one such triple when asked."""
    chosen = (row for row in rows(data) if part == "all" or half(row.text) == part)
    who = {name: extractor for name, extractor in EXTRACTORS.items() if library or name != "library"}
    return _count(chosen, SLOTS, who, errors)


def measure_authored(part: str, errors: str = "") -> Tallies:
    """Return the counts on the authored messages: the first name, child, age and level of each, by value."""
    return _count(authored_rows(part), AUTHORED_SLOTS, {"V1": by_v1, "V2": by_v2}, errors)


def _count(chosen: Iterable[Row], slots: Sequence[str], who: Mapping[str, Extractor], errors: str) -> Tallies:
    tallies: Tallies = defaultdict(Tally)
    for row in chosen:
        for slot, (name, extractor) in product(slots, who.items()):
            predicted = extractor(slot, row)
            if predicted is None:
                continue
            if row.source == "authored":
                predicted = [(value, 0, len(row.text)) for value, _, _ in predicted[:1]]
            counts, spurious, missed = score([g for g in row.gold if g.slot == slot], predicted)
            total = tallies[slot, row.lang, name]
            total.hits += counts.hits
            total.predicted += counts.predicted
            total.gold += counts.gold
            if errors == f"{slot}:{row.lang}:{name}" and (spurious or missed):
                lost = [(row.text[g.start : g.end], sorted(g.values)) for g in missed]
                print(f"{row.text!r} +{[(v, row.text[s:e]) for v, s, e in spurious]} -{lost} {row.reference:%Y-%m-%d}")
    return tallies


def track(data: Path, part: str) -> dict[tuple[str, str], Tally]:
    """Return the counts of dialogue state tracking by (slot, extractor): date and time after each user turn.

    The tracker is the same for all: a mention replaces what stood; a plain yes takes what the system had offered.
    """
    tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
    for dialogue in dialogues(data):
        if part != "all" and half(dialogue["dialogue_id"]) != part:
            continue
        for who in ("V1", "V2"):
            for gold, standing in _states(dialogue, EXTRACTORS[who]):
                for slot in (*gold, "joint"):
                    wanted, got = (gold, standing) if slot == "joint" else (gold[slot], standing.get(slot))
                    total = tallies[slot, who]
                    total.gold += bool(wanted) if slot != "joint" else 1
                    total.predicted += bool(got) if slot != "joint" else 1
                    total.hits += bool(wanted) and wanted == got if slot != "joint" else _same(gold, standing)
    return tallies


def _same(gold: dict[str, str | None], standing: dict[str, str]) -> bool:
    return all(value == standing.get(slot) for slot, value in gold.items())


def _states(dialogue: dict[str, Any], extractor: Extractor) -> Iterator[tuple[dict[str, str | None], dict[str, str]]]:
    """Yield, for each user turn, the gold date and time and those that the extractor's mentions come to."""
    canonical: dict[str, str] = {}
    standing: dict[str, str] = {}
    offered: dict[str, str] = {}
    for turn in dialogue["turns"]:
        canonical |= {slot["value"]: slot["canonical"] for slot in turn["slots"] if slot.get("canonical")}
        row = Row(turn["text"], "en", (), TODAY_SGD, frozenset(), "sgd")
        heard = {slot: found[0][0] for slot in ("date", "time") if (found := extractor(slot, row))}
        if turn["speaker"] != "user":
            offered = heard
            continue
        agreed = turn["speaker"] == "user" and not heard and keywords.agrees(turn["text"])
        standing = {**standing, **(offered if agreed else heard)}
        spoken = {slot: turn["state"].get(f"appointment_{slot}") for slot in ("date", "time")}
        gold = {slot: canonical.get(value, "?")[:10] if value else None for slot, value in spoken.items()}
        gold["time"] = gold["time"] and gold["time"][:5]
        yield gold, dict(standing)


def _print(tallies: Tallies) -> None:
    print("| slot | language | gold | who | precision | recall | F1 |\n|---|---|---|---|---|---|---|")
    for (slot, lang, who), t in sorted(tallies.items(), key=lambda item: (*item[0][:2], item[0][2] == "library")):
        if t.gold:
            print(f"| {slot} | {lang} | {t.gold} | {who} | {t.precision:.3f} | {t.recall:.3f} | {t.f1:.3f} |")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--half", choices=("report", "tune", "all"), default="all", help="which half of the texts")
    parser.add_argument("--errors", default="", metavar="SLOT:LANG:WHO", help="print these errors, e.g. date:pt:V2")
    parser.add_argument("--no-library", action="store_true", help="leave out dateparser alone, which is slow")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    tallies = measure(arguments.data, arguments.half, arguments.errors, not arguments.no_library)
    print(f"half: {arguments.half}\n")
    _print(tallies)
    print("\n| dialogue state | gold | who | precision | recall | F1 |\n|---|---|---|---|---|---|")
    for (slot, who), t in sorted(track(arguments.data, arguments.half).items()):
        print(f"| {slot} | {t.gold} | {who} | {t.precision:.3f} | {t.recall:.3f} | {t.f1:.3f} |")
    print("\nauthored for this project, by the author of V2\n")
    _print(measure_authored(arguments.half, arguments.errors))


if __name__ == "__main__":
    main()
