"""The loop, closed: shadow, verdict, why, calibrate, a new V2 build, shadow again; on recorded conversations.

``python -m otel_shadow._demo.closed_loop FILE... --out DIR`` plays half of the conversations in a first simulated
window with V2 as it is, learns thresholds from its pairs, and plays the other half, which nothing was learned from, in
a second window: with the old build, as a control, and with the new one. The verdicts are the data's, whatever they are.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from otel_shadow.errors import ConfigError, MissingExtraError, require

try:
    for _module in ("numpy", "duckdb", "matplotlib", "scipy", "sklearn", "dateparser"):
        require(_module, "demo")
except MissingExtraError as error:
    if __name__ != "__main__":
        raise
    sys.stderr.write(f"{error}\n")
    sys.exit(2)

from otel_shadow import evidence, semconv
from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow._calibration.calibrate_command import run_calibrate, run_coverage
from otel_shadow._calibration.conversations import DEMO_KEY, Conversation, read_conversations
from otel_shadow._calibration.coverage import handled_by, is_unsure
from otel_shadow._calibration.labels import Names
from otel_shadow._calibration.pairs import Pair, read_pairs
from otel_shadow._demo.bundled import bundled_config
from otel_shadow._demo.play import SimulatedClock, play, session_starts, this_minute
from otel_shadow._demo.state import BUSINESS_NODES, GREETING, HUMAN
from otel_shadow._demo.v2 import V2_NODES, build_nodes
from otel_shadow._demo.workflow import Node, graph
from otel_shadow._langgraph.instrument.attach import attach
from otel_shadow._report import html_page
from otel_shadow._report.verdict_document import verdict_document
from otel_shadow._runtime.redact import Redactor
from otel_shadow.config import ShadowConfig
from otel_shadow.verdict import Policy, Verdict, evaluate

_IDLE = timedelta(minutes=31)
WINDOW = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Round:
    """One window and what it said.

    Arguments:
        played: ``first half`` or ``second half`` of the conversations.
        why: the heaviest kinds of mismatch: ``node: original → shadow`` and how many pairs.
        handed: share of pairs that V2 handed to a person.
        unsure: share in which it fell back to asking again, or handed over.
        v1_wrong, v2_wrong, labelled: of the pairs whose right next node a person labelled.
    """

    build: str
    played: str
    verdict: Verdict
    sessions: int
    pairs: int
    why: tuple[tuple[str, int], ...]
    handed: float
    unsure: float
    v1_wrong: int
    v2_wrong: int
    labelled: int


def run_loop(files: Sequence[Path], out: Path, seed: int = 7, say: Callable[[str], None] = print) -> list[Round]:
    """Play the loop, write its logs, pages and proposals to ``out``, and return its three rounds.

    In ``files`` (JSON Lines of conversations) a row's ``node`` with ``node_basis`` intent is a person's label; ``seed``
    is that of the halves and of the simulated times; ``say`` is told what happens, line by line. A ConfigError says
    which file can't be read or has no conversation.
    """
    os.environ.setdefault(semconv.ENV_HASH_KEY, DEMO_KEY)
    out.mkdir(parents=True, exist_ok=True)
    corpus = _joined(files, out / "corpus.jsonl")
    found = [item for item in read_conversations(corpus) if isinstance(item, Conversation)]
    if len(found) < 2:
        raise ConfigError([f"{corpus}: fewer than two conversations in it"])
    gold = _gold(found)
    first, second = _halves(found, seed)
    now = this_minute()

    def round_of(
        build: str, half: str, played: Sequence[Conversation], folder: str, end: datetime, nodes: Mapping[str, Node]
    ) -> Round:
        log = out / folder / "app.log"
        _shadow(build, nodes, played, log, end, seed)
        told = _round(build, half, log, end, gold)
        say(_story(told))
        return told

    say(f"1. Shadow: build v2-first, {len(first):,} conversations in a simulated window of 48 h")
    before = round_of("v2-first", "first half", first, "1-first", now - WINDOW, V2_NODES)
    say("2. Calibrate and look at coverage, on the first window only")
    thresholds = _learn(out, out / "1-first" / "app.log", corpus, gold)
    say(_learned(thresholds))
    say(f"3. Shadow again: the other {len(second):,} conversations, old build as a control, then the new build")
    control = round_of("v2-first", "second half", second, "2-control", now, V2_NODES)
    nodes = build_nodes(thresholds=thresholds)
    return [before, control, round_of("v2-second", "second half", second, "3-second", now, nodes)]


def _joined(files: Sequence[Path], target: Path) -> Path:
    """Write all files as one corpus; one without a last line end doesn't swallow the next one's first line."""
    try:
        target.write_bytes(b"".join(file.read_bytes().rstrip(b"\n") + b"\n" for file in files))
    except OSError as error:
        raise ConfigError([f"{error.filename}: {error.strerror}; expected JSON Lines of conversations"]) from None
    return target


def _halves(found: Sequence[Conversation], seed: int) -> tuple[list[Conversation], list[Conversation]]:
    unique = [replace(item, id=f"conv_{number:05d}") for number, item in enumerate(found)]
    random.Random(seed).shuffle(unique)  # noqa: S311 - repeatable by its seed
    middle = len(unique) // 2
    return unique[:middle], unique[middle:]


def _gold(found: Sequence[Conversation]) -> dict[str, str]:
    """Return the node that a person's label says a first message is for, by its hash; ``other`` is none of them."""
    redactor, rows = Redactor(), [item.rows[0] for item in found]
    labelled = [row for row in rows if row.get("node_basis") == "intent" and isinstance(row.get("node"), str)]
    return {str(redactor.digest(row["text"])): row["node"] for row in labelled}


