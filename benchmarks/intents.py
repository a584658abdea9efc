"""Precision, recall and F1 of intent recognition: which node a message is for, by V1 and by V2.

    python benchmarks/intents.py [DATA] [--half report|tune|all] [--errors GOLD:PREDICTED:WHO]

Gold is the `node` of the rows whose label follows from a human intent label; `other` is everything the workflow has
no node for. There is no library to compare with: none knows these intents.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from corpus import DEFAULT_DATA, half, utterances

from otel_shadow._demo.v1 import keywords, patterns
from otel_shadow._demo.v2.intents import node_of

NODES = ("greeting", "qualification", "information", "scheduling", "other")


def by_v1(text: str) -> str:
    """Return the node that V1's greeting would send a first message to."""
    if keywords.wants_human(text):
        return "other"
    if keywords.wants_visit(text):
        return "scheduling"
    if keywords.asks_question(text):
        return "information"
    if patterns.names(text):
        return "qualification"
    return "greeting" if keywords.greets(text) else "other"


RECOGNISERS: dict[str, Callable[[str], str]] = {"V1": by_v1, "V2": node_of}


def measure(data: Path, part: str, errors: str = "") -> dict[tuple[str, str], Counter[tuple[str, str]]]:
    """Return, by (language, recogniser), how often each gold node was predicted as which."""
    confusion: dict[tuple[str, str], Counter[tuple[str, str]]] = defaultdict(Counter)
    for row in utterances(data):
        if row.get("node_basis") != "intent" or (part != "all" and half(row["text"]) != part):
            continue
        for who, recognise in RECOGNISERS.items():
            predicted = recognise(row["text"])
            confusion[row["lang"][:2], who][row["node"], predicted] += 1
            if errors == f"{row['node']}:{predicted}:{who}":
                print(f"{row['lang'][:2]} {row['intent']}: {row['text']!r}")
    return confusion


def f1(counts: Counter[tuple[str, str]], node: str) -> tuple[int, float, float, float]:
    """Return gold count, precision, recall and F1 of one node."""
    hits = counts[node, node]
    gold = sum(n for (g, _), n in counts.items() if g == node)
    said = sum(n for (_, p), n in counts.items() if p == node)
    precision, recall = hits / said if said else 1.0, hits / gold if gold else 0.0
    return gold, precision, recall, 2 * hits / (gold + said) if gold + said else 0.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--half", choices=("report", "tune", "all"), default="all", help="which half of the texts")
    parser.add_argument("--errors", default="", metavar="GOLD:PREDICTED:WHO", help="print these rows")
    arguments = parser.parse_args()
    confusion = measure(arguments.data, arguments.half, arguments.errors)
    print(
        f"half: {arguments.half}\n\n| node | language | gold | who | precision | recall | F1 |\n|---|---|"
        "---|---|---|---|---|"
    )
    for node in NODES:
        for lang, who in sorted(confusion):
            gold, precision, recall, score = f1(confusion[lang, who], node)
            print(f"| {node} | {lang} | {gold} | {who} | {precision:.3f} | {recall:.3f} | {score:.3f} |")
    for lang, who in sorted(confusion):
        present = [node for node in NODES if f1(confusion[lang, who], node)[0]]
        print(
            f"| macro | {lang} | | {who} | | |"
            f" {sum(f1(confusion[lang, who], n)[3] for n in present) / len(present):.3f} |"
        )


if __name__ == "__main__":
    main()