def _shadow(
    build: str, nodes: Mapping[str, Node], played: Sequence[Conversation], log: Path, end: datetime, seed: int
) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    clock = SimulatedClock()
    config = ShadowConfig.from_mapping({**bundled_config().model_dump(), "v2_build": build})
    manager = ShadowTrafficManager(config, log_file=str(log), clock=clock, clock_name="simulated")
    subject, starts = graph(), session_starts(len(played), WINDOW, end - _IDLE, seed)
    attach(subject, manager, lambda _graph, node: nodes.get(node))
    play(subject, played, manager, clock=clock, starts=starts, seed=seed)
    manager.flush(120.0)
    manager.shutdown()


def _round(build: str, half: str, log: Path, end: datetime, gold: Mapping[str, str]) -> Round:
    summary = evidence.read([str(log)])
    verdict = evaluate(summary, Policy(), end)
    told = verdict_document(verdict, evidence.view_of(summary, verdict), page=True)
    html_page.write(log.with_name("report.html"), html_page.page(told))
    found, names = read_pairs([str(log)]), Names()
    pairs = found.pairs
    why = Counter(
        f"{pair.node}: {pair.original_target} → {pair.shadow_target}" for pair in pairs if pair.decisions_match is False
    )
    labelled = [
        (pair, gold[pair.message_hash or ""])
        for pair in pairs
        if pair.message_hash in gold and pair.decisions_match is not None
    ]
    return Round(
        build=build,
        played=half,
        verdict=verdict,
        sessions=found.sessions,
        pairs=len(pairs),
        why=tuple(why.most_common(5)),
        handed=sum(pair.v2.get(names.action) == "handoff" for pair in pairs) / len(pairs),
        unsure=sum(is_unsure(pair, names) for pair in pairs) / len(pairs),
        v1_wrong=sum(_is_wrong(pair, pair.original_target, node) for pair, node in labelled),
        v2_wrong=sum(_is_wrong(pair, pair.shadow_target, node) for pair, node in labelled),
        labelled=len(labelled),
    )


def _is_wrong(pair: Pair, target: str | None, label: str) -> bool:
    """Return whether ``target`` leads elsewhere than ``label``; what is for no node is asked back or handed over."""
    handled = handled_by(pair.node, target)
    return handled not in ((GREETING, HUMAN) if label == "other" else (label,))


def _learn(out: Path, log: Path, corpus: Path, gold: Mapping[str, str]) -> Path | None:
    thresholds, config = out / "thresholds.toml", out / "shadow.toml"
    config.write_text(f"[session]\nintents = {json.dumps(bundled_config().session.intents)}\n", encoding="utf-8")
    with (out / "calibration.txt").open("w", encoding="utf-8") as file, redirect_stdout(file):
        code = run_calibrate([str(log)], out=thresholds, html=out / "calibration.html")
        run_coverage([str(log)], corpus=corpus, config=config)
        if gold:
            run_calibrate([str(log)], labels=_labels(out, gold), html=out / "calibration-by-labels.html")
    return thresholds if code == 0 else None


def _labels(out: Path, gold: Mapping[str, str]) -> Path:
    """Write the labels as the file that ``calibrate --labels`` reads: the right target from each node."""
    path = out / "labels.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for digest, label in gold.items():
            for node in BUSINESS_NODES:
                target = semconv.END if label in (node, "other") else label
                file.write(json.dumps({"user_message_hash": digest, "node": node, "target": target}) + "\n")
    return path


def _learned(thresholds: Path | None) -> str:
    limits = tomllib.loads(thresholds.read_text(encoding="utf-8")) if thresholds else {}
    told = [
        f"   {table}: {json.dumps(limits[table])}" for table in ("thresholds", "intents", "flags") if table in limits
    ]
    return "\n".join(told) or "   nothing can be proposed from this window"


def _story(told: Round) -> str:
    parity = told.verdict.criterion(semconv.CRITERION_PARITY)
    estimate, lower, upper = (
        f"{value:.1%}" if value is not None else "–" for value in (parity.estimate, parity.lower, parity.upper)
    )
    shares = (
        f"the weakest node's parity {estimate} [{lower}, {upper}], handed to a person {told.handed:.1%}, "
        f"unsure {told.unsure:.1%}"
    )
    lines = [
        f"   {told.verdict.decision}: {told.verdict.reason}",
        f"   {told.sessions:,} sessions, {told.pairs:,} pairs, {shares}",
        *(f"   {count:>6,} pairs {kind}" for kind, count in told.why),
    ]
    if told.labelled:
        v1, v2 = told.v1_wrong / told.labelled, told.v2_wrong / told.labelled
        lines.append(f"   by {told.labelled:,} human labels, wrongly routed: V1 {v1:.1%}, V2 {v2:.1%}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m otel_shadow._demo.closed_loop", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JSON Lines of conversations")
    parser.add_argument("--out", type=Path, default=Path("otel-shadow-loop"))
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args(arguments)
    try:
        run_loop(given.files, given.out, given.seed)
    except ConfigError as error:
        sys.stderr.write("".join(f"{problem}\n" for problem in error.problems))
        return 2
    sys.stdout.write(f"Logs, pages and proposals are in {given.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
